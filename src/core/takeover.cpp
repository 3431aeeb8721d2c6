// Sessions that fell silent (PROTOCOL.md, "Taking over from a dead owner"): first the session key is
// deleted by a comparison that a living session would have broken, then its lease is revoked.
#include <algorithm>

#include "core/core_impl.hpp"
#include "core/timing.hpp"

namespace vipd {

namespace {

// The second in the queue acts first; each one behind it this much later.
constexpr Duration kStagger = Duration::milliseconds(150);
constexpr Duration kRevokeRetry = Duration::seconds(1);

std::string describe(LeaseId lease, const View::Session& session) {
  return session.node.empty() ? "session " + lease_hex(lease)
                              : session.node + " (session " + lease_hex(lease) + ")";
}

}  // namespace

void Core::Impl::drive_takeovers() {
  if (!loaded_ || !chain_.live() || stopping_) return;
  std::erase_if(takeovers_,
                [this](const auto& item) { return view_.session(item.first) == nullptr; });
  for (const Vip& vip : vips_) {
    const int own = view_.queue(vip.settings.address).position(chain_.lease());
    // The head and the second are the ones that beat; a dead second would make a clean hand-over wait.
    for (int place = 0; place < std::min(own, View::kBeating); place++) {
      consider_candidate(vip, static_cast<size_t>(place), own - place);
    }
  }
}

void Core::Impl::consider_candidate(const Vip& vip, size_t place, int distance) {
  const View::Queue& queue = view_.queue(vip.settings.address);
  const View::Candidate& candidate = queue.candidates[place];
  const View::Session* session = view_.session(candidate.lease);
  if (session == nullptr) return;
  if (!session->known && !candidate.ours) return;  // foreign: it goes when it goes
  Takeover& takeover = takeovers_[candidate.lease];
  if (takeover.deleting != 0 || takeover.revoking != 0) return;
  if (!session->present) {
    const Duration patience = takeover.deleted_by_us ? Duration() : kStagger * distance;
    if (!due(std::max(session->gone_since + patience, takeover.next_try))) return;
    revoke_orphan(candidate.lease, &takeover);
    return;
  }
  // [safety] Heartbeats that are reads leave no trace: only the end of its lease removes such a session.
  if (!session->writes) return;
  const Duration timeout =
      session->timeout > Duration() ? session->timeout : settings_.timeout;
  const MonoTime silent_since = std::max(session->last_seen, queue.since[place]);
  const MonoTime dead_at =
      silent_since + timing::with_drift(timeout) + kStagger * (distance - 1);
  if (!due(std::max(dead_at, takeover.next_try))) return;
  delete_session(candidate.lease, *session, &takeover);
}

void Core::Impl::delete_session(LeaseId lease, const View::Session& session,
                                Takeover* takeover) {
  if (takeover->tries++ == 0) {
    report(ReportKind::TakeoverTried,
           describe(lease, session) + " has shown no heartbeat for " +
               std::to_string((now_ - session.last_seen).ms()) + " ms: ending its session");
  }
  const Key key{KeyKind::Session, lease, {}};
  const Key writes{KeyKind::Writes, lease, {}};
  Txn txn;
  txn.compares = {
      {.kind = Compare::Kind::ModifiedIs, .key = key, .revision = session.modified},
      {.kind = Compare::Kind::Exists, .key = writes},
  };
  txn.success = {{.kind = Op::Kind::Delete, .key = key}};
  txn.failure = {{.kind = Op::Kind::Range, .key = key}};
  takeover->deleting = next_request();
  emit(action::SendTxn{.request = takeover->deleting,
                       .group = static_cast<uint64_t>(lease),
                       .txn = std::move(txn)});
}

void Core::Impl::revoke_orphan(LeaseId lease, Takeover* takeover) {
  if (!takeover->deleted_by_us) {
    report(ReportKind::OrphanRevoked,
           "session " + lease_hex(lease) + " is gone but its keys are not: revoking its lease");
  }
  takeover->next_try = now_ + kRevokeRetry;
  takeover->revoking = next_request();
  emit(action::RevokeLease{.request = takeover->revoking, .lease = lease});
}

bool Core::Impl::takeover_answered(const event::TxnAnswered& e) {
  for (auto& [lease, takeover] : takeovers_) {
    if (takeover.deleting != e.request) continue;
    takeover.deleting = 0;
    if (e.succeeded) {
      report(ReportKind::TakeoverDone, "session " + lease_hex(lease) + " is ended");
      takeover.deleted_by_us = true;
      revoke_orphan(lease, &takeover);
      return true;
    }
    report(ReportKind::TakeoverRefused, "session " + lease_hex(lease) + " lives after all");
    takeover.tries = 0;
    takeover.next_try = now_ + timing::hedge_after(settings_.timeout);
    // It has beaten and we have not seen it: our watch is behind.
    if (!e.entries.empty() && now_ >= watch_at_ && watch_ != WatchState::Closed) open_watch(true);
    return true;
  }
  return false;
}

void Core::Impl::takeover_failed(RequestId request) {
  for (auto& [lease, takeover] : takeovers_) {
    if (takeover.deleting != request && takeover.revoking != request) continue;
    (takeover.deleting == request ? takeover.deleting : takeover.revoking) = 0;
    takeover.next_try = now_ + timing::hedge_after(settings_.timeout);
  }
}

}  // namespace vipd
