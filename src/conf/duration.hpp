// Durations as people write them: whole numbers, each with a unit. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "vipd/types.hpp"

namespace vipd::conf {

// "250ms", "4 s", "1m30s", "1h 5m": the larger unit first, each once, and blanks before or between.
// Nothing for anything else, also for a number without a unit and for what is longer than a year.
[[nodiscard]] std::optional<Duration> parse_duration(std::string_view text);
// The shortest form that reads back to the same. REQUIRES: whole milliseconds, not negative.
[[nodiscard]] std::string duration_text(Duration duration);

}  // namespace vipd::conf
