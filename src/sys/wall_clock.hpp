// Clocks for people and for systemd: what log lines, status and sd_notify show. Nothing may be
// decided by them; the daemon's only clock for that is the loop's (include/vipd/loop.hpp).
#pragma once

#include <cstdint>
#include <cstdio>
#include <ctime>
#include <string>

namespace vipd::sys {

// RFC 3339 in UTC with milliseconds: "2026-01-31T12:00:00.123Z".
[[nodiscard]] inline std::string rfc3339_text(const timespec& time) {
  tm parts{};
  gmtime_r(&time.tv_sec, &parts);
  char seconds[32];
  char text[48];
  strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &parts);
  snprintf(text, sizeof text, "%s.%03dZ", seconds, static_cast<int>(time.tv_nsec / 1'000'000));
  return text;
}

[[nodiscard]] inline timespec wall_clock() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return now;
}

[[nodiscard]] inline std::string wall_clock_text() {
  return rfc3339_text(wall_clock());
}

// CLOCK_MONOTONIC in microseconds: the form that sd_notify(3) wants with RELOADING=1.
[[nodiscard]] inline uint64_t systemd_clock_us() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000 + static_cast<uint64_t>(now.tv_nsec) / 1'000;
}

}  // namespace vipd::sys
