#include "conf/duration.hpp"

#include <algorithm>
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

void skip_blanks(std::string_view* text) {
  text->remove_prefix(std::min(text->find_first_not_of(" \t"), text->size()));
}

// Takes "5s" or "5 s" off the front, a whole number and the name of a unit; false: there is none.
bool take_part(std::string_view* text, uint64_t* number, std::string_view* unit) {
  const char* const past = text->data() + text->size();
  const auto [end, error] = std::from_chars(text->data(), past, *number);
  if (error != std::errc()) return false;
  text->remove_prefix(static_cast<size_t>(end - text->data()));
  skip_blanks(text);
  *unit = text->substr(0, text->find_first_of("0123456789 \t"));
  text->remove_prefix(unit->size());
  return true;
}

}  // namespace

std::optional<Duration> parse_duration(std::string_view text) {
  int64_t ms = 0;
  const auto* unit = kUnits.begin();  // the largest that may follow
  do {
    if (unit != kUnits.begin()) skip_blanks(&text);
    uint64_t number = 0;
    std::string_view name;
    if (!take_part(&text, &number, &name)) return std::nullopt;
    unit = std::find_if(unit, kUnits.end(), [&](const Unit& each) { return each.name == name; });
    if (unit == kUnits.end()) return std::nullopt;
    if (number > static_cast<uint64_t>((kLongestMs - ms) / unit->ms)) return std::nullopt;
    ms += static_cast<int64_t>(number) * unit->ms;
    ++unit;
  } while (!text.empty());
  return Duration::milliseconds(ms);
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
