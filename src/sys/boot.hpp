// Which boot of the host this is.
#pragma once

#include <string>

namespace vipd::sys {

// The kernel's boot_id (random(4)), a UUID as text; "" where it cannot be read, as without /proc.
[[nodiscard]] std::string boot_id();

}  // namespace vipd::sys
