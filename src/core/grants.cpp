// The peer lease's frames, and our grants in the terms of others (ARCHITECTURE.md, "The peer
// lease"). Listening and granting are never switched off.
#include <algorithm>
#include <cassert>

#include "core/core_impl.hpp"

namespace vipd {

void Core::Impl::on(const event::PeerFrameReceived& e) {
  switch (e.frame.kind) {
    case PeerFrame::Kind::Renew:
      return grant(e);
    case PeerFrame::Kind::Grant:
      return granted(e);
    case PeerFrame::Kind::Expired:
      return heard_expiry(e.frame);
  }
}

// [safety] Only under the name that this process has now: whoever had another one before may have
// granted until just now, and nobody knows it any more.
void Core::Impl::grant(const event::PeerFrameReceived& e) {
  if (incarnation_ == 0 || e.frame.to != incarnation_) return;
  if (!promises_.grant(e.frame.term, now_)) return;
  emit(action::SendPeerFrame{.frame = {.kind = PeerFrame::Kind::Grant,
                                       .term = e.frame.term,
                                       .from = incarnation_,
                                       .to = e.frame.from,
                                       .nonce = e.frame.nonce},
                             .link = e.link,
                             .to = e.mac});
}

// [safety] It counts only if the fence saw it: otherwise somebody has removed the fence, or stands
// before it, and nothing would stop our packets when this process stands still.
void Core::Impl::granted(const event::PeerFrameReceived& e) {
  if (incarnation_ == 0 || e.frame.to != incarnation_) return;
  Term* term = peer_lease_.find(e.frame.term);
  if (term == nullptr) return;
  if (!e.fenced) {
    unfenced_ = peer_lease_.obeys();
    return;
  }
  const std::optional<Duration> took = term->granted(e.frame.from, e.frame.nonce, e.link, now_);
  if (!took) return;
  count_grant(e.frame.from);
  Peer& peer = peers_[e.frame.from];
  peer.macs[e.link] = e.mac;
  if (now_ - peer.minute > Duration::seconds(60)) {
    peer.worst_before = now_ - peer.minute > Duration::seconds(120) ? Duration() : peer.worst;
    peer.worst = Duration();
    peer.minute = now_;
  }
  peer.worst = std::max(peer.worst, *took);
}

// --- expiry

const Grantor* Core::Impl::own_entry(const PeerTerm& term) const {
  if (incarnation_ == 0) return nullptr;
  for (const Grantor& grantor : term.grantors) {
    if (grantor.incarnation == incarnation_) return &grantor;
  }
  return nullptr;
}

void Core::Impl::drive_grants() {
  std::set<uint64_t> shown;
  for (const auto& [lease, peers] : view_.peers()) {
    const Grantor* own = own_entry(peers.term);
    if (own == nullptr) continue;
    shown.insert(peers.term.number);
    promises_.show(peers.term.number, peers.term.timeout, now_);
    expire_if_silent(peers.term);
    if (promises_.expired(peers.term.number)) announce_expiry(peers.term, *own);
  }
  promises_.keep_only(shown);
  std::erase_if(announced_, [&](const auto& item) { return !shown.contains(item.first); });
  const auto known = [this](uint64_t incarnation) {
    return std::any_of(view_.sessions().begin(), view_.sessions().end(),
                       [&](const auto& item) { return item.second.incarnation == incarnation; });
  };
  std::erase_if(peers_, [&](const auto& item) { return !known(item.first); });
}

// While etcd shows nothing nobody could be taken over, and its owner may have no other fault.
void Core::Impl::expire_if_silent(const PeerTerm& term) {
  if (promises_.expired(term.number) || etcd_shows_nothing()) return;
  if (!due(promises_.silent_at(term.number))) return;
  promises_.expire(term.number, now_);
  terms_.expired++;
  report(ReportKind::TermExpired, "peer lease of another node: not renewed for " +
                                      std::to_string(term.timeout.ms()) + " ms, expired");
}

// Some owner's heartbeat would be shown by now, whatever its timeout is.
bool Core::Impl::etcd_shows_nothing() const {
  return now_ >= shown_at_ + std::max(settings_.timeout, view_.longest_timeout());
}

void Core::Impl::watch_goes_on() {
  if (etcd_shows_nothing()) promises_.restart(now_);
  shown_at_ = now_;
}

void Core::Impl::announce_expiry(const PeerTerm& term, const Grantor& own) {
  MonoTime& again = announced_.try_emplace(term.number, MonoTime::long_ago()).first->second;
  if (!due(again)) return;
  again = now_ + term.timeout / 5;
  due(again);
  for (const auto& [name, link] : links_) {
    if (!link.up || name.empty()) continue;
    emit(action::SendPeerFrame{.frame = {.kind = PeerFrame::Kind::Expired,
                                         .term = term.number,
                                         .from = incarnation_,
                                         .secret = own.secret},
                               .link = name});
  }
}

// Only who can read etcd knows the secret.
void Core::Impl::heard_expiry(const PeerFrame& frame) {
  for (const auto& [lease, peers] : view_.peers()) {
    if (peers.term.number != frame.term) continue;
    for (const Grantor& grantor : peers.term.grantors) {
      if (grantor.incarnation != frame.from || grantor.secret != frame.secret) continue;
      word_of(lease, peers)->expired.insert(frame.from);
    }
  }
}

}  // namespace vipd
