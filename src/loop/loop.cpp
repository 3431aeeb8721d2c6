#include "vipd/loop.hpp"

#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <list>
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "loop/turns.hpp"
#include "vipd/log.hpp"

namespace vipd {
namespace {

constexpr int kEventsPerTurn = 64;
constexpr Duration kBudget = Duration::milliseconds(10);
// What epoll hands back for the loop's own descriptors; those of add_fd() count from kFirstId.
constexpr uint64_t kTimerEvent = 0;
constexpr uint64_t kSignalEvent = 1;
constexpr uint64_t kFirstId = 2;

// Two clocks read so close to each other that their difference is one of them; more, and the
// process was held up in between.
constexpr int64_t kOneMomentNs = 1'000'000;
constexpr int kReadings = 5;

int64_t read_ns(clockid_t clock) {
  timespec ts{};
  if (clock_gettime(clock, &ts) != 0) abort();
  return ts.tv_sec * 1'000'000'000LL + ts.tv_nsec;
}

// CLOCK_BOOTTIME goes on while the host is suspended, as the other hosts' clocks do.
MonoTime read_clock() {
  return MonoTime::from_ns(read_ns(CLOCK_BOOTTIME));
}

// CLOCK_BOOTTIME less CLOCK_MONOTONIC, never too little.
int64_t read_suspended_ns() {
  int64_t least = INT64_MAX;
  for (int i = 0; i < kReadings; i++) {
    const int64_t before = read_ns(CLOCK_MONOTONIC);
    least = std::min(least, read_ns(CLOCK_BOOTTIME) - before);
    if (read_ns(CLOCK_MONOTONIC) - before < kOneMomentNs) break;
  }
  return least;
}

// Of several readings the one with the least time in between.
Loop::Slew read_slew() {
  constexpr Duration kGood = Duration::microseconds(5);
  Loop::Slew best{.total = {}, .error = Duration::nanoseconds(INT64_MAX)};
  for (int i = 0; i < kReadings && best.error > kGood; i++) {
    const int64_t before = read_ns(CLOCK_MONOTONIC);
    const int64_t raw = read_ns(CLOCK_MONOTONIC_RAW);
    const auto error = Duration::nanoseconds(read_ns(CLOCK_MONOTONIC) - before);
    if (error < best.error) best = {.total = Duration::nanoseconds(before - raw), .error = error};
  }
  return best;
}

int must(int result, const char* what) {
  if (result >= 0) return result;
  log::error("%s: %s", what, strerror(errno));
  abort();
}

int wait_ms(Duration wait) {
  constexpr int64_t kLongest = 1 << 30;
  return static_cast<int>(std::clamp<int64_t>((wait.ns() + 999'999) / 1'000'000, 0, kLongest));
}

}  // namespace

struct Loop::Impl {
  struct Watch {
    int fd = -1;
    FdHandler handler;
    const char* where = "";
  };
  struct Called {
    Handler handler;
    const char* where = "";
  };
  using TimerKey = std::pair<MonoTime, uint64_t>;  // equal deadlines run in the order of their ids

  int epoll = -1;
  int timer = -1;
  int signal = -1;
  sigset_t signals{};

  int64_t suspended_ns = 0;
  MonoTime armed = MonoTime::never();
  uint64_t next_id = kFirstId;
  bool in_turn = false;
  MonoTime turn_began;
  std::optional<int> status;

  std::unordered_map<uint64_t, std::unique_ptr<Watch>> watches;
  std::vector<std::unique_ptr<Watch>> removed;  // until the sweep: one of them may be running
  std::map<TimerKey, Called> timers;
  std::unordered_map<uint64_t, MonoTime> deadlines;
  std::map<int, Called> signal_handlers;
  std::list<Handler> turn_start;  // a list: a handler may add another
  std::list<Handler> turn_end;
  Turns turns;

  Impl();
  ~Impl();
  void control(int op, int fd, uint32_t events, uint64_t id, const char* what) const;
  void arm();
  void turn(int timeout_ms);
  void dispatch(const epoll_event& event);
  void drain_timer();
  void drain_signals();
  void run_timers(MonoTime begin, uint64_t limit);
  void run(const char* part, const Handler& handler);
  void end_turn();
};

Loop::Impl::Impl() {
  sigemptyset(&signals);
  epoll = must(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  timer = must(timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK), "timerfd_create");
  signal = must(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK), "signalfd");
  control(EPOLL_CTL_ADD, timer, EPOLLIN, kTimerEvent, "epoll_ctl timerfd");
  control(EPOLL_CTL_ADD, signal, EPOLLIN, kSignalEvent, "epoll_ctl signalfd");
}

Loop::Impl::~Impl() {
  close(signal);
  close(timer);
  close(epoll);
}

void Loop::Impl::control(int op, int fd, uint32_t events, uint64_t id, const char* what) const {
  epoll_event event{};
  event.events = events;
  event.data.u64 = id;
  must(epoll_ctl(epoll, op, fd, &event), what);
}

// Only a changed earliest deadline costs a system call. 0 would disarm the timer: see
// timerfd_create(2).
void Loop::Impl::arm() {
  const MonoTime earliest = timers.empty() ? MonoTime::never() : timers.begin()->first.first;
  if (earliest == armed) return;
  armed = earliest;
  itimerspec spec{};
  if (!earliest.is_never()) {
    const int64_t ns = std::max<int64_t>(earliest.ns(), 1);
    spec.it_value.tv_sec = ns / 1'000'000'000;
    spec.it_value.tv_nsec = ns % 1'000'000'000;
  }
  must(timerfd_settime(timer, TFD_TIMER_ABSTIME, &spec, nullptr), "timerfd_settime");
}

void Loop::Impl::drain_timer() {
  uint64_t expirations = 0;
  // Fails with EAGAIN when the timer was set anew after the event: then nothing has expired.
  if (read(timer, &expirations, sizeof expirations) == sizeof expirations)
    armed = MonoTime::never();
}

void Loop::Impl::drain_signals() {
  signalfd_siginfo info{};
  while (read(signal, &info, sizeof info) == sizeof info) {
    const auto found = signal_handlers.find(static_cast<int>(info.ssi_signo));
    if (found == signal_handlers.end()) continue;
    const Called called = found->second;  // a copy: the handler may set another for its signal
    run(called.where, called.handler);
  }
}

void Loop::Impl::dispatch(const epoll_event& event) {
  if (event.data.u64 == kTimerEvent) return drain_timer();
  if (event.data.u64 == kSignalEvent) return drain_signals();
  const auto found = watches.find(event.data.u64);
  if (found == watches.end()) return;  // removed by a handler of this turn
  Watch* watch = found->second.get();
  turns.enter(watch->where, read_clock());
  watch->handler(event.events);
  turns.leave(read_clock());
}

// Timers that handlers add now have ids from `limit` on and wait for the next turn, so that a
// turn always ends.
void Loop::Impl::run_timers(MonoTime begin, uint64_t limit) {
  auto it = timers.begin();
  while (it != timers.end() && it->first.first <= begin) {
    const TimerKey key = it->first;
    if (key.second >= limit) {
      ++it;
      continue;
    }
    const auto node = timers.extract(it);
    deadlines.erase(key.second);
    run(node.mapped().where, node.mapped().handler);
    it = timers.upper_bound(key);
  }
}

void Loop::Impl::run(const char* part, const Handler& handler) {
  turns.enter(part, read_clock());
  handler();
  turns.leave(read_clock());
}

void Loop::Impl::end_turn() {
  const std::string fault = turns.end(read_clock());
  if (!fault.empty()) log::warn("loop: %s", fault.c_str());
}

void Loop::Impl::turn(int timeout_ms) {
  assert(!in_turn);
  std::array<epoll_event, kEventsPerTurn> events;
  arm();
  int count = epoll_wait(epoll, events.data(), kEventsPerTurn, timeout_ms);
  // SIGSTOP and SIGCONT interrupt the wait as well: a turn without events is then what is wanted.
  if (count < 0) count = errno == EINTR ? 0 : must(count, "epoll_wait");

  const MonoTime begin = read_clock();
  const uint64_t limit = next_id;
  in_turn = true;
  turn_began = begin;
  turns.begin(begin);
  for (auto& handler : turn_start) run("the start of a turn", handler);
  // Descriptors before timers: after a stall, an answer that waits in a socket still counts.
  for (int i = 0; i < count; ++i) dispatch(events[static_cast<size_t>(i)]);
  run_timers(begin, limit);
  for (auto& handler : turn_end) run("the end of a turn", handler);
  in_turn = false;
  removed.clear();
  end_turn();
}

Loop::Loop() : impl_(std::make_unique<Impl>()) {}
Loop::~Loop() = default;

MonoTime Loop::now() const {
  return read_clock();
}

// What is less than a moment is the reading's own fault.
Duration Loop::suspended() const {
  const int64_t suspended = read_suspended_ns();
  if (suspended > impl_->suspended_ns + 2 * kOneMomentNs) impl_->suspended_ns = suspended;
  return Duration::nanoseconds(impl_->suspended_ns);
}

Loop::Slew Loop::slew() const {
  return read_slew();
}

bool Loop::budget_is_spent() const {
  return impl_->in_turn && read_clock() - impl_->turn_began >= kBudget;
}

const Histogram& Loop::turns() const {
  return impl_->turns.lengths();
}

Loop::Part::Part(Loop& loop, const char* name) : loop_(loop) {
  loop_.impl_->turns.enter(name, read_clock());
}

Loop::Part::~Part() {
  loop_.impl_->turns.leave(read_clock());
}

Loop::FdWatch Loop::add_fd(int fd, uint32_t epoll_events, FdHandler handler, const char* where) {
  assert(fd >= 0 && handler != nullptr);
  const uint64_t id = impl_->next_id++;
  auto watch = std::make_unique<Impl::Watch>();
  watch->fd = fd;
  watch->handler = std::move(handler);
  watch->where = where;
  impl_->watches.emplace(id, std::move(watch));
  impl_->control(EPOLL_CTL_ADD, fd, epoll_events, id, "epoll_ctl add");
  return FdWatch{id};
}

void Loop::modify_fd(FdWatch watch, uint32_t epoll_events) {
  const uint64_t id = static_cast<uint64_t>(watch);
  const auto found = impl_->watches.find(id);
  if (found == impl_->watches.end()) return;
  impl_->control(EPOLL_CTL_MOD, found->second->fd, epoll_events, id, "epoll_ctl modify");
}

void Loop::remove_fd(FdWatch watch) {
  auto node = impl_->watches.extract(static_cast<uint64_t>(watch));
  if (node.empty()) return;
  // A descriptor that was closed already has left the set by itself.
  epoll_ctl(impl_->epoll, EPOLL_CTL_DEL, node.mapped()->fd, nullptr);
  if (impl_->in_turn) impl_->removed.push_back(std::move(node.mapped()));
}

Loop::Timer Loop::add_timer(MonoTime deadline, Handler handler, const char* where) {
  assert(handler != nullptr);
  const uint64_t id = impl_->next_id++;
  impl_->timers.emplace(Impl::TimerKey{deadline, id},
                        Impl::Called{.handler = std::move(handler), .where = where});
  impl_->deadlines.emplace(id, deadline);
  return Timer{id};
}

void Loop::cancel_timer(Timer timer) {
  const auto entry = impl_->deadlines.extract(static_cast<uint64_t>(timer));
  if (entry.empty()) return;
  // Extracted first, destroyed last: the handler's destructor may come back to the loop.
  const auto node = impl_->timers.extract(Impl::TimerKey{entry.mapped(), entry.key()});
}

void Loop::on_signal(int signo, Handler handler, const char* where) {
  assert(handler != nullptr && !impl_->signal_handlers.contains(signo));
  impl_->signal_handlers[signo] = {.handler = std::move(handler), .where = where};
  sigaddset(&impl_->signals, signo);
  must(sigprocmask(SIG_BLOCK, &impl_->signals, nullptr), "sigprocmask");
  must(signalfd(impl_->signal, &impl_->signals, 0), "signalfd");
}

void Loop::on_turn_start(Handler handler) {
  impl_->turn_start.push_back(std::move(handler));
}
void Loop::on_turn_end(Handler handler) {
  impl_->turn_end.push_back(std::move(handler));
}

int Loop::run() {
  while (!impl_->status) impl_->turn(-1);
  return *std::exchange(impl_->status, std::nullopt);
}

void Loop::stop(int status) {
  impl_->status = status;
}

void Loop::run_once(Duration wait) {
  impl_->turn(wait_ms(wait));
}

}  // namespace vipd
