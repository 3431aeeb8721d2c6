// Reloads the configuration except the keys that need a restart, and makes the core's settings of
// it.
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

struct Reread {
  std::vector<std::string> errors;
  std::vector<std::string> warnings;  // the keys that wait for a restart are named in the last one
};

// Reads the configuration, and logs what is returned. Without errors `next` is the configuration,
// with the values in force (`now`) of the keys that take effect at a restart only; with errors it
// is left as it is. has_helper: programs can be run. Without, a configuration that names one is an
// error: a check that is never run is down on every node.
[[nodiscard]] Reread read_again(const conf::Sources& sources, bool has_helper, const Config& now,
                                std::optional<Config>* next);

// The core's settings. Left empty is what no configuration says: instance, memory, pause, and what
// blocks a VIP. The VIPs are in the order of config.vips.
[[nodiscard]] Settings settings_of(const Config& config);

}  // namespace vipd
