// The network of a daemon on the running kernel, in a network namespace of its own. Needs root.
#include "daemon/network.hpp"

#include <arpa/inet.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstdlib>
#include <cstring>

#include "daemon/status.hpp"
#include "daemon_bench.hpp"
#include "harness.hpp"
#include "logged.hpp"
#include "net/netlink.hpp"
#include "sys/fd.hpp"

using namespace vipd;

static bool is_isolated = false;

void setUp() {
  if (!is_isolated) TEST_IGNORE_MESSAGE("needs root: unshare(CLONE_NEWNET) was refused");
}

namespace {

const Address kVip = *Address::parse("192.0.2.1");

bool run(const char* command) {
  return system(command) == 0;
}

bool has(const std::string& address, const char* link = "eth0") {
  return run(
      ("ip -o address show dev " + std::string(link) + " | grep -q ' " + address + "'").c_str());
}

bool is_there(const char* link = "eth0") {
  return has("192.0.2.1/", link);
}

// As a former process of vipd would have put it there.
bool leave_behind() {
  Loop loop;
  std::string reason;
  const std::unique_ptr<net::Netlink> netlink = net::Netlink::open(loop, {}, &reason);
  const int index = static_cast<int>(if_nametoindex("eth0"));
  return netlink != nullptr && netlink->add_address(index, kVip, 24, 10) == 0;
}

Memory with_session() {
  Memory memory;
  memory.cluster_id = 42;
  memory.lease = static_cast<LeaseId>(7);
  return memory;
}

// One VIP on a link of its own, which goes with the test.
struct Bench : bench::OneVip {
  Loop loop;
  std::vector<Event> fed;
  std::string obstacle;
  size_t judged = 0;  // VIPs
  int looks = 0;      // that came to the last of them
  int links_seen = 0;
  std::string reason;

  Bench() {
    (void)run(
        "ip link add eth0 type veth peer name peer0 && ip link set eth0 up && ip link set peer0 "
        "up");
    logged::lines.clear();
  }
  ~Bench() {
    (void)run("ip link delete eth0 2>/dev/null");
    (void)run("ip link delete eth1 2>/dev/null");
  }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  Network network{loop,
                  vips,
                  {.feed = [this](const Event& event) { fed.push_back(event); },
                   .obstacle =
                       [this](const VipConfig& vip, const std::string& o) {
                         obstacle = o;
                         judged++;
                         looks += &vip == &configured.back() ? 1 : 0;
                       },
                   .links_seen = [this] { links_seen++; },
                   .has_authority = [] { return true; },
                   .reachable = [](const Address&, bool) {}}};

