// What this host lacks for a configuration, or has in its way: for vipd -n. Reads the kernel's
// lists and changes nothing; the daemon itself waits, and says the same when it runs.
#pragma once

#include <string>
#include <vector>

namespace vipd {

struct Config;

// "vip.NAME.link: there is no link ...", and likewise of addresses; empty also where the kernel
// shows nothing.
[[nodiscard]] std::vector<std::string> lacks(const Config& config);

}  // namespace vipd
