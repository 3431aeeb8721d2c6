// A decimal number that is the whole of a text: no sign but '-', no blank, nothing behind it.
#pragma once

#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>

namespace vipd::sys {

// Nothing when it is none, or does not fit. An unsigned one has no '-' either.
template <typename Int>
std::optional<Int> parse_number(std::string_view text) {
  Int number{};
  const char* const end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(text.data(), end, number);
  if (problem != std::errc() || stop != end) return std::nullopt;
  return number;
}

}  // namespace vipd::sys
