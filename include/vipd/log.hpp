// One line an event, to stderr, syslog or the kernel's log. Never blocks for long, never fails.
#pragma once

#include <string>

namespace vipd::log {

enum class Level { Error, Warn, Info, Debug };
enum class Target { Stderr, Syslog, Kmsg };

void open(Target target, Level level);
void set_level(Level level);
[[nodiscard]] Level level();

// printf(3) formats. A line break in the text is replaced by a space, so that one event stays one
// line.
void error(const char* format, ...) __attribute__((format(printf, 1, 2)));
void warn(const char* format, ...) __attribute__((format(printf, 1, 2)));
void info(const char* format, ...) __attribute__((format(printf, 1, 2)));
void debug(const char* format, ...) __attribute__((format(printf, 1, 2)));

}  // namespace vipd::log
