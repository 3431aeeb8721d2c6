// Routes of a VIP on the running kernel, in a network namespace of its own. Needs root.
#include <net/if.h>
#include <sched.h>
#include <unistd.h>

#include <cstdlib>

#include "daemon/routes.hpp"
#include "harness.hpp"
#include "logged.hpp"
#include "net/netlink.hpp"
#include "vipd/config.hpp"
#include "vipd/loop.hpp"

using namespace vipd;

static bool is_isolated = false;

void setUp() {
  if (!is_isolated) TEST_IGNORE_MESSAGE("needs root: unshare(CLONE_NEWNET) was refused");
}

namespace {

bool run(const std::string& command) {
  return system(command.c_str()) == 0;
}

bool has_route(const std::string& words, const char* family = "-4") {
  return run("ip " + std::string(family) + " route show table all | grep -q '^" + words + "'");
}

VipConfig vip_of(const char* address, unsigned length) {
  VipConfig vip;
  vip.name = "api";
  vip.address = *Address::parse(address);
  vip.prefix_length = length;
  return vip;
}

RouteConfig default_via(const char* gateway, uint32_t table = 0) {
  RouteConfig route;
  route.gateway = *Address::parse(gateway);
  route.table = table;
  return route;
}

// A link without any address, which goes with the test.
struct Bench {
  Loop loop;
  std::string reason;
  std::unique_ptr<net::Netlink> netlink = net::Netlink::open(loop, {}, &reason);
  Routes routes;
  int index = 0;

