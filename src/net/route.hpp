// A route whose preferred source is a VIP, as a request to rtnetlink. Pure: builds messages.
//
// The kernel removes an IPv4 route with a source together with that address
// (net/ipv4/fib_semantics.c, fib_sync_down_addr). An IPv6 route stays and only loses its source: it
// has an expiry, which is renewed with the address (net/ipv6/ip6_fib.c, fib6_add_rt2node).
// Source: linux/rtnetlink.h, rtnetlink(7).
#pragma once

#include <libmnl/libmnl.h>

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>

#include "vipd/types.hpp"

namespace vipd::net {

// rtm_protocol of our routes: nothing else is ever removed. No name of rtnetlink.h has it.
constexpr uint8_t kRouteProtocol = 0x76;

struct Route {
  int link_index = 0;
  Address destination;  // without host bits
  unsigned length = 0;  // of the destination; 0: default
  Address gateway;      // unset: the destination is on the link
  uint32_t table = 0;   // 0: main
  Address source;       // the VIP

  auto operator<=>(const Route&) const = default;
};

// As ip(8) writes it, without link and source.
[[nodiscard]] std::string text_of(const Route& route);

// valid_s: whole seconds until an IPv6 route expires; 0: for its removal. REQUIRES: header was just
// begun by start_request().
void put_route(nlmsghdr* header, const Route& route, uint32_t valid_s);

// Of a datagram of a dump: as Netlink::default_link(). REQUIRES: data is aligned to 4 bytes.
[[nodiscard]] int first_default_link(const void* data, size_t size);

}  // namespace vipd::net
