// The only source of chance in the simulator: what a run does follows from its seed alone.
#pragma once

#include <cstdint>

namespace sim {

constexpr int64_t kUs = 1'000;
constexpr int64_t kMs = 1'000'000;
constexpr int64_t kS = 1'000'000'000;

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15ULL + 1) {}

  uint64_t next() {  // splitmix64
    state_ += 0x9e3779b97f4a7c15ULL;
    uint64_t x = state_;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
  }
  // [0, n)
  int64_t below(int64_t n) {
    return static_cast<int64_t>(
        (static_cast<unsigned __int128>(next()) * static_cast<uint64_t>(n)) >> 64);
  }
  // [low, high)
  int64_t between(int64_t low, int64_t high) { return high <= low ? low : low + below(high - low); }
  bool one_in(int64_t n) { return below(n) == 0; }
  bool per_million(uint32_t chance) { return chance != 0 && below(1'000'000) < chance; }
  // Small values as likely as large ones: spans of time from `low` to `high` by their magnitude.
  int64_t spread(int64_t low, int64_t high) {
    int doublings = 0;
    while ((low << (doublings + 1)) < high) doublings++;
    const int64_t base = low << below(doublings + 1);
    const int64_t value = base + below(base);
    return value < high ? value : high;
  }

 private:
  uint64_t state_;
};

}  // namespace sim
