#include "core/grantors.hpp"

#include <algorithm>
#include <cassert>

#include "core/timing.hpp"

namespace vipd {

namespace {

constexpr Duration kMinute = Duration::seconds(60);
// After it did not answer: twice as long each time.
constexpr Duration kFirstBackoff = Duration::seconds(2);
constexpr Duration kLastBackoff = Duration::seconds(60);
// Nodes whose grants are counted. A cluster has fewer; names come from etcd.
constexpr size_t kMostCounted = 64;

}  // namespace

const Grantors::Peer* Grantors::find(uint64_t incarnation) const {
  const auto found = peers_.find(incarnation);
  return found == peers_.end() ? nullptr : &found->second;
}

void Grantors::granted(uint64_t incarnation, const std::string& link, MacAddress mac, Duration took,
                       MonoTime now) {
  assert(incarnation != 0 && took >= Duration());
  Peer& peer = peers_[incarnation];
  peer.macs[link] = mac;
  if (now - peer.minute > kMinute) {
    peer.worst_before = now - peer.minute > kMinute * 2 ? Duration() : peer.worst;
    peer.worst = Duration();
    peer.minute = now;
  }
  peer.worst = std::max(peer.worst, took);
}

void Grantors::ignored(uint64_t incarnation, MonoTime now) {
  assert(incarnation != 0);
  Peer& peer = peers_[incarnation];
  if (now - peer.try_at > kLastBackoff * 10) peer.backoff = Duration();
  peer.backoff = std::clamp(peer.backoff * 2, kFirstBackoff, kLastBackoff);
  peer.try_at = now + peer.backoff;
}

Duration Grantors::delay(uint64_t incarnation) const {
  const Peer* peer = find(incarnation);
  return peer == nullptr ? Duration() : std::max(peer->worst, peer->worst_before);
}

MonoTime Grantors::try_at(uint64_t incarnation) const {
  const Peer* peer = find(incarnation);
  return peer == nullptr ? MonoTime::long_ago() : peer->try_at;
}

const MacAddress* Grantors::mac(uint64_t incarnation, const std::string& link) const {
  const Peer* peer = find(incarnation);
  if (peer == nullptr) return nullptr;
  const auto found = peer->macs.find(link);
  return found == peer->macs.end() ? nullptr : &found->second;
}

void Grantors::keep_only(const std::set<uint64_t>& incarnations) {
  std::erase_if(peers_, [&](const auto& item) { return !incarnations.contains(item.first); });
}

void Grantors::count(const std::string& node) {
  if (node.empty() || (counted_.size() >= kMostCounted && !counted_.contains(node))) return;
  counted_[node]++;
}

namespace {

// One expires when an owner dies or is cut off. After so many of them there is something wrong that
// a restart mends, and until then nothing is granted: what has expired may not be forgotten.
constexpr size_t kMostExpired = 50'000;

}  // namespace

bool Promises::grant(uint64_t term, MonoTime now) {
  if (expired(term) || stopped(term)) return false;
  if (expired_.size() >= kMostExpired || stopped_.size() >= kMostExpired) return false;
  // A term that our watch has not shown yet needs no entry: it counts from when it is shown.
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
