// Warnings about settings that are accepted but do not work, or not as intended. They stop neither
// a start nor a reload. Looks at programs and at state.dir as the process's effective user;
// changes nothing.
#pragma once

#include <functional>
#include <string>

#include "conf/errors.hpp"

namespace vipd {
struct Config;
}

namespace vipd::conf {

// Where a key was given; nullptr: nowhere.
using GivenAt = std::function<const Position*(const std::string& key)>;

// REQUIRES: config is one without errors.
void warn(const Config& config, const GivenAt& given_at, Errors* warnings);

}  // namespace vipd::conf
