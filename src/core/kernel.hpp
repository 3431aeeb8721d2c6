// Bookkeeping of what the kernel is asked for: calls that set and remove addresses, rounds of
// renewals, the packet fence. Never asks for anything itself.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>

#include "vipd/types.hpp"

namespace vipd {

// Frames of one kind that go out together. A few at a time: thousands at once would fill the queues
// of links and switches, and hold up the heartbeats.
class Burst {
 public:
  // Takes one to send; false: none may be sent before next().
  [[nodiscard]] bool take(MonoTime now);
  [[nodiscard]] MonoTime next() const { return next_; }

 private:
  MonoTime next_ = MonoTime::long_ago();
  int left_ = 0;
};

// The calls whose completion is awaited, when one more may be made, and when lifetimes are renewed.
//
// A call may be held up for any time, so nothing that needs authority is asked for behind it: there
// is one AddAddress at a time, and no announcement before it is done. Many follow each other in
// bursts, between which the loop has its turn.
class KernelCalls {
 public:
  [[nodiscard]] bool busy() const { return adding_ || removing(); }
  [[nodiscard]] bool adding() const { return adding_; }
  [[nodiscard]] bool removing() const { return removals_ > 0; }

  // When one more may be added. In a turn that is spent no burst begins, but for renewals that take
  // long. REQUIRES: !busy().
  [[nodiscard]] MonoTime next_at(MonoTime now, bool turn_is_spent) const;
  // REQUIRES: !adding().
  void add(MonoTime now, Duration lifetime);
  // Its completion has come. added_in_turn(): and the next call follows at once.
  void added(MonoTime now);
  void added_in_turn(MonoTime now);

  void remove() { removals_++; }
  // REQUIRES: removing().
  void removed();
  [[nodiscard]] size_t removals() const { return removals_; }

  // --- lifetimes
  void renew_at(MonoTime time) { renew_at_ = time; }
  // At that time at the latest.
  void renew_by(MonoTime time) { renew_at_ = std::min(renew_at_, time); }
  [[nodiscard]] MonoTime renewal() const { return renew_at_; }
  // A round of renewals begins, also in the midst of another; its last call has been made.
  void renew_all(MonoTime now);
  void renewed_all(MonoTime now);
  // An address is about to be set; `first`: nothing else is there. Many that come up one after the
  // other are as good as a round.
  void installing(MonoTime now, bool first);
  [[nodiscard]] bool is_renewing() const { return is_renewing_; }
  // When the next round may begin, if the last one took long: as late as its lifetimes allow.
  [[nodiscard]] MonoTime rested() const;

  Burst announcements;
  Burst probes;

 private:
  void begin_round(MonoTime now);
  [[nodiscard]] Duration burst(MonoTime now) const;

  bool adding_ = false;
  size_t removals_ = 0;
  MonoTime burst_ends_ = MonoTime::long_ago();
  bool burst_begins_ = false;  // with the call that is under way
  MonoTime renew_at_ = MonoTime::never();
  bool is_renewing_ = false;
  MonoTime renewing_since_ = MonoTime::long_ago();
  MonoTime round_began_ = MonoTime::long_ago();
  Duration round_took_;
  Duration lifetime_;  // the shortest of this round
};

// What the adapter says of the packet fence, and what it was told last.
class PacketFence {
 public:
  // It is in force on all links, or not, and why. What it was told before is void: it may be
  // another one.
  void changed(bool in_force, std::string reason) {
    known_ = true;
    in_force_ = in_force;
    reason_ = std::move(reason);
    told_.reset();
    // What counts from now on was seen by the new one.
    if (in_force) missed_a_grant_ = false;
  }
  // The adapter has said whether it is in force. It may be missing on some links only.
  [[nodiscard]] bool known() const { return known_; }
  [[nodiscard]] bool in_force() const { return in_force_; }
  [[nodiscard]] const std::string& reason() const { return reason_; }  // why it is not

  // Takes the deadline for the next SetFence; false: the fence has that deadline already.
  [[nodiscard]] bool tell(MonoTime deadline) {
    return std::exchange(told_, deadline) != std::optional(deadline);
  }
  [[nodiscard]] bool says(MonoTime deadline) const { return told_ == deadline; }
  [[nodiscard]] bool is_told() const { return told_.has_value(); }
  // It has closed by itself.
  void closed() { told_.reset(); }

  // [safety] A grant came that it did not see: somebody has removed it, or stands before it.
  void missed_a_grant(bool is) { missed_a_grant_ = is; }
  [[nodiscard]] bool missed_a_grant() const { return missed_a_grant_; }

 private:
  bool known_ = false;
  bool in_force_ = false;
  std::string reason_ = "the packet fence is not in force yet";
  std::optional<MonoTime> told_;
  bool missed_a_grant_ = false;
};

}  // namespace vipd
