#include "conf/duration.hpp"

#include <array>
#include <cassert>
#include <charconv>

namespace vipd::conf {
namespace {

struct Unit {
  std::string_view name;
  int64_t ms;
};

// From the longest to the shortest: duration_text() takes the first that divides.
constexpr std::array<Unit, 4> kUnits = {{{"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};
constexpr int64_t kLongestMs = 366LL * 24 * 3'600'000;

}  // namespace

std::optional<Duration> parse_duration(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number < 0 || text.front() == '-') return std::nullopt;
  const std::string_view name = text.substr(static_cast<size_t>(end - text.data()));
  for (const Unit& unit : kUnits) {
    if (name != unit.name) continue;
    if (number > kLongestMs / unit.ms) return std::nullopt;
    return Duration::milliseconds(number * unit.ms);
  }
  return std::nullopt;
}

std::string duration_text(Duration duration) {
  const int64_t ms = duration.ms();
  assert(ms >= 0 && Duration::milliseconds(ms) == duration);
  if (ms == 0) return "0s";
  for (const Unit& unit : kUnits) {
    if (ms % unit.ms == 0) return std::to_string(ms / unit.ms).append(unit.name);
  }
  return "";  // not reached: the last unit divides everything
}

}  // namespace vipd::conf
