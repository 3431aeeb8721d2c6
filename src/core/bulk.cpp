// Many VIPs at once: the kernel's calls follow each other without looking at all the others after
// each, in bursts, between which the loop has its turn: heartbeats must not wait for them. Where
// nothing else is due, one burst follows the other without such a look, too.
#include <algorithm>
#include <utility>

#include "core/core_impl.hpp"
#include "core/timing.hpp"

namespace vipd {

namespace {

// Fewer are renewed in no time, so their lifetimes are always as long as can be.
constexpr size_t kMany = 500;

}  // namespace

bool Core::Impl::may_add() {
  if (kernel_.busy()) return false;
  return step_.due_in_burst(now_, kernel_.next_at(now_, step_.turn_is_spent()));
}

void Core::Impl::drive_renewals() {
  if (due(kernel_.renewal())) {
    kernel_.renew_all(now_);
    for (Vip& vip : vips_) vip.renewal_due = vip.address == Vip::AddressState::Present;
  }
  renew_next();
}

void Core::Impl::on(const event::HostChanged& e) {
  for (const auto& change : e.changes) {
    std::visit([this](const auto& each) { on(each); }, change);
  }
}

// Lifetimes are worked out one by one, since each call may be held up.
void Core::Impl::renew_next() {
  if (!kernel_.is_renewing() || kernel_.busy()) return;
  Vip* next = vips_.next(
      [](const Vip& vip) { return vip.renewal_due && vip.address == Vip::AddressState::Present; });
  if (next == nullptr) return kernel_.renewed_all(now_);
  if (!may_add()) return;
  const Duration remaining = lifetime_deadline() - now_;
  const int lifetime = timing::lifetime_s(remaining);
  if (lifetime == 0) {  // what is there runs out in time
    for (Vip& vip : vips_) vip.renewal_due = false;
    return kernel_.renewed_all(now_);
  }
  add(next, lifetime);
  plan_renewal(remaining, lifetime);
}

// When a lifetime that was just set can be extended without another heartbeat.
void Core::Impl::plan_renewal(Duration remaining, int lifetime) {
  const MonoTime renew = lifetime_deadline() - timing::renew_at_remaining(remaining, lifetime);
  if (renew <= now_) return;
  kernel_.renew_by(std::max(renew, next_round()));
  due(kernel_.renewal());
}

// For each address the kernel looks through all of a link. Thousands of them, renewed with each
// heartbeat, would leave no time for anything else.
MonoTime Core::Impl::next_round() const {
  return vips_.size() < kMany ? now_ : std::max(now_, kernel_.rested());
}

// Those after the one that was just installed; a whole step looks at all of them again.
void Core::Impl::install_next() {
  for (auto vip = vips_.after_found(); vip != vips_.end() && may_add(); ++vip) {
    if (vip->address == Vip::AddressState::Inherited) {
      if (may_take_up(*vip)) install(&*vip);
      continue;
    }
    const bool absent = vip->address == Vip::AddressState::Absent;
    if (absent && hindrance(*vip, now_).why == Obstacle::None) install(&*vip);
  }
}

// By far the most frequent events with many VIPs: a completion without an error changes nothing for
// the others, and only asks for the next call. False when a whole step is needed.
bool Core::Impl::went_as_wanted(const Event& event) {
  // Time alone changes nothing before what is due: whatever waits for an instant has said so.
  if (std::holds_alternative<event::Ticked>(event)) {
    return step_.only_burst_is_due(now_) && burst_goes_on();
  }
  if (const auto* added = std::get_if<event::AddressAdded>(&event)) return added_as_wanted(*added);
  const auto* removed = std::get_if<event::AddressRemoved>(&event);
  if (removed == nullptr || removed->error != 0) return false;
  Vip* vip = find(removed->address);
  if (vip == nullptr || vip->address != Vip::AddressState::Removing) return false;
  if (vip->is_removing()) kernel_.removed();
  vip->address = Vip::AddressState::Absent;
  stop_goes_on();
  return kernel_.removals() % kMaxLinkSize != 0;  // etcd is told of as many as fill a link
}

bool Core::Impl::added_as_wanted(const event::AddressAdded& e) {
  Vip* vip = find(e.address);
  const Duration longest = Duration::seconds(e.lifetime_s) + timing::kKernelLateness;
  const bool expected = vip != nullptr && (vip->address == Vip::AddressState::Present ||
                                           vip->address == Vip::AddressState::Adding);
  if (!expected || e.error != 0 || now_ + longest > lifetime_deadline() ||
      now_ >= deadline() - timing::kTakeDownMargin) {
    return false;
  }
  kernel_.added_in_turn(now_);
  vip->renewal_due = false;
  if (vip->address == Vip::AddressState::Adding) address_is_up(vip);
  return burst_goes_on();
}

// False when a whole step is needed. Installations wait for their turn behind renewals, and
// announcements for the end of a burst.
bool Core::Impl::burst_goes_on() {
  step_.burst_goes_on();
  renew_next();
  install_next();
  if (kernel_.adding()) return true;
  if (!step_.only_burst_is_due(now_)) return false;
  drive_announcements();
  return step_.burst_waits();
}

}  // namespace vipd
