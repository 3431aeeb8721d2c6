#include "run/message.hpp"

#include <cstring>
#include <utility>

namespace vipd::run {
namespace {

constexpr size_t kMostWords = 256;

void put(std::string* bytes, uint64_t number) {
  char raw[sizeof number];
  memcpy(raw, &number, sizeof number);  // both ends are of one machine
  bytes->append(raw, sizeof raw);
}

void put(std::string* bytes, std::string_view text) {
  put(bytes, text.size());
  bytes->append(text);
}

void put(std::string* bytes, const std::vector<std::string>& texts) {
  put(bytes, texts.size());
  for (const std::string& text : texts) put(bytes, text);
}

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  uint64_t number() {
    uint64_t value = 0;
    if (rest_.size() < sizeof value) return fail();
    memcpy(&value, rest_.data(), sizeof value);
    rest_.remove_prefix(sizeof value);
    return value;
  }
  std::string text() {
    const uint64_t size = number();
    if (size > rest_.size()) fail();
    std::string value(rest_.substr(0, is_good_ ? size : 0));
    rest_.remove_prefix(value.size());
    return value;
  }
  std::vector<std::string> texts() {
    std::vector<std::string> values;
    const uint64_t count = number();
    if (count > kMostWords) fail();
    for (uint64_t i = 0; is_good_ && i < count; ++i) values.push_back(text());
    return values;
  }
  [[nodiscard]] bool is_done() const { return is_good_ && rest_.empty(); }

 private:
  uint64_t fail() {
    is_good_ = false;
    rest_ = {};
    return 0;
  }
  std::string_view rest_;
  bool is_good_ = true;
};

// The first two are all that helpers of version 0.1 know.
enum class What : uint64_t { End, Run, RunUntil, EndAt };

What what_of(const Order& order, MonoTime until) {
  if (order.job) return until.is_never() ? What::Run : What::RunUntil;
  return until.is_never() ? What::End : What::EndAt;
}

std::string bounded(std::string bytes) {
  return bytes.size() <= kMostBytes ? std::move(bytes) : std::string();
}

}  // namespace

std::string Ended::text() const {
  switch (how) {
    case End::Exited:
      return number == 0 ? "" : "exit status " + std::to_string(number);
    case End::Killed:
      return "killed by signal " + std::to_string(number);
    case End::TimedOut:
      return "killed because it took too long";
    case End::NotStarted:
      return std::string("not started: ") + strerror(number);
    case End::Unknown:
      return "the helper process that runs programs does not answer";
  }
  return "";
}

std::string Ended::fault() const {
  if (is_good()) return "";
  std::string line = output;
  while (line.ends_with('\n')) line.pop_back();
  line.erase(0, line.rfind('\n') + 1);
  constexpr size_t kLongest = 200;
  return text() + (line.empty() ? "" : ": " + line.substr(0, kLongest));
}

std::string encode(const Order& order) {
  std::string bytes;
  const MonoTime until = order.job ? order.job->until : order.until;
  put(&bytes, order.id);
  put(&bytes, static_cast<uint64_t>(what_of(order, until)));
  if (!until.is_never()) put(&bytes, static_cast<uint64_t>(until.ns()));
  if (!order.job) return bytes;
  if (order.job->words.size() > kMostWords || order.job->environment.size() > kMostWords) return "";
  put(&bytes, order.job->words);
  put(&bytes, order.job->environment);
  put(&bytes, static_cast<uint64_t>(order.job->timeout.ms()));
  return bounded(std::move(bytes));
}

std::string encode(const Ended& ended) {
  std::string bytes;
  put(&bytes, ended.id);
  put(&bytes, static_cast<uint64_t>(ended.how));
  put(&bytes, static_cast<uint64_t>(ended.number));
  put(&bytes, uint64_t{ended.is_cut});
  put(&bytes, ended.output);
  return bounded(std::move(bytes));
}

std::optional<Order> read_order(std::string_view bytes) {
  constexpr uint64_t kLongest_ms = 3'600'000;
  Reader reader(bytes);
  Order order;
  order.id = reader.number();
  const uint64_t what = reader.number();
  if (what > static_cast<uint64_t>(What::EndAt)) return std::nullopt;
  const bool has_until = what >= static_cast<uint64_t>(What::RunUntil);
  if (has_until) order.until = MonoTime::from_ns(static_cast<int64_t>(reader.number()));
  if (has_until && order.until.is_never()) return std::nullopt;  // the others say that
  if (What{what} == What::Run || What{what} == What::RunUntil) {
    Job job;
    job.until = order.until;
    job.words = reader.texts();
    job.environment = reader.texts();
    const uint64_t timeout_ms = reader.number();
    if (job.words.empty() || !job.words[0].starts_with('/')) return std::nullopt;
    if (timeout_ms > kLongest_ms) return std::nullopt;
    job.timeout = Duration::milliseconds(static_cast<int64_t>(timeout_ms));
    order.job = std::move(job);
  }
  if (!reader.is_done()) return std::nullopt;
  return order;
}

std::optional<Ended> read_ended(std::string_view bytes) {
  Reader reader(bytes);
  Ended ended;
  ended.id = reader.number();
  const uint64_t how = reader.number();
  ended.number = static_cast<int>(reader.number());
  ended.is_cut = reader.number() != 0;
  ended.output = reader.text();
  if (!reader.is_done() || how > static_cast<uint64_t>(End::NotStarted)) return std::nullopt;
  ended.how = static_cast<End>(how);
  return ended;
}

}  // namespace vipd::run
