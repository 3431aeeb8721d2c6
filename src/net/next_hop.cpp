#include "net/next_hop.hpp"

#include <sys/socket.h>

#include <string>

#include "net/messages.hpp"
#include "net/netlink_socket.hpp"

namespace vipd::net {
namespace {

std::optional<NextHop> parse(const nlmsghdr& header) {
  const std::optional<rtmsg> message = fixed_header<rtmsg>(header);
  if (header.nlmsg_type != RTM_NEWROUTE || !message) return std::nullopt;
  NextHop hop;
  for_each_attribute(header, sizeof *message, [&](const nlattr* attr) {
    const uint16_t type = mnl_attr_get_type(attr);
    if (type == RTA_GATEWAY) hop.gateway = address_payload(attr, message->rtm_family);
    if (type == RTA_PREFSRC) hop.source = address_payload(attr, message->rtm_family);
  });
  return hop;
}

}  // namespace

std::optional<NextHop> next_hop_by(int link_index, const Address& destination) {
  std::string reason;
  NetlinkSocket socket = NetlinkSocket::open_for_requests(NETLINK_ROUTE, &reason);
  if (!socket.is_open()) return std::nullopt;
  NetlinkBuffer buffer;
  nlmsghdr* header = start_request(&buffer, RTM_GETROUTE, 0, 1);
  auto* message = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(rtmsg)));
  message->rtm_family = destination.is_v4() ? AF_INET : AF_INET6;
  message->rtm_dst_len = static_cast<uint8_t>(8 * destination.size());
  mnl_attr_put(header, RTA_DST, destination.size(), destination.data());
  mnl_attr_put_u32(header, RTA_OIF, static_cast<uint32_t>(link_index));
  if (socket.send(header) != 0) return std::nullopt;
  const ssize_t size = socket.receive(&buffer);
  std::optional<NextHop> hop;
  for_each_header(buffer.bytes, size < 0 ? 0 : size,
                  [&](const nlmsghdr& answer) { hop = parse(answer); });
  return hop;
}

// Nothing is sent there: an address that is in nobody's table but under the default route.
std::optional<NextHop> default_next_hop_by(int link_index, bool is_v4) {
  return next_hop_by(link_index, is_v4 ? Address::v4(0x01000001) : Address::v6({0x20}));
}

}  // namespace vipd::net
