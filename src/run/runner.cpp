#include "run/runner.hpp"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cassert>
#include <cerrno>
#include <csignal>
#include <utility>

#include "run/helper.hpp"
#include "sys/errno_text.hpp"
#include "sys/privileges.hpp"
#include "sys/random.hpp"
#include "vipd/log.hpp"

namespace vipd::run {
namespace {

// A helper that is stopped, or of another version, may never answer; one that is slow does.
constexpr Duration kPatience = Duration::seconds(3);

}  // namespace

// Forked twice, so that it is nobody's child: its death leaves no zombie, whatever this process
// has become by then.
std::unique_ptr<Runner> Runner::start(Loop& loop, const sys::User* user, std::string* reason) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0) {
    *reason = sys::errno_text("socketpair");
    return nullptr;
  }
  sys::Fd ours(ends[0]);
  sys::Fd its(ends[1]);
  signal(SIGCHLD, SIG_DFL);  // who started us may have ignored it, and nothing could be waited for
  const pid_t between = fork();
  if (between == 0) {
    const int error = user == nullptr ? 0 : sys::become_plainly(*user);
    if (error != 0) _exit(error);
    const pid_t helper = fork();
    if (helper == 0) be_helper(its.release());
    _exit(helper < 0 ? errno : 0);
  }
  int status = 0;
  if (between > 0 && waitpid(between, &status, 0) == between && status == 0) {
    return std::unique_ptr<Runner>(new Runner(loop, std::move(ours)));
  }
  *reason =
      sys::errno_text("the helper that runs programs", between > 0 ? WEXITSTATUS(status) : errno);
  return nullptr;
}

std::unique_ptr<Runner> Runner::adopt(Loop& loop, int socket) {
  int type = 0;
  socklen_t size = sizeof type;
  const bool is_it =
      getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
  if (!is_it || fcntl(socket, F_SETFD, FD_CLOEXEC) < 0) return nullptr;
  auto runner = std::unique_ptr<Runner>(new Runner(loop, sys::Fd(socket)));
  runner->next_id_ = sys::random_u64() | 1;  // not those of our predecessor
  return runner;
}

Runner::Runner(Loop& loop, sys::Fd socket) : loop_(loop), socket_(std::move(socket)) {
  watch_ = loop_.add_fd(socket_.get(), EPOLLIN, [this](uint32_t) { on_readable(); });
}

Runner::~Runner() {
  if (is_alive()) loop_.remove_fd(watch_);
  for (const auto& [id, running] : running_) loop_.cancel_timer(running.timer);
}

Runner::Id Runner::run(const Job& job, DoneHandler done) {
  assert(done != nullptr && !job.words.empty());
  const uint64_t id = next_id_++;
  const std::string bytes = encode(Order{.id = id, .job = job});
  running_[id].done = std::move(done);
  if (!is_alive()) {
    refuse(id, ECHILD);
  } else if (bytes.empty()) {
    refuse(id, E2BIG);
  } else if (running_.size() > kMostPrograms) {
    refuse(id, EAGAIN);
  } else if (send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0) {
    refuse(id, errno);
  } else {
    finish_later(id, job.timeout + kPatience, {.id = id, .how = End::Unknown});
  }
  return Id{id};
}

void Runner::refuse(uint64_t id, int error) {
  finish_later(id, Duration(), {.id = id, .how = End::NotStarted, .number = error});
}

void Runner::finish_later(uint64_t id, Duration wait, const Ended& ended) {
  Loop::Timer& timer = running_[id].timer;
  loop_.cancel_timer(timer);
  timer = loop_.add_timer(loop_.now() + wait, [this, ended] {
    if (ended.how == End::Unknown) send_cancel(ended.id);
    finish(ended);
  });
}

void Runner::end_at(Id id, MonoTime until) {
  if (!is_alive() || !running_.contains(static_cast<uint64_t>(id))) return;
  const std::string bytes = encode(Order{static_cast<uint64_t>(id), std::nullopt, until});
  (void)send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

void Runner::cancel(Id id) {
  const auto node = running_.extract(static_cast<uint64_t>(id));
  if (node.empty()) return;
  loop_.cancel_timer(node.mapped().timer);
  send_cancel(node.key());
}

// Should this be lost, the program's own timeout ends it.
void Runner::send_cancel(uint64_t id) {
  if (!is_alive()) return;
  const std::string bytes = encode(Order{.id = id, .job = std::nullopt});
  (void)send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

void Runner::on_readable() {
  constexpr int kMostInTurn = 64;
  char buffer[kMostBytes];
  for (int i = 0; i < kMostInTurn && is_alive(); ++i) {
    const ssize_t size = recv(socket_.get(), buffer, sizeof buffer, 0);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (size <= 0) return helper_is_gone();
    const auto ended = read_ended({buffer, static_cast<size_t>(size)});
    if (ended) finish(*ended);
  }
}

void Runner::helper_is_gone() {
  log::error("the helper process has ended: no program is run until the daemon is restarted");
  loop_.remove_fd(watch_);
  watch_ = Loop::FdWatch::None;
  socket_.reset();
  for (const auto& [id, running] : running_) refuse(id, ECHILD);
}

// The handler may start another, or cancel.
void Runner::finish(const Ended& ended) {
  const auto node = running_.extract(ended.id);
  if (node.empty()) return;
  loop_.cancel_timer(node.mapped().timer);
  node.mapped().done(ended);
}

}  // namespace vipd::run
