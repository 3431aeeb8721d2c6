#include "core/kernel.hpp"

#include <utility>

#include "core/timing.hpp"

namespace vipd {

namespace {

constexpr Duration kBurst = Duration::milliseconds(10);
// Renewals that go on for this long have too little of the time: their bursts become twice as long.
// Lifetimes end otherwise where others use up each turn.
constexpr Duration kLongRound = Duration::milliseconds(500);
// Enough for a turn of the loop to end. It is not time that others need: the kernel sees to that.
constexpr Duration kBreath = Duration::microseconds(200);
// Renewals take an eighth of the time, if lifetimes allow for it.
constexpr int kRest = 8;
// What is to be left of a lifetime when its renewal begins, for stalls of any kind: so much, and a
// third of it.
constexpr Duration kReserve = Duration::seconds(2);
constexpr Duration kLongest = Duration::seconds(timing::kMaxLifetimeS);
constexpr int kFrames = 64;
constexpr Duration kFramesInterval = Duration::milliseconds(2);

}  // namespace

MonoTime KernelCalls::next_at(MonoTime now, bool turn_is_spent) const {
  assert(!busy());
  if (now < burst_ends_) return now;
  if (!turn_is_spent) return burst_ends_ + kBreath;
  const MonoTime soon = now + kBreath;
  return burst(now) > kBurst ? std::min(soon, burst_ends_ + kBurst) : soon;
}

Duration KernelCalls::burst(MonoTime now) const {
  const bool is_late = is_renewing_ && now >= renewing_since_ + kLongRound;
  return is_late ? kBurst * 2 : kBurst;
}

void KernelCalls::add(MonoTime now, Duration lifetime) {
  assert(!adding_);
  adding_ = true;
  lifetime_ = std::min(lifetime_, lifetime);
  if (now < burst_ends_ + kBreath) return;
  burst_ends_ = now + burst(now);
  burst_begins_ = true;
}

// A burst ends with its last call, however long the kernel held that up: what others need is what
// follows it.
void KernelCalls::added(MonoTime now) {
  adding_ = false;
  burst_ends_ = std::max(burst_ends_, now);
}

// What the step before the first call took does not count, or where it takes longer than a burst
// there would be one address to a look at all.
void KernelCalls::added_in_turn(MonoTime now) {
  added(now);
  if (std::exchange(burst_begins_, false)) burst_ends_ = now + burst(now);
}

void KernelCalls::removed() {
  assert(removals_ > 0);
  removals_--;
}

void KernelCalls::renew_all(MonoTime now) {
  renew_at_ = MonoTime::never();
  if (!std::exchange(is_renewing_, true)) renewing_since_ = now;
  begin_round(now);
}

void KernelCalls::renewed_all(MonoTime now) {
  is_renewing_ = false;
  round_took_ = now - round_began_;
}

void KernelCalls::installing(MonoTime now, bool first) {
  if (first) begin_round(now);
  const bool counts = !is_renewing_ && round_began_ != MonoTime::long_ago();
  if (counts) round_took_ = now - round_began_;
}

void KernelCalls::begin_round(MonoTime now) {
  round_began_ = now;
  lifetime_ = kLongest;
}

MonoTime KernelCalls::rested() const {
  const Duration spare = lifetime_ - std::max(kReserve, lifetime_ / 3);
  return round_began_ + std::clamp(round_took_ * kRest, Duration(), std::max(Duration(), spare));
}

bool Burst::take(MonoTime now) {
  if (now >= next_) {
    next_ = now + kFramesInterval;
    left_ = kFrames;
  }
  if (left_ == 0) return false;
  left_--;
  return true;
}

}  // namespace vipd
