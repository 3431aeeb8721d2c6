// The JSON of the control socket, read back. Pure. What is missing stays empty: keys may come and
// other versions may lack some.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vipd/status.hpp"

namespace vipd::ctl {

// Nothing when it is not a JSON object with a list of VIPs.
[[nodiscard]] std::optional<Status> read_status(std::string_view json);
// The text of {"error":"..."}; empty when it is something else.
[[nodiscard]] std::string read_error(std::string_view json);
// The texts of {"warning":["...", ...]}; none when it is something else.
[[nodiscard]] std::vector<std::string> read_warnings(std::string_view json);

}  // namespace vipd::ctl
