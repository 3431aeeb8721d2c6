// How far our session has come: its lease is asked for, opened, kept alive and given back. What is
// written to its key is Chain's. Never sends anything.
#pragma once

#include <cassert>
#include <cstdint>
#include <string>
#include <utility>

#include "vipd/counts.hpp"
#include "vipd/event.hpp"
#include "vipd/types.hpp"

namespace vipd {

enum class SessionState {
  Absent,
  Granting,  // a lease is asked for
  Opening,   // the session key is being put, or taken up from a former process
  Live,
};

class OwnSession {
 public:
  [[nodiscard]] SessionState state() const { return state_; }
  [[nodiscard]] bool has_lease() const {
    return state_ == SessionState::Opening || state_ == SessionState::Live;
  }
  // Each session is an instance of its own: a former one must not be taken for it.
  [[nodiscard]] const std::string& instance() const { return instance_; }
  // Of this process with this session; 0 while it has none.
  [[nodiscard]] uint64_t incarnation() const { return incarnation_; }
  // It is a former process's, and not known to be ours yet.
  [[nodiscard]] bool taking_up() const { return taking_up_; }
  [[nodiscard]] MonoTime opening_since() const { return opening_since_; }

  // --- Absent
  [[nodiscard]] MonoTime grant_at() const { return grant_at_; }
  // A lease is asked for.
  void granting(RequestId request);
  [[nodiscard]] bool is_granting(RequestId request) const {
    return request != 0 && request == granting_;
  }
  void grant_failed(MonoTime now);

  // --- Opening, Live
  void open(MonoTime now, std::string instance, uint64_t incarnation, Duration ttl);
  void take_up(MonoTime now, std::string instance, uint64_t incarnation);
  void live();
  void lost(MonoTime now);
  [[nodiscard]] MonoTime keep_at() const { return keep_at_; }
  // A keepalive was sent: the next one follows after ttl / 10, after ttl / 3 once it is answered.
  void keeping(MonoTime now, Duration ttl) { keep_at_ = now + ttl / 10; }
  void kept(MonoTime now, Duration ttl) { keep_at_ = now + ttl / 3; }

  // --- its end, when the daemon stops
  [[nodiscard]] bool is_revoking() const { return revoking_ != 0; }
  [[nodiscard]] bool is_revoking(RequestId request) const {
    return request != 0 && request == revoking_;
  }
  [[nodiscard]] bool is_revoked() const { return revoked_; }
  // When the answer is no longer waited for.
  [[nodiscard]] MonoTime revoke_by() const { return revoke_by_; }
  void revoking(RequestId request, MonoTime now);
  void revoked() { revoked_ = true; }

  Heartbeats heartbeats;
  MonoTime remembered_at = MonoTime::long_ago();  // when the memory of it was written last
  // What a former process set for VIPs that no configuration names any more is gone by then.
  MonoTime strangers_gone_at = MonoTime::long_ago();

 private:
  SessionState state_ = SessionState::Absent;
  std::string instance_;
  uint64_t incarnation_ = 0;
  bool taking_up_ = false;
  RequestId granting_ = 0;
  MonoTime grant_at_ = MonoTime::long_ago();
  MonoTime opening_since_;
  MonoTime keep_at_ = MonoTime::never();
  RequestId revoking_ = 0;
  MonoTime revoke_by_ = MonoTime::never();
  bool revoked_ = false;
};

}  // namespace vipd
