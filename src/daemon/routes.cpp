#include "daemon/routes.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "net/netlink.hpp"
#include "vipd/config.hpp"
#include "vipd/log.hpp"
#include "vipd/subnet.hpp"

namespace vipd {
namespace {

std::vector<net::Route> wanted(const VipConfig& vip, const RoutePlace& place) {
  std::vector<net::Route> routes;
  if (place.has_subnet) {
    routes.push_back({.link_index = place.link_index,
                      .destination = network_of(vip.address, vip.prefix_length),
                      .length = vip.prefix_length,
                      .gateway = {},
                      .table = 0,
                      .source = vip.address});
  }
  for (const RouteConfig& route : vip.routes) {
    routes.push_back({.link_index = place.link_index,
                      .destination = route.destination,
                      .length = route.length,
                      .gateway = route.gateway,
                      .table = route.table,
                      .source = vip.address});
  }
  return routes;
}

std::string words(const net::Route& route, int error) {
  const bool is_unreachable = error == ENETUNREACH || error == EHOSTUNREACH || error == EINVAL;
  const bool has_gateway = route.gateway.size() != 0;
  return "route " + net::text_of(route) + ": " +
         (is_unreachable && has_gateway ? "the gateway is in no subnet of the link"
                                        : std::string(strerror(error)));
}

}  // namespace

void Routes::keep(const VipConfig& vip, const RoutePlace& place, net::Netlink* netlink) {
  const bool wants_some = place.has_subnet || !vip.routes.empty();
  if (!wants_some && !of_.contains(vip.address)) return;
  OfVip& mine = of_[vip.address];
  std::vector<net::Route> now = wanted(vip, place);
  for (const net::Route& old : mine.set) {
    if (std::find(now.begin(), now.end(), old) != now.end()) continue;
    (void)netlink->remove_route(old);
    restore(old, netlink);
  }
  std::string fault;
  for (const net::Route& route : now) {
    const int error = netlink->add_route(route, static_cast<uint32_t>(place.lifetime_s));
    if (error != 0 && fault.empty()) fault = words(route, error);
  }
  mine.set = std::move(now);
  mine.lifetime_s = place.lifetime_s;
  tell(vip, &mine, fault);
}

void Routes::tell(const VipConfig& vip, OfVip* mine, const std::string& fault) {
  if (mine->fault == fault) return;
  if (fault.empty()) {
    log::info("vip %s: all its routes are set", vip.name.c_str());
  } else {
    log::warn("vip %s: %s; the address stays", vip.name.c_str(), fault.c_str());
  }
  mine->fault = fault;
}

void Routes::drop(const Address& vip, net::Netlink* netlink) {
  const auto found = of_.find(vip);
  if (found == of_.end()) return;
  const std::vector<net::Route> set = std::move(found->second.set);
  of_.erase(found);
  for (const net::Route& route : set) {
    (void)netlink->remove_route(route);
    restore(route, netlink);
  }
}

// IPv6 routes that differ only in their source are one route to the kernel: another VIP's was
// removed, too.
void Routes::restore(const net::Route& gone, net::Netlink* netlink) {
  if (gone.source.is_v4()) return;
  for (const auto& [address, other] : of_) {
    net::Route same = gone;
    same.source = address;
    const bool is_its = std::find(other.set.begin(), other.set.end(), same) != other.set.end();
    if (address == gone.source || !is_its || other.lifetime_s == 0) continue;
    (void)netlink->add_route(same, static_cast<uint32_t>(other.lifetime_s));
    return;
  }
}

std::string Routes::fault(const Address& vip) const {
  const auto found = of_.find(vip);
  return found == of_.end() ? "" : found->second.fault;
}

}  // namespace vipd
