// How many requests went to which member of etcd, for what, and how they ended. Pure and bounded:
// members that are too many are counted as one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace vipd::etcd {

class Tally {
 public:
  // Failed: no answer, or none that could be used. Refused: etcd has judged it.
  enum class Result { Ok, Refused, Failed };
  static constexpr std::array<std::string_view, 3> kResults = {"ok", "refused", "failed"};
  static constexpr size_t kMost = 512;  // pairs of an endpoint and an operation

  using Key = std::pair<std::string, std::string>;  // endpoint, operation
  using Counts = std::map<Key, std::array<uint64_t, kResults.size()>>;

  // The operation is the label of the request's purpose (purpose.hpp).
  void add(const std::string& endpoint, std::string_view operation, Result result) {
    Key key{endpoint, operation};
    if (counts_.size() >= kMost && !counts_.contains(key)) key.first = "other";
    counts_[key][static_cast<size_t>(result)]++;
  }
  [[nodiscard]] const Counts& counts() const { return counts_; }

 private:
  Counts counts_;
};

}  // namespace vipd::etcd
