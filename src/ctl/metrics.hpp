// The metrics of vipd(8), in the text format of Prometheus. Pure.
#pragma once

#include <string>

#include "vipd/metrics.hpp"

namespace vipd::ctl {

[[nodiscard]] std::string metrics_text(const Metrics& metrics);

}  // namespace vipd::ctl
