// Work of which there is some for each VIP, cut into turns of the loop: as much at once as the
// turn's budget allows, but 2 ms of it at least, and as much in each turn that follows
// (ARCHITECTURE.md, "No turn is long").
#pragma once

#include <functional>

#include "vipd/loop.hpp"

namespace vipd {

class InTurns {
 public:
  // Does a part of it, well below a millisecond; false: nothing is left. It must not stop() or
  // start() what calls it.
  using Some = std::function<bool()>;

  // `where` is named by the line that tells of a long turn: a literal.
  explicit InTurns(Loop& loop, const char* where = __builtin_FILE()) : loop_(loop), where_(where) {}
  ~InTurns() { stop(); }
  InTurns(const InTurns&) = delete;
  InTurns& operator=(const InTurns&) = delete;

  // True: all of it is done. False: the rest follows, and then `done` is called, once. In place of
  // what is under way.
  [[nodiscard]] bool start(Some some, Loop::Handler done);
  [[nodiscard]] bool is_busy() const { return timer_ != Loop::Timer::None; }
  // What is under way is given up.
  void stop();

 private:
  [[nodiscard]] bool go_on();

  Loop& loop_;
  const char* where_;
  Some some_;
  Loop::Handler done_;
  Loop::Timer timer_ = Loop::Timer::None;
};

}  // namespace vipd
