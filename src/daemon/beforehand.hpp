// What a configuration needs and this host lacks, or what is in its way: for vipd -n. Reads the
// kernel's lists and changes nothing. The daemon itself waits for it, and logs the same.
#pragma once

#include <string>
#include <vector>

namespace vipd {

struct Config;

// "vip.NAME.link: there is no link ...", and likewise of addresses; empty also where the kernel
// shows nothing.
[[nodiscard]] std::vector<std::string> lacks(const Config& config);

}  // namespace vipd
