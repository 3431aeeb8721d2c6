// The routes that come and go with a VIP: that of its subnet where the link has no other address
// in it, and those of vip.NAME.routes. A fault of one never costs the address. Part of the network.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "net/route.hpp"
#include "vipd/types.hpp"

namespace vipd::net {
class Netlink;
}

namespace vipd {

struct VipConfig;

// Where a VIP is, as far as routes need to know.
struct RoutePlace {
  int link_index = 0;
  int lifetime_s = 0;       // of the address; of IPv6 routes likewise
  bool has_subnet = false;  // the route of the subnet is wanted
};

class Routes {
 public:
  // To be called when the address was just set, renewed or seen: sets routes that are missing,
  // gives IPv6 routes the address's lifetime, removes those that are no longer wanted. A failure is
  // logged once and tried again at each call.
  void keep(const VipConfig& vip, const RoutePlace& place, net::Netlink* netlink);
  // The address has gone.
  void drop(const Address& vip, net::Netlink* netlink);
  // The first route that could not be set, and why; empty: all are there.
  [[nodiscard]] std::string fault(const Address& vip) const;

 private:
  struct OfVip {
    std::vector<net::Route> set;
    int lifetime_s = 0;
    std::string fault;
  };

  void tell(const VipConfig& vip, OfVip* mine, const std::string& fault);
  void restore(const net::Route& gone, net::Netlink* netlink);

  std::map<Address, OfVip> of_;
};

}  // namespace vipd
