// The VIPs: which are wanted, which may be installed, and which must go.
#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>

#include "core/core_impl.hpp"
#include "core/timing.hpp"

namespace vipd {

namespace {

constexpr Duration kRemoveRetry = Duration::milliseconds(100);
// An address that somebody removes comes back after this, so that `ip addr flush` ends (it gives up
// after ten rounds), and later each time if they insist.
constexpr Duration kRestoreFirst = Duration::milliseconds(100);
constexpr Duration kRestoreLast = Duration::seconds(5);
constexpr Duration kRefusedFirst = Duration::seconds(5);
constexpr Duration kRefusedLast = Duration::seconds(60);

}  // namespace

// --- conditions

bool Core::Impl::wanted_alone(const Vip& vip) const {
  return !orders_.stopping && !orders_.paused && !binding_.outvoted() && !vip.resigning &&
         !vip.dropped && (link_of(vip).usable || link_not_seen_yet(vip)) &&
         !(vip.comeback.refused && now_ < vip.comeback.not_before) && !vip.conflict.foreign &&
         (vip.blocked.empty() || (!vip.blocked_for_owner && !none_is_up(vip)));
}

bool Core::Impl::has_key(const Vip& vip) const {
  if (!chain_.live()) return false;
  if (vip.key.is_ahead_of(view_.applied())) return vip.key.is_put();
  return view_.candidate(vip.settings.address, chain_.lease()) != nullptr;
}

// Whether the VIP is never installed under it again. While etcd takes no writes, the outcome of a
// release that was tried stays unknown.
bool Core::Impl::is_spent(const KeyRights& key, Revision created) const {
  return read_beats_.wanted() ? !key.usable(created) : key.is_retired(created);
}

Revision Core::Impl::key_created(const Vip& vip) const {
  if (vip.key.is_ahead_of(view_.applied())) return vip.key.changed();
  const View::Candidate* own = view_.candidate(vip.settings.address, chain_.lease());
  return own == nullptr ? 0 : own->created;
}

Revision Core::Impl::headed_since(const Vip& vip) const {
  if (vip.head.as_of != view_.queues_as_of()) {
    const View::Candidate* head = view_.queue(vip.settings.address).head();
    vip.head = {.as_of = view_.queues_as_of()};
    if (head != nullptr) vip.head = {vip.head.as_of, head->lease, head->created};
  }
  return chain_.live() && vip.head.lease == chain_.lease() ? vip.head.created : 0;
}

bool Core::Impl::covered(const Vip& vip) const {
  return !chain_.by_read() || vip.key.read() == headed_since(vip);
}

bool Core::Impl::may_keep_alone(const Vip& vip) const {
  return covered(vip) && now_ < deadline() - timing::kTakeDownMargin &&
         vip.key.usable(headed_since(vip));
}

// When all that may have held it before are waited out, in our cluster and in another one. An owner
// that hands on what it held had waited out both.
MonoTime Core::Impl::free_at(const Vip& vip) const {
  const View::Queue& queue = view_.queue(vip.settings.address);
  const Revision headed = headed_since(vip);
  const bool waited_out = headed != 0 && headed == vip.key.waited_out();
  // [safety] One that has gone meanwhile may have gone long ago.
  const bool still_there = waited_out && vip.address != Vip::AddressState::Absent;
  // [safety] A release may have been committed long before it is shown.
  const bool handed_on = queue.handed_on && queue.handed_on_after >= binding_.others_since();
  const MonoTime others = binding_.may_take_at(still_there || handed_on);
  return waited_out || vip.comeback.ours ? others : std::max(others, queue.not_before);
}

Obstacle Core::Impl::obstacle(const Vip& vip, MonoTime now) const {
  if (orders_.stopping) return Obstacle::NodeReleasing;
  if (orders_.paused) return Obstacle::NodePaused;
  if (binding_.outvoted() || !said_.objection.said.empty()) return Obstacle::OtherCluster;
  if (!link_of(vip).known) return Obstacle::LinkUnknown;
  if (!link_of(vip).present) return Obstacle::LinkMissing;
  if (!link_of(vip).usable) return Obstacle::LinkDown;
  if (vip.comeback.refused && now < vip.comeback.not_before) return Obstacle::KernelRefused;
  if (!vip.blocked.empty()) return Obstacle::Blocked;
  if (vip.conflict.foreign) return Obstacle::ForeignHost;
  if (vip.resigning || vip.dropped) return Obstacle::Resigning;
  if (!has_key(vip)) return Obstacle::NotQueued;
  const Revision headed = headed_since(vip);
  if (headed == 0) return Obstacle::NotHead;
  if (!vip.key.usable(headed)) return Obstacle::KeyRetired;
  if (!link_of(vip).up) return Obstacle::LinkDown;
  if (now < free_at(vip)) return Obstacle::PreviousOwner;
  if (headed != vip.key.waited_out() && may_be_held(vip) != nullptr) return Obstacle::MayBeHeld;
  if (!replay_.proven() || !covered(vip)) return Obstacle::NoAuthority;
  if (chain_.deadline() - now < timing::kLeastAuthority && may_set_again(vip) <= now) {
    return Obstacle::NoAuthority;
  }
  if (!peers_allow(vip)) return Obstacle::NoGrants;
  if (must_probe(vip, headed, now)) return Obstacle::Probing;
  if (now < vip.comeback.not_before) return Obstacle::RemovedByOthers;
  return is_acquired(vip) ? Obstacle::None : Obstacle::Acquiring;
}

MonoTime Core::Impl::obstacle_ends(const Vip& vip, Obstacle obstacle) const {
  switch (obstacle) {
    case Obstacle::PreviousOwner:
      return free_at(vip);
    case Obstacle::KernelRefused:
    case Obstacle::RemovedByOthers:
      return vip.comeback.not_before;
    case Obstacle::None:
    case Obstacle::OtherCluster:
    case Obstacle::NodePaused:
    case Obstacle::NodeReleasing:
    case Obstacle::LinkUnknown:
    case Obstacle::LinkMissing:
    case Obstacle::LinkDown:
    case Obstacle::Resigning:
    case Obstacle::NotQueued:
    case Obstacle::NotHead:
    case Obstacle::KeyRetired:
    case Obstacle::MayBeHeld:
    case Obstacle::NoAuthority:
    case Obstacle::NoGrants:
    case Obstacle::Blocked:
    case Obstacle::ForeignHost:
    case Obstacle::Probing:
    case Obstacle::Acquiring:
    case Obstacle::OthersFirst:
      return MonoTime::never();
  }
  return MonoTime::never();
}

// --- the address

// [safety] The process may have been held up between the clock and the call. The address goes
// before anything else is done: other removals may be held up too, and a log may block.
void Core::Impl::fence_if_late(const Event& event) {
  const auto* added = std::get_if<event::AddressAdded>(&event);
  Vip* vip = added == nullptr ? nullptr : find(added->address);
  if (vip == nullptr) return;
  const Duration longest = Duration::seconds(added->lifetime_s) + timing::kKernelLateness;
  if (now_ + longest <= lifetime_deadline()) return;
  remove(vip);
  report(ReportKind::AuthorityLost,
         "the address was set too late and could outlive the fencing deadline; removing it",
         added->address);
}

void Core::Impl::drive_fence() {
  const bool is_over = chain_.live() && now_ >= deadline() - timing::kTakeDownMargin && has_any();
  for (Vip& vip : vips_) {
    switch (vip.address) {
      case Vip::AddressState::Absent:
      case Vip::AddressState::Removing:
        // [safety] From then on another node may own it.
        vip.comeback.ours = vip.comeback.ours && may_keep(vip);
        break;
      case Vip::AddressState::Inherited:
        drive_inherited(&vip);
        break;
      case Vip::AddressState::Adding:
      case Vip::AddressState::Present:
        if (may_keep(vip)) {
          due(deadline() - timing::kTakeDownMargin);
        } else {
          remove(&vip);
        }
        break;
    }
  }
  if (is_over) say_authority_is_over(now_ >= chain_.deadline() - timing::kTakeDownMargin);
}

// Once for all VIPs, whether the process took them down or the kernel, at the end of a lifetime.
void Core::Impl::say_authority_is_over(bool is_etcd) {
  if (!said_.lost_for.empty()) return;
  said_.lost_for = said_.stood_still > Duration()
                       ? "this process stood still for " + in_seconds(said_.stood_still)
                   : is_etcd ? "etcd has not confirmed a heartbeat in time"
                             : "the other nodes have not renewed the peer lease in time";
  report(ReportKind::AuthorityLost, "letting go of all VIPs: " + said_.lost_for);
}

// It lives on by the lifetime it has, which never outlives the authority it was given under, as
// long as its session may still become ours.
void Core::Impl::drive_inherited(Vip* vip) {
  const bool hoping =
      session_.taking_up() || (memory_.lease != LeaseId::None && !snapshot_.loaded());
  if (hoping && !orders_.stopping && !orders_.paused) return;
  if (!is_still_ours(*vip)) return remove(vip);
  due(free_at(*vip));
  if (may_take_up(*vip) && may_add()) install(vip);
}

// Under the very key under which the former process waited everybody out.
bool Core::Impl::is_still_ours_alone(const Vip& vip) const {
  return headed_since(vip) != 0 && headed_since(vip) == vip.key.waited_out() &&
         !vip.key.is_releasing();
}

bool Core::Impl::may_take_up(const Vip& vip) const {
  return !session_.taking_up() && snapshot_.loaded() && is_still_ours(vip) && replay_.proven() &&
         covered(vip) && now_ >= free_at(vip) &&
         chain_.deadline() - now_ >= timing::kLeastAuthority && peers_allow(vip);
}

// [safety] CLOCK_BOOTTIME errs by up to a second across a suspend, and the kernel's lifetimes stood
// still meanwhile. So nothing that was counted before counts any more: neither authority, nor
// grants, nor waits.
void Core::Impl::host_slept(MonoTime before, Duration span) {
  const bool had_authority = now_ < chain_.deadline();
  chain_.slept();
  read_beats_.forget_reads();
  peer_lease_.forget_grants();
  promises_.restart(now_);
  view_.restart_waits(before, now_, settings_.timeout);
  if (session_.strangers_gone_at > before) {
    session_.strangers_gone_at = now_ + timing::kLongestLifetime;
  }
  take_everything_down();
  fence_.closed();
  refresh_peer_deadline();
  if (!had_authority) return;
  said_.lost_for = "the host was suspended for " + in_seconds(span);
  report(ReportKind::AuthorityLost, said_.lost_for + "; authority, grants and waits start over");
}

void Core::Impl::drive_removals() {
  bool any_dropped = false;
  for (Vip& vip : vips_) {
    any_dropped = any_dropped || vip.dropped;
    if (vip.address == Vip::AddressState::Removing && due(vip.remove_again_at)) remove(&vip);
    // Without a place in the queue, or one on its way, there is nothing to resign.
    const bool nowhere = vip.address == Vip::AddressState::Absent && !has_key(vip);
    if (vip.resigning && nowhere && !chain_.busy()) vip.resigning = false;
  }
  // Whether a session that is taken up has a key of it is not known before it is ours.
  if (!any_dropped || session_.taking_up()) return;
  due(session_.strangers_gone_at);
  // A VIP that was configured away is forgotten once nothing of it is left, here and in etcd.
  const size_t erased = vips_.erase_if([this](const Vip& vip) {
    // Not before our watch shows it too: it must not come back under the key that was released.
    return vip.dropped && vip.address == Vip::AddressState::Absent && !has_key(vip) &&
           !chain_.busy() && !vip.key.is_ahead_of(view_.applied());
  });
  if (erased != 0) vips_.group(settings_.vips);
}

void Core::Impl::drive_installs() {
  for (Vip& vip : vips_) {
    if (vip.address != Vip::AddressState::Absent) continue;
    const auto [why, whose] = hindrance(vip, now_);
    if (why == Obstacle::None) {
      if (may_add()) install(&vip);
    } else if (why == Obstacle::Acquiring) {
      if (!is_acquired(vip)) begin_acquiring(&vip);
    } else {
      due(obstacle_ends(*whose, why));
    }
  }
}

void Core::Impl::install(Vip* vip) {
  assert(vip->address == Vip::AddressState::Absent || vip->address == Vip::AddressState::Inherited);
  const bool is_first = terms_.carrying().empty();
  // Its link counts from here on: what was granted on the others alone gives it no lifetime.
  carry_one_more(vip->settings.link);
  const MonoTime held_until = std::max(hold_.until, may_set_again(*vip));
  const Duration remaining = lifetime_deadline(held_until) - now_;
  const int lifetime = timing::lifetime_s(remaining);
  if (lifetime == 0) return refresh_peer_deadline();  // another grant first
  const bool queued = vip->state == VipState::Standby || vip->state == VipState::Waiting;
  if (!queued) set_state(vip, VipState::Waiting, "adding the address");
  vip->address = Vip::AddressState::Adding;
  vip->key.installing(headed_since(*vip));
  kernel_.installing(now_, is_first);
  if (!fence_.says(deadline())) update_fence();
  add(vip, lifetime);
  plan_renewal(remaining, lifetime);
}

void Core::Impl::add(Vip* vip, int lifetime) {
  assert(lifetime >= 1);
  kernel_.add(now_, Duration::seconds(lifetime));
  emit(action::AddAddress{.address = vip->settings.address, .lifetime_s = lifetime});
}

void Core::Impl::remove(Vip* vip) {
  if (!vip->is_removing()) kernel_.remove();
  vip->address = Vip::AddressState::Removing;
  vip->key.let_go();  // from now on another node may own it
  vip->comeback.ours = false;
  vip->remove_again_at = MonoTime::never();
  vip->announce_at = MonoTime::never();
  vip->conflict.claimed_at = MonoTime::never();
  vip->conflict.probing = false;
  emit(action::RemoveAddress{.address = vip->settings.address});
}

void Core::Impl::take_everything_down() {
  for (Vip& vip : vips_) {
    const bool up =
        vip.address != Vip::AddressState::Absent && vip.address != Vip::AddressState::Removing;
    if (up) remove(&vip);
  }
}

void Core::Impl::on(const event::AddressFound& e) {
  Vip* vip = find(e.address);
  if (vip == nullptr || vip->address != Vip::AddressState::Absent) return;
  vip->address = Vip::AddressState::Inherited;
}

void Core::Impl::on(const event::AddressAdded& e) {
  kernel_.added(now_);
  Vip* vip = find(e.address);
  if (vip == nullptr) return;
  const bool renewed = vip->address == Vip::AddressState::Present;
  vip->renewal_due = false;
  if (vip->address == Vip::AddressState::Removing) return;  // that is on its way
  if (!renewed && vip->address != Vip::AddressState::Adding) return remove(vip);
  if (e.error != 0) {
    // An acknowledgement may be what failed: the address is not known to be absent.
    remove(vip);
    if (e.error == ENODEV) return link_is_gone(vip->settings.link);
    report(ReportKind::AddressFailed,
           "the kernel refused " + e.address.text() + ": " + strerror(e.error), e.address);
    vip->acquiring.fault.clear();
    refuse(vip);
    return;
  }
  if (!renewed) address_is_up(vip);
}

// A node that cannot have the address must not stay ahead of those that can.
void Core::Impl::refuse(Vip* vip) {
  vip->comeback.refused = true;
  vip->comeback.backoff = std::clamp(vip->comeback.backoff * 2, kRefusedFirst, kRefusedLast);
  vip->comeback.not_before = now_ + vip->comeback.backoff;
}

void Core::Impl::address_is_up(Vip* vip) {
  vip->address = Vip::AddressState::Present;
  said_.lost_for.clear();
  const std::optional<Term>& term = peer_lease_.in_force();
  vip->key.installed(term ? term->key().number : 0);
  vip->comeback.refused = false;
  if (vip->comeback.removed) {
    vip->comeback.removed = false;
    vip->comeback.restored++;
    const bool insists = vip->comeback.backoff > kRestoreFirst;
    const std::string who = vip->comeback.by.empty() ? "somebody" : vip->comeback.by;
    report(ReportKind::AddressRestored,
           who + " had removed " + vip->settings.address.text() + " from " + vip->settings.link +
               "; restored" +
               (insists ? " (" + std::to_string(vip->comeback.restored) + " times so far)" : ""),
           vip->settings.address);
  }
  announce_again(vip);
}

void Core::Impl::on(const event::AddressRemoved& e) {
  Vip* vip = find(e.address);
  if (vip == nullptr || vip->address != Vip::AddressState::Removing) return;
  if (vip->is_removing()) kernel_.removed();
  if (e.error != 0) {
    report(ReportKind::AddressFailed,
           "the kernel refused to remove " + e.address.text() + ": " + strerror(e.error),
           e.address);
    vip->remove_again_at = now_ + kRemoveRetry;
    return;
  }
  vip->address = Vip::AddressState::Absent;
}

void Core::Impl::on(const event::AddressLost& e) {
  Vip* vip = find(e.address);
  const bool was_there = vip != nullptr && (vip->address == Vip::AddressState::Present ||
                                            vip->address == Vip::AddressState::Inherited);
  if (!was_there) return;
  const bool was_ours = vip->address == Vip::AddressState::Present;
  // A renewal may have brought it back since: only a removal of our own makes its absence certain.
  remove(vip);
  const bool is_over = chain_.live() && chain_.deadline() - now_ < timing::kLeastAuthority;
  if (e.expired && was_ours && is_over) say_authority_is_over(true);
  // A link that goes down takes its IPv6 addresses along; they come back with it.
  if (e.expired || !link_of(*vip).up) return;
  const bool again = now_ - vip->comeback.not_before < kRestoreLast * 2;
  vip->comeback.backoff =
      again ? std::clamp(vip->comeback.backoff * 2, kRestoreFirst, kRestoreLast) : kRestoreFirst;
  vip->comeback.not_before = now_ + vip->comeback.backoff;
  vip->comeback.removed = true;
  vip->comeback.ours = was_ours;
  vip->comeback.by = e.by;
}

void Core::Impl::on(const event::AddressBlocked& e) {
  Vip* vip = find(e.address);
  if (vip == nullptr) return;
  vip->blocked = e.reason;
  vip->blocked_for_owner = e.for_owner && !e.reason.empty();
  if (vip->lowered == e.lowered) return;
  vip->lowered = e.lowered;
  set_priority(vip);
}

}  // namespace vipd
