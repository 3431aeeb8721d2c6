// The core's reports as lines of the log.
#pragma once

#include "vipd/action.hpp"

namespace vipd {

void log_report(const action::Report& report);
// Not so for what only a developer looks at.
[[nodiscard]] bool belongs_in_history(const action::Report& report);

}  // namespace vipd
