#include "vipd/in_turns.hpp"

#include <utility>

namespace vipd {

namespace {

constexpr Duration kLeast = Duration::milliseconds(2);

}  // namespace

bool InTurns::start(Some some, Loop::Handler done) {
  stop();
  some_ = std::move(some);
  done_ = std::move(done);
  return go_on();
}

void InTurns::stop() {
  loop_.cancel_timer(timer_);
  timer_ = Loop::Timer::None;
  some_ = nullptr;
  done_ = nullptr;
}

// Where something else takes all of each turn's budget, a reader gets his answer all the same.
bool InTurns::go_on() {
  const MonoTime begin = loop_.now();
  do {
    if (some_()) continue;
    some_ = nullptr;
    return true;
  } while (!loop_.budget_is_spent() || loop_.now() - begin < kLeast);
  timer_ = loop_.add_timer(
      loop_.now(),
      [this] {
        timer_ = Loop::Timer::None;
        if (!go_on()) return;
        if (const Loop::Handler done = std::exchange(done_, nullptr)) done();
      },
      where_);
  return false;
}

}  // namespace vipd
