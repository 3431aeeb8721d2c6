// What the daemon and the helper process that runs programs say to each other, as bytes: one
// message a packet. Pure. The helper trusts nobody: whatever the bytes are, reading ends well.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vipd/types.hpp"

namespace vipd::run {

constexpr size_t kMostBytes = 32 * 1024;  // of a message
constexpr size_t kMostOutput = 4 * 1024;  // that is kept of a program's output
// At once: checks, notifications, programs that acquire an address, a trial.
constexpr size_t kMostPrograms = 256 + 8 + 32 + 1;

struct Job {
  std::vector<std::string> words;        // the program's full path, and its arguments
  std::vector<std::string> environment;  // "NAME=VALUE", besides PATH
  Duration timeout;                      // its process group is killed then
  // ... and at this instant at the latest, however late the helper reads this.
  MonoTime until = MonoTime::never();
};

// Without a job: end the program of that id; at `until`, if that is set.
struct Order {
  uint64_t id = 0;
  std::optional<Job> job;
  MonoTime until = MonoTime::never();
};

// Unknown: the helper did not say; never in a message.
enum class End { Exited, Killed, TimedOut, NotStarted, Unknown };

struct Ended {
  uint64_t id = 0;
  End how = End::NotStarted;
  int number = 0;        // the exit status, the signal, or the errno
  std::string output{};  // of both standard outputs, from its beginning
  bool is_cut = false;

  [[nodiscard]] bool is_good() const { return how == End::Exited && number == 0; }
  // "exit status 1", "killed by signal 9", ...; "" when it is good.
  [[nodiscard]] std::string text() const;
  // The same, and the last line of its output, which mostly says why; "" when it is good.
  [[nodiscard]] std::string fault() const;
};

// Empty when it would be too large.
[[nodiscard]] std::string encode(const Order& order);
[[nodiscard]] std::string encode(const Ended& ended);
[[nodiscard]] std::optional<Order> read_order(std::string_view bytes);
[[nodiscard]] std::optional<Ended> read_ended(std::string_view bytes);

}  // namespace vipd::run
