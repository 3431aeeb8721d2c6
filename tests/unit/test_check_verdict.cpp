#include "check/verdict.hpp"

#include <string>

#include "harness.hpp"

using vipd::check::State;
using vipd::check::Verdict;

namespace {

constexpr int kRise = 2;
constexpr int kFall = 3;

// What becomes of results, '+' and '-', one after the other: u(nknown), U(p), D(own).
std::string told(const std::string& results, int rise = kRise, int fall = kFall) {
  Verdict verdict;
  std::string text;
  for (const char result : results) {
    const State before = verdict.state();
    const bool changed = verdict.take(result == '+', rise, fall);
    if (changed != (before != verdict.state())) return "lies";
    switch (verdict.state()) {
      case State::Unknown:
        text += 'u';
        break;
      case State::Up:
        text += 'U';
        break;
      case State::Down:
        text += 'D';
        break;
    }
  }
  return text;
}

void first_good_result_is_believed() {
  TEST_ASSERT_EQUAL_STRING("U", told("+"));
  TEST_ASSERT_EQUAL_STRING("uuU", told("--+"));
}

void unknown_goes_down_like_what_was_up() {
  TEST_ASSERT_EQUAL_STRING("uuDD", told("----"));
}

void what_is_up_falls_after_so_many_in_a_row() {
  TEST_ASSERT_EQUAL_STRING("UUUUUUD", told("+--+---"));
}

void what_is_down_rises_after_so_many_in_a_row() {
  TEST_ASSERT_EQUAL_STRING("uuDDDDUU", told("---+-++-"));
}

void one_is_enough_when_one_is_asked_for() {
  TEST_ASSERT_EQUAL_STRING("DUDU", told("-+-+", 1, 1));
}

void starting_over_forgets_results_but_not_the_state() {
  Verdict verdict;
  TEST_ASSERT_TRUE(verdict.take(true, kRise, kFall));
  TEST_ASSERT_FALSE(verdict.take(false, kRise, 2));
  verdict.start_over();
  TEST_ASSERT_FALSE(verdict.take(false, kRise, 2));
  TEST_ASSERT_TRUE(verdict.state() == State::Up);
  TEST_ASSERT_TRUE(verdict.take(false, kRise, 2));
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(first_good_result_is_believed);
  RUN_TEST(unknown_goes_down_like_what_was_up);
  RUN_TEST(what_is_up_falls_after_so_many_in_a_row);
  RUN_TEST(what_is_down_rises_after_so_many_in_a_row);
  RUN_TEST(one_is_enough_when_one_is_asked_for);
  RUN_TEST(starting_over_forgets_results_but_not_the_state);
  return UNITY_END();
}
