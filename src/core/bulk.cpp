// Many VIPs at once: the kernel's calls follow each other without looking at all the others after
// each, in bursts, between which the loop has its turn: heartbeats must not wait for them.
#include <algorithm>
#include <utility>

#include "core/core_impl.hpp"
#include "core/timing.hpp"

namespace vipd {

namespace {

constexpr Duration kBurst = Duration::milliseconds(10);
constexpr Duration kBreath = Duration::milliseconds(1);

}  // namespace

bool Core::Impl::may_add() {
  if (kernel_busy()) return false;
  return now_ < burst_ends_ || due(burst_ends_ + kBreath);
}

void Core::Impl::begin_burst() {
  if (now_ < burst_ends_ + kBreath) return;
  burst_ends_ = now_ + kBurst;
  burst_begins_ = true;
}

void Core::Impl::drive_renewals() {
  if (due(renew_at_)) {
    renew_at_ = MonoTime::never();
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
  Vip* next = next_vip(
      [](const Vip& vip) { return vip.renewal_due && vip.address == Vip::AddressState::Present; });
  if (next == nullptr || !may_add()) return;
  const Duration remaining = chain_.deadline() - now_;
  const int lifetime = timing::lifetime_s(remaining);
  if (lifetime == 0) {  // what is there runs out in time
    for (Vip& vip : vips_) vip.renewal_due = false;
    return;
  }
  add(next, lifetime);
  const MonoTime again = chain_.deadline() - timing::renew_at_remaining(remaining, lifetime);
  if (again <= now_) return;
  renew_at_ = std::min(renew_at_, again);
  due(renew_at_);
}

// Those after the one that was just installed; a whole step looks at all of them again.
void Core::Impl::install_next() {
  for (size_t i = last_found_ + 1; i < vips_.size() && may_add(); i++) {
    Vip& vip = vips_[i];
    if (vip.address == Vip::AddressState::Inherited) {
      if (may_take_up(vip)) install(&vip);
      continue;
    }
    const bool absent = vip.address == Vip::AddressState::Absent;
    if (absent && obstacle(vip, now_) == Obstacle::None) install(&vip);
  }
}

// By far the most frequent events where there are many VIPs: what went well changes nothing for the
// others, and only asks for the next one. False when a whole step is needed.
bool Core::Impl::went_as_wanted(const Event& event) {
  if (const auto* added = std::get_if<event::AddressAdded>(&event)) return added_as_wanted(*added);
  const auto* removed = std::get_if<event::AddressRemoved>(&event);
  if (removed == nullptr || removed->error != 0) return false;
  Vip* vip = find(removed->address);
  if (vip == nullptr || vip->address != Vip::AddressState::Removing) return false;
  if (vip->is_removing()) removals_--;
  vip->address = Vip::AddressState::Absent;
  return removing();  // the last of them tells etcd
}

bool Core::Impl::added_as_wanted(const event::AddressAdded& e) {
  Vip* vip = find(e.address);
  const Duration longest = Duration::seconds(e.lifetime_s) + timing::kKernelLateness;
  const bool expected = vip != nullptr && (vip->address == Vip::AddressState::Present ||
                                           vip->address == Vip::AddressState::Adding);
  if (!expected || e.error != 0 || now_ + longest > chain_.deadline() ||
      now_ >= deadline() - timing::kTakeDownMargin) {
    return false;
  }
  adding_ = false;
  // What the step before the first call took does not count, or where it takes longer than a burst
  // there would be one address to a look at all.
  if (std::exchange(burst_begins_, false)) burst_ends_ = now_ + kBurst;
  vip->renewal_due = false;
  if (vip->address == Vip::AddressState::Adding) address_is_up(vip);
  // Installations wait for their turn behind renewals.
  renew_next();
  install_next();
  return adding_;
}

}  // namespace vipd
