#include "check/verdict.hpp"

namespace vipd::check {

std::string_view name_of(State state) {
  switch (state) {
    case State::Unknown:
      return "unknown";
    case State::Up:
      return "up";
    case State::Down:
      return "down";
  }
  return "";
}

bool Verdict::take(bool good, int rise, int fall) {
  if (state_ == (good ? State::Up : State::Down)) {
    in_a_row_ = 0;
    return false;
  }
  const int needed = !good ? fall : state_ == State::Unknown ? 1 : rise;
  if (++in_a_row_ < needed) return false;
  state_ = good ? State::Up : State::Down;
  in_a_row_ = 0;
  return true;
}

}  // namespace vipd::check
