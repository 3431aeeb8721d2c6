// What became of the heartbeats, for the metrics. Pure.
#pragma once

#include <cstdint>

#include "vipd/histogram.hpp"

namespace vipd {

struct Heartbeats {
  uint64_t echoed = 0;  // they gave authority
  uint64_t failed = 0;  // attempts without an answer, or refused
  Histogram took;       // from send to echo
};

}  // namespace vipd
