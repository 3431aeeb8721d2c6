// What the turns of the loop are spent on: how long each took, and which part of the program used
// most of it. Reads no clock but the thread's own processor time. Part of the loop.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vipd/counts.hpp"
#include "vipd/types.hpp"

namespace vipd {

class Turns {
 public:
  // A turn begins and ends; parts in between may be nested, and what an inner one takes is not the
  // outer one's. `part` must be a literal: parts are told apart by their pointers.
  void begin(MonoTime now);
  void enter(const char* part, MonoTime now);
  void leave(MonoTime now);
  // The message about the turn; empty if it was not long.
  [[nodiscard]] std::string end(MonoTime now);

  [[nodiscard]] const Histogram& lengths() const { return lengths_; }

 private:
  struct Part {
    const char* name;
    const char* within;  // the outermost part
    Duration used;
    uint64_t times = 0;
  };

  size_t index_of(const char* name);
  void charge(MonoTime now);
  [[nodiscard]] std::string words(Duration length, Duration used) const;

  Histogram lengths_;
  std::vector<Part> parts_;   // of this turn
  std::vector<size_t> open_;  // the innermost last
  bool has_begun_ = false;
  MonoTime began_;
  MonoTime charged_;  // up to here
  Duration used_;     // of the processor, by the end of the turn before
};

}  // namespace vipd
