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

// Reads the configuration. Returns its errors, which are logged too; empty: `next` is the
// configuration. With errors `next` is left as it is. has_helper: programs can be run. Without,
// a configuration that names one is an error: a check that is never run is down on every node.
[[nodiscard]] std::vector<std::string> read_again(const conf::Sources& sources, bool has_helper,
                                                  std::optional<Config>* next);

// The core's settings. Left empty is what no configuration says: instance, memory, pause, and what
// blocks a VIP. The VIPs are in the order of config.vips.
[[nodiscard]] Settings settings_of(const Config& config);

// Keys that take effect at a restart only: `next` gets the values in force, and the log names those
// that differ.
void keep_until_restart(const Config& now, Config* next);

}  // namespace vipd
