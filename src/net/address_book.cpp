#include "net/address_book.hpp"

#include <algorithm>

#include "vipd/subnet.hpp"

namespace vipd::net {
namespace {

bool bit(const Address& address, unsigned n) {
  return (address.data()[n / 8] >> (7 - n % 8) & 1) != 0;
}

bool rest_is(const Address& address, unsigned length, bool value) {
  for (unsigned n = length; n < 8 * address.size(); ++n) {
    if (bit(address, n) != value) return false;
  }
  return true;
}

bool is_link_local(const Address& address) {
  const uint8_t* bytes = address.data();
  if (address.is_v4()) return bytes[0] == 169 && bytes[1] == 254;
  return bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
}

std::string text_of(const AddressInfo& info) {
  return info.address.text() + "/" + std::to_string(info.prefix_length);
}

}  // namespace

AddressBook::AddressBook(const std::map<int, Link>& links,
                         const std::vector<AddressInfo>& addresses,
                         const std::function<bool(const Address&)>& installed)
    : links_(links) {
  // Linux 5.18 marks its own as well, that of the loopback above all.
  marks_are_kept_ = std::any_of(addresses.begin(), addresses.end(),
                                [](const AddressInfo& info) { return info.proto != 0; });
  for (const AddressInfo& info : addresses) {
    by_address_[info.address].push_back(&info);
    // One that is preferred as source cannot be recognised by its kind of lifetime.
    const bool is_set_by_us = !marks_are_kept_ && installed && installed(info.address);
    if (!is_ours(info) && !is_set_by_us) others_[info.link_index].push_back(&info);
  }
}

bool AddressBook::is_ours(const AddressInfo& info) const {
  if (info.proto == kAddressProto) return true;
  return !marks_are_kept_ && !info.permanent && info.deprecated;
}

std::vector<Address> AddressBook::ours() const {
  std::vector<Address> ours;
  for (const auto& [address, infos] : by_address_) {
    const bool is_one = std::any_of(infos.begin(), infos.end(),
                                    [this](const auto* info) { return is_ours(*info); });
    if (is_one) ours.push_back(address);
  }
  return ours;
}

const std::vector<const AddressInfo*>& AddressBook::all(const Address& address) const {
  const auto found = by_address_.find(address);
  return found == by_address_.end() ? none_ : found->second;
}

bool AddressBook::has(const Address& address, int link_index, unsigned prefix_length) const {
  const Infos& infos = all(address);
  return std::any_of(infos.begin(), infos.end(), [&](const AddressInfo* info) {
    return info->link_index == link_index && info->prefix_length == prefix_length;
  });
}

std::string AddressBook::link_name(int index) const {
  const auto found = links_.find(index);
  return found == links_.end() ? "link " + std::to_string(index) : found->second.name;
}

bool AddressBook::is_silent(int link_index) const {
  const auto link = links_.find(link_index);
  return link != links_.end() && !link->second.has_arp;
}

std::string AddressBook::silent_copy(const Address& vip, int link_index) const {
  for (const AddressInfo* info : all(vip)) {
    if (info->link_index == link_index || !is_silent(info->link_index)) continue;
    return link_name(info->link_index);
  }
  return "";
}

std::string AddressBook::obstacle(const Address& vip, int link_index, bool is_up) const {
  for (const AddressInfo* info : all(vip)) {
    const bool is_here = info->link_index == link_index;
    const bool in_place = is_here && info->prefix_length == 8 * vip.size();
    // The next renewal makes it ours again.
    if (is_ours(*info) || (in_place && is_up)) continue;
    if (!is_here && is_silent(info->link_index)) continue;
    // The text never says how to remove it: it may be the address that the administrator is logged
    // in by.
    return text_of(*info) + " is this host's own address on " + link_name(info->link_index) +
           (info->permanent ? "" : " (with a lifetime, as DHCP sets it)") +
           ", not set by vipd; a VIP is an address that no host has by itself";
  }
  if (vip.is_v6()) return "";
  for (const AddressInfo* info : others_on(link_index)) {
    if (info->prefix_length >= 31 || !same_network(vip, info->address, info->prefix_length)) {
      continue;
    }
    const std::string of = " of " + text_of(*info) + " on " + link_name(link_index);
    if (rest_is(vip, info->prefix_length, false)) return vip.text() + " is the network" + of;
    if (rest_is(vip, info->prefix_length, true))
      return vip.text() + " is the broadcast address" + of;
  }
  return "";
}

const AddressBook::Infos& AddressBook::others_on(int link_index) const {
  const auto found = others_.find(link_index);
  return found == others_.end() ? none_ : found->second;
}

bool AddressBook::is_alone(const Address& vip, unsigned prefix_length, int link_index) const {
  if (prefix_length >= 8 * vip.size() || !links_.contains(link_index)) return false;
  return !has_to_do_with(vip, prefix_length, link_index);
}

std::vector<int> AddressBook::links_for(const Address& vip, unsigned prefix_length) const {
  std::vector<int> fitting;
  for (const auto& [index, link] : links_) {
    if (link.has_arp && has_to_do_with(vip, prefix_length, index)) fitting.push_back(index);
  }
  return fitting;
}

bool AddressBook::has_to_do_with(const Address& vip, unsigned prefix_length, int link_index) const {
  const Infos& others = others_on(link_index);
  return std::any_of(others.begin(), others.end(), [&](const AddressInfo* info) {
    return same_network(vip, info->address, std::min(prefix_length, info->prefix_length));
  });
}

std::string AddressBook::oddity(const Address& vip, unsigned prefix_length, int link_index) const {
  if (is_link_local(vip)) {
    return vip.text() + " is a link-local address: only hosts on the same link can use it";
  }
  // The route of its subnet comes with it.
  if (is_alone(vip, prefix_length, link_index)) return "";
  std::string others;
  for (const AddressInfo* info : others_on(link_index)) {
    if (info->address.size() != vip.size() || is_link_local(info->address)) continue;
    if (info->prefix_length == 8 * vip.size()) continue;
    if (same_network(vip, info->address, info->prefix_length)) return "";
    others += (others.empty() ? "" : ", ") + text_of(*info);
  }
  if (others.empty()) return "";
  return vip.text() + " is in no subnet of " + link_name(link_index) + " (" + others +
         "): if its own subnet is on that link, write its length, as in " + vip.text() +
         (vip.is_v4() ? "/24" : "/64");
}

}  // namespace vipd::net
