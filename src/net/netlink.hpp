// Addresses and links by rtnetlink (libmnl). Requests are executed by the kernel inside the send
// call, under RTNL, so they are synchronous here and may take tens of milliseconds when somebody
// else holds RTNL; the caller looks at the clock afterwards. Never decides anything.
//
// Source: linux/rtnetlink.h, linux/if_addr.h, net/ipv4/devinet.c.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "vipd/loop.hpp"
#include "vipd/types.hpp"

namespace vipd::net {

// IFA_PROTO of our addresses (kernel 5.18 and later keep it): the mark by which an address that a
// killed daemon left behind is known as ours. Any value that rtnetlink.h and iproute2 do not use.
constexpr uint8_t kAddressProto = 0x76;

struct Link {
  int index = 0;
  std::string name;
  std::vector<std::string> altnames;
  MacAddress mac;
  bool up = false;       // IFF_UP
  bool carrier = false;  // IFF_LOWER_UP
  bool has_arp = false;  // neither loopback nor IFF_NOARP: the kernel answers there
  bool is_ethernet = false;
  int master = 0;  // the bond or bridge that it is a port of
  int lower = 0;   // the link that it is made on (VLAN, macvlan)
};

struct AddressInfo {
  int link_index = 0;
  Address address;
  unsigned prefix_length = 0;
  uint8_t proto = 0;  // IFA_PROTO, 0 when the kernel has none
  bool permanent = false;
  bool deprecated = false;
  uint32_t by_port = 0;  // nlmsg_pid: of whoever asked for the change; 0: the kernel, or IPv6
  bool expired = false;  // in a removal: the kernel's lifetime ran out (pid 0, ifa_valid 0)
  // Caused by a request of this process (nlmsg_pid). IPv4 only: the kernel's IPv6 notifications
  // name nobody (net/ipv6/addrconf.c, inet6_ifa_notify), so there it is always false.
  bool own_change = false;
};

class Netlink {
 public:
  struct Handlers {
    std::function<void(const Link&)> link_changed;  // new, or anything of it changed
    std::function<void(int link_index)> link_removed;
    std::function<void(const AddressInfo&)> address_added;  // also for each renewal
    std::function<void(const AddressInfo&)> address_removed;
    // The kernel dropped messages (ENOBUFS): what is known may be wrong. The adapter drains the
    // socket and calls this; the owner of the state calls dump() and compares.
    std::function<void()> overrun;
  };

  // nullptr and a reason when the kernel refuses the sockets (no CAP_NET_ADMIN is noticed only by
  // the first request).
  static std::unique_ptr<Netlink> open(Loop& loop, Handlers handlers, std::string* reason);
  ~Netlink();
  Netlink(const Netlink&) = delete;
  Netlink& operator=(const Netlink&) = delete;

  // What is there now: all links, all IPv4 and IPv6 addresses. Repeats an interrupted dump
  // (NLM_F_DUMP_INTR), or one with which notices were queued (they are handed out before), up to 5
  // times. False when the kernel would not answer, or not once without a change in between: ask
  // again later.
  [[nodiscard]] bool dump(std::vector<Link>* links, std::vector<AddressInfo>* addresses);

  // Adds the address or renews its lifetime (NLM_F_CREATE | NLM_F_REPLACE), deprecated unless it is
  // to be preferred as source, NOPREFIXROUTE, IFA_PROTO ours; IPv6 with NODAD. valid_s: 1 to 14
  // whole seconds (the kernel's timers are too coarse above). Returns 0 or the errno of the
  // acknowledgement.
  [[nodiscard]] int add_address(int link_index, const Address& address, unsigned prefix_length,
                                uint32_t valid_s, bool is_preferred = false);
  // Returns 0 or an errno; an address that is not there (EADDRNOTAVAIL, ENODEV) counts as removed:
  // 0.
  [[nodiscard]] int remove_address(int link_index, const Address& address, unsigned prefix_length);

 private:
  struct Impl;
  explicit Netlink(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace vipd::net
