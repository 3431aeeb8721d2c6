#include "sys/log_repeats.hpp"

namespace vipd::log {
namespace {

constexpr uint64_t kWritten = 3;
constexpr int64_t kMinuteMs = 60'000;

}  // namespace

bool Repeats::admit(int64_t now_ms, Level level, const std::string& text, const Write& write) {
  if (level == Level::Debug) return true;
  tell(now_ms, false, write);
  Message* oldest = messages_.data();
  for (Message& message : messages_) {
    if (message.count > 0 && message.level == level && message.text == text) {
      return ++message.count <= kWritten;
    }
    const bool is_better = message.count == 0 || message.since_ms < oldest->since_ms;
    if (oldest->count > 0 && is_better) oldest = &message;
  }
  close(oldest, write);
  *oldest = {.since_ms = now_ms, .level = level, .text = text, .count = 1};
  return true;
}

void Repeats::tell(int64_t now_ms, bool all, const Write& write) {
  for (Message& message : messages_) {
    if (message.count > 0 && (all || now_ms - message.since_ms >= kMinuteMs)) {
      close(&message, write);
    }
  }
}

void Repeats::close(Message* message, const Write& write) {
  if (message->count > kWritten) {
    const uint64_t more = message->count - kWritten;
    const std::string times = more == 1 ? "once more" : std::to_string(more) + " more times";
    write(message->level, times + ": " + message->text);
  }
  *message = {};
}

}  // namespace vipd::log
