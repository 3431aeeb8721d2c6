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
constexpr size_t kMostNames = 8;  // of thousands of VIPs, in a line

}  // namespace

// --- the owner

// [safety] While all grantors grant, not a quorum: those that would be left out may be just the
// ones that still reach etcd.
MonoTime Core::Impl::hold_deadline(const LinkNames& links) const {
  if (hold_obstacle() != nullptr) return MonoTime::long_ago();
  return peer_lease_.in_force()->first_end(links);
}

// [safety] Only under a term whose mark our own watch has shown, and not while a link may be under
// way that enters or leaves one, or a deletion outside the chain.
// [safety] Only while everybody in sight knows of marks.
const char* Core::Impl::hold_obstacle() const {
  if (!chain_.live()) return "it has no session in etcd";
  if (!peer_lease_.in_force()) return "it has no peer lease";
  if (peer_lease_.is_entering() || terms_.is_leaving()) return "its peer lease is being changed";
  if (!fence_.in_force()) return "the packet fence is not in force";
  if (fence_.missed_a_grant()) return "the packet fence did not see a grant";
  if (read_beats_.wanted() || chain_.by_read()) return "etcd takes no writes";
  if (!mark_counts()) return settings_.hold ? "its mark is not in etcd yet" : "peer.hold = no";
  return view_.all_honour_marks() ? nullptr : "another node's vipd is too old for peer.hold";
}

std::string Core::Impl::who_ignores_marks() const {
  for (const auto& [lease, session] : view_.sessions()) {
    if (session.present && !session.honours)
      return session.node + "'s vipd is too old for peer.hold";
  }
  return "a foreign candidate is in the queue";
}

// Why this node may not hold on; "": it may.
std::string Core::Impl::no_hold_reason(MonoTime now) const {
  if (const char* why = hold_obstacle()) {
    return settings_.hold && !view_.all_honour_marks() ? who_ignores_marks() : why;
  }
  const Term& term = *peer_lease_.in_force();
  PeerTerm late;
  for (const Grantor& grantor : term.key().grantors) {
    const MonoTime newest = term.newest(grantor.incarnation, terms_.carrying());
    const bool ends = now - newest >= term.key().timeout - timing::kTakeDownMargin;
    if (ends) late.grantors.push_back(grantor);
  }
  if (late.grantors.empty()) return "";
  return "its peer lease is not renewed by " + nodes_of(late);
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

bool Core::Impl::has_any() const {
  return std::any_of(vips_.begin(), vips_.end(),
                     [](const Vip& vip) { return vip.address == Vip::AddressState::Present; });
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
  size_t count = 0;
  for (const Vip& vip : vips_) {
    if (vip.address != Vip::AddressState::Present || ++count > kMostNames) continue;
    vips += (vips.empty() ? "" : ", ") + vip.settings.name;
  }
  if (count > kMostNames) vips += " and " + std::to_string(count - kMostNames) + " more";
  return "etcd has been away for " + in_seconds(now - (chain_.deadline() - settings_.timeout)) +
         "; " + nodes_of(term) + (term.grantors.size() == 1 ? " agrees" : " agree") +
         " that this node keeps " + vips;
}

void Core::Impl::say_hold() {
  say_no_hold();
  const bool holds = is_holding() && has_any();
  if (holds == hold_.said) return;
  hold_.said = holds;
  if (holds) {
    hold_.since = chain_.deadline() - settings_.timeout;
    return report(ReportKind::HoldBegun, hold_words(now_));
  }
  const std::string span = in_seconds(now_ - hold_.since);
  if (now_ < chain_.deadline()) {
    return report(ReportKind::HoldEnded,
                  "etcd was away for " + span + "; this node kept what it had");
  }
  const std::string why = no_hold_reason(now_);
  report(ReportKind::HoldEnded, "etcd has been away for " + span + "; this node stops holding on" +
                                    (why.empty() ? "" : ": " + why));
}

// With peer.hold = yes people are told why it would not help now.
void Core::Impl::say_no_hold() {
  const bool wants = settings_.hold && peer_lease_.in_force();
  std::string why = wants && !view_.all_honour_marks() ? who_ignores_marks() : "";
  if (why == hold_.refused) return;
  hold_.refused = std::move(why);
  if (hold_.refused.empty()) return;
  report(ReportKind::HoldRefused, "without etcd this node lets go of its VIPs: " + hold_.refused);
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
  report(ReportKind::GrantsEnded, mark.node + ": " + why + "; it gets no more grants");
}

void Core::Impl::hold_echoed() {
  if (now_ - hold_.echoed_at > settings_.timeout / 2) hold_.steady_since = now_;
  hold_.echoed_at = now_;
}

}  // namespace vipd