  template <typename T>
  [[nodiscard]] const T* last() const {
    return fed.empty() ? nullptr : std::get_if<T>(&fed.back());
  }
  bool wait_for(const std::function<bool()>& done) {
    const MonoTime end = loop.now() + Duration::seconds(10);
    while (!done() && loop.now() < end) loop.run_once(Duration::milliseconds(20));
    return done();
  }
  bool start() {
    if (!network.open({}, &reason)) return false;
    network.start();
    return true;
  }
  int add() {
    network.perform(action::AddAddress{.address = kVip, .lifetime_s = 5});
    const auto* added = last<event::AddressAdded>();
    return added == nullptr ? -1 : added->error;
  }
  int remove() {
    network.perform(action::RemoveAddress{kVip}, {}, loop.now() + Duration::seconds(5));
    const auto* removed = last<event::AddressRemoved>();
    return removed == nullptr ? -1 : removed->error;
  }
};

void nothing_is_told_before_the_start_and_then_the_links() {
  Bench b;
  TEST_ASSERT_TRUE(b.network.open({}, &b.reason));
  TEST_ASSERT_TRUE(b.fed.empty());
  b.network.start();
  const auto* link = b.last<event::LinkChanged>();
  TEST_ASSERT_NOT_NULL(link);
  TEST_ASSERT_TRUE(link->present && link->up);
  TEST_ASSERT_EQUAL_STRING("eth0", link->link);
}

void what_was_left_behind_without_a_session_goes() {
  Bench b;
  TEST_ASSERT_TRUE(leave_behind());
  TEST_ASSERT_TRUE(b.network.open({}, &b.reason));
  TEST_ASSERT_FALSE(is_there());
  TEST_ASSERT_EQUAL_INT(1, logged::count("left without authority: removed"));
}

void what_was_left_behind_with_a_session_stays_and_is_found() {
  Bench b;
  TEST_ASSERT_TRUE(leave_behind());
  TEST_ASSERT_TRUE(b.network.open(with_session(), &b.reason));
  TEST_ASSERT_TRUE(is_there());
  b.network.start();
  TEST_ASSERT_NOT_NULL(std::get_if<event::AddressFound>(&b.fed[0]));
  TEST_ASSERT_TRUE(b.network.owns_anything());
}

// The packet fence of the former process may not be removed while it guards something.
void what_is_not_configured_any_more_goes_if_it_was_ours() {
  Bench b;
  b.configured.clear();
  b.vips.changed();
  TEST_ASSERT_TRUE(leave_behind());
  Memory memory = with_session();
  memory.waited_out[kVip] = 3;
  TEST_ASSERT_TRUE(b.network.open(memory, &b.reason));
  TEST_ASSERT_FALSE(is_there());
  TEST_ASSERT_TRUE(b.network.strangers_until() < b.loop.now());
}

void what_may_be_another_daemons_is_waited_for() {
  Bench b;
  b.configured.clear();
  b.vips.changed();
  TEST_ASSERT_TRUE(leave_behind());
  TEST_ASSERT_TRUE(b.network.open(with_session(), &b.reason));
  TEST_ASSERT_TRUE(is_there());
  TEST_ASSERT_TRUE(b.network.strangers_until() > b.loop.now() + Duration::seconds(15));
}

void links_are_looked_at_before_the_core_hears_of_them() {
  Bench b;
  TEST_ASSERT_TRUE(b.network.open({}, &b.reason));
  TEST_ASSERT_EQUAL_INT(0, b.links_seen);
  b.network.start();
  TEST_ASSERT_EQUAL_INT(1, b.links_seen);
  TEST_ASSERT_TRUE(run("ip link set eth0 down"));
  TEST_ASSERT_TRUE(b.wait_for([&] { return b.links_seen > 1; }));
}

void an_address_is_added_and_removed_within_the_call() {
  Bench b;
  TEST_ASSERT_TRUE(b.start());
  TEST_ASSERT_EQUAL_INT(0, b.add());
  TEST_ASSERT_TRUE(is_there() && b.network.owns_anything());
  TEST_ASSERT_EQUAL_INT(0, b.remove());
  TEST_ASSERT_FALSE(is_there() || b.network.owns_anything());
}

// Its first link keeps it otherwise, and two links would have it.
void an_address_moves_when_its_vip_is_for_another_link() {
  Bench b;
  TEST_ASSERT_TRUE(run(
      "ip link add eth1 type veth peer name peer1 && ip link set eth1 up && ip link set peer1 up"));
  TEST_ASSERT_TRUE(b.start());
  TEST_ASSERT_EQUAL_INT(0, b.add());
  b.configured[0].link = "eth1";
  b.vips.changed();
  b.network.vips_changed();
  b.network.reconfigured();
  TEST_ASSERT_EQUAL_INT(0, b.add());
  TEST_ASSERT_FALSE(is_there("eth0"));
  TEST_ASSERT_TRUE(is_there("eth1"));
}

void without_the_link_the_core_is_told_so() {
  Bench b;
  TEST_ASSERT_TRUE(run("ip link delete eth0"));
  TEST_ASSERT_TRUE(b.start());
  TEST_ASSERT_FALSE(b.last<event::LinkChanged>()->present);
  TEST_ASSERT_EQUAL_INT(1, logged::count("there is no link eth0 (there are: lo"));
  TEST_ASSERT_EQUAL_INT(ENODEV, b.add());
  // The core takes the link for gone then, and waits to be told.
  TEST_ASSERT_TRUE(b.wait_for([&] { return b.last<event::LinkChanged>() != nullptr; }));
}

void who_removes_an_address_of_ours_is_named() {
  Bench b;
  TEST_ASSERT_TRUE(b.start());
  TEST_ASSERT_EQUAL_INT(0, b.add());
  TEST_ASSERT_TRUE(run("ip address delete 192.0.2.1/32 dev eth0"));
  TEST_ASSERT_TRUE(b.wait_for([&] { return b.last<event::AddressLost>() != nullptr; }));
  TEST_ASSERT_FALSE(b.last<event::AddressLost>()->expired);
  TEST_ASSERT_FALSE(b.last<event::AddressLost>()->by.empty());
  TEST_ASSERT_FALSE(b.network.owns_anything());
}

void what_expired_is_said_to_have_expired() {
  Bench b;
  TEST_ASSERT_TRUE(b.start());
  b.network.perform(action::AddAddress{.address = kVip, .lifetime_s = 1});
  TEST_ASSERT_TRUE(b.wait_for([&] { return b.last<event::AddressLost>() != nullptr; }));
  TEST_ASSERT_TRUE(b.last<event::AddressLost>()->expired);
}

void a_foreign_address_on_this_host_is_an_obstacle() {
  Bench b;
  TEST_ASSERT_TRUE(b.start());
  TEST_ASSERT_EQUAL_STRING("", b.obstacle);
  TEST_ASSERT_TRUE(run("ip address add 192.0.2.1/32 dev peer0"));
  TEST_ASSERT_TRUE(b.wait_for([&] { return !b.obstacle.empty(); }));
  TEST_ASSERT_TRUE(run("ip address delete 192.0.2.1/32 dev peer0"));
  TEST_ASSERT_TRUE(b.wait_for([&] { return b.obstacle.empty(); }));
}

// A notice that comes meanwhile must not begin it anew, again and again.
void thousands_are_looked_at_over_several_turns() {
  constexpr size_t kVips = 16'000;
  Bench b;
  for (uint32_t i = 1; i < kVips; i++) {
    b.configured.push_back(b.configured[0]);
    b.configured.back().address = Address::v4(0x0a000000 + i);
  }
  b.vips.changed();
  TEST_ASSERT_TRUE(b.start());
  TEST_ASSERT_TRUE(b.judged >= kVips);
  b.looks = 0;
  b.loop.on_turn_start([&b] {  // its turns are spent as soon as they begin
    const MonoTime until = b.loop.now() + Duration::milliseconds(11);
    while (b.loop.now() < until) continue;
  });
  int turns = 0;
  for (int i = 0; i < 1000 && b.looks < 2; i++) {
    const size_t before = b.judged;
    b.network.reconfigured();
    b.loop.run_once(Duration::milliseconds(20));
    turns += b.judged > before ? 1 : 0;
  }
  TEST_ASSERT_EQUAL_INT(2, b.looks);
  TEST_ASSERT_TRUE(turns > 2 * 2);
}

// LVS, IPVS: it is there on every node. But ARP may be answered for it all the same.
void a_copy_on_lo_is_no_obstacle_but_warned_of() {
  Bench b;
  TEST_ASSERT_TRUE(run("ip address add 192.0.2.1/32 dev lo"));
  TEST_ASSERT_TRUE(b.start());
  TEST_ASSERT_EQUAL_STRING("", b.obstacle);
  TEST_ASSERT_EQUAL_INT(1, logged::count("set net.ipv4.conf.eth0.arp_ignore = 1"));
  TEST_ASSERT_EQUAL_INT(0, b.add());
  TEST_ASSERT_EQUAL_INT(0, b.remove());
  TEST_ASSERT_TRUE(is_there("lo"));
  TEST_ASSERT_TRUE(run("ip address delete 192.0.2.1/32 dev lo"));
}

// As version 1.0 set it. With promote_secondaries = 0 the kernel removes the rest of the subnet
// with its first address.
void an_address_of_a_former_version_is_replaced_and_the_hosts_own_stays() {
  for (const char* promotes : {"0", "1"}) {
    Bench b;
    const std::string setting = "/proc/sys/net/ipv4/conf/eth0/promote_secondaries";
    TEST_ASSERT_TRUE(run(("echo " + std::string(promotes) + " > " + setting).c_str()));
    TEST_ASSERT_TRUE(leave_behind());
    TEST_ASSERT_TRUE(
        run("ip address add 192.0.2.7/24 dev eth0 && ip address add 192.0.2.8/24 dev "
            "eth0"));
    TEST_ASSERT_TRUE(b.network.open(with_session(), &b.reason));
    b.network.start();
    TEST_ASSERT_TRUE(b.network.owns_anything());
    TEST_ASSERT_EQUAL_INT(0, b.add());
    TEST_ASSERT_TRUE(has("192.0.2.1/32") && !has("192.0.2.1/24"));
    TEST_ASSERT_TRUE(has("192.0.2.7/24") && has("192.0.2.8/24"));
    TEST_ASSERT_TRUE(run("ip route | grep -q '^192.0.2.0/24 dev eth0'"));
    TEST_ASSERT_TRUE(run(("grep -q " + std::string(promotes) + " " + setting).c_str()));
    TEST_ASSERT_EQUAL_INT(0, b.remove());
    TEST_ASSERT_TRUE(!is_there() && has("192.0.2.7/24") && has("192.0.2.8/24"));
  }
}

// One that may not be kept is removed with the same care.
void a_stray_of_a_former_version_takes_nothing_of_the_hosts_along() {
  Bench b;
  TEST_ASSERT_TRUE(leave_behind());
  TEST_ASSERT_TRUE(run("ip address add 192.0.2.7/24 dev eth0"));
  TEST_ASSERT_TRUE(b.network.open({}, &b.reason));
  TEST_ASSERT_TRUE(!is_there() && has("192.0.2.7/24"));
}

// Removed and added again while the VIP is there: it is the only one of its subnet each time.
void the_hosts_own_address_comes_and_goes_beside_it() {
  Bench b;
  TEST_ASSERT_TRUE(run("ip address add 192.0.2.7/24 dev eth0"));
  TEST_ASSERT_TRUE(b.start());
  TEST_ASSERT_EQUAL_INT(0, b.add());
  TEST_ASSERT_TRUE(run("ip address delete 192.0.2.7/24 dev eth0"));
  TEST_ASSERT_TRUE(run("ip address add 192.0.2.7/24 dev eth0"));
  TEST_ASSERT_FALSE(run("ip -o address show dev eth0 | grep -q secondary"));
  TEST_ASSERT_EQUAL_INT(0, b.remove());
  TEST_ASSERT_TRUE(has("192.0.2.7/24"));
  TEST_ASSERT_TRUE(run("ip route | grep -q '^192.0.2.0/24 dev eth0 proto kernel'"));
}

// SIOCSIFADDR, as ifconfig and udhcpc do it: the first address labelled with the link's name.
void who_sets_the_links_address_the_old_way_does_not_set_ours() {
  Bench b;
  TEST_ASSERT_TRUE(b.start());
  TEST_ASSERT_EQUAL_INT(0, b.add());
  ifreq request{};
  strcpy(request.ifr_name, "eth0");
  auto* address = reinterpret_cast<sockaddr_in*>(&request.ifr_addr);
  address->sin_family = AF_INET;
  inet_pton(AF_INET, "192.0.2.7", &address->sin_addr);
  const sys::Fd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  TEST_ASSERT_EQUAL_INT(0, ioctl(fd.get(), SIOCSIFADDR, &request));
  TEST_ASSERT_TRUE(is_there() && has("192.0.2.7/24"));
  TEST_ASSERT_TRUE(run("ip route | grep -q '^192.0.2.0/24 dev eth0 proto kernel'"));
}

void the_subnets_route_follows_the_hosts_own_addresses() {
  Bench b;
  const auto has_ours = [] { return run("ip route | grep -q '^192.0.2.0/24.*118.*192.0.2.1'"); };
  TEST_ASSERT_TRUE(b.start());
  TEST_ASSERT_EQUAL_INT(0, b.add());
  TEST_ASSERT_TRUE(has_ours());
  TEST_ASSERT_TRUE(run("ip address add 192.0.2.7/24 dev eth0"));
  TEST_ASSERT_TRUE(b.wait_for([&] { return !has_ours(); }));
  TEST_ASSERT_TRUE(run("ip route | grep -q '^192.0.2.0/24.*kernel'"));
  TEST_ASSERT_TRUE(run("ip address delete 192.0.2.7/24 dev eth0"));
  TEST_ASSERT_TRUE(b.wait_for(has_ours));
  // It takes the routes along, but no IPv4 address.
  TEST_ASSERT_TRUE(run("ip link set eth0 down && ip link set eth0 up"));
  TEST_ASSERT_TRUE(b.wait_for(has_ours));
  b.configured[0].prefix_length = 32;
  b.network.reconfigured();
  TEST_ASSERT_TRUE(b.wait_for([&] { return !has_ours(); }));
  TEST_ASSERT_TRUE(is_there());
}

void a_route_that_cannot_be_set_costs_no_address() {
  Bench b;
  b.configured[0].routes.resize(1);
  b.configured[0].routes[0].gateway = *Address::parse("198.51.100.1");
  TEST_ASSERT_TRUE(b.start());
  TEST_ASSERT_EQUAL_INT(0, b.add());
  TEST_ASSERT_TRUE(is_there());
  TEST_ASSERT_FALSE(b.network.in_words(b.configured[0]).route_fault.empty());
  TEST_ASSERT_EQUAL_INT(0, b.remove());
  TEST_ASSERT_TRUE(b.network.in_words(b.configured[0]).route_fault.empty());
}

void a_link_that_goes_down_is_told() {
  Bench b;
  TEST_ASSERT_TRUE(b.start());
  TEST_ASSERT_TRUE(run("ip link set eth0 down"));
  TEST_ASSERT_TRUE(b.wait_for([&] {
    const auto* link = b.last<event::LinkChanged>();
    return link != nullptr && !link->up;
  }));
  TEST_ASSERT_TRUE(b.last<event::LinkChanged>()->present);
}

void what_cannot_be_sent_was_not_announced() {
  Bench b;
  TEST_ASSERT_TRUE(b.start());
  TEST_ASSERT_TRUE(b.network.perform(action::SendAnnouncement{kVip}, {}));
  TEST_ASSERT_FALSE(b.network.perform(action::SendAnnouncement{*Address::parse("192.0.2.16")}, {}));
}

}  // namespace

