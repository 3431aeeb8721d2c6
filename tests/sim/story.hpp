// A run as text, for people: the last lines are kept, or all are printed. Off in the batch; a run
// that failed is simply run again with it on.
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "vipd/action.hpp"
#include "vipd/event.hpp"

namespace sim {

class Story {
 public:
  void start(bool on, bool print) { on_ = on, print_ = print; }
  [[nodiscard]] bool on() const { return on_; }
  void add(std::string line);
  // The last lines, oldest first.
  void print_last(FILE* out) const;

 private:
  static constexpr size_t kKept = 80;
  bool on_ = false;
  bool print_ = false;
  std::vector<std::string> lines_;
  size_t next_ = 0;
};

[[nodiscard]] std::string describe(const vipd::Event& event);
[[nodiscard]] std::string describe(const vipd::Action& action);
[[nodiscard]] std::string describe(const vipd::Change& change);

}  // namespace sim
