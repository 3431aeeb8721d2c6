// Who changed an address behind our back, for people. Reads /proc and /run; never fails.
#pragma once

#include <cstdint>
#include <string>

namespace vipd::net {

// In words, with the setting that prevents it, if known; "somebody" if it cannot be found out.
// port: the netlink port that asked for the change (nlmsg_pid), which is mostly the process that
// opened the socket; 0: not known.
[[nodiscard]] std::string culprit(uint32_t port);

}  // namespace vipd::net
