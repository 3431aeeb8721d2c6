#include "sys/notify.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "sys/number.hpp"
#include "sys/wall_clock.hpp"

namespace vipd::sys {
namespace {

constexpr char kSocket[] = "NOTIFY_SOCKET";
constexpr char kWatchdog[] = "WATCHDOG_USEC";
constexpr char kWatchdogPid[] = "WATCHDOG_PID";
constexpr Duration kLeastWatchdog = Duration::milliseconds(10);
constexpr Duration kMostWatchdog = Duration::seconds(3600);

// False for what sd_notify(3) does not define: neither a path nor an abstract name, or too long.
bool fill_address(const std::string& path, sockaddr_un* to, socklen_t* size) {
  if (path.size() < 2 || path.size() >= sizeof to->sun_path) return false;
  if (path[0] != '/' && path[0] != '@') return false;
  to->sun_family = AF_UNIX;
  std::copy(path.begin(), path.end(), to->sun_path);
  // unix(7): an abstract name begins with a zero byte and has no end but its length.
  if (path[0] == '@') to->sun_path[0] = '\0';
  *size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  return true;
}

void write_ready(const Fd& fd) {
  pollfd ready = {fd.get(), POLLOUT, 0};
  if (poll(&ready, 1, 0) != 1 || ready.revents != POLLOUT) return;
  [[maybe_unused]] const ssize_t size = write(fd.get(), "\n", 1);
}

}  // namespace

Notify Notify::from_environment() {
  Notify notify;
  if (const char* path = getenv(kSocket)) notify.socket_path_ = path;
  if (const char* us = getenv(kWatchdog)) notify.watchdog_us_ = us;
  if (const char* pid = getenv(kWatchdogPid)) notify.watchdog_pid_ = pid;
  notify.clear_environment();
  return notify;
}

void Notify::restore_environment() const {
  if (!socket_path_.empty()) setenv(kSocket, socket_path_.c_str(), 1);
  if (!watchdog_us_.empty()) setenv(kWatchdog, watchdog_us_.c_str(), 1);
  if (!watchdog_pid_.empty()) setenv(kWatchdogPid, watchdog_pid_.c_str(), 1);
}

void Notify::clear_environment() const {
  for (const char* name : {kSocket, kWatchdog, kWatchdogPid}) unsetenv(name);
}

Duration Notify::watchdog_interval() const {
  // sd_watchdog_enabled(3): meant for us only if the pid is ours, or none is given.
  const bool is_ours = watchdog_pid_.empty() || watchdog_pid_ == std::to_string(getpid());
  const int64_t us = parse_number<int64_t>(watchdog_us_).value_or(0);
  if (!is_ours || us <= 0) return {};
  return std::clamp(Duration::microseconds(us / 2), kLeastWatchdog, kMostWatchdog);
}

void Notify::watchdog() {
  send("WATCHDOG=1");
}

void Notify::send(std::string_view text) const {
  sockaddr_un to{};
  socklen_t size = 0;
  if (!fill_address(socket_path_, &to, &size)) return;
  const Fd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sendto(fd.get(), text.data(), text.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&to),
         size);
}

void Notify::ready() {
  send("READY=1");
  if (ready_fd_.is_open()) write_ready(ready_fd_);
  ready_fd_.reset();
}

void Notify::reloading() {
  send("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(systemd_clock_us()));
}

void Notify::stopping() {
  send("STOPPING=1");
}

void Notify::status(std::string_view one_line) {
  std::string text = "STATUS=" + std::string(one_line);
  // A line break would begin another assignment.
  std::replace(text.begin(), text.end(), '\n', ' ');
  send(text);
}

}  // namespace vipd::sys
