// Whether the kernel answers ARP on a link for addresses of other links
// (net.ipv4.conf.*.arp_ignore, Documentation/networking/ip-sysctl.rst). Reads /proc; changes
// nothing.
#pragma once

#include <string>

namespace vipd::net {

// False where it cannot be read.
[[nodiscard]] bool answers_for_other_links(const std::string& link_name);

}  // namespace vipd::net
