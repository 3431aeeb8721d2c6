#include "sys/background.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "sys/errno_text.hpp"

namespace vipd::sys {

void fill_standard_descriptors() {
  int fd = open("/dev/null", O_RDWR);
  while (fd >= 0 && fd <= STDERR_FILENO) fd = dup(fd);
  if (fd >= 0) close(fd);
}

namespace {

constexpr int kFailedAtRunTime = 1;

int exit_status(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return kFailedAtRunTime;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : kFailedAtRunTime;
}

// A byte means ready; the end of the pipe means that the child has ended.
[[noreturn]] void follow_child(pid_t child, const Fd& pipe) {
  char byte;
  ssize_t size;
  do {
    size = read(pipe.get(), &byte, 1);
  } while (size < 0 && errno == EINTR);
  // Not exit(): what the child has inherited to flush or to remove is the child's.
  _exit(size == 1 ? 0 : exit_status(child));
}

void leave_terminal() {
  setsid();
  fill_standard_descriptors();  // so that the next one is above them
  const Fd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null.is_open()) return;
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) dup2(null.get(), fd);
}

}  // namespace

bool Background::start(std::string* reason) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) {
    *reason = errno_text("pipe");
    return false;
  }
  Fd from_child(ends[0]);
  Fd to_parent(ends[1]);
  const pid_t child = fork();
  if (child < 0) {
    *reason = errno_text("fork");
    return false;
  }
  if (child > 0) {
    to_parent.reset();
    follow_child(child, from_child);
  }
  parent_ = std::move(to_parent);
  return true;
}

void Background::ready() {
  if (!parent_.is_open()) return;
  leave_terminal();
  // The parent may have been killed meanwhile; that is no reason to fail.
  [[maybe_unused]] const ssize_t size = write(parent_.get(), "\n", 1);
  parent_.reset();
}

}  // namespace vipd::sys
