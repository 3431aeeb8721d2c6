// When the neighbours are told who has an address.
#include "core/core_impl.hpp"

namespace vipd {

namespace {

constexpr Duration kWhileSettling = Duration::seconds(5);

}  // namespace

bool Core::Impl::may_announce() {
  Burst& burst = kernel_.announcements;
  return burst.take(now_) || step_.due_in_burst(now_, burst.next());
}

void Core::Impl::announce_again(Vip* vip) {
  vip->announcements_left = settings_.announce_count;
  vip->announce_at = now_;
}

// A switch port that just came up may forward nothing yet, and no notice says so: announcements
// were lost, and silence was no answer to a probe. So both are repeated until the port must have
// settled.
MonoTime Core::Impl::next_announcement(const Vip& vip) const {
  if (vip.announcements_left > 0) return now_ + settings_.announce_interval;
  Duration wait = settings_.announce_refresh;
  const MonoTime settled = link_of(vip).settled_at;
  if (now_ + kWhileSettling <= settled && (wait == Duration() || wait > kWhileSettling)) {
    wait = kWhileSettling;
  }
  return wait == Duration() ? MonoTime::never() : now_ + wait;
}

// Not while another host claims it, until etcd has confirmed that it is ours: that host may be the
// rightful new owner, if this machine stood still.
void Core::Impl::drive_announcements() {
  if (kernel_.busy()) return;
  for (Vip& vip : vips_) {
    if (vip.address != Vip::AddressState::Present || !vip.conflict.claimed_at.is_never()) continue;
    if (!step_.due_in_burst(now_, vip.announce_at)) continue;
    if (!may_announce()) break;
    emit(action::SendAnnouncement{.address = vip.settings.address});
    if (vip.announcements_left > 0) vip.announcements_left--;
    vip.announce_at = next_announcement(vip);
    const bool asks = settings_.conflict_probe && vip.announcements_left == 0;
    if (asks && now_ < link_of(vip).settled_at) {
      emit(action::SendProbe{.address = vip.settings.address});
    }
    (void)step_.due_in_burst(now_, vip.announce_at);
  }
}

}  // namespace vipd
