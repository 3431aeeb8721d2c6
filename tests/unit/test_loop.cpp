#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "harness.hpp"
#include "vipd/log.hpp"
#include "vipd/loop.hpp"

using vipd::Duration;
using vipd::Loop;
using vipd::MonoTime;

static std::string logged;
static std::string trace;

namespace vipd::log {
void error(const char*, ...) {}
void warn(const char* format, ...) {
  char text[200];
  va_list list;
  va_start(list, format);
  vsnprintf(text, sizeof text, format, list);
  va_end(list);
  logged += text;
}
}  // namespace vipd::log

void setUp() {
  logged.clear();
  trace.clear();
}

namespace {

constexpr Duration kLong = Duration::seconds(5);

struct Pair {  // a byte written to `out` makes `in` readable
  int in = -1;
  int out = -1;
  Pair() {
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) != 0) abort();
    in = fds[0];
    out = fds[1];
  }
  ~Pair() {
    close(in);
    close(out);
  }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;
  void poke() const { TEST_ASSERT_EQUAL_INT(1, write(out, "x", 1)); }
  void drain() const {
    char c = 0;
    while (read(in, &c, 1) == 1) {
    }
  }
};

void spin(Duration length) {
  timespec begin{};
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &begin);
  int64_t spent = 0;
  while (spent < length.ns()) {
    clock_gettime(CLOCK_BOOTTIME, &now);
    spent = (now.tv_sec - begin.tv_sec) * 1'000'000'000LL + now.tv_nsec - begin.tv_nsec;
  }
}

void timers_run_in_the_order_of_their_deadlines() {
  Loop loop;
  const MonoTime now = loop.now();
  (void)loop.add_timer(now - Duration::seconds(1), [] { trace += "b"; });
  (void)loop.add_timer(now - Duration::seconds(2), [] { trace += "a"; });
  (void)loop.add_timer(now - Duration::seconds(1), [] { trace += "c"; });
  (void)loop.add_timer(now + Duration::seconds(100), [] { trace += "z"; });
  loop.run_once(kLong);
  TEST_ASSERT_EQUAL_STRING("abc", trace);
}

void a_timer_wakes_the_loop_at_its_deadline_and_not_before() {
  Loop loop;
  Duration least_late = kLong;  // the machine may hold up some of them
  for (int i = 0; i < 5; ++i) {
    const MonoTime deadline = loop.now() + Duration::milliseconds(10);
    (void)loop.add_timer(deadline, [&] {
      least_late = std::min(least_late, loop.now() - deadline);
      loop.stop(7);
    });
    TEST_ASSERT_EQUAL_INT(7, loop.run());
  }
  TEST_ASSERT_TRUE(least_late >= Duration());
  TEST_ASSERT_TRUE(least_late < Duration::milliseconds(10));
}

void a_timer_runs_once() {
  Loop loop;
  (void)loop.add_timer(loop.now(), [] { trace += "a"; });
  loop.run_once(kLong);
  loop.run_once(Duration());
  TEST_ASSERT_EQUAL_STRING("a", trace);
}

void a_timer_may_cancel_others_and_itself() {
  Loop loop;
  Loop::Timer self = Loop::Timer::None;
  Loop::Timer other = Loop::Timer::None;
  self = loop.add_timer(loop.now() - Duration::seconds(1), [&] {
    trace += "a";
    loop.cancel_timer(self);
    loop.cancel_timer(other);
  });
  other = loop.add_timer(loop.now(), [] { trace += "b"; });
  loop.run_once(kLong);
  loop.run_once(Duration());
  loop.cancel_timer(Loop::Timer::None);
  TEST_ASSERT_EQUAL_STRING("a", trace);
}

void a_timer_added_by_a_timer_waits_for_the_next_turn() {
  Loop loop;
  (void)loop.add_timer(loop.now(), [&] {
    trace += "a";
    (void)loop.add_timer(loop.now(), [] { trace += "b"; });
  });
  loop.run_once(kLong);
  TEST_ASSERT_EQUAL_STRING("a", trace);
  loop.run_once(kLong);
  TEST_ASSERT_EQUAL_STRING("ab", trace);
}

void the_same_deadline_can_be_set_again() {
  Loop loop;
  const MonoTime deadline = loop.now();
  for (int i = 0; i < 3; ++i) {
    (void)loop.add_timer(deadline, [] { trace += "a"; });
    loop.run_once(kLong);
  }
  TEST_ASSERT_EQUAL_STRING("aaa", trace);
  TEST_ASSERT_TRUE(loop.now() - deadline < kLong);  // woken, not waited out
}

void a_timer_that_never_comes_does_not_wake() {
  Loop loop;
  (void)loop.add_timer(MonoTime::never(), [] { trace += "a"; });
  loop.run_once(Duration::milliseconds(5));
  TEST_ASSERT_EQUAL_STRING("", trace);
}

