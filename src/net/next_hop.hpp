// Which neighbour the kernel would use as the next hop on a link, by its routing table. Read-only;
// asks for one route, however many there are.
//
// Source: rtnetlink(7), net/ipv4/route.c (inet_rtm_getroute), net/ipv6/route.c.
#pragma once

#include <optional>

#include "vipd/types.hpp"

namespace vipd::net {

struct NextHop {
  std::optional<Address> gateway;  // none: the destination is a neighbour itself
  std::optional<Address> source;   // of packets that go there
};

// nullopt: there is none by that link, or the kernel would not say. Takes microseconds.
[[nodiscard]] std::optional<NextHop> next_hop_by(int link_index, const Address& destination);

// The same for the default route of the link.
[[nodiscard]] std::optional<NextHop> default_next_hop_by(int link_index, bool is_v4);

}  // namespace vipd::net
