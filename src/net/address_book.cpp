#include "net/address_book.hpp"

#include <algorithm>

namespace vipd::net {
namespace {

bool bit(const Address& address, unsigned n) {
  return (address.data()[n / 8] >> (7 - n % 8) & 1) != 0;
}

bool same_network(const Address& a, const Address& b, unsigned length) {
  if (a.size() != b.size()) return false;
  for (unsigned n = 0; n < length; ++n) {
    if (bit(a, n) != bit(b, n)) return false;
  }
  return true;
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
                         const std::vector<AddressInfo>& addresses)
    : links_(links) {
  // Linux 5.18 marks its own as well, that of the loopback above all.
  marks_are_kept_ = std::any_of(addresses.begin(), addresses.end(),
                                [](const AddressInfo& info) { return info.proto != 0; });
  for (const AddressInfo& info : addresses) {
    by_address_[info.address].push_back(&info);
    const bool is_subnet = info.prefix_length < 8 * info.address.size();
    if (is_subnet && !is_ours(info)) subnets_[info.link_index].push_back(&info);
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

std::string AddressBook::obstacle(const Address& vip, unsigned prefix_length, int link_index,
                                  bool is_up) const {
  for (const AddressInfo* info : all(vip)) {
    const bool in_place = info->link_index == link_index && info->prefix_length == prefix_length;
    // The next renewal makes it ours again.
    if (is_ours(*info) || (in_place && is_up)) continue;
    const std::string link = link_name(info->link_index);
    std::string text = text_of(*info) + " is on " + link;
    text += " already, and not by vipd; \"ip addr del " + text_of(*info) + " dev " + link;
    return text += "\" removes it";
  }
  const auto subnets = subnets_.find(link_index);
  if (subnets == subnets_.end() || vip.is_v6()) return "";
  for (const AddressInfo* info : subnets->second) {
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

std::string AddressBook::oddity(const Address& vip, int link_index) const {
  if (is_link_local(vip)) {
    return vip.text() + " is a link-local address: only hosts on the same link can use it";
  }
  const auto subnets = subnets_.find(link_index);
  if (subnets == subnets_.end()) return "";
  std::string others;
  for (const AddressInfo* info : subnets->second) {
    if (info->address.size() != vip.size() || is_link_local(info->address)) continue;
    if (same_network(vip, info->address, info->prefix_length)) return "";
    others += (others.empty() ? "" : ", ") + text_of(*info);
  }
  if (others.empty()) return "";
  return vip.text() + " is in no subnet of " + link_name(link_index) + " (" + others +
         "): its neighbours will not look for it on that link";
}

}  // namespace vipd::net