void a_removed_watch_gets_no_fetched_event() {
  Loop loop;
  Pair a;
  Pair b;
  Loop::FdWatch first = Loop::FdWatch::None;
  Loop::FdWatch second = Loop::FdWatch::None;
  const auto handler = [&](uint32_t) {
    trace += "x";
    loop.remove_fd(first);
    loop.remove_fd(second);
  };
  first = loop.add_fd(a.in, EPOLLIN, handler);
  second = loop.add_fd(b.in, EPOLLIN, handler);
  a.poke();
  b.poke();
  loop.run_once(kLong);
  loop.run_once(Duration());
  TEST_ASSERT_EQUAL_STRING("x", trace);
}

// The handler's own captures must live until it returns.
void a_watch_may_remove_itself() {
  Loop loop;
  Pair a;
  Loop::FdWatch watch = Loop::FdWatch::None;
  const auto text = std::make_shared<std::string>("still here");
  watch = loop.add_fd(a.in, EPOLLIN, [&loop, &watch, text](uint32_t) {
    loop.remove_fd(watch);
    trace = *text;
  });
  a.poke();
  loop.run_once(kLong);
  TEST_ASSERT_EQUAL_STRING("still here", trace);
  TEST_ASSERT_EQUAL_INT(1, text.use_count());
}

// A descriptor's number is used again at once; the event of the old one must not reach the new one.
void a_number_used_again_is_another_watch() {
  Loop loop;
  Pair a;
  Pair b;
  Loop::FdWatch first = Loop::FdWatch::None;
  Loop::FdWatch second = Loop::FdWatch::None;
  const auto replace = [&](Loop::FdWatch& other, int fd) {
    trace += "x";
    loop.remove_fd(other);
    other = loop.add_fd(fd, EPOLLIN, [](uint32_t) { trace += "new"; });
  };
  first = loop.add_fd(a.in, EPOLLIN, [&](uint32_t) { replace(second, b.in); });
  second = loop.add_fd(b.in, EPOLLIN, [&](uint32_t) { replace(first, a.in); });
  a.poke();
  b.poke();
  loop.run_once(kLong);
  TEST_ASSERT_EQUAL_STRING("x", trace);
}

void modified_events_are_the_ones_that_come() {
  Loop loop;
  Pair a;
  const auto watch = loop.add_fd(
      a.in, EPOLLIN, [](uint32_t events) { trace += (events & EPOLLOUT) != 0 ? "out" : "in"; });
  loop.modify_fd(watch, EPOLLOUT);
  loop.run_once(kLong);
  loop.modify_fd(watch, 0);
  loop.run_once(Duration());
  TEST_ASSERT_EQUAL_STRING("out", trace);
  loop.remove_fd(watch);
  loop.modify_fd(watch, EPOLLIN);  // harmless
}

void a_signal_reaches_its_handler() {
  Loop loop;
  loop.on_signal(SIGUSR1, [] { trace += "1"; });
  loop.on_signal(SIGUSR2, [&] { loop.stop(3); });
  kill(getpid(), SIGUSR1);
  loop.run_once(kLong);
  TEST_ASSERT_EQUAL_STRING("1", trace);
  kill(getpid(), SIGUSR2);
  TEST_ASSERT_EQUAL_INT(3, loop.run());
}

void a_turn_begins_with_its_start_and_ends_with_its_end() {
  Loop loop;
  Pair a;
  loop.on_turn_start([] { trace += "<"; });
  loop.on_turn_end([] { trace += ">"; });
  (void)loop.add_timer(loop.now(), [] { trace += "t"; });
  (void)loop.add_fd(a.in, EPOLLIN, [&](uint32_t) {
    trace += "e";
    a.drain();
  });
  a.poke();
  loop.run_once(kLong);
  TEST_ASSERT_EQUAL_STRING("<et>", trace);
  loop.run_once(Duration());
  TEST_ASSERT_EQUAL_STRING("<et><>", trace);
}

// A process may be held up between the start of a turn and the reading of a socket.
void what_is_received_late_in_a_turn_is_not_stamped_with_its_start() {
  Loop loop;
  Pair pair;
  MonoTime began;
  MonoTime received;
  loop.on_turn_start([&] {
    began = loop.now();
    spin(Duration::milliseconds(2));
  });
  (void)loop.add_fd(pair.in, EPOLLIN, [&](uint32_t) {
    pair.drain();
    received = loop.now();
  });
  pair.poke();
  loop.run_once(kLong);
  TEST_ASSERT_TRUE(received >= began + Duration::milliseconds(2));
}

