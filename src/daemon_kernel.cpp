// What the kernel shows, told to the core.
#include <algorithm>

#include "daemon_impl.hpp"
#include "vipd/log.hpp"

namespace vipd {

namespace {

bool is_there(const std::vector<net::AddressInfo>& all, const Address& address, int link_index,
              unsigned prefix_length) {
  return std::any_of(all.begin(), all.end(), [&](const net::AddressInfo& info) {
    return info.address == address && info.link_index == link_index &&
           info.prefix_length == prefix_length;
  });
}

}  // namespace

bool Daemon::open_kernel(std::string* reason) {
  net::Netlink::Handlers handlers;
  handlers.link_changed = [this](const net::Link& link) { link_changed(link); };
  handlers.link_removed = [this](int index) { link_removed(index); };
  handlers.address_added = [](const net::AddressInfo&) {};
  handlers.address_removed = [this](const net::AddressInfo& info) { address_removed(info); };
  handlers.overrun = [this] {
    log::warn("netlink messages were lost; looking at every link and address anew");
    look_again();
  };
  netlink_ = net::Netlink::open(loop_, std::move(handlers), reason);
  if (netlink_ == nullptr) return false;
  packet_ = net::PacketSocket::open(reason);
  if (packet_ == nullptr) return false;
  if (look_at_kernel(true)) return true;
  *reason = "the kernel would not list links and addresses";
  return false;
}

bool Daemon::look_at_kernel(bool first) {
  std::vector<net::Link> links;
  std::vector<net::AddressInfo> addresses;
  if (!netlink_->dump(&links, &addresses)) return false;
  links_.clear();
  for (net::Link& link : links) links_.emplace(link.index, std::move(link));
  if (first) {
    for (const net::AddressInfo& info : addresses) meet_leftover(info);
    return true;
  }
  tell_links();
  for (const auto& [address, place] : places_) {
    if (!is_there(addresses, address, place.link_index, place.prefix_length)) {
      feed(event::AddressLost{.address = address, .expired = false});
    }
  }
  return true;
}

// Under constant change no dump is whole; what is known stays in force until one is.
void Daemon::look_again() {
  if (look_at_kernel(false)) return;
  log::debug("the kernel's lists kept changing; looking again in a second");
  (void)loop_.add_timer(loop_.now() + Duration::seconds(1), [this] { look_again(); });
}

// A VIP with our mark was left behind by a daemon that was killed. Kernels before 5.18 keep no
// mark; there our kind of lifetime must do. It goes, unless its session may still be taken up: then
// it lives on by the lifetime that it has.
void Daemon::meet_leftover(const net::AddressInfo& info) {
  const VipConfig* vip = vip_at(info.address);
  const bool ours = info.proto == net::kAddressProto || (info.proto == 0 && !info.permanent);
  if (vip == nullptr || !ours) return;
  const auto link = links_.find(info.link_index);
  const bool in_place = link != links_.end() && link_named(vip->link) == &link->second &&
                        info.prefix_length == vip->prefix_length;
  if (memory_.lease != LeaseId::None && in_place) {
    places_[info.address] = {.link_index = info.link_index, .prefix_length = info.prefix_length};
    inherited_.push_back(info.address);
    return;
  }
  const int error = netlink_->remove_address(info.link_index, info.address, info.prefix_length);
  log::warn("vip %s: %s/%u was on a link at start without authority: %s", vip->name.c_str(),
            info.address.text().c_str(), info.prefix_length,
            error == 0 ? "removed" : "could not be removed");
}

void Daemon::link_changed(const net::Link& link) {
  links_[link.index] = link;
  tell_links();
}

void Daemon::link_removed(int index) {
  links_.erase(index);
  tell_links();
}

// The core is told of each link that the configuration names; it ignores what is no news.
void Daemon::tell_links() {
  if (core_ == nullptr) return;
  std::vector<std::string> names;
  for (const VipConfig& vip : config_.vips) {
    if (std::find(names.begin(), names.end(), vip.link) == names.end()) names.push_back(vip.link);
  }
  for (const std::string& name : names) {
    const net::Link* link = link_named(name);
    const bool up = link != nullptr && link->up && link->carrier;
    feed(event::LinkChanged{.link = name, .present = link != nullptr, .up = up});
  }
}

const net::Link* Daemon::link_named(const std::string& text) const {
  for (const auto& [index, link] : links_) {
    const auto& others = link.altnames;
    if (link.name == text || std::find(others.begin(), others.end(), text) != others.end()) {
      return &link;
    }
  }
  return nullptr;
}

void Daemon::address_removed(const net::AddressInfo& info) {
  const auto place = places_.find(info.address);
  if (info.own_change || place == places_.end()) return;
  if (place->second.link_index != info.link_index ||
      place->second.prefix_length != info.prefix_length) {
    return;
  }
  feed(event::AddressLost{.address = info.address, .expired = info.expired});
}

}  // namespace vipd
