#include "core/step.hpp"

namespace vipd {

namespace {

constexpr Duration kStall = Duration::seconds(1);
// What a burst did is reported, and remembered in the state directory, by the next look. One takes
// half a microsecond for each VIP, so those of thousands are further apart.
constexpr Duration kBetweenLooks = Duration::milliseconds(50);
constexpr Duration kBetweenLooksPerVip = Duration::microseconds(20);

// splitmix64: spreads the step's entropy over as many nonces as one step needs.
uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

}  // namespace

Step::Gap Step::begin(const Input& input, Actions* actions) {
  assert(input.now >= now_ && actions != nullptr);
  // Two clones of one machine share all memory, the kernel's random pool for a while included;
  // their clocks part at once.
  entropy_ = mix(entropy_ ^ input.random) ^ mix(static_cast<uint64_t>(input.now.ns()));
  out_ = actions;
  turn_is_spent_ = input.turn_is_spent;
  Gap gap;
  gap.slept = input.suspended - std::exchange(suspended_, input.suspended);
  gap.before = std::exchange(now_, input.now);
  gap.stalled = gap.slept > kStall || (!next().is_never() && now_ - next() > kStall);
  return gap;
}

void Step::looks(MonoTime now, size_t vips) {
  const Duration wait = kBetweenLooksPerVip * static_cast<int64_t>(vips);
  next_look_ = now + std::max(kBetweenLooks, wait);
}

bool Step::due_in_burst(MonoTime now, MonoTime time) {
  if (now < time && time < next_look_) {
    burst_ = std::min(burst_, time);
    return false;
  }
  return due(now, time);
}

bool Step::only_burst_is_due(MonoTime now) const {
  return now < next_ && now < next_look_;
}

void Step::report(ReportKind kind, std::string text, const Address& about) {
  emit(action::Report{.kind = kind, .text = std::move(text), .address = about});
}

uint64_t Step::fresh_nonce() {
  entropy_ = mix(entropy_);
  return entropy_ == 0 ? 1 : entropy_;
}

// Another one for each session of each process: a clone that lost its session must not be taken for
// the one that kept it.
uint64_t Step::incarnation() const {
  constexpr uint64_t kSpread = 0xd6e8feb86659fd93ull;
  const uint64_t mixed = (entropy_ ^ kSpread) * kSpread;
  const uint64_t incarnation = mixed ^ (mixed >> 32);
  return incarnation == 0 ? 1 : incarnation;
}

}  // namespace vipd
