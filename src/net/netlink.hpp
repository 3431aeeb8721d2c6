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

struct Route;

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
  // Of a kind that a host makes for each container or guest, and removes by the hundred.
  bool is_fleeting = false;
  // promote_secondaries: whether the others of a subnet outlive its first IPv4 address.
  bool promotes = false;
};

// IFA_LABEL of our IPv4 addresses on a link. ioctl's SIOCSIFADDR (ifconfig, udhcpc) turns the first
// address that has the link's name for its label into the one that it sets, flags included.
[[nodiscard]] std::string label_on(const std::string& link_name);

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
  // whole seconds (the kernel's timers are too coarse above). A new IPv4 address gets a label of
  // ours (label_on). Returns 0 or the errno of the acknowledgement.
  [[nodiscard]] int add_address(int link_index, const Address& address, unsigned prefix_length,
                                uint32_t valid_s, bool is_preferred = false,
                                const std::string& label = {});
  // Returns 0 or an errno; an address that is not there (EADDRNOTAVAIL, ENODEV) counts as removed:
  // 0. Removes no other: with the first IPv4 address of a subnet the kernel would remove the rest
  // of it, the host's own as well, so the link's promote_secondaries is set meanwhile.
  [[nodiscard]] int remove_address(int link_index, const Address& address, unsigned prefix_length);

  // The number of the link that the default route of the main table with the lowest metric leads
  // to, those of vipd left out; 0: none, or the kernel would not say. Reads the first part of the
  // kernel's list alone, which begins with these: a router may have a million.
  [[nodiscard]] int default_link(bool is_v6);
  // Adds the route beside those of others, before equal ones, or renews its expiry (IPv6; valid_s:
  // as for addresses). Returns 0, also if it is there already, or an errno: ENETUNREACH,
  // EHOSTUNREACH or EINVAL for a gateway that is in no subnet of the link.
  [[nodiscard]] int add_route(const Route& route, uint32_t valid_s);
  // Removes it if it is ours. Returns 0 or an errno; one that is not there (ESRCH): 0.
  [[nodiscard]] int remove_route(const Route& route);

 private:
  struct Impl;
  explicit Netlink(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace vipd::net
