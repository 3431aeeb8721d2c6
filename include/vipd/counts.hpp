// What is counted while the process runs, for the metrics. Pure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "vipd/types.hpp"

namespace vipd {

// How long something took, each time it happened, counted in classes.
class Histogram {
 public:
  // The upper bounds of the classes; above the last one there is another.
  static constexpr std::array<int64_t, 11> kBoundsMs = {1,   2,   5,   10,   25,  50,
                                                        100, 250, 500, 1000, 2500};

  void add(Duration took) {
    size_t at = 0;
    while (at < kBoundsMs.size() && took > Duration::milliseconds(kBoundsMs[at])) at++;
    counts_[at]++;
    sum_ = sum_ + took;
  }
  [[nodiscard]] const std::array<uint64_t, kBoundsMs.size() + 1>& counts() const { return counts_; }
  [[nodiscard]] Duration sum() const { return sum_; }

 private:
  std::array<uint64_t, kBoundsMs.size() + 1> counts_{};
  Duration sum_;
};

struct Heartbeats {
  uint64_t echoed = 0;  // they gave authority
  uint64_t failed = 0;  // attempts without an answer, or refused
  Histogram took;       // from send to echo
};

// What became of terms of the peer lease. A term counts once under entered or changed.
struct TermCounts {
  uint64_t entered = 0;  // while none was in force
  uint64_t changed = 0;  // it replaced one that was in force
  uint64_t left = 0;     // by this node, and etcd has confirmed it
  uint64_t lost = 0;     // the session ended while one was obeyed
  uint64_t refused = 0;  // tried, and not entered
  uint64_t expired = 0;  // here, of another node's: it was not renewed in time
};

}  // namespace vipd
