// Which known word a person may have meant. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace vipd::conf {

// Levenshtein: insertions, deletions and substitutions of one byte each.
[[nodiscard]] size_t edit_distance(std::string_view a, std::string_view b);
// The first of the nearest. REQUIRES: known is not empty.
[[nodiscard]] std::string nearest(std::string_view word, const std::vector<std::string>& known);

}  // namespace vipd::conf
