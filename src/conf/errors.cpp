#include "conf/errors.hpp"

#include <algorithm>
#include <tuple>

namespace vipd::conf {
namespace {

constexpr size_t kMost = 1000;

}  // namespace

void Errors::begin_file(const std::string& file) {
  files_.emplace(file, files_.size());
}

void Errors::add(const Place& place, const std::string& words) {
  begin_file(place.file);
  ++count_;
  if (faults_.size() < kMost) faults_.push_back(Fault{files_[place.file], place, words});
}

std::vector<std::string> Errors::texts() const {
  std::vector<Fault> sorted = faults_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const Fault& a, const Fault& b) {
    return std::tie(a.file, a.place.line) < std::tie(b.file, b.place.line);
  });
  std::vector<std::string> texts;
  texts.reserve(sorted.size() + 1);
  for (const Fault& fault : sorted) texts.push_back(fault.place.text() + ": " + fault.words);
  if (count_ > kMost) {
    texts.push_back(sorted.back().place.text() + ": " + std::to_string(count_ - kMost) +
                    " more faults, here or elsewhere");
  }
  return texts;
}

}  // namespace vipd::conf
