#include "net/route.hpp"

#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <optional>

#include "net/messages.hpp"

namespace vipd::net {
namespace {

// Before what router advertisements bring (1024). Not that of the kernel's own routes (256): an
// equal route would have its expiry changed by ours.
constexpr uint32_t kMetric6 = 512;

// A default route that is somebody else's, through one gateway.
struct Default {
  int link_index = 0;
  uint32_t metric = 0;
};

Default read_default(const nlmsghdr& header) {
  Default found;
  const std::optional<rtmsg> message = fixed_header<rtmsg>(header);
  if (header.nlmsg_type != RTM_NEWROUTE || !message) return found;
  const bool is_wanted = message->rtm_dst_len == 0 && message->rtm_type == RTN_UNICAST &&
                         message->rtm_table == RT_TABLE_MAIN &&
                         message->rtm_protocol != kRouteProtocol;
  if (!is_wanted) return found;
  for_each_attribute(header, sizeof *message, [&](const nlattr* attr) {
    const uint16_t type = mnl_attr_get_type(attr);
    if (type == RTA_OIF) found.link_index = fixed_payload<int>(attr).value_or(0);
    if (type == RTA_PRIORITY) found.metric = fixed_payload<uint32_t>(attr).value_or(0);
  });
  return found;
}

}  // namespace

int first_default_link(const void* data, size_t size) {
  Default best;
  for_each_header(data, size, [&](const nlmsghdr& header) {
    const Default found = read_default(header);
    if (found.link_index == 0) return;
    if (best.link_index == 0 || found.metric < best.metric) best = found;
  });
  return best.link_index;
}

std::string text_of(const Route& route) {
  std::string text =
      route.length == 0 ? "default" : route.destination.text() + "/" + std::to_string(route.length);
  if (route.gateway.size() != 0) text += " via " + route.gateway.text();
  if (route.table != 0) text += " table " + std::to_string(route.table);
  return text;
}

void put_route(nlmsghdr* header, const Route& route, uint32_t valid_s) {
  const bool is_v4 = route.source.is_v4();
  const bool is_on_link = route.gateway.size() == 0;
  const uint32_t table = route.table == 0 ? uint32_t{RT_TABLE_MAIN} : route.table;
  auto* message = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(rtmsg)));
  message->rtm_family = is_v4 ? AF_INET : AF_INET6;
  message->rtm_dst_len = static_cast<uint8_t>(route.length);
  message->rtm_protocol = kRouteProtocol;
  message->rtm_scope = is_v4 && is_on_link ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  message->rtm_type = RTN_UNICAST;
  // IPv6 takes a route to be removed for one of any other metric.
  if (!is_v4) mnl_attr_put_u32(header, RTA_PRIORITY, kMetric6);
  if (route.length != 0) {
    mnl_attr_put(header, RTA_DST, route.destination.size(), route.destination.data());
  }
  if (!is_on_link) mnl_attr_put(header, RTA_GATEWAY, route.gateway.size(), route.gateway.data());
  mnl_attr_put(header, RTA_PREFSRC, route.source.size(), route.source.data());
  mnl_attr_put_u32(header, RTA_OIF, static_cast<uint32_t>(route.link_index));
  mnl_attr_put_u32(header, RTA_TABLE, table);
  if (!is_v4 && valid_s != 0) mnl_attr_put_u32(header, RTA_EXPIRES, valid_s);
}

}  // namespace vipd::net
