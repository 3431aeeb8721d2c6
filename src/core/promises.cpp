#include "core/promises.hpp"

#include <algorithm>
#include <cassert>

#include "core/timing.hpp"

namespace vipd {

namespace {

// One expires when an owner dies or is cut off. After so many of them there is something wrong that
// a restart mends, and until then nothing is granted: what has expired may not be forgotten.
constexpr size_t kMostExpired = 50'000;

}  // namespace

bool Promises::grant(uint64_t term, MonoTime now) {
  if (expired(term) || stopped(term)) return false;
  if (expired_.size() >= kMostExpired || stopped_.size() >= kMostExpired) return false;
  // Of a term that is not in force yet nothing need be known: it counts from when it is shown.
  const auto found = shown_.find(term);
  if (found != shown_.end()) found->second.since = std::max(found->second.since, now);
  return true;
}

void Promises::show(uint64_t term, Duration timeout, MonoTime now) {
  assert(term != 0 && timeout > Duration());
  Shown& shown = shown_.try_emplace(term, Shown{.since = now, .timeout = timeout}).first->second;
  if (shown.timeout >= timeout) return;
  shown = {.since = now, .timeout = timeout};  // somebody wrote over the key
}

void Promises::keep_only(const std::set<uint64_t>& shown) {
  const auto is_gone = [&](const auto& item) { return !shown.contains(item.first); };
  std::erase_if(shown_, is_gone);
  std::erase_if(say_at_, is_gone);
}

void Promises::restart(MonoTime now) {
  for (auto& [term, shown] : shown_) shown.since = std::max(shown.since, now);
}

MonoTime Promises::silent_at(uint64_t term) const {
  const auto found = shown_.find(term);
  assert(found != shown_.end());
  return found->second.since + timing::with_drift(found->second.timeout);
}

MonoTime Promises::say_at(uint64_t term) const {
  const auto found = say_at_.find(term);
  return found == say_at_.end() ? MonoTime::long_ago() : found->second;
}

void Promises::said(uint64_t term, MonoTime again) {
  assert(expired(term));
  say_at_[term] = again;
}

void Promises::expire(uint64_t term, MonoTime now) {
  assert(now >= silent_at(term) && !expired(term));
  expired_.insert(term);
}

}  // namespace vipd
