// What the core is told of the configuration, and what of it cannot change.
#pragma once

#include "vipd/event.hpp"

namespace vipd {

struct Config;

// Without what the configuration does not say: instance, memory, pause, and what blocks a VIP. The
// VIPs are in the order of config.vips.
[[nodiscard]] Settings settings_of(const Config& config);

// Puts back into `next` what stays as it is now until a restart; the log says so where it differs.
void keep_until_restart(const Config& now, Config* next);

}  // namespace vipd