  Bench() {
    (void)run("ip link add eth0 type veth peer name peer0");
    (void)run("for l in eth0 peer0; do ip link set $l addrgenmode none; ip link set $l up; done");
    index = static_cast<int>(if_nametoindex("eth0"));
    logged::lines.clear();
  }
  ~Bench() { (void)run("ip link delete eth0"); }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  bool keep(const VipConfig& vip, bool has_subnet = true, int lifetime_s = 10) {
    const auto bits = static_cast<unsigned>(8 * vip.address.size());
    const int error =
        netlink->add_address(index, vip.address, bits, static_cast<uint32_t>(lifetime_s));
    routes.keep(vip, {.link_index = index, .lifetime_s = lifetime_s, .has_subnet = has_subnet},
                netlink.get());
    return error == 0;
  }
  bool remove(const VipConfig& vip) {
    const auto bits = static_cast<unsigned>(8 * vip.address.size());
    const int error = netlink->remove_address(index, vip.address, bits);
    routes.drop(vip.address, netlink.get());
    return error == 0;
  }
};

void the_subnets_route_comes_and_goes_with_the_address() {
  Bench b;
  for (const auto& [vip, family, route] :
       {std::tuple{vip_of("203.0.113.5", 24), "-4",
                   "203.0.113.0/24 dev eth0 proto 118 scope link src 203.0.113.5"},
        {vip_of("2001:db8::5", 64), "-6", "2001:db8::/64 dev eth0 proto 118 src 2001:db8::5"}}) {
    for (int i = 0; i < 3; ++i) TEST_ASSERT_TRUE(b.keep(vip));
    TEST_ASSERT_TRUE(has_route(route, family));
    TEST_ASSERT_TRUE(b.keep(vip, false));
    TEST_ASSERT_FALSE(has_route(route, family));
    TEST_ASSERT_TRUE(b.keep(vip) && has_route(route, family));
    TEST_ASSERT_TRUE(b.remove(vip));
    TEST_ASSERT_FALSE(run("ip " + std::string(family) + " route show | grep -q 118"));
  }
}

// Nobody does anything any more. An IPv6 route is listed for a while after it has expired.
void without_a_daemon_the_routes_end_with_the_addresses() {
  Bench b;
  VipConfig four = vip_of("203.0.113.5", 24), six = vip_of("2001:db8::5", 64);
  four.routes = {default_via("203.0.113.1"), default_via("203.0.113.1", 77)};
  six.routes = {default_via("2001:db8::1")};
  TEST_ASSERT_TRUE(b.keep(four, true, 1) && b.keep(six, true, 1));
  TEST_ASSERT_EQUAL_STRING("", b.routes.fault(four.address) + b.routes.fault(six.address));
  TEST_ASSERT_TRUE(has_route("default via 203.0.113.1 dev eth0 table 77 proto 118"));
  TEST_ASSERT_TRUE(run("ip -6 route get 2001:db8:1::1 >/dev/null"));
  TEST_ASSERT_TRUE(
      run("for i in $(seq 50); do ip addr show dev eth0 | grep -q inet || exit 0; "
          "sleep 0.1; done; exit 1"));
  TEST_ASSERT_FALSE(run("ip -4 route show table all | grep -q 'proto 118'"));
  TEST_ASSERT_FALSE(run("ip -6 route get 2001:db8::9 2>/dev/null | grep -q eth0"));
  TEST_ASSERT_FALSE(run("ip -6 route get 2001:db8:1::1 2>/dev/null | grep -q eth0"));
}

// An equal one of somebody else is neither replaced nor removed, nor does ours change its expiry.
void routes_of_others_are_left_alone() {
  Bench b;
  TEST_ASSERT_TRUE(
      run("ip addr add 203.0.113.7/24 dev eth0 && ip -6 addr add 2001:db8::7/64 dev eth0 nodad "
          "&& ip route add default via 203.0.113.1 && ip -6 route add default via 2001:db8::1"));
  VipConfig four = vip_of("203.0.113.5", 24), six = vip_of("2001:db8::5", 64);
  four.routes = {default_via("203.0.113.1")};
  six.routes = {default_via("2001:db8::1")};
  const auto others = [] {
    return has_route("203.0.113.0/24 dev eth0 proto kernel scope link src 203.0.113.7") &&
           has_route("default via 203.0.113.1 dev eth0 $") &&
           has_route("2001:db8::/64 dev eth0 proto kernel metric 256 pref", "-6") &&
           has_route("default via 2001:db8::1 dev eth0 metric 1024 pref", "-6");
  };
  TEST_ASSERT_TRUE(others());
  TEST_ASSERT_TRUE(b.keep(four) && b.keep(six));
  TEST_ASSERT_TRUE(others());
  TEST_ASSERT_TRUE(run("ip route get 192.0.2.1 | grep -q 'src 203.0.113.5'"));
  TEST_ASSERT_TRUE(run("ip -6 route get 2001:db8:1::1 | grep -q 'src 2001:db8::5'"));
  TEST_ASSERT_TRUE(b.remove(four) && b.remove(six));
  TEST_ASSERT_TRUE(others());
  TEST_ASSERT_FALSE(run("ip route | grep -q 118") || run("ip -6 route | grep -q 118"));
}

void what_cannot_be_set_is_said_once_and_tried_again() {
  Bench b;
  VipConfig vip = vip_of("203.0.113.5", 24);
  vip.routes = {default_via("198.51.100.1"), default_via("203.0.113.1", 77)};
  const char* kFault = "route default via 198.51.100.1: the gateway is in no subnet of the link";
  for (int i = 0; i < 3; ++i) TEST_ASSERT_TRUE(b.keep(vip));
  TEST_ASSERT_EQUAL_STRING(kFault, b.routes.fault(vip.address));
  TEST_ASSERT_EQUAL_INT(1, logged::count(kFault));
  TEST_ASSERT_TRUE(has_route("default via 203.0.113.1 dev eth0 table 77 proto 118"));
  TEST_ASSERT_TRUE(run("ip addr add 198.51.100.7/24 dev eth0"));
  TEST_ASSERT_TRUE(b.keep(vip));
  TEST_ASSERT_EQUAL_STRING("", b.routes.fault(vip.address));
  TEST_ASSERT_TRUE(has_route("default via 198.51.100.1 dev eth0 proto 118 src 203.0.113.5"));
  vip.routes.clear();
  TEST_ASSERT_TRUE(b.keep(vip));
  TEST_ASSERT_FALSE(has_route("default"));
}

// To IPv6 the routes of both are one.
void an_ipv6_route_stays_for_the_next_of_its_subnet() {
  Bench b;
  const VipConfig first = vip_of("2001:db8::5", 64), second = vip_of("2001:db8::6", 64);
  TEST_ASSERT_TRUE(b.keep(first) && b.keep(second) && b.remove(first));
  TEST_ASSERT_TRUE(has_route("2001:db8::/64 dev eth0 proto 118 src 2001:db8::6", "-6"));
  TEST_ASSERT_TRUE(b.remove(second));
  TEST_ASSERT_FALSE(has_route("2001:db8::/64", "-6"));
}

}  // namespace

int main() {
  UNITY_BEGIN();
  is_isolated = unshare(CLONE_NEWNET) == 0 && run("ip link set lo up");
  RUN_TEST(the_subnets_route_comes_and_goes_with_the_address);
  RUN_TEST(without_a_daemon_the_routes_end_with_the_addresses);
  RUN_TEST(routes_of_others_are_left_alone);
  RUN_TEST(what_cannot_be_set_is_said_once_and_tried_again);
  RUN_TEST(an_ipv6_route_stays_for_the_next_of_its_subnet);
  return UNITY_END();
}
