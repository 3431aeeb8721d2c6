// How often something took how long, for the metrics. Pure.
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

}  // namespace vipd
