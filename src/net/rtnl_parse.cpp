#include "net/rtnl_parse.hpp"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <optional>

#include "net/messages.hpp"

namespace vipd::net {
namespace {

constexpr size_t kMaxAltnames = 64;  // far above what people give; bounds what a link may cost

MacAddress mac_payload(const nlattr* attr) {
  MacAddress mac;
  if (mnl_attr_get_payload_len(attr) == mac.bytes.size()) {
    std::memcpy(mac.bytes.data(), mnl_attr_get_payload(attr), mac.bytes.size());
  }
  return mac;
}

void read_altnames(const nlattr* list, Link* link) {
  for_each_nested(list, [&](const nlattr* attr) {
    if (mnl_attr_get_type(attr) != IFLA_ALT_IFNAME) return;
    if (link->altnames.size() < kMaxAltnames) link->altnames.push_back(text_payload(attr));
  });
}

const nlattr* find_attribute(const nlattr* list, uint16_t type) {
  const nlattr* found = nullptr;
  for_each_nested(list, [&](const nlattr* attr) {
    if (mnl_attr_get_type(attr) == type) found = attr;
  });
  return found;
}

// IFLA_INET_CONF has the values of net.ipv4.conf.LINK in the order of linux/ip.h, from 1 on.
bool read_promotes(const nlattr* families) {
  constexpr size_t kPlace = (IPV4_DEVCONF_PROMOTE_SECONDARIES - 1) * sizeof(uint32_t);
  const nlattr* const family = find_attribute(families, AF_INET);
  const nlattr* const values = family == nullptr ? nullptr : find_attribute(family, IFLA_INET_CONF);
  uint32_t value = 0;
  if (values == nullptr || mnl_attr_get_payload_len(values) < kPlace + sizeof value) return false;
  std::memcpy(&value, static_cast<const char*>(mnl_attr_get_payload(values)) + kPlace,
              sizeof value);
  return value != 0;
}

// veth, tun (and tap), macvlan, macvtap, ipvlan, ipvtap; bonds, bridges and VLANs are not.
bool is_fleeting(const nlattr* info) {
  const nlattr* const attr = find_attribute(info, IFLA_INFO_KIND);
  const std::string kind = attr == nullptr ? "" : text_payload(attr);
  return kind == "veth" || kind == "tun" || kind.starts_with("macv") || kind.starts_with("ipv");
}

bool parse_link(const nlmsghdr& header, Link* link) {
  auto info = fixed_header<ifinfomsg>(header);
  // A bridge speaks of its ports in the same group with AF_BRIDGE, and says RTM_DELLINK when a port
  // merely leaves it (net/bridge/br_netlink.c).
  if (!info || info->ifi_family != AF_UNSPEC || info->ifi_index <= 0) return false;
  link->index = info->ifi_index;
  link->up = (info->ifi_flags & IFF_UP) != 0;
  link->carrier = (info->ifi_flags & IFF_LOWER_UP) != 0;
  // Tunnels and loopback have addresses too, but no ARP over Ethernet.
  link->is_ethernet = info->ifi_type == ARPHRD_ETHER;
  link->has_arp = (info->ifi_flags & (IFF_LOOPBACK | IFF_NOARP)) == 0;
  bool is_partial = false;
  auto take = [&](const nlattr* attr) {
    const uint16_t type = mnl_attr_get_type(attr);
    if (type == IFLA_IFNAME) link->name = text_payload(attr);
    if (type == IFLA_LINKINFO) link->is_fleeting = is_fleeting(attr);
    if (type == IFLA_AF_SPEC) link->promotes = read_promotes(attr);
    if (type == IFLA_PROP_LIST) read_altnames(attr, link);
    if (type == IFLA_MASTER) link->master = fixed_payload<int>(attr).value_or(0);
    if (type == IFLA_LINK) link->lower = fixed_payload<int>(attr).value_or(0);
    if (type == IFLA_ADDRESS && link->is_ethernet) link->mac = mac_payload(attr);
    // A wireless driver's event: nothing of the link but name and flags (net/wireless/wext-core.c).
    if (type == IFLA_WIRELESS) is_partial = true;
  };
  for_each_attribute(header, sizeof *info, take);
  return header.nlmsg_type == RTM_DELLINK || (!link->name.empty() && !is_partial);
}

struct AddressAttributes {
  Address local;    // IFA_LOCAL: ours, where there is a peer
  Address address;  // IFA_ADDRESS: the peer then, otherwise ours
  uint32_t flags = 0;
  std::optional<ifa_cacheinfo> lifetimes;
  uint8_t proto = 0;
};

AddressAttributes read_address_attributes(const nlmsghdr& header, const ifaddrmsg& info) {
  AddressAttributes result;
  result.flags = info.ifa_flags;
  auto take = [&](const nlattr* attr) {
    const uint16_t type = mnl_attr_get_type(attr);
    if (type == IFA_LOCAL) result.local = address_payload(attr, info.ifa_family);
    if (type == IFA_ADDRESS) result.address = address_payload(attr, info.ifa_family);
    // All 32 bits; the header has room for the lower eight only.
    if (type == IFA_FLAGS) result.flags = fixed_payload<uint32_t>(attr).value_or(result.flags);
    if (type == IFA_CACHEINFO) result.lifetimes = fixed_payload<ifa_cacheinfo>(attr);
    if (type == IFA_PROTO) result.proto = fixed_payload<uint8_t>(attr).value_or(0);
  };
  for_each_attribute(header, sizeof info, take);
  return result;
}

bool parse_address(const nlmsghdr& header, uint32_t own_port, AddressInfo* address) {
  auto info = fixed_header<ifaddrmsg>(header);
  if (!info || (info->ifa_family != AF_INET && info->ifa_family != AF_INET6)) return false;
  const AddressAttributes attributes = read_address_attributes(header, *info);
  address->address = attributes.local.size() != 0 ? attributes.local : attributes.address;
  address->link_index = static_cast<int>(info->ifa_index);
  address->prefix_length = info->ifa_prefixlen;
  address->proto = attributes.proto;
  address->deprecated = (attributes.flags & IFA_F_DEPRECATED) != 0;
  address->by_port = header.nlmsg_pid;
  address->permanent = (attributes.flags & IFA_F_PERMANENT) != 0;
  // Somebody's deletion carries the port id of who asked; that of a link that goes down carries 0
  // and the rest of the lifetime (measured).
  address->expired = header.nlmsg_type == RTM_DELADDR && header.nlmsg_pid == 0 &&
                     attributes.lifetimes && attributes.lifetimes->ifa_valid == 0;
  address->own_change = header.nlmsg_pid != 0 && header.nlmsg_pid == own_port;
  return address->address.size() != 0 && address->link_index > 0 &&
         address->prefix_length <= 8 * address->address.size();
}

}  // namespace

RtnlMessage parse_message(const nlmsghdr& header, uint32_t own_port) {
  assert(header.nlmsg_len >= sizeof header);
  using Kind = RtnlMessage::Kind;
  RtnlMessage message;
  message.seq = header.nlmsg_seq;
  message.dump_interrupted = (header.nlmsg_flags & NLM_F_DUMP_INTR) != 0;
  switch (header.nlmsg_type) {
    case RTM_NEWLINK:
      if (parse_link(header, &message.link)) message.kind = Kind::LinkChanged;
      break;
    case RTM_DELLINK:
      if (parse_link(header, &message.link)) message.kind = Kind::LinkRemoved;
      break;
    case RTM_NEWADDR:
      if (parse_address(header, own_port, &message.address)) message.kind = Kind::AddressAdded;
      break;
    case RTM_DELADDR:
      if (parse_address(header, own_port, &message.address)) message.kind = Kind::AddressRemoved;
      break;
    case NLMSG_ERROR:
      message.kind = Kind::Ack;
      message.error = error_in(header);
      break;
    case NLMSG_DONE:
      message.kind = Kind::DumpDone;
      message.error = error_in(header);
      break;
    default:
      break;
  }
  return message;
}

void for_each_message(const void* data, size_t size, uint32_t own_port,
                      const std::function<void(const RtnlMessage&)>& take) {
  for_each_header(data, size,
                  [&](const nlmsghdr& header) { take(parse_message(header, own_port)); });
}

}  // namespace vipd::net
