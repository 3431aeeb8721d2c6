#include "vipd/log.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <string_view>
#include <utility>

#include "sys/errno_text.hpp"
#include "sys/fd.hpp"
#include "sys/log_repeats.hpp"
#include "sys/wall_clock.hpp"

namespace vipd::log {
namespace {

// With time and level in front a line stays below the 976 bytes that /dev/kmsg takes in one write,
// and well below PIPE_BUF, so that it arrives whole or not at all.
constexpr size_t kMaxText = 900;

struct State {
  Target target = Target::Stderr;
  Level level = Level::Info;
  sys::Fd sink;  // of syslog and kmsg
  Repeats repeats;
  uint64_t dropped = 0;  // lines that could not be written since the last that could
};

State& state() {
  static State the_state;
  return the_state;
}

const char* level_name(Level level) {
  switch (level) {
    case Level::Error:
      return "error";
    case Level::Warn:
      return "warn ";
    case Level::Info:
      return "info ";
    case Level::Debug:
      return "debug";
  }
  return "";
}

// Facility and severity as syslog(3) has them.
int priority(Level level) {
  switch (level) {
    case Level::Error:
      return LOG_DAEMON | LOG_ERR;
    case Level::Warn:
      return LOG_DAEMON | LOG_WARNING;
    case Level::Info:
      return LOG_DAEMON | LOG_INFO;
    case Level::Debug:
      return LOG_DAEMON | LOG_DEBUG;
  }
  return LOG_DAEMON | LOG_ERR;
}

// O_NONBLOCK cannot be set on stderr: the flag belongs to everyone who shares the descriptor. A
// pipe that poll(2) calls writable has room for a whole page.
bool write_stderr(const std::string& line) {
  pollfd ready = {STDERR_FILENO, POLLOUT, 0};
  if (poll(&ready, 1, 0) != 1 || ready.revents != POLLOUT) return false;
  return write(STDERR_FILENO, line.data(), line.size()) == static_cast<ssize_t>(line.size());
}

sys::Fd connect_syslog() {
  sys::Fd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const sockaddr_un to = {AF_UNIX, "/dev/log"};
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) < 0) return sys::Fd();
  return fd;
}

// Not syslog(3): that one waits for as long as the logger is stopped.
bool write_syslog(const std::string& line) {
  sys::Fd& sink = state().sink;
  if (sink.is_open() && send(sink.get(), line.data(), line.size(), MSG_NOSIGNAL) >= 0) return true;
  if (sink.is_open() && errno == EAGAIN) return false;
  sink = connect_syslog();  // the first line, or the logger was restarted
  return sink.is_open() && send(sink.get(), line.data(), line.size(), MSG_NOSIGNAL) >= 0;
}

bool write_kmsg(const std::string& line) {
  const sys::Fd& sink = state().sink;
  return sink.is_open() && write(sink.get(), line.data(), line.size()) >= 0;
}

// RFC 3164, which every logger on a Unix socket understands; its time is local and without year.
std::string syslog_line(Level level, std::string_view text) {
  const time_t now = sys::wall_clock().tv_sec;
  tm parts{};
  localtime_r(&now, &parts);
  char time[32];
  char head[80];
  strftime(time, sizeof time, "%b %e %H:%M:%S", &parts);
  snprintf(head, sizeof head, "<%d>%s vipd[%d]: ", priority(level), time, getpid());
  return std::string(head).append(text);
}

bool write_line(Level level, std::string_view text) {
  switch (state().target) {
    case Target::Stderr:
      return write_stderr(sys::wall_clock_text() + " " + level_name(level) + " " +
                          std::string(text) + "\n");
    case Target::Syslog:
      return write_syslog(syslog_line(level, text));
    case Target::Kmsg:
      // Without its line break a record waits for the next one before anybody can read it.
      return write_kmsg("<" + std::to_string(priority(level)) + ">vipd: " + std::string(text) +
                        "\n");
  }
  return false;
}

// Control characters could break a line in two or play tricks with a terminal.
void clean(std::string* text) {
  for (char& c : *text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
}

std::string format_text(const char* format, va_list arguments) {
  char buffer[kMaxText + 1];
  const int wanted = vsnprintf(buffer, sizeof buffer, format, arguments);
  std::string text = wanted < 0 ? format : buffer;
  if (wanted > static_cast<int>(kMaxText)) text.replace(kMaxText - 3, 3, "...");
  clean(&text);
  return text;
}

bool report_dropped() {
  const std::string count = std::to_string(state().dropped);
  if (!write_line(Level::Warn, "log: lines lost because nobody took them: " + count)) {
    return false;
  }
  state().dropped = 0;
  return true;
}

void write_or_drop(Level level, const std::string& text) {
  const bool caught_up = state().dropped == 0 || report_dropped();
  if (!caught_up || !write_line(level, text)) ++state().dropped;
}

int64_t now_ms() {
  return static_cast<int64_t>(sys::systemd_clock_us() / 1000);
}

void emit(Level level, const char* format, va_list arguments) {
  if (level > state().level) return;
  const int saved_errno = errno;
  const std::string text = format_text(format, arguments);
  if (state().repeats.admit(now_ms(), level, text, write_or_drop)) write_or_drop(level, text);
  errno = saved_errno;
}

}  // namespace

void open(Target target, Level level) {
  state().level = level;
  sys::Fd sink;
  // Now: who we are later may not be allowed to, and then it stays where it is.
  if (target == Target::Kmsg) {
    sink.reset(::open("/dev/kmsg", O_WRONLY | O_CLOEXEC | O_NONBLOCK));
    if (!sink.is_open()) return error("log.target: %s", sys::errno_text("/dev/kmsg").c_str());
  }
  state().target = target;
  state().sink = std::move(sink);
}

void tell_repeats() {
  state().repeats.tell(now_ms(), false, write_or_drop);
}

void forget_repeats() {
  state().repeats.tell(now_ms(), true, write_or_drop);
}

void set_level(Level level) {
  state().level = level;
}

Level level() {
  return state().level;
}

void error(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  emit(Level::Error, format, arguments);
  va_end(arguments);
}

void warn(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  emit(Level::Warn, format, arguments);
  va_end(arguments);
}

void info(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  emit(Level::Info, format, arguments);
  va_end(arguments);
}

void debug(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  emit(Level::Debug, format, arguments);
  va_end(arguments);
}

}  // namespace vipd::log
