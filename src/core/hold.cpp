// Holding on without etcd (ARCHITECTURE.md): how long an owner may, and when its grantors end it.
#include "core/hold.hpp"

#include <algorithm>
#include <cassert>

#include "core/core_impl.hpp"
#include "core/timing.hpp"

namespace vipd {

namespace {

// Lifetimes are whole seconds, some of only one.
constexpr Duration kRenew = Duration::milliseconds(500);

}  // namespace

// --- the owner

// [safety] While all grantors grant, not a quorum: those that would be left out may be just the
// ones that still reach etcd.
// [safety] Only under a term whose mark our own watch has shown, and not while a link may be under
// way that enters or leaves one, or a deletion outside the chain.
// [safety] Only while everybody in sight knows of marks.
MonoTime Core::Impl::hold_deadline(const LinkNames& links) const {
  const std::optional<Term>& term = peer_lease_.in_force();
  if (!term || peer_lease_.is_entering() || terms_.is_leaving()) return MonoTime::long_ago();
  if (fence_.missed_a_grant() || !fence_.in_force() || read_beats_.wanted() || chain_.by_read())
    return MonoTime::long_ago();
  if (!mark_counts() || !view_.all_honour_marks()) return MonoTime::long_ago();
  return term->first_end(links);
}

bool Core::Impl::mark_counts() const {
  const View::Peers* mark = view_.mark(chain_.lease());
  const Revision revision = peer_lease_.revision();
  return mark != nullptr && mark->modified == revision && hold_.shown == revision &&
         hold_.never != revision;
}

// What lifetimes must end by: the packet fence guards the rest.
MonoTime Core::Impl::lifetime_deadline(MonoTime held_until) const {
  const MonoTime etcd = chain_.deadline();
  if (held_until <= now_ || etcd - now_ > settings_.timeout / 2) return etcd;
  return std::max(etcd, held_until - peer_lease_.in_force()->key().timeout + settings_.timeout);
}

bool Core::Impl::is_holding() const {
  return now_ >= chain_.deadline() && now_ < hold_.until && !terms_.carrying().empty();
}

// Nothing is taken without etcd. What we had under this very term and key may be set again. Until
// when; long_ago(): it may not.
MonoTime Core::Impl::may_set_again(const Vip& vip) const {
  const std::optional<Term>& term = peer_lease_.in_force();
  const bool had =
      term && vip.key.was_held(headed_since(vip)) && vip.key.held_in() == term->key().number;
  if (!had) return MonoTime::long_ago();
  LinkNames links = terms_.carrying();
  links.push_back(vip.settings.link);
  const MonoTime until = hold_deadline(links);
  return now_ < until - timing::kTakeDownMargin ? until : MonoTime::long_ago();
}

void Core::Impl::drive_hold() {
  say_hold();
  if (hold_.until <= now_ || !due(chain_.deadline() - settings_.timeout / 2)) return;
  due(chain_.deadline());
  if (!due(hold_.renew_at)) return;
  kernel_.renew_at(next_round());
  hold_.renew_at = now_ + kRenew;
  due(hold_.renew_at);
}

// REQUIRES: it holds on.
std::string Core::Impl::hold_words(MonoTime now) const {
  const PeerTerm& term = peer_lease_.in_force()->key();
  std::string vips;
  for (const Vip& vip : vips_) {
    if (vip.address != Vip::AddressState::Present) continue;
    vips += (vips.empty() ? "" : ", ") + vip.settings.name;
  }
  return "etcd has been away for " + in_seconds(now - (chain_.deadline() - settings_.timeout)) +
         "; " + nodes_of(term) + (term.grantors.size() == 1 ? " agrees" : " agree") +
         " that this node keeps " + vips;
}

void Core::Impl::say_hold() {
  const bool holds = is_holding();
  if (holds == hold_.said) return;
  hold_.said = holds;
  if (holds) {
    hold_.since = chain_.deadline() - settings_.timeout;
    return report(ReportKind::HoldBegun, hold_words(now_));
  }
  const std::string span = in_seconds(now_ - hold_.since);
  report(ReportKind::HoldEnded,
         now_ < chain_.deadline()
             ? "etcd was away for " + span + "; this node kept what it had"
             : "etcd has been away for " + span +
                   (terms_.carrying().empty() ? "; nothing is held any more"
                                              : ", and the other nodes no longer agree"));
}

// --- what of the watch has been acted on

// Whatever the watch shows, an address counts as let go of only once the kernel has confirmed it,
// although the packet fence is closed by then.
Revision Core::Impl::acted_on() {
  const bool acting = std::any_of(vips_.begin(), vips_.end(), [](const Vip& vip) {
    return vip.address == Vip::AddressState::Removing ||
           vip.address == Vip::AddressState::Inherited;
  });
  if (!acting && replay_.proven()) hold_.acted = std::max(hold_.acted, view_.applied());
  return hold_.acted;
}

// --- the grantor

// [safety] An owner whose session is gone may hold on only as long as all grant, so it is granted
// nothing any more; and likewise one that etcd has shown nothing of for its timeout, although it
// shows us ourselves.
void Core::Impl::judge_owner(LeaseId lease, const View::Peers& mark) {
  const uint64_t term = mark.term.number;
  if (lease == chain_.lease() || promises_.stopped(term) || !snapshot_.loaded() ||
      !replay_.proven())
    return;
  const View::Session* session = view_.session(lease);
  if (session == nullptr || !session->present) return end_grants(mark, "its session is gone");
  if (!session->writes || session->timeout == Duration()) return;
  if (due(session->last_seen + session->timeout / 4)) hold_.in_doubt = true;
  const MonoTime since = std::max(session->last_seen, hold_.steady_since);
  const MonoTime dead = since + timing::with_drift(session->timeout);
  const MonoTime echoed = chain_.deadline() - settings_.timeout;  // when it was sent
  if (due(dead) && echoed > dead) end_grants(mark, "etcd shows no heartbeat of it");
}

void Core::Impl::end_grants(const View::Peers& mark, const std::string& why) {
  promises_.stop(mark.term.number);
  report(ReportKind::GrantsEnded, mark.node + ": " + why + "; no grant to it any more");
}

// Whoever else is silent may grant an owner that holds on, which would lose what it has with it: so
// after an outage everybody gets a timeout to report back, as an owner does. The moment from which
// that one counts as silent; `since`: by what etcd has shown of it.
MonoTime Core::Impl::heard_until(const View::Session& session, MonoTime since) {
  if (view_.marks().empty() || !due(since + session.timeout / 4)) return since;
  hold_.doubts_others = true;
  const bool steady = now_ - hold_.echoed_at <= settings_.timeout / 2;
  return steady ? std::max(since, hold_.steady_since) : now_;
}

void Core::Impl::hold_echoed() {
  if (now_ - hold_.echoed_at > settings_.timeout / 2) hold_.steady_since = now_;
  hold_.echoed_at = now_;
}

}  // namespace vipd
