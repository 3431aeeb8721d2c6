// The status as people read it in a terminal. Pure.
#pragma once

#include <string>
#include <string_view>

#include "vipd/status.hpp"

namespace vipd::ctl {

[[nodiscard]] std::string status_table(const Status& status, bool colours);

// Without the bytes that a terminal would act on: names come from other nodes.
[[nodiscard]] std::string harmless(std::string_view text);

}  // namespace vipd::ctl
