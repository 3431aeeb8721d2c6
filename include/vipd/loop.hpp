// The reactor: epoll, one CLOCK_BOOTTIME timerfd over ordered deadlines, one signalfd.
// The only place that reads the clock. Never sleeps anywhere but in epoll_wait.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "vipd/counts.hpp"
#include "vipd/types.hpp"

namespace vipd {

class Loop {
 public:
  using FdHandler = std::function<void(uint32_t epoll_events)>;
  using Handler = std::function<void()>;
  enum class FdWatch : uint64_t { None = 0 };
  enum class Timer : uint64_t { None = 0 };

  // Aborts when the kernel refuses epoll, timerfd or signalfd: nothing works without them.
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Reads the clock, each time: what a handler has just taken from a socket was received before
  // this, and what it sends next is sent after it, however long the process stood still within the
  // turn (ARCHITECTURE.md, "When something was received").
  [[nodiscard]] MonoTime now() const;

  // How long the host has been suspended in all, read anew: CLOCK_BOOTTIME went on, the kernel's
  // timers did not.
  [[nodiscard]] Duration suspended() const;

  // By how much CLOCK_MONOTONIC (and BOOTTIME) was slewed in all against the oscillator of this
  // host, read anew; the reading is off by at most `error`.
  struct Slew {
    Duration total;
    Duration error;
  };
  [[nodiscard]] Slew slew() const;

  // Names what the turn is spent on from here to the end of the scope, for the line that tells of a
  // long one. Parts may be nested. `name`: a literal.
  class Part {
   public:
    Part(Loop& loop, const char* name);
    ~Part();
    Part(const Part&) = delete;
    Part& operator=(const Part&) = delete;

   private:
    Loop& loop_;
  };
  // Whether this turn has lasted for as long as one part may use it: work that can wait is
  // continued in the next turn. Heartbeats, and everything that other nodes wait for, come in
  // between.
  [[nodiscard]] bool budget_is_spent() const;
  // How long turns took, waiting not included.
  [[nodiscard]] const Histogram& turns() const;

  // Watches a descriptor that the caller keeps open until remove_fd(). EPOLLIN, EPOLLOUT, ... as
  // in epoll(7), level-triggered. A handler may remove itself or others while events are
  // dispatched: a removed watch gets no further call, not even for an event that was already
  // fetched. What its handler takes of a turn is told by the name of the file that added it.
  [[nodiscard]] FdWatch add_fd(int fd, uint32_t epoll_events, FdHandler handler,
                               const char* where = __builtin_FILE());
  void modify_fd(FdWatch watch, uint32_t epoll_events);
  void remove_fd(FdWatch watch);

  // Calls the handler once, in the first turn that begins at or after the deadline. Timers of one
  // turn run in the order of their deadlines; equal ones in the order in which they were added.
  [[nodiscard]] Timer add_timer(MonoTime deadline, Handler handler,
                                const char* where = __builtin_FILE());
  // Harmless for Timer::None and for a timer that has run.
  void cancel_timer(Timer timer);

  // Blocks the signal for the process and delivers it through the signalfd. At most one handler
  // each.
  void on_signal(int signo, Handler handler, const char* where = __builtin_FILE());

  // Called at the start of each turn, right after the clock was read and before any event is looked
  // at, and once more at the end of each turn, before the loop waits again.
  void on_turn_start(Handler handler);
  void on_turn_end(Handler handler);

  // Runs until stop(); returns the status given there. A turn that took longer than 50 ms is
  // logged, with the processor's time and the part that took most of it.
  int run();
  void stop(int status);
  // One turn that waits for at most `wait` (for tests).
  void run_once(Duration wait);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vipd
