// The links as the configuration names them: which are there, and how long one may be down.
#include <algorithm>

#include "core/core_impl.hpp"

namespace vipd {

namespace {

// IEEE 802.1D, 17.14: a port listens and learns for 15 s each. And some time for it to be noticed.
constexpr Duration kSettling = Duration::seconds(40);

}  // namespace

void Core::Impl::on(const event::LinkChanged& e) {
  LinkView& link = links_[e.link];
  link.known = true;
  const bool came_up = e.up && !(link.present && link.up);
  const bool new_mac = e.present && link.mac != e.mac;
  if (!e.up && link.up) link.down_since = now_;
  if (came_up) link.settled_at = now_ + kSettling;
  link.present = e.present;
  link.up = e.present && e.up;
  if (e.present) link.mac = e.mac;
  if (!came_up && !new_mac) return;
  // Neighbours and switches may have forgotten, and the kernel announces nothing by itself.
  for (Vip& vip : vips_) {
    if (vip.settings.link != e.link || vip.address != Vip::AddressState::Present) continue;
    announce_again(&vip);
  }
}

// Known before its notice came. That is no refusal: once it is back, nothing keeps us away.
void Core::Impl::link_is_gone(const std::string& name) {
  LinkView& link = links_[name];
  link.present = link.up = false;
}

// A flap shorter than this changes nothing; it is well inside the fence.
void Core::Impl::drive_link_debounce() {
  const Duration debounce = std::min(Duration::seconds(1), settings_.timeout / 5);
  for (auto& [name, link] : links_) {
    if (link.up) {
      link.usable = true;
    } else if (!link.present) {
      link.usable = false;
    } else if (link.usable && due(link.down_since + debounce)) {
      link.usable = false;
    }
  }
}

}  // namespace vipd
