#include "core/grantors.hpp"

#include <algorithm>
#include <cassert>

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

}  // namespace vipd
