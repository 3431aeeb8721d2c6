// The value of vip.NAME.routes: "DESTINATION via GATEWAY [table N]", with commas between them.
// Pure.
#pragma once

#include <string>
#include <string_view>

#include "vipd/config.hpp"

namespace vipd::conf {

// False and a reason in words, as in conf/values.hpp.
[[nodiscard]] bool parse_routes(std::string_view text, VipConfig* vip, std::string* reason);
[[nodiscard]] std::string routes_text(const VipConfig& vip);
// Why they do not go with the VIP's address; empty: they do.
[[nodiscard]] std::string routes_fault(const VipConfig& vip);

}  // namespace vipd::conf
