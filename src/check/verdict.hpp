// From single results to up and down: rise and fall, against flapping. Pure.
#pragma once

#include <string_view>

namespace vipd::check {

enum class State { Unknown, Up, Down };

[[nodiscard]] std::string_view name_of(State state);

// Unknown until the first good result, which is believed at once, or until `fall` bad ones in a
// row: a slow start must not cost a VIP that a former process of this node owned.
class Verdict {
 public:
  // True when the state has changed.
  bool take(bool good, int rise, int fall);
  // The state stays until new results change it: what is looked at is another thing now.
  void start_over() { in_a_row_ = 0; }

  [[nodiscard]] State state() const { return state_; }
  // The last result was as the state is: another such one would change nothing.
  [[nodiscard]] bool is_settled() const { return state_ != State::Unknown && in_a_row_ == 0; }

 private:
  State state_ = State::Unknown;
  int in_a_row_ = 0;  // results against the state
};

}  // namespace vipd::check
