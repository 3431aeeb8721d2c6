#include "conf/errors.hpp"

#include <algorithm>
#include <tuple>

namespace vipd::conf {
void Errors::begin_file(std::string_view file) {
  files_.emplace(file, files_.size());
}

void Errors::add(const Position& place, const std::string& words) {
  if (full()) return;
  begin_file(place.file);
  faults_.push_back(Fault{files_[place.file], place, words});
}

std::vector<std::string> Errors::texts() const {
  std::vector<Fault> sorted = faults_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const Fault& a, const Fault& b) {
    return std::tie(a.file, a.place.line) < std::tie(b.file, b.place.line);
  });
  std::vector<std::string> texts;
  texts.reserve(sorted.size() + 1);
  for (const Fault& fault : sorted) texts.push_back(fault.place.text() + ": " + fault.words);
  if (full()) {
    texts.push_back(sorted.back().place.text() + ": only the first " + std::to_string(kMost) +
                    " faults are shown");
  }
  return texts;
}

}  // namespace vipd::conf
