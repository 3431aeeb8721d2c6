// One step of the core: where its actions go, when the next one is wanted, for how long the host
// stood still before it, and the nonces that are made of its entropy. Decides nothing.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <string>
#include <utility>

#include "vipd/action.hpp"
#include "vipd/core.hpp"
#include "vipd/types.hpp"

namespace vipd {

class Step {
 public:
  struct Gap {
    Duration slept;   // the host was suspended for so long since the step before
    MonoTime before;  // when that one was
    // The next step came much later than it was wanted, asleep or not: the network may have gone on
    // without us.
    bool stalled = false;
  };

  // Before the first step: what the host has slept in all.
  void slept_before(Duration suspended) { suspended_ = suspended; }
  // REQUIRES: input.now never goes backwards. `actions` outlives the step.
  Gap begin(const Input& input, Actions* actions);

  // True when `time` has come; otherwise the next step is wanted at that time at the latest.
  [[nodiscard]] bool due(MonoTime now, MonoTime time) {
    if (now >= time) return true;
    next_ = std::min(next_, time);
    return false;
  }
  // Likewise for one more of many calls or frames: for that nothing else is to be looked at.
  [[nodiscard]] bool due_in_burst(MonoTime now, MonoTime time);
  // Another step is wanted at once.
  void again(MonoTime now) { next_ = now; }
  void nothing_due() { next_ = burst_ = MonoTime::never(); }
  [[nodiscard]] MonoTime next() const { return std::min(next_, burst_); }

  // --- bursts
  // A look at everything begins, of so many VIPs: nothing but bursts happens until the next one.
  void looks(MonoTime now, size_t vips);
  // Another look would find nothing to do, and the last one is recent.
  [[nodiscard]] bool only_burst_is_due(MonoTime now) const;
  void burst_goes_on() { burst_ = MonoTime::never(); }
  [[nodiscard]] bool burst_waits() const { return !burst_.is_never(); }

  template <typename T>
  void emit(T action) {
    assert(out_ != nullptr);
    out_->push_back(std::move(action));
  }
  void report(ReportKind kind, std::string text, const Address& about);

  // Never zero, and never twice.
  [[nodiscard]] uint64_t fresh_nonce();
  // Of this process and step; draws nothing from the nonces' source.
  [[nodiscard]] uint64_t incarnation() const;
  [[nodiscard]] Duration suspended() const { return suspended_; }  // in all
  [[nodiscard]] bool turn_is_spent() const { return turn_is_spent_; }

 private:
  Actions* out_ = nullptr;
  MonoTime now_;  // of the latest step
  MonoTime next_ = MonoTime::never();
  MonoTime burst_ = MonoTime::never();  // likewise, of a burst
  MonoTime next_look_ = MonoTime::long_ago();
  uint64_t entropy_ = 0;
  Duration suspended_;
  bool turn_is_spent_ = false;
};

}  // namespace vipd
