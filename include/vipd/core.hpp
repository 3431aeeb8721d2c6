// The takeover protocol (ARCHITECTURE.md): events and time in, actions out. Performs no I/O, reads
// no clock, draws no random number, logs nothing. The daemon and the simulator run this same
// object.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vipd/action.hpp"
#include "vipd/event.hpp"
#include "vipd/state.hpp"
#include "vipd/types.hpp"

namespace vipd {

struct Heartbeats;  // counts.hpp
struct PeersView;   // peer_view.hpp

// What a step is given besides its event. `random` must be unpredictable and fresh for each step:
// the nonces of the heartbeat chain are made of it, and they tell clones of one machine apart.
struct Input {
  MonoTime now;
  uint64_t random = 0;
  // How long the host has slept in all. The kernel's timers stand still then, `now` does not.
  Duration suspended{};
  // This turn of the loop has lasted long enough: no burst of kernel calls begins in it.
  bool turn_is_spent = false;
};

struct CandidateView {
  std::string node;
  int priority = 0;
  LeaseId lease = LeaseId::None;
  bool has_session = false;  // of ours, and its key is there
};

struct VipView {
  Address address;
  VipState state = VipState::Standby;
  std::string reason;
  std::string owner;  // the node that this node believes to own it, or ""
  bool address_present = false;
  std::vector<CandidateView> queue;
  bool may_be_held = false;             // by a former owner that nobody has heard of
  LeaseId transfer_to = LeaseId::None;  // a hand-over that a person asked for is under way
};

// To which etcd cluster this process is bound.
struct ClusterView {
  uint64_t id = 0;        // 0: none so far
  std::string objection;  // why no VIP may be taken, in words
};

class Core {
 public:
  // Emits the first actions. REQUIRES: settings as event.hpp says.
  Core(Settings settings, const Input& input, Actions* actions);
  ~Core();
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  // Looks at the fencing deadline, then takes the event, then appends what follows to `actions`.
  // REQUIRES: input.now never goes backwards.
  void step(const Input& input, const Event& event, Actions* actions);

  // When step(Ticked) is wanted at the latest. MonoTime::never() when only an event can change
  // anything.
  [[nodiscard]] MonoTime next_deadline() const;

  // For the status.
  [[nodiscard]] NodeState node_state() const;
  [[nodiscard]] LeaseId session() const;  // None while there is none
  [[nodiscard]] Duration timeout() const;
  [[nodiscard]] MonoTime fencing_deadline() const;  // long_ago() without authority
  // When the last heartbeat was sent that etcd has confirmed; long_ago(): none of this session was.
  [[nodiscard]] MonoTime confirmed() const;
  [[nodiscard]] std::vector<VipView> vips(MonoTime now) const;
  // One of them; nullopt: it is unknown.
  [[nodiscard]] std::optional<VipView> vip(const Address& address, MonoTime now) const;
  // The node that this node believes to own it, or "".
  [[nodiscard]] std::string owner(const Address& vip, MonoTime now) const;
  // How the last head of its queue before the present one went, in words.
  [[nodiscard]] std::string how(const Address& vip) const;
  [[nodiscard]] ClusterView cluster() const;
  // What another node has that must be the same on all nodes but differs, or that must differ but
  // is the same, in words; "": nothing.
  [[nodiscard]] const std::string& differences() const;
  [[nodiscard]] Revision revision() const;  // up to which our watch has shown etcd
  // All that a next process could take up is in the last action::Remember.
  [[nodiscard]] bool is_remembered() const;
  [[nodiscard]] const Heartbeats& heartbeats() const;
  [[nodiscard]] PeersView peers(MonoTime now) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vipd
