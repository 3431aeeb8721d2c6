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

// [safety] Only under the present incarnation: under a former one there may be grants of just now,
// which this process does not know of.
void Core::Impl::grant(const event::PeerFrameReceived& e) {
  if (session_.incarnation() == 0 || e.frame.to != session_.incarnation()) return;
  assert(session_.has_lease());
  if (!promises_.grant(e.frame.term, now_)) return;
  emit(action::SendPeerFrame{.frame = {.kind = PeerFrame::Kind::Grant,
                                       .term = e.frame.term,
                                       .from = session_.incarnation(),
                                       .to = e.frame.from,
                                       .nonce = e.frame.nonce},
                             .link = e.link,
                             .to = e.mac});
}

// [safety] It counts only if the fence saw it: otherwise somebody has removed the fence, or stands
// before it, and nothing would stop our packets when this process stands still.
void Core::Impl::granted(const event::PeerFrameReceived& e) {
  if (session_.incarnation() == 0 || e.frame.to != session_.incarnation()) return;
  Term* term = peer_lease_.find(e.frame.term);
  if (term == nullptr) return;
  if (!e.fenced) {
    fence_.missed_a_grant(peer_lease_.obeys());
    return;
  }
  const std::optional<Duration> took = term->granted(e.frame.from, e.frame.nonce, e.link, now_);
  if (!took) return;
  grantors_.count(node_of(e.frame.from));
  grantors_.granted(e.frame.from, e.link, e.mac, *took, now_);
  for (const std::string& link : e.aliases) {
    (void)term->granted(e.frame.from, e.frame.nonce, link, now_);
    grantors_.granted(e.frame.from, link, e.mac, *took, now_);
  }
}

// --- expiry

const Grantor* Core::Impl::own_entry(const PeerTerm& term) const {
  if (session_.incarnation() == 0) return nullptr;
  for (const Grantor& grantor : term.grantors) {
    if (grantor.incarnation == session_.incarnation()) return &grantor;
  }
  return nullptr;
}

void Core::Impl::drive_grants() {
  std::set<uint64_t> shown;
  hold_.in_doubt = false;
  for (const auto& [lease, mark] : view_.marks()) {
    if (spoken_for(mark.term) == nullptr) continue;
    judge_owner(lease, mark);
    look_at_term(lease, mark.term, *spoken_for(mark.term), &shown);
  }
  for (const auto& [lease, peers] : view_.peers()) {
    if (const Grantor* own = own_entry(peers.term)) look_at_term(lease, peers.term, *own, &shown);
  }
  promises_.keep_only(shown);
  std::set<uint64_t> processes;
  for (const auto& [lease, session] : view_.sessions()) processes.insert(session.incarnation);
  grantors_.keep_only(processes);
}

void Core::Impl::look_at_term(LeaseId owner, const PeerTerm& term, const Grantor& who,
                              std::set<uint64_t>* shown) {
  shown->insert(term.number);
  promises_.show(term.number, term.timeout, now_);
  // A former process is not asked, so its silence alone proves nothing.
  if (who.incarnation == session_.incarnation() || promises_.stopped(term.number)) {
    expire_if_silent(owner, term);
  }
  if (promises_.expired(term.number)) announce_expiry(term, who);
}

// While etcd shows nothing no owner could be replaced, and this one may have no fault but that.
// [safety] A process that speaks for a former one did not see its grants: they may be of just
// before the term was first shown here.
void Core::Impl::expire_if_silent(LeaseId owner, const PeerTerm& term) {
  if (promises_.expired(term.number)) return;
  if (etcd_shows_nothing() && !promises_.stopped(term.number)) return;
  if (!due(promises_.silent_at(term.number))) return;
  promises_.expire(term.number, now_);
  terms_.counts.expired++;
  const View::Session* session = view_.session(owner);
  const bool named = session != nullptr && !session->node.empty();
  report(ReportKind::TermExpired,
         "peer lease of " + (named ? session->node : "session " + lease_hex(owner)) +
             ": not renewed for " + std::to_string(term.timeout.ms()) + " ms, expired");
}

// Some owner's heartbeat would be shown by now, whatever its timeout is.
bool Core::Impl::etcd_shows_nothing() const {
  return now_ >= watch_.shown_at() + std::max(settings_.timeout, view_.longest_timeout());
}

void Core::Impl::watch_goes_on() {
  if (etcd_shows_nothing()) promises_.restart(now_);
  watch_.shown(now_);
}

void Core::Impl::announce_expiry(const PeerTerm& term, const Grantor& who) {
  assert(who.incarnation == session_.incarnation() || is_dead(who));
  if (!due(promises_.say_at(term.number))) return;
  promises_.said(term.number, now_ + term.timeout / 5);
  due(promises_.say_at(term.number));
  for (const auto& [name, link] : links_) {
    if (!link.up || name.empty()) continue;
    emit(action::SendPeerFrame{.frame = {.kind = PeerFrame::Kind::Expired,
                                         .term = term.number,
                                         .from = who.incarnation,
                                         .secret = who.secret},
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
  for (const auto& [lease, mark] : view_.marks()) {
    if (mark.term.number != frame.term) continue;
    for (const Grantor& grantor : mark.term.grantors) {
      if (grantor.incarnation != frame.from || grantor.secret != frame.secret) continue;
      heard_word(lease, mark.term, frame.from);
    }
  }
}

}  // namespace vipd
