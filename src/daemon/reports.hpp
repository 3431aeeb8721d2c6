// The core's reports as lines of the log.
#pragma once

#include "vipd/action.hpp"
#include "vipd/config.hpp"

namespace vipd {

// vip: the one that it is about, which the line begins with; null: the node.
void log_report(const action::Report& report, const VipConfig* vip);
// Whether it goes into `vipctl history`: not what only developers need.
[[nodiscard]] bool belongs_in_history(const action::Report& report);

}  // namespace vipd
