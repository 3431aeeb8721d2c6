// Sessions that fell silent (ARCHITECTURE.md, "Taking over from a dead owner"): first the session
// is ended by a comparison that a living one would have broken, then its lease is revoked.
#include <algorithm>
#include <cassert>
#include <utility>

#include "core/core_impl.hpp"
#include "core/timing.hpp"

namespace vipd {

namespace {

// The second in the queue acts first; each one behind it this much later.
constexpr Duration kStagger = Duration::milliseconds(150);
constexpr Duration kRevokeRetry = Duration::seconds(1);
constexpr int kRevocations = 3;  // without effect, before what we see is doubted

std::string describe(LeaseId lease, const View::Session& session) {
  return session.node.empty() ? "session " + lease_hex(lease)
                              : session.node + " (session " + lease_hex(lease) + ")";
}

// What must still be so when the txn is executed.
std::vector<Compare> still_silent(LeaseId lease, const View::Session& session,
                                  const Takeover& takeover) {
  const Key key{KeyKind::Session, lease, {}};
  if (takeover.peers == 0) {
    const Revision expected = takeover.end == 0 ? session.modified : takeover.end;
    return {
        {.kind = Compare::Kind::ModifiedIs, .key = key, .revision = expected},
        {.kind = Compare::Kind::Exists, .key = {KeyKind::Writes, lease, {}}},
    };
  }
  if (takeover.end != 0) {
    return {{.kind = Compare::Kind::ModifiedIs, .key = key, .revision = takeover.end}};
  }
  // [safety] The term whose grantors agree, and no newer one. No session is made anew.
  const Key peers{KeyKind::Peers, lease, {}};
  return {
      {.kind = Compare::Kind::ModifiedIs, .key = peers, .revision = takeover.peers},
      {.kind = Compare::Kind::Exists, .key = key},
  };
}

// Its session key from then on: what a clean release would have left there.
Value ended(const View::Session& session, const Settings& settings, uint64_t nonce) {
  Value value;
  value.valid = true;
  value.node = session.node;
  value.instance = settings.instance;
  value.timeout = session.timeout > Duration() ? session.timeout : settings.timeout;
  value.nonce = nonce;
  value.released = true;
  value.honours = true;
  return value;
}

}  // namespace

void Core::Impl::drive_takeovers() {
  if (!snapshot_.loaded() || !chain_.live() || orders_.stopping) return;
  std::erase_if(takeovers_.sessions,
                [this](const auto& item) { return view_.session(item.first) == nullptr; });
  const bool doubted = std::exchange(hold_.doubts_others, false);
  for (const Vip& vip : vips_) {
    const int own = view_.queue(vip.settings.address).position(chain_.lease());
    // The head and the second are the ones that beat; a dead second would make a clean hand-over
    // wait.
    for (int place = 0; place < std::min(own, View::kBeating); place++) {
      consider_candidate(vip, static_cast<size_t>(place), own - place);
    }
  }
  if (hold_.doubts_others && !doubted) step_.again(now_);  // a heartbeat of ours may be due
}

void Core::Impl::consider_candidate(const Vip& vip, size_t place, int distance) {
  const View::Queue& queue = view_.queue(vip.settings.address);
  assert(place < queue.candidates.size() && distance > 0);
  const View::Candidate& candidate = queue.candidates[place];
  const View::Session* session = view_.session(candidate.lease);
  if (session == nullptr) return;
  if (!session->known && !candidate.ours) return;  // foreign: nothing ends it but its own lease
  Takeover& takeover = takeovers_.sessions[candidate.lease];
  if (takeover.ending != 0 || takeover.revoking != 0) return;
  if (!session->present) {
    if (!due(std::max(session->gone_since + kStagger * distance, takeover.next_try))) return;
    revoke_orphan(candidate.lease, &takeover);
    return;
  }
  // [safety] Heartbeats that are reads leave no trace: only the end of its lease removes such a
  // session.
  if (!session->writes) return;
  // It may hold on, and would lose what it has for nothing: nobody could take it.
  const View::Peers* mark = view_.mark(candidate.lease);
  if (mark != nullptr && !has_word(candidate.lease, *mark)) return;
  const Duration timeout = session->timeout > Duration() ? session->timeout : settings_.timeout;
  const MonoTime shown = std::max(session->last_seen, queue.since[place]);
  const MonoTime dead_at =
      heard_until(timeout, shown) + timing::with_drift(timeout) + kStagger * (distance - 1);
  const bool begun = takeover.end != 0;  // more of its VIPs than fitted in the first txn
  // [safety] Judged once, it stays so until it shows something, and no longer. etcd may never again
  // be there for as long as a judgement takes.
  const bool stands =
      takeover.tries > 0 && takeover.peers == 0 && shown <= takeover.shown && view_.marks().empty();
  if (!due(begun || stands ? takeover.next_try : std::max(dead_at, takeover.next_try))) return;
  if (!begun) takeover.peers = 0;
  takeover.shown = shown;
  end_session(candidate.lease, *session, &takeover);
}

// The moment from which a session with that timeout counts as silent; `since`: by what etcd has
// shown of it. While etcd does not answer us, it shows nothing of the living either: so after an
// outage every session gets the time for a heartbeat to report back, and an owner stays the owner.
// It may be a grantor of one that holds on, which would lose its VIPs with it: then it gets a whole
// timeout, as an owner does.
MonoTime Core::Impl::heard_until(Duration timeout, MonoTime since) {
  const bool held = !view_.marks().empty();
  if (!held && read_beats_.wanted()) return since;  // such heartbeats are not shown
  const Duration in_doubt = held ? timeout / 4 : timeout - timing::reports_back_within(timeout);
  if (!due(since + in_doubt)) return since;
  hold_.doubts_others = true;
  const bool steady = now_ - hold_.echoed_at <= settings_.timeout / 2;
  const MonoTime heard = steady ? hold_.steady_since : now_;
  return std::max(since, held ? heard : heard - in_doubt);
}

// [safety] The comparison is the one that a living session would have broken. Whoever makes it has
// waited the session out, so nobody else needs to: the txn says so as a clean release does.
void Core::Impl::end_session(LeaseId lease, const View::Session& session, Takeover* takeover) {
  assert(lease != chain_.lease() && chain_.live());
  assert(takeover->revoking == 0 && takeover->told <= takeover->vips.size());
  if (takeover->tries++ == 0) report_takeover(lease, session, *takeover);
  if (takeover->end == 0) {
    if (session.modified != takeover->judged) {  // it has shown life since, and that etcd has space
      takeover->refusals = 0;
      takeover->no_space = false;
    }
    takeover->judged = session.modified;
    takeover->vips = view_.vips_of(lease);
    takeover->told = 0;
  }
  takeover->nonce = takeover->nonce == 0 ? fresh_nonce() : takeover->nonce;
  const Key key{KeyKind::Session, lease, {}};
  Txn txn;
  txn.compares = still_silent(lease, session, *takeover);
  txn.failure = {{.kind = Op::Kind::Range, .key = key}};
  if (takeover->no_space) {
    txn.success = {{.kind = Op::Kind::Delete, .key = key}};
    takeover->told = takeover->vips.size();
  } else {
    const Value value = ended(session, settings_, takeover->nonce);
    txn.success = {{.kind = Op::Kind::Put, .key = key, .value = value}};
  }
  add_deletions(lease, *takeover, &txn);
  takeover->ending = next_request();
  takeover->again_at = now_ + timing::kWordAgain;
  emit(action::SendTxn{
      .request = takeover->ending, .group = static_cast<uint64_t>(lease), .txn = std::move(txn)});
}

void Core::Impl::report_takeover(LeaseId lease, const View::Session& session,
                                 const Takeover& takeover) {
  const std::string why = takeover.peers != 0
                              ? " has let its peer lease expire"
                              : " has shown no heartbeat for " +
                                    std::to_string((now_ - session.last_seen).ms()) + " ms";
  report(ReportKind::TakeoverTried, describe(lease, session) + why + ": ending its session");
}

// What goes with the session key: its term and its mark, and as many candidate keys as fit.
void Core::Impl::add_deletions(LeaseId lease, const Takeover& takeover, Txn* txn) const {
  const auto remove = [txn](const Key& key) {
    txn->success.push_back({.kind = Op::Kind::Delete, .key = key});
  };
  if (takeover.end == 0) {
    if (view_.peers().contains(lease)) remove({KeyKind::Peers, lease, {}});
    const View::Peers* mark = view_.mark(lease);
    if (mark != nullptr && has_word(lease, *mark)) remove({KeyKind::Hold, lease, {}});
  }
  const size_t end = std::min(takeover.vips.size(), takeover.told + kMaxLinkSize);
  for (size_t i = takeover.told; i < end; i++) {
    remove({KeyKind::Candidate, lease, takeover.vips[i]});
  }
}

// More VIPs than fit in a txn go in several; then its lease, so that nothing is left of it.
void Core::Impl::session_ended(LeaseId lease, Takeover* takeover, Revision revision) {
  assert(revision > 0);
  watch_.await(revision, now_);
  takeover->end = revision;
  takeover->nonce = 0;
  takeover->told = std::min(takeover->vips.size(), takeover->told + kMaxLinkSize);
  const View::Session* session = view_.session(lease);
  if (takeover->told < takeover->vips.size() && session != nullptr) {
    end_session(lease, *session, takeover);
    return;
  }
  report(ReportKind::TakeoverDone, "session " + lease_hex(lease) + " is ended");
  revoke_orphan(lease, takeover);
}

void Core::Impl::revoke_orphan(LeaseId lease, Takeover* takeover) {
  assert(lease != chain_.lease() && takeover->ending == 0);
  if (takeover->end == 0) {
    report(ReportKind::OrphanRevoked,
           "session " + lease_hex(lease) + " is gone but left keys behind: revoking its lease");
  }
  takeover->next_try = now_ + kRevokeRetry;
  if (++takeover->revocations > kRevocations) {
    takeover->revocations = 0;
    return read_anew("the watch still shows keys that were deleted");
  }
  if (takeover->revocations > 1) delete_detached(lease);
  takeover->revoking = next_request();
  emit(action::RevokeLease{.request = takeover->revoking, .lease = lease});
}

// Somebody wrote over a key of it without its lease, so no revocation removes that key.
void Core::Impl::delete_detached(LeaseId lease) {
  Txn txn;
  const Key session{KeyKind::Session, lease, {}};
  txn.compares = {{.kind = Compare::Kind::Absent, .key = session}};
  for (const Address& vip : view_.vips_of(lease)) {
    if (txn.success.size() == kMaxLinkSize) break;
    txn.success.push_back({.kind = Op::Kind::Delete, .key = {KeyKind::Candidate, lease, vip}});
  }
  txn.failure = {{.kind = Op::Kind::Range, .key = session}};
  emit(action::SendTxn{
      .request = next_request(), .group = static_cast<uint64_t>(lease), .txn = std::move(txn)});
}

bool Core::Impl::takeover_answered(const event::TxnAnswered& e) {
  for (auto& [lease, takeover] : takeovers_.sessions) {
    if (takeover.ending != e.request) continue;
    takeover.ending = 0;
    // etcd answers again, and has something to show.
    if (watch_.is_closed()) watch_.reopen_by(now_);
    const bool gone = !e.succeeded && e.entries.empty();
    const bool twin = !e.succeeded && !gone && e.entries.front().value.nonce == takeover.nonce;
    if (e.succeeded || twin || gone) {
      session_ended(lease, &takeover, twin ? e.entries.front().modified : e.header.revision);
      return true;
    }
    const bool ended = e.entries.front().value.released;
    report(
        ReportKind::TakeoverRefused,
        "session " + lease_hex(lease) + (ended ? " was ended by another node" : " is still alive"));
    watch_.await(e.entries.front().modified, now_);
    takeover.tries = 0;
    takeover.nonce = 0;
    takeover.end = 0;
    takeover.next_try = now_ + timing::hedge_after(settings_.timeout);
    // etcd knows more of it than our watch has shown: the watch is behind, or follows a history
    // that a restored backup has replaced unnoticed, and then no watch will ever catch up.
    if (++takeover.refusals > 1) {
      takeover.refusals = 0;
      read_anew("the watch contradicts what etcd says");
    } else if (!ended && now_ >= watch_.next_at() && !watch_.is_closed()) {
      open_watch(true);  // where it was ended, the watch has shown that, or is given its time
    }
    return true;
  }
  return false;
}

void Core::Impl::takeover_failed(const event::RequestFailed& e) {
  for (auto& [lease, takeover] : takeovers_.sessions) {
    if (takeover.ending != e.request && takeover.revoking != e.request) continue;
    (takeover.ending == e.request ? takeover.ending : takeover.revoking) = 0;
    const bool at_once = e.no_space && !takeover.no_space;
    const MonoTime again =
        takeover.peers != 0 ? takeover.again_at : now_ + timing::hedge_after(settings_.timeout);
    takeover.next_try = at_once ? now_ : again;
    takeover.no_space = e.no_space;
  }
}

}  // namespace vipd
