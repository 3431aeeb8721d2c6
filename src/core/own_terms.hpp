// The course of our own peer lease: on which links it is asked for, when a term is tried, entered
// and left, and why there is none. The terms themselves, and what was granted in them, are
// PeerLease's. Never sends anything.
#pragma once

#include <cassert>
#include <string>
#include <utility>

#include "core/peer_lease.hpp"
#include "vipd/event.hpp"
#include "vipd/peer_view.hpp"
#include "vipd/types.hpp"

namespace vipd {

class OwnTerms {
 public:
  // --- links
  // Those that may have an address of a VIP, and the deadline that follows for it.
  void carry(LinkNames links) { carrying_ = std::move(links); }
  [[nodiscard]] const LinkNames& carrying() const { return carrying_; }
  void set_deadline(MonoTime deadline) { deadline_ = deadline; }
  [[nodiscard]] MonoTime deadline() const { return deadline_; }
  // Those, and the ones that are about to get one. True when one is new.
  bool ask_on(LinkNames links, MonoTime now);
  [[nodiscard]] const LinkNames& asking() const { return asking_; }
  [[nodiscard]] MonoTime asking_since() const { return asking_since_; }

  // --- trying
  [[nodiscard]] MonoTime try_at() const { return try_at_; }
  void try_at(MonoTime time) { try_at_ = time; }
  // One is tried until then, for its grantors to answer.
  void trying(MonoTime until);
  [[nodiscard]] MonoTime try_until() const { return try_until_; }
  // It has its grantors: the next link enters it.
  void ready() { ready_ = true; }
  [[nodiscard]] bool is_ready() const { return ready_; }
  // None is entered. True when that, or the reason, is new.
  [[nodiscard]] bool refused(const std::string& why);
  [[nodiscard]] const std::string& refusal() const { return refusal_; }

  // --- in force
  // `changed`: in the place of another one.
  void entered(MonoTime now, bool changed);
  [[nodiscard]] MonoTime entered_at() const { return entered_at_; }

  // --- leaving
  // The terms are to be left, until the chain has said so. REQUIRES: !is_leaving(), a reason.
  void leave(std::string why);
  [[nodiscard]] bool is_leaving() const { return !leaving_.empty(); }
  [[nodiscard]] const std::string& leaving() const { return leaving_; }
  // Nothing is obeyed any more; one that was never in force does not count.
  void left(bool was_in_force, MonoTime try_at);
  // The session is over; `obeyed`: and a term with it.
  void lost(bool obeyed, MonoTime now);
  [[nodiscard]] const std::string& left_because() const { return left_because_; }

  // --- the deletion of its key, where etcd takes no writes
  [[nodiscard]] bool is_deleting() const { return deleting_ != 0; }
  [[nodiscard]] MonoTime delete_at() const { return delete_at_; }
  // [safety] Of the key at that revision and no other. REQUIRES: !is_deleting().
  void deleting(RequestId request, Revision revision, MonoTime next);
  [[nodiscard]] Revision deleting_revision() const { return deleting_revision_; }
  // Whether it is that one; it is answered or has failed then.
  [[nodiscard]] bool take_deletion(RequestId request);

  TermCounts counts;

 private:
  LinkNames carrying_;
  LinkNames asking_;
  MonoTime asking_since_;  // when the last of them was added
  MonoTime deadline_ = MonoTime::never();
  bool ready_ = false;
  MonoTime try_at_ = MonoTime::long_ago();
  MonoTime try_until_;
  std::string refusal_;
  MonoTime entered_at_ = MonoTime::long_ago();
  std::string leaving_;
  std::string left_because_;
  RequestId deleting_ = 0;
  Revision deleting_revision_ = 0;
  MonoTime delete_at_ = MonoTime::long_ago();
};

}  // namespace vipd
