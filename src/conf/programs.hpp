// Programs that the configuration names: whether they could be run. Reads their first bytes, as the
// process's effective user; runs nothing.
#pragma once

#include <string>

namespace vipd::conf {

// Why execve(2) of this path would fail, in words; "" if it would not, or if that cannot be told.
[[nodiscard]] std::string program_fault(const std::string& path);

}  // namespace vipd::conf
