// Hosts outside the election that have an address of ours, or claim it (RFC 5227). The election
// cannot know of them; the network may show them.
#include <algorithm>
#include <cassert>

#include "core/core_impl.hpp"

namespace vipd {

namespace {

// RFC 5227, 1.1: at most one defence in so long.
constexpr Duration kDefendInterval = Duration::seconds(10);
constexpr Duration kVerifyInterval = Duration::milliseconds(100);
// A series of probes. A host answers within milliseconds; RFC 5227 takes seconds, for the slowest
// of networks, and a VIP that nobody has should not wait for that.
constexpr int kProbes = 3;
constexpr Duration kProbeInterval = Duration::milliseconds(200);
constexpr Duration kProbeTime = kProbeInterval * kProbes;
constexpr Duration kProbeAgain = Duration::seconds(5);
// For how long silence holds. Above kProbeTime: a series ends before a former owner is waited out.
constexpr Duration kSilenceHolds = Duration::seconds(10);

}  // namespace

// --- before a VIP is taken

// A clean hand-over, and a take-over from an owner that was waited out, need no question.
bool Core::Impl::must_probe(const Vip& vip, Revision headed, MonoTime now) const {
  if (!settings_.conflict_probe || vip.conflict.owner_known || headed == vip.key.waited_out())
    return false;
  return now - vip.conflict.silent_at > kSilenceHolds;
}

void Core::Impl::note_owner(Vip* vip) {
  const View::Queue& queue = view_.queue(vip->settings.address);
  const View::Candidate* head = queue.head();
  const View::Session* session = head == nullptr ? nullptr : view_.session(head->lease);
  if (!snapshot_.loaded()) {
    vip->conflict.owner_known = false;
  } else if (head != nullptr && (session == nullptr || !session->known)) {
    vip->conflict.owner_known = false;  // a foreign candidate
  } else if (head != nullptr && head->lease != chain_.lease()) {
    const MonoTime since = std::max(queue.not_before, queue.since[0]);
    if (now_ < since) return;
    vip->conflict.owner_known = true;
    // Then the owner itself answers our probes, and looks after other claims.
    if (vip->conflict.foreign) conflict_over(vip, head->node + " has it");
  } else if (queue.handed_on) {
    vip->conflict.owner_known = true;
  }
  if (vip->address == Vip::AddressState::Present) vip->conflict.owner_known = true;
}

void Core::Impl::conflict_over(Vip* vip, const std::string& why) {
  vip->conflict.foreign = vip->conflict.probing = false;
  report(ReportKind::ConflictOver, vip->settings.address.text() + " is free again: " + why,
         vip->settings.address);
}

void Core::Impl::begin_probing(Vip* vip) {
  vip->conflict.probing = true;
  vip->conflict.probes_sent = 0;
  vip->conflict.probe_at = now_;
}

void Core::Impl::drive_conflicts() {
  if (kernel_.busy()) return;
  for (Vip& vip : vips_) {
    note_owner(&vip);
    answer_claim(&vip);
    const bool absent = vip.address == Vip::AddressState::Absent;
    const bool idle = !vip.conflict.probing && absent && link_of(vip).up;
    const Revision headed = headed_since(vip);
    if (idle && vip.conflict.foreign) {
      if (due(vip.conflict.probe_at)) begin_probing(&vip);
    } else if (idle && is_head_of_all(vip) && wanted(vip) && must_probe(vip, headed, now_)) {
      // In good time, while a former owner is still waited for.
      if (due(free_at(vip) - kProbeTime)) begin_probing(&vip);
    }
    drive_probes(&vip);
  }
}

void Core::Impl::drive_probes(Vip* vip) {
  Conflict& conflict = vip->conflict;
  if (!conflict.probing || !due(conflict.probe_at)) return;
  if (conflict.probes_sent < kProbes) {
    if (!kernel_.probes.take(now_) && !due(kernel_.probes.next())) return;
    conflict.probes_sent++;
    conflict.probe_at = now_ + kProbeInterval;
    emit(action::SendProbe{.address = vip->settings.address});
    due(conflict.probe_at);
    return;
  }
  conflict.probing = false;
  conflict.silent_at = now_;
  if (conflict.foreign) conflict_over(vip, "nobody answers");
}

// --- claims

// Otherwise it may be the owner's own announcement.
bool Core::Impl::concerns_us(const event::ForeignClaim& e) {
  const Vip* vip = find(e.address);
  if (vip == nullptr) return false;
  const bool asked = vip->conflict.probing && (vip->conflict.foreign || headed_since(*vip) != 0);
  return asked || vip->address == Vip::AddressState::Present;
}

bool Core::Impl::is_idle_claim(const Event& event) {
  const auto* claim = std::get_if<event::ForeignClaim>(&event);
  return claim != nullptr && !concerns_us(*claim);
}

// A node that is queued does not have the address: it does not queue up while its host has it by
// hand, and what it has by the election is waited out. So an answer with its MAC comes from a
// fabric or a proxy.
bool Core::Impl::is_of_the_queue(const Vip& vip, const MacAddress& mac) const {
  const std::vector<View::Candidate>& queue = view_.queue(vip.settings.address).candidates;
  return std::any_of(queue.begin(), queue.end(), [&](const View::Candidate& candidate) {
    const View::Session* session = view_.session(candidate.lease);
    if (candidate.lease == chain_.lease() || session == nullptr || !session->present) return false;
    const MacAddress* here = grantors_.mac(session->incarnation, vip.settings.link);
    return session->host.mac == mac || (here != nullptr && *here == mac);
  });
}

void Core::Impl::on(const event::ForeignClaim& e) {
  if (!concerns_us(e)) return;  // no longer: the fence took the address down just now
  Vip* vip = find(e.address);
  Conflict& conflict = vip->conflict;
  const bool ours = vip->address == Vip::AddressState::Present;
  if (!ours && is_of_the_queue(*vip, e.mac)) return;
  conflict.mac = e.mac;
  const std::string who = "the host with " + e.mac.text() + " claims " + e.address.text();
  const bool said = now_ - conflict.reported_at < kDefendInterval;
  if (ours) {
    if (conflict.claimed_at.is_never()) conflict.claimed_at = now_;
    if (said) return;
    report(ReportKind::ConflictSeen, who + ", which is ours; verifying ownership with etcd",
           e.address);
  } else {
    conflict.probing = false;
    conflict.probe_at = now_ + kProbeAgain;
    if (conflict.foreign) return;
    conflict.foreign = true;
    report(ReportKind::ConflictSeen, who + " outside the election; not taking it", e.address);
  }
  conflict.reported_at = now_;
}

// A heartbeat that was sent after the claim, and has been shown by our watch, tells that nobody
// took the VIP from us meanwhile: only then is the other one wrong.
//
// [safety] While an endpoint names another cluster, the other host may own the VIP by that one,
// which ours cannot tell.
void Core::Impl::answer_claim(Vip* vip) {
  Conflict& conflict = vip->conflict;
  if (conflict.claimed_at.is_never()) return;
  assert(vip->address == Vip::AddressState::Present);
  if (binding_.disputed()) return give_way(vip);
  if (chain_.deadline() - settings_.timeout < conflict.claimed_at) return;
  conflict.claimed_at = MonoTime::never();
  switch (settings_.conflict) {
    case ConflictPolicy::Defend:
      if (now_ - conflict.defended_at < kDefendInterval) return;
      conflict.defended_at = now_;
      emit(action::SendAnnouncement{.address = vip->settings.address});
      report(ReportKind::ConflictDefended,
             "etcd confirms that " + vip->settings.address.text() + " is ours; announced again",
             vip->settings.address);
      return;
    case ConflictPolicy::Release:
      // What a fabric answers for others would answer for the next owner, too.
      if (is_of_the_queue(*vip, conflict.mac)) return;
      return give_way(vip);
    case ConflictPolicy::Ignore:
      return;
  }
}

void Core::Impl::give_way(Vip* vip) {
  vip->conflict.claimed_at = MonoTime::never();
  vip->conflict.foreign = true;
  vip->conflict.probe_at = now_ + kProbeAgain;
  step_.again(now_);  // the fence takes it down
}

// A flood of claims must not become a flood of heartbeats.
bool Core::Impl::verification_due() {
  const bool claimed = std::any_of(vips_.begin(), vips_.end(), [this](const Vip& vip) {
    return !vip.conflict.claimed_at.is_never() && chain_.last_sent() < vip.conflict.claimed_at;
  });
  return claimed && due(chain_.last_sent() + kVerifyInterval);
}

// Without probes nothing would end the conflict.
void Core::Impl::asks_no_more() {
  for (Vip& vip : vips_) {
    vip.conflict.probing = false;
    if (vip.conflict.foreign && !binding_.disputed()) conflict_over(&vip, "conflict.probe is off");
  }
}

// A machine that stood still may have been taken for dead: announcements and probes are sent again.
void Core::Impl::resume_after_stall() {
  for (Vip& vip : vips_) {
    if (vip.address != Vip::AddressState::Present) continue;
    announce_again(&vip);
    if (settings_.conflict_probe) begin_probing(&vip);
  }
}

}  // namespace vipd