int main() {
  UNITY_BEGIN();
  is_isolated = unshare(CLONE_NEWNET) == 0 && run("ip link set lo up");
  RUN_TEST(nothing_is_told_before_the_start_and_then_the_links);
  RUN_TEST(what_was_left_behind_without_a_session_goes);
  RUN_TEST(what_was_left_behind_with_a_session_stays_and_is_found);
  RUN_TEST(what_is_not_configured_any_more_goes_if_it_was_ours);
  RUN_TEST(what_may_be_another_daemons_is_waited_for);
  RUN_TEST(links_are_looked_at_before_the_core_hears_of_them);
  RUN_TEST(an_address_is_added_and_removed_within_the_call);
  RUN_TEST(an_address_moves_when_its_vip_is_for_another_link);
  RUN_TEST(without_the_link_the_core_is_told_so);
  RUN_TEST(who_removes_an_address_of_ours_is_named);
  RUN_TEST(what_expired_is_said_to_have_expired);
  RUN_TEST(a_foreign_address_on_this_host_is_an_obstacle);
  RUN_TEST(thousands_are_looked_at_over_several_turns);
  RUN_TEST(a_copy_on_lo_is_no_obstacle_but_warned_of);
  RUN_TEST(an_address_of_a_former_version_is_replaced_and_the_hosts_own_stays);
  RUN_TEST(a_stray_of_a_former_version_takes_nothing_of_the_hosts_along);
  RUN_TEST(the_hosts_own_address_comes_and_goes_beside_it);
  RUN_TEST(who_sets_the_links_address_the_old_way_does_not_set_ours);
  RUN_TEST(the_subnets_route_follows_the_hosts_own_addresses);
  RUN_TEST(a_route_that_cannot_be_set_costs_no_address);
  RUN_TEST(a_link_that_goes_down_is_told);
  RUN_TEST(what_cannot_be_sent_was_not_announced);
  return UNITY_END();
}
