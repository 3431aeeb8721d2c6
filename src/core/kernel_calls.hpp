// What is asked of the kernel: the calls whose completion is awaited, when one more may be made,
// and when lifetimes are renewed. Never makes a call.
//
// A call may be held up for any time, so nothing that needs authority is asked for behind it: there
// is one AddAddress at a time, and no announcement before it is done. Many follow each other in
// bursts, between which the loop has its turn.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>

#include "vipd/types.hpp"

namespace vipd {

// Frames of one kind that go out together. A few at a time: thousands at once would fill the queues
// of links and switches, and hold up the heartbeats.
class Burst {
 public:
  // Takes one; false: none may go before next().
  [[nodiscard]] bool take(MonoTime now);
  [[nodiscard]] MonoTime next() const { return next_; }

 private:
  MonoTime next_ = MonoTime::long_ago();
  int left_ = 0;
};

class KernelCalls {
 public:
  [[nodiscard]] bool busy() const { return adding_ || removing(); }
  [[nodiscard]] bool adding() const { return adding_; }
  [[nodiscard]] bool removing() const { return removals_ > 0; }

  // When one more may be added. REQUIRES: !busy().
  [[nodiscard]] MonoTime next_at(MonoTime now) const;
  // REQUIRES: !adding().
  void add(MonoTime now, Duration lifetime);
  // Its completion has come; `in_turn`: and the next call follows at once.
  void added() { adding_ = false; }
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
  // A round of renewals: it begins, and nothing of it is left.
  void renew_all(MonoTime now);
  void renewed_all(MonoTime now);
  // An address is about to be set; `first`: nothing else is there. Many that come up one after the
  // other are as good as a round.
  void installing(MonoTime now, bool first);
  [[nodiscard]] bool is_renewing() const { return is_renewing_; }
  // When the next one may begin where one takes long: the lifetimes of the last one allow for it.
  [[nodiscard]] MonoTime rested() const;

  Burst announcements;
  Burst probes;

 private:
  bool adding_ = false;
  size_t removals_ = 0;
  MonoTime burst_ends_ = MonoTime::long_ago();
  bool burst_begins_ = false;  // with the call that is under way
  MonoTime renew_at_ = MonoTime::never();
  bool is_renewing_ = false;
  MonoTime round_began_ = MonoTime::long_ago();
  Duration round_took_;
  Duration lifetime_;  // of the latest call
};

}  // namespace vipd
