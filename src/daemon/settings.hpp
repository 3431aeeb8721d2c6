// The configuration read again, what of it cannot change, and what the core is told of it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "vipd/config.hpp"
#include "vipd/event.hpp"

namespace vipd {

namespace conf {
struct Sources;
}  // namespace conf

// What is wrong with the sources, all of it logged; empty: `next` is what they say. A faulty file
// changes nothing.
[[nodiscard]] std::vector<std::string> read_again(const conf::Sources& sources,
                                                  std::optional<Config>* next);

// Without what the configuration does not say: instance, memory, pause, and what blocks a VIP. The
// VIPs are in the order of config.vips.
[[nodiscard]] Settings settings_of(const Config& config);

// Puts back into `next` what stays as it is now until a restart; the log says so where it differs.
void keep_until_restart(const Config& now, Config* next);

}  // namespace vipd
