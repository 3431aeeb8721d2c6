// `link = auto`: the link is the one that has an address in the VIP's subnet. src/conf writes the
// subnet into what the VIP's link is called, so that the core and all else see a link like any
// other; src/daemon/auto_links finds which one it is. Pure.
#pragma once

#include <string>
#include <string_view>

#include "vipd/subnet.hpp"

namespace vipd {

// "auto (192.168.0.0/24)": no name of a link has a blank. REQUIRES: the address is set.
[[nodiscard]] inline std::string auto_link(const Address& vip, unsigned length) {
  return "auto (" + network_of(vip, length).text() + "/" + std::to_string(length) + ")";
}

[[nodiscard]] inline bool is_auto_link(std::string_view link) {
  return link.starts_with("auto (");
}

}  // namespace vipd
