#include "loop/turns.hpp"

#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <ctime>
#include <utility>

namespace vipd {
namespace {

constexpr Duration kLong = Duration::milliseconds(50);

Duration processor_time() {
  timespec ts{};
  if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts) != 0) abort();
  return Duration::nanoseconds(ts.tv_sec * 1'000'000'000LL + ts.tv_nsec);
}

std::string in_ms(Duration time) {
  return std::to_string(time.ms()) + " ms";
}

}  // namespace

// Waiting uses next to nothing of the processor, so one reading for each turn will do.
void Turns::begin(MonoTime now) {
  assert(open_.empty());
  if (!std::exchange(has_begun_, true)) used_ = processor_time();
  parts_.clear();
  began_ = charged_ = now;
}

// A turn has a handful of parts.
size_t Turns::index_of(const char* name) {
  const char* within = open_.empty() ? name : parts_[open_.front()].name;
  size_t i = 0;
  while (i < parts_.size() && (parts_[i].name != name || parts_[i].within != within)) i++;
  if (i == parts_.size()) parts_.push_back({.name = name, .within = within, .used = {}});
  return i;
}

void Turns::charge(MonoTime now) {
  if (!open_.empty()) {
    Duration& used = parts_[open_.back()].used;
    used = used + (now - charged_);
  }
  charged_ = now;
}

void Turns::enter(const char* part, MonoTime now) {
  charge(now);
  const size_t i = index_of(part);
  parts_[i].times++;
  open_.push_back(i);
}

void Turns::leave(MonoTime now) {
  assert(!open_.empty());
  charge(now);
  open_.pop_back();
}

std::string Turns::end(MonoTime now) {
  const Duration before = used_;
  used_ = processor_time();
  lengths_.add(now - began_);
  return now - began_ > kLong ? words(now - began_, used_ - before) : "";
}

std::string Turns::words(Duration length, Duration used) const {
  std::string text = "a turn took " + in_ms(length) + ", " + in_ms(used) + " of the processor";
  const auto most = std::max_element(parts_.begin(), parts_.end(),
                                     [](const Part& a, const Part& b) { return a.used < b.used; });
  if (most == parts_.end()) return text;
  text += "; " + in_ms(most->used) + " in " + most->name;
  if (most->times > 1) text += ", called " + std::to_string(most->times) + " times";
  if (most->within != most->name) text += std::string(", for ") + most->within;
  return text;
}

}  // namespace vipd
