#include "conf/routes.hpp"

#include <algorithm>
#include <optional>
#include <vector>

#include "conf/values.hpp"
#include "sys/number.hpp"
#include "vipd/subnet.hpp"

namespace vipd::conf {
namespace {

constexpr size_t kMostRoutes = 32;
constexpr uint32_t kLocalTable = 255;  // RT_TABLE_LOCAL: what this host answers for
constexpr uint32_t kMainTable = 254;

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  while (true) {
    const size_t begin = text.find_first_not_of(" \t");
    if (begin == std::string_view::npos) return words;
    text.remove_prefix(begin);
    words.push_back(text.substr(0, text.find_first_of(" \t")));
    text.remove_prefix(words.back().size());
  }
}

bool parse_destination(std::string_view text, const Address& gateway, RouteConfig* route,
                       std::string* reason) {
  if (text == "default") return true;
  const size_t slash = text.find('/');
  const std::optional<Address> address = Address::parse(text.substr(0, slash));
  if (!address || address->is_v4() != gateway.is_v4()) {
    return fail(reason, text,
                "is not a destination of the gateway's address family; write default, " +
                    std::string(gateway.is_v4() ? "10.0.0.0/8" : "2001:db8::/32"));
  }
  const auto bits = static_cast<unsigned>(8 * address->size());
  std::optional<unsigned> length = bits;
  if (slash != std::string_view::npos) length = sys::parse_number<unsigned>(text.substr(slash + 1));
  if (!length || *length > bits) {
    return fail(reason, text, "has no valid length; write /0 to /" + std::to_string(bits));
  }
  if (network_of(*address, *length) != *address) {
    return fail(reason, text,
                "has bits set beyond its prefix length; write " +
                    network_of(*address, *length).text() + "/" + std::to_string(*length));
  }
  route->length = *length;
  if (*length != 0) route->destination = *address;
  return true;
}

bool parse_table(std::string_view text, uint32_t* table, std::string* reason) {
  const std::optional<uint32_t> number = sys::parse_number<uint32_t>(text);
  if (!number || *number == 0 || *number == kLocalTable) {
    return fail(reason, text,
                "is not the number of a routing table; write 1 to 4294967295, but not 255");
  }
  *table = *number == kMainTable ? 0 : *number;
  return true;
}

bool parse_route(std::string_view text, RouteConfig* route, std::string* reason) {
  const std::vector<std::string_view> words = words_of(text);
  const bool has_table = words.size() == 5 && words[3] == "table";
  if ((words.size() != 3 && !has_table) || words[1] != "via") {
    return fail(reason, text,
                "is not a route; write DESTINATION via GATEWAY, and perhaps table NUMBER");
  }
  const std::optional<Address> gateway = Address::parse(words[2]);
  if (!gateway) return fail(reason, words[2], "is not the address of a gateway");
  route->gateway = *gateway;
  if (has_table && !parse_table(words[4], &route->table, reason)) return false;
  return parse_destination(words[0], *gateway, route, reason);
}

std::string text_of(const RouteConfig& route) {
  std::string text =
      route.length == 0 ? "default" : route.destination.text() + "/" + std::to_string(route.length);
  text += " via " + route.gateway.text();
  return route.table == 0 ? text : text + " table " + std::to_string(route.table);
}

}  // namespace

bool parse_routes(std::string_view text, VipConfig* vip, std::string* reason) {
  std::vector<RouteConfig> routes;
  while (true) {
    const size_t comma = text.find(',');
    RouteConfig route;
    if (!parse_route(text.substr(0, comma), &route, reason)) return false;
    if (std::find(routes.begin(), routes.end(), route) != routes.end()) {
      return fail(reason, text_of(route), "is given twice");
    }
    routes.push_back(route);
    if (routes.size() > kMostRoutes) return fail(reason, text, "has more than 32 routes");
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  vip->routes = std::move(routes);
  return true;
}

std::string routes_text(const VipConfig& vip) {
  std::string text;
  for (const RouteConfig& route : vip.routes) text += (text.empty() ? "" : ", ") + text_of(route);
  return text;
}

std::string routes_fault(const VipConfig& vip) {
  if (vip.address.size() == 0) return "";  // missing or faulty: said already
  const std::string head = "vip." + vip.name + ".routes: ";
  for (const RouteConfig& route : vip.routes) {
    if (route.gateway == vip.address) {
      return head + quoted(text_of(route)) +
             " leads to the VIP itself; write another host's address";
    }
    if (route.gateway.is_v4() != vip.address.is_v4()) {
      return head + quoted(text_of(route)) + " is not of the family of " + vip.address.text() +
             ", which is the source of its routes";
    }
  }
  return "";
}

}  // namespace vipd::conf
