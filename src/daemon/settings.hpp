// What the core is told of the configuration. Pure.
#pragma once

#include "vipd/event.hpp"

namespace vipd {

struct Config;

// Without what the configuration does not say: instance, memory, pause, and what blocks a VIP. The
// VIPs are in the order of config.vips.
[[nodiscard]] Settings settings_of(const Config& config);

}  // namespace vipd
