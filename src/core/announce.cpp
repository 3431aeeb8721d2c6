// When the neighbours are told who has an address.
#include "core/core_impl.hpp"

namespace vipd {

bool Core::Impl::may_send(Burst* burst) {
  return burst->take(now_) || due(burst->next());
}

void Core::Impl::announce_again(Vip* vip) {
  vip->announcements_left = settings_.announce_count;
  vip->announce_at = now_;
}

// Not while somebody else says the same of it, until etcd has confirmed that it is ours: he may be
// the rightful new owner, and this machine one that stood still.
void Core::Impl::drive_announcements() {
  if (kernel_.busy()) return;
  for (Vip& vip : vips_) {
    if (vip.address != Vip::AddressState::Present || !vip.conflict.claimed_at.is_never()) continue;
    if (!due(vip.announce_at)) continue;
    if (!may_send(&kernel_.announcements)) break;
    emit(action::SendAnnouncement{.address = vip.settings.address});
    if (vip.announcements_left > 0) vip.announcements_left--;
    if (vip.announcements_left > 0) {
      vip.announce_at = now_ + settings_.announce_interval;
    } else {
      const bool refreshed = settings_.announce_refresh > Duration();
      vip.announce_at = refreshed ? now_ + settings_.announce_refresh : MonoTime::never();
    }
    due(vip.announce_at);
  }
}

}  // namespace vipd