void a_slow_turn_is_logged_and_waiting_is_not() {
  Loop loop;
  (void)loop.add_timer(loop.now() + Duration::milliseconds(120), [] {});
  loop.run_once(kLong);
  int length_ms = 0;  // of a turn that the machine held up: without the wait
  if (!logged.empty()) sscanf(logged.c_str(), "loop: a turn took %d", &length_ms);
  TEST_ASSERT_TRUE(length_ms < 120);
  logged.clear();
  (void)loop.add_timer(loop.now(), [] { spin(Duration::milliseconds(105)); });
  loop.run_once(kLong);
  TEST_ASSERT_EQUAL_INT(1, sscanf(logged.c_str(), "loop: a turn took %d", &length_ms));
  TEST_ASSERT_TRUE(length_ms >= 105);
}

// Of two parts the one that took most of the turn is named, without what an inner one took.
void the_part_that_made_a_turn_long_is_named() {
  Loop loop;
  (void)loop.add_timer(loop.now(), [&] {
    spin(Duration::milliseconds(20));
    for (int i = 0; i < 2; i++) {
      const Loop::Part part(loop, "an inner part");
      spin(Duration::milliseconds(25));
    }
  });
  loop.run_once(kLong);
  TEST_ASSERT_TRUE(logged.find(" of the processor; ") != std::string::npos);
  TEST_ASSERT_TRUE(logged.find(" in an inner part, called 2 times, for ") != std::string::npos);
  TEST_ASSERT_TRUE(logged.find("test_loop.cpp") != std::string::npos);
}

void the_lengths_of_turns_are_counted() {
  Loop loop;
  loop.run_once(Duration());
  (void)loop.add_timer(loop.now(), [] { spin(Duration::milliseconds(30)); });
  loop.run_once(kLong);
  uint64_t turns = 0;
  for (const uint64_t count : loop.turns().counts()) turns += count;
  TEST_ASSERT_EQUAL_INT(2, turns);
  TEST_ASSERT_TRUE(loop.turns().sum() >= Duration::milliseconds(30));
}

void a_turn_has_a_budget() {
  Loop loop;
  TEST_ASSERT_FALSE(loop.budget_is_spent());  // outside of any turn there is none
  bool at_first = true;
  bool later = false;
  (void)loop.add_timer(loop.now(), [&] {
    at_first = loop.budget_is_spent();
    spin(Duration::milliseconds(11));
    later = loop.budget_is_spent();
  });
  loop.run_once(kLong);
  TEST_ASSERT_TRUE(later);
  TEST_ASSERT_FALSE(at_first);
}

void more_events_than_fit_in_a_turn_all_come() {
  constexpr size_t kMany = 100;
  Loop loop;
  std::vector<std::unique_ptr<Pair>> pairs;
  for (size_t i = 0; i < kMany; ++i) {
    pairs.push_back(std::make_unique<Pair>());
    const Pair* pair = pairs.back().get();
    (void)loop.add_fd(pair->in, EPOLLIN, [pair](uint32_t) {
      trace += "x";
      pair->drain();
    });
    pair->poke();
  }
  for (int turn = 0; turn < 3; ++turn) loop.run_once(Duration());
  TEST_ASSERT_EQUAL_INT(kMany, trace.size());
}

// What is read twice in a row is the same, as far as it says that it can be known.
void the_slew_is_read_with_its_error() {
  const Loop loop;
  const Loop::Slew first = loop.slew();
  const Loop::Slew second = loop.slew();
  const int64_t apart = std::abs((second.total - first.total).ns());
  TEST_ASSERT_TRUE(first.error > Duration() && first.error < Duration::seconds(1));
  TEST_ASSERT_TRUE(apart <= (first.error + second.error).ns() + 100'000);
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(timers_run_in_the_order_of_their_deadlines);
  RUN_TEST(a_timer_wakes_the_loop_at_its_deadline_and_not_before);
  RUN_TEST(a_timer_runs_once);
  RUN_TEST(a_timer_may_cancel_others_and_itself);
  RUN_TEST(a_timer_added_by_a_timer_waits_for_the_next_turn);
  RUN_TEST(the_same_deadline_can_be_set_again);
  RUN_TEST(a_timer_that_never_comes_does_not_wake);
  RUN_TEST(a_removed_watch_gets_no_fetched_event);
  RUN_TEST(a_watch_may_remove_itself);
  RUN_TEST(a_number_used_again_is_another_watch);
  RUN_TEST(modified_events_are_the_ones_that_come);
  RUN_TEST(a_signal_reaches_its_handler);
  RUN_TEST(a_turn_begins_with_its_start_and_ends_with_its_end);
  RUN_TEST(what_is_received_late_in_a_turn_is_not_stamped_with_its_start);
  RUN_TEST(a_slow_turn_is_logged_and_waiting_is_not);
  RUN_TEST(the_part_that_made_a_turn_long_is_named);
  RUN_TEST(the_lengths_of_turns_are_counted);
  RUN_TEST(a_turn_has_a_budget);
  RUN_TEST(more_events_than_fit_in_a_turn_all_come);
  RUN_TEST(the_slew_is_read_with_its_error);
  return UNITY_END();
}
