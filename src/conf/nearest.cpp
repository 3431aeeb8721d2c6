#include "conf/nearest.hpp"

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <numeric>
#include <utility>

namespace vipd::conf {

// Wagner and Fischer, one row at a time: row[j] is the distance from the part of `a` seen so far to
// the first j bytes of `b`.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({substituted, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

std::string nearest(std::string_view word, const std::vector<std::string>& known) {
  assert(!known.empty());
  const std::string* best = nullptr;
  size_t least = SIZE_MAX;
  for (const std::string& each : known) {
    const size_t distance = edit_distance(word, each);
    if (distance < least) best = &each;
    least = std::min(least, distance);
  }
  return *best;
}

}  // namespace vipd::conf
