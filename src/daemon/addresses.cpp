// The VIPs' addresses as the kernel shows them: left behind, lost, or put there by others.
#include "daemon/impl.hpp"
#include "net/culprit.hpp"
#include "vipd/log.hpp"

namespace vipd {

namespace {

constexpr Duration kGather = Duration::milliseconds(100);

}  // namespace

// A VIP of ours was left behind by a daemon that was killed. It goes, unless its session may still
// be taken up: then it lives on by the lifetime that it has.
void Daemon::meet_leftovers(const net::AddressBook& book) {
  for (const VipConfig& vip : config_.vips) {
    const net::Link* link = link_named(vip.link);
    for (const net::AddressInfo* info : book.all(vip.address)) {
      if (!book.is_ours(*info)) continue;
      const bool in_place = link != nullptr && info->link_index == link->index &&
                            info->prefix_length == vip.prefix_length;
      if (memory_.lease == LeaseId::None || !in_place) {
        remove_stray(vip, *info, "was left on a link without authority");
        continue;
      }
      places_[vip.address] = {
          .link_index = info->link_index, .prefix_length = info->prefix_length, .is_up = true};
      inherited_.push_back(vip.address);
    }
  }
}

void Daemon::remove_stray(const VipConfig& vip, const net::AddressInfo& info, const char* what) {
  const int error = netlink_->remove_address(info.link_index, info.address, info.prefix_length);
  log::warn("vip %s: %s/%u %s: %s", vip.name.c_str(), info.address.text().c_str(),
            info.prefix_length, what, error == 0 ? "removed" : "could not be removed");
}

// --- changes

// A notice of a change that somebody made, of whatever address, is worth a look at all.
void Daemon::address_added(const net::AddressInfo& info) {
  if (info.own_change) return;
  if (!is_in_place(info) || !places_[info.address].is_up) return look_within(kGather);
  if (!info.permanent) return;  // a renewal of ours
  log::warn("%s/%u was made permanent by %s; its next renewal gives it a lifetime again",
            info.address.text().c_str(), info.prefix_length, net::culprit(info.by_port).c_str());
}

bool Daemon::is_in_place(const net::AddressInfo& info) const {
  const auto place = places_.find(info.address);
  return place != places_.end() && place->second.link_index == info.link_index &&
         place->second.prefix_length == info.prefix_length;
}

void Daemon::address_removed(const net::AddressInfo& info) {
  if (info.own_change) return;
  if (!is_in_place(info)) return look_within(kGather);
  if (!places_[info.address].is_up) return;
  if (info.address.is_v4()) return lose(info.address, info.expired, info.by_port);
  // IPv6's notices name nobody: this one may be of our own removal, before we added it again.
  if (info.expired) expired_.insert(info.address);
  look_within(Duration());
}

void Daemon::lose(const Address& address, bool expired, uint32_t by_port) {
  places_[address].is_up = false;
  feed(event::AddressLost{
      .address = address, .expired = expired, .by = expired ? "" : net::culprit(by_port)});
}

void Daemon::find_lost(const net::AddressBook& book) {
  std::vector<Address> lost;
  for (const auto& [address, place] : places_) {
    if (place.is_up && !book.has(address, place.link_index, place.prefix_length)) {
      lost.push_back(address);
    }
  }
  for (const Address& address : lost) lose(address, expired_.contains(address), 0);
  expired_.clear();
}

// Ours by its mark, but not where we have it: nobody renews it, and nobody else may remove it.
void Daemon::find_strays(const net::AddressBook& book) {
  for (const VipConfig& vip : config_.vips) {
    for (const net::AddressInfo* info : book.all(vip.address)) {
      if (!book.is_ours(*info)) continue;
      if (is_in_place(*info) && places_[info->address].is_up) continue;
      remove_stray(vip, *info, "is on a link though nobody is to have it there");
    }
  }
}

void Daemon::judge_addresses(const net::AddressBook& book) {
  for (const VipConfig& vip : config_.vips) {
    const auto state = link_states_.find(vip.link);
    const int link_index = state == link_states_.end() ? 0 : state->second.index;
    const auto place = places_.find(vip.address);
    const bool is_up = place != places_.end() && place->second.is_up;
    const std::string obstacle = book.obstacle(vip.address, vip.prefix_length, link_index, is_up);
    Record& record = records_[vip.address];
    if (record.obstacle != obstacle) {
      record.obstacle = obstacle;
      if (!obstacle.empty()) log::warn("vip %s: %s", vip.name.c_str(), obstacle.c_str());
      tell_blocked(vip);
    }
    const std::string oddity = book.oddity(vip.address, link_index);
    if (record.oddity == oddity) continue;
    record.oddity = oddity;
    if (!oddity.empty()) log::warn("vip %s: %s", vip.name.c_str(), oddity.c_str());
  }
}

}  // namespace vipd
