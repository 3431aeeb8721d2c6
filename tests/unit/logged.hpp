// The log as a test sees it: in place of src/sys/log.cpp, every line is kept.
#pragma once

#include <cstdarg>
#include <cstdio>
#include <string>
#include <vector>

#include "sys/log_repeats.hpp"
#include "vipd/log.hpp"

namespace logged {

inline std::vector<std::string> lines;
inline vipd::log::Level level = vipd::log::Level::Info;

// How many lines contain the text.
inline size_t count(const std::string& text) {
  size_t found = 0;
  for (const std::string& line : lines) found += line.find(text) != std::string::npos ? 1 : 0;
  return found;
}

inline void keep(const char* level, const char* format, va_list values) {
  char text[1024];
  vsnprintf(text, sizeof text, format, values);
  lines.push_back(std::string(level) + text);
}

}  // namespace logged

namespace vipd::log {

#define VIPD_LOGGED(name)                     \
  void name(const char* format, ...) {        \
    va_list values;                           \
    va_start(values, format);                 \
    logged::keep(#name ": ", format, values); \
    va_end(values);                           \
  }
VIPD_LOGGED(error)
VIPD_LOGGED(warn)
VIPD_LOGGED(info)
VIPD_LOGGED(debug)
#undef VIPD_LOGGED

void open(Target, Level level) {
  logged::level = level;
}
void set_level(Level level) {
  logged::level = level;
}
Level level() {
  return logged::level;
}
void tell_repeats() {}
void forget_repeats() {}

}  // namespace vipd::log
