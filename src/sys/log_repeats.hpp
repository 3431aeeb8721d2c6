// Messages that come again and again are counted instead of written: the same one is written three
// times in a minute, then counted, and the count is written once the minute is over. Debug messages
// are never counted. Bounded: a few messages are remembered, and the oldest makes room.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>

#include "vipd/log.hpp"

namespace vipd::log {

class Repeats {
 public:
  using Write = std::function<void(Level, const std::string&)>;

  // Whether the message is to be written now. Any monotonic clock in milliseconds.
  [[nodiscard]] bool admit(int64_t now_ms, Level level, const std::string& text,
                           const Write& write);
  // Writes the counts whose minute is over; or all of them.
  void tell(int64_t now_ms, bool all, const Write& write);

 private:
  struct Message {
    int64_t since_ms = 0;
    Level level = Level::Info;
    std::string text;
    uint64_t count = 0;  // 0: nothing is remembered here
  };
  static void close(Message* message, const Write& write);
  std::array<Message, 16> messages_;
};

// Of the log that is open: the counts whose minute is over.
void tell_repeats();
// All of them, and what was written before is forgotten.
void forget_repeats();

}  // namespace vipd::log
