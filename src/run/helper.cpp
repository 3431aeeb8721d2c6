#include "run/helper.hpp"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <deque>
#include <map>
#include <memory>

#include "run/message.hpp"
#include "sys/fd.hpp"
#include "vipd/log.hpp"
#include "vipd/loop.hpp"

namespace vipd::run {
namespace {

constexpr int kSocket = STDERR_FILENO + 1;
constexpr char kPath[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr int kCannotRun = 127;  // as shells have it

// --- the program's side of fork(2)

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> list;
  list.reserve(texts.size() + 1);
  for (std::string& text : texts) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

void default_signals() {
  for (int signo = 1; signo < NSIG; ++signo) signal(signo, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void be_program(Job job, int output, pid_t helper) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != helper) _exit(kCannotRun);
  default_signals();
  dup2(output, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
  job.environment.emplace_back(kPath);
  const std::vector<char*> words = pointers(job.words);
  const std::vector<char*> environment = pointers(job.environment);
  execve(words[0], words.data(), environment.data());
  const std::string text = std::string("cannot be run: ") + strerror(errno) + "\n";
  [[maybe_unused]] const ssize_t size = write(STDERR_FILENO, text.data(), text.size());
  _exit(kCannotRun);
}

// --- the helper's

class Helper {
 public:
  Helper() {
    socket_watch_ = loop_.add_fd(kSocket, EPOLLIN, [this](uint32_t events) { on_socket(events); });
  }
  Helper(const Helper&) = delete;
  Helper& operator=(const Helper&) = delete;
  void run() { (void)loop_.run(); }

 private:
  struct Program {
    pid_t pid = 0;
    sys::Fd process;  // pidfd: readable when it has ended
    sys::Fd output;
    Loop::FdWatch process_watch = Loop::FdWatch::None;
    Loop::FdWatch output_watch = Loop::FdWatch::None;
    Loop::Timer timer = Loop::Timer::None;
    MonoTime timeout;  // when it is killed, whatever is said later
    Ended ended;
  };

  void on_socket(uint32_t events);
  void take_orders();
  void start(uint64_t id, const Job& job);
  int start_program(Program& program, const Job& job);
  void watch(Program& program, const Job& job);
  void kill_at(Program& program, MonoTime until);
  static void end_early(const Program& program) { kill(-program.pid, SIGKILL); }
  void read_output(Program& program);
  void end(uint64_t id);
  void tell(const Ended& ended);
  void send_answers();
  [[noreturn]] void end_everything();

  Loop loop_;
  Loop::FdWatch socket_watch_ = Loop::FdWatch::None;
  std::map<uint64_t, std::unique_ptr<Program>> programs_;
  std::deque<std::string> answers_;  // as many as programs: an order follows an answer
};

void Helper::on_socket(uint32_t events) {
  if ((events & EPOLLOUT) != 0) send_answers();
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) take_orders();
}

void Helper::take_orders() {
  char buffer[kMostBytes];
  while (true) {
    const ssize_t size = recv(kSocket, buffer, sizeof buffer, 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0) end_everything();
    const auto order = read_order({buffer, static_cast<size_t>(size)});
    if (!order) continue;
    const auto found = programs_.find(order->id);
    if (order->job && found == programs_.end()) start(order->id, *order->job);
    if (order->job || found == programs_.end()) continue;
    order->until.is_never() ? end_early(*found->second) : kill_at(*found->second, order->until);
  }
}

void Helper::start(uint64_t id, const Job& job) {
  auto program = std::make_unique<Program>();
  program->ended.id = id;
  // [safety] It may have waited in the socket for as long as this process stood still.
  if (loop_.now() >= job.until) {
    program->ended.how = End::TimedOut;
    return tell(program->ended);
  }
  const int error = programs_.size() < kMostPrograms ? start_program(*program, job) : EAGAIN;
  if (error != 0) {
    program->ended.number = error;
    return tell(program->ended);
  }
  watch(*program, job);
  programs_.emplace(id, std::move(program));
}

// 0, or why there is no such process.
int Helper::start_program(Program& program, const Job& job) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return errno;
  program.output.reset(ends[0]);
  const sys::Fd input(ends[1]);
  // Not that of the program, which gets an end of its own that blocks.
  fcntl(program.output.get(), F_SETFL, O_NONBLOCK);
  const pid_t helper = getpid();
  program.pid = fork();
  if (program.pid == 0) be_program(job, input.get(), helper);
  if (program.pid < 0) return errno;
  setpgid(program.pid, program.pid);  // whoever comes first
  program.process.reset(static_cast<int>(syscall(SYS_pidfd_open, program.pid, 0)));
  if (program.process.is_open()) return 0;
  const int error = errno;
  kill(-program.pid, SIGKILL);
  waitpid(program.pid, nullptr, 0);
  return error;
}

void Helper::watch(Program& program, const Job& job) {
  const uint64_t id = program.ended.id;
  program.process_watch =
      loop_.add_fd(program.process.get(), EPOLLIN, [this, id](uint32_t) { end(id); });
  program.output_watch = loop_.add_fd(program.output.get(), EPOLLIN,
                                      [this, &program](uint32_t) { read_output(program); });
  program.timeout = loop_.now() + job.timeout;
  kill_at(program, job.until);
}

void Helper::kill_at(Program& program, MonoTime until) {
  loop_.cancel_timer(program.timer);
  program.timer = loop_.add_timer(std::min(program.timeout, until), [&program] {
    program.ended.how = End::TimedOut;
    kill(-program.pid, SIGKILL);
  });
}

// What is too much is read all the same, so that the program does not wait for it.
void Helper::read_output(Program& program) {
  constexpr int kTurns = 16;  // some programs never end
  char buffer[4096];
  for (int i = 0; i < kTurns && program.output.is_open(); ++i) {
    const ssize_t size = read(program.output.get(), buffer, sizeof buffer);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (size <= 0) {
      loop_.remove_fd(program.output_watch);
      program.output.reset();
      return;
    }
    std::string& output = program.ended.output;
    const size_t room = std::min(kMostOutput - output.size(), static_cast<size_t>(size));
    output.append(buffer, room);
    program.ended.is_cut = program.ended.is_cut || room < static_cast<size_t>(size);
  }
}

void Helper::end(uint64_t id) {
  auto node = programs_.extract(id);
  if (node.empty()) return;
  Program& program = *node.mapped();
  kill(-program.pid, SIGKILL);  // before it is reaped: its number is still its own
  int status = 0;
  waitpid(program.pid, &status, 0);
  read_output(program);
  loop_.cancel_timer(program.timer);
  loop_.remove_fd(program.process_watch);
  if (program.output.is_open()) loop_.remove_fd(program.output_watch);
  Ended& ended = program.ended;
  if (ended.how != End::TimedOut) ended.how = WIFEXITED(status) ? End::Exited : End::Killed;
  ended.number = WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status);
  tell(ended);
}

void Helper::tell(const Ended& ended) {
  answers_.push_back(encode(ended));
  send_answers();
}

void Helper::send_answers() {
  while (!answers_.empty()) {
    const std::string& bytes = answers_.front();
    if (send(kSocket, bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0 && errno == EAGAIN) break;
    answers_.pop_front();  // a broken socket is met by the next reading
  }
  loop_.modify_fd(socket_watch_, answers_.empty() ? EPOLLIN : EPOLLIN | EPOLLOUT);
}

void Helper::end_everything() {
  for (const auto& [id, program] : programs_) kill(-program->pid, SIGKILL);
  _exit(0);
}

// Supervisors and terminals signal whole groups: the daemon decides when this process ends.
void leave_the_daemon() {
  log::open(log::Target::Stderr, log::Level::Error);  // to /dev/null
  setsid();
  prctl(PR_SET_NAME, "vipd-runner");
  for (const int signo : {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2}) {
    signal(signo, SIG_IGN);
  }
  signal(SIGCHLD, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

void close_from(int first) {
  if (syscall(SYS_close_range, first, ~0U, 0) == 0) return;
  constexpr int kMost = 65'536;  // before Linux 5.9
  for (int fd = first; fd < kMost; ++fd) close(fd);
}

void keep_only(int socket) {
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) _exit(1);
  // Moved out of the way first: either may have a number that the other is to get.
  const int high = fcntl(socket, F_DUPFD_CLOEXEC, kSocket + 1);
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) dup2(null, fd);
  if (high < 0 || dup3(high, kSocket, O_CLOEXEC) < 0) _exit(1);
  close_from(kSocket + 1);
}

}  // namespace

void be_helper(int socket) {
  leave_the_daemon();
  keep_only(socket);
  Helper helper;
  helper.run();
  _exit(0);
}

}  // namespace vipd::run
