// Netlink and PacketSocket against the running kernel, in a network namespace of its own. Needs
// root.
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>

#include "harness.hpp"
#include "net/arp.hpp"
#include "net/ndp.hpp"
#include "net/netlink.hpp"
#include "net/packet.hpp"
#include "sys/fd.hpp"

using namespace vipd;
using namespace vipd::net;

namespace {

const Address vip = *Address::parse("192.0.2.15");
constexpr MacAddress mac = {{2, 0, 0, 0, 0, 1}};
const Address vip6 = *Address::parse("2001:db8::15");

struct Seen {
  std::vector<Link> links;
  std::vector<int> links_removed;
  std::vector<AddressInfo> added;
  std::vector<AddressInfo> removed;
  int overruns = 0;
};

bool is_isolated = false;
std::unique_ptr<Loop> loop;
std::unique_ptr<Netlink> netlink;
Seen seen;
int link_index;

bool run(const char* command) {
  return system(command) == 0;
}

std::string output_of(const char* command) {
  std::string text;
  FILE* pipe = popen(command, "r");
  if (pipe == nullptr) return text;
  char buffer[512];
  while (fgets(buffer, sizeof buffer, pipe) != nullptr) text += buffer;
  pclose(pipe);
  return text;
}

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

Netlink::Handlers handlers() {
  Netlink::Handlers result;
  result.link_changed = [](const Link& link) { seen.links.push_back(link); };
  result.link_removed = [](int index) { seen.links_removed.push_back(index); };
  result.address_added = [](const AddressInfo& info) { seen.added.push_back(info); };
  result.address_removed = [](const AddressInfo& info) { seen.removed.push_back(info); };
  result.overrun = [] { ++seen.overruns; };
  return result;
}

// Turns the loop until the condition holds; false after the time given.
template <typename Condition>
bool wait_for(Condition condition, Duration at_most = Duration::seconds(1)) {
  const MonoTime deadline = loop->now() + at_most;
  while (!condition() && loop->now() < deadline) loop->run_once(Duration::milliseconds(20));
  return condition();
}

// Reads what is queued already.
void settle() {
  for (int i = 0; i < 20; ++i) loop->run_once(Duration::milliseconds(1));
  seen = Seen();
}

// What was said last of the link under test.
Link last_link() {
  Link last;
  last.up = last.carrier = true;
  for (const Link& link : seen.links) {
    if (link.index == link_index) last = link;
  }
  return last;
}

size_t count(const Address& address, unsigned prefix_length) {
  std::vector<Link> links;
  std::vector<AddressInfo> addresses;
  if (!netlink->dump(&links, &addresses)) return 99;
  size_t found = 0;
  for (const AddressInfo& info : addresses) {
    found += info.address == address && info.prefix_length == prefix_length &&
             info.link_index == link_index;
  }
  return found;
}

}  // namespace

void setUp() {
  if (!is_isolated) TEST_IGNORE_MESSAGE("needs root: unshare(CLONE_NEWNET) was refused");
  run("ip link add t0 address 02:00:00:00:00:01 type veth peer name t1");
  // Without link-local addresses, whose events would come in between.
  run("for l in t0 t1; do ip link set $l addrgenmode none && ip link set $l up; done");
  link_index = static_cast<int>(if_nametoindex("t0"));
  loop = std::make_unique<Loop>();
  std::string reason;
  netlink = Netlink::open(*loop, handlers(), &reason);
  TEST_ASSERT_NOT_NULL(netlink);
  settle();
}

void tearDown() {
  if (!is_isolated) return;
  netlink.reset();
  loop.reset();
  run("ip link del t1; ip link del br0 2>/dev/null; true");
}

namespace {

void test_added_address_is_marked_and_deprecated() {
  TEST_ASSERT_EQUAL_INT(0, netlink->add_address(link_index, vip, 32, 10));
  TEST_ASSERT_EQUAL_INT(0, netlink->add_address(link_index, vip6, 128, 10));
  TEST_ASSERT_TRUE(wait_for([] { return seen.added.size() == 2; }));
  for (const AddressInfo& info : seen.added) {
    TEST_ASSERT_EQUAL_INT(link_index, info.link_index);
    TEST_ASSERT_EQUAL_INT(kAddressProto, info.proto);
    TEST_ASSERT_FALSE(info.permanent);
    TEST_ASSERT_EQUAL_INT(info.address.is_v4(), info.own_change);
  }
  TEST_ASSERT_TRUE(seen.added[0].address == vip);
  TEST_ASSERT_EQUAL_INT(32, seen.added[0].prefix_length);
  TEST_ASSERT_TRUE(seen.added[1].address == vip6);
  TEST_ASSERT_EQUAL_INT(128, seen.added[1].prefix_length);
  const std::string four = output_of("ip -4 -o addr show dev t0");
  const std::string six = output_of("ip -6 -o addr show dev t0 to 2001:db8::15");
  TEST_ASSERT_TRUE(contains(four, "192.0.2.15/32 scope global deprecated"));
  TEST_ASSERT_TRUE(contains(four, "preferred_lft 0sec"));
  TEST_ASSERT_TRUE(contains(four, "noprefixroute"));
  TEST_ASSERT_TRUE(contains(six, "2001:db8::15/128 scope global nodad deprecated"));
  TEST_ASSERT_TRUE(contains(six, "noprefixroute"));
  TEST_ASSERT_FALSE(contains(six, "tentative"));
  TEST_ASSERT_TRUE(output_of("ip -6 route show 2001:db8::15").empty());
}

void test_renewal_keeps_one_address() {
  TEST_ASSERT_EQUAL_INT(0, netlink->add_address(link_index, vip, 32, 2));
  TEST_ASSERT_EQUAL_INT(0, netlink->add_address(link_index, vip, 32, 14));
  TEST_ASSERT_EQUAL_INT(1, count(vip, 32));
  const std::string text = output_of("ip -4 -o addr show dev t0");
  TEST_ASSERT_TRUE(contains(text, "valid_lft 14sec") || contains(text, "valid_lft 13sec"));
  TEST_ASSERT_TRUE(wait_for([] { return seen.added.size() == 2; }));
  TEST_ASSERT_TRUE(seen.added[1].own_change);
  TEST_ASSERT_TRUE(seen.removed.empty());
}

void test_prefix_lengths_of_one_address_are_kept_apart() {
  TEST_ASSERT_EQUAL_INT(0, netlink->add_address(link_index, vip, 24, 10));
  TEST_ASSERT_EQUAL_INT(0, netlink->add_address(link_index, vip, 32, 10));
  TEST_ASSERT_EQUAL_INT(1, count(vip, 24));
  TEST_ASSERT_EQUAL_INT(1, count(vip, 32));
  TEST_ASSERT_EQUAL_INT(0, netlink->remove_address(link_index, vip, 32));
  TEST_ASSERT_EQUAL_INT(1, count(vip, 24));
  TEST_ASSERT_EQUAL_INT(0, count(vip, 32));
  TEST_ASSERT_EQUAL_INT(0, netlink->remove_address(link_index, vip, 24));
  TEST_ASSERT_EQUAL_INT(0, count(vip, 24));
}

void test_removal_is_confirmed_and_may_be_repeated() {
  TEST_ASSERT_EQUAL_INT(0, netlink->add_address(link_index, vip, 32, 10));
  TEST_ASSERT_EQUAL_INT(0, netlink->add_address(link_index, vip6, 128, 10));
  for (int i = 0; i < 2; ++i) {
    TEST_ASSERT_EQUAL_INT(0, netlink->remove_address(link_index, vip, 32));
    TEST_ASSERT_EQUAL_INT(0, netlink->remove_address(link_index, vip6, 128));
  }
  TEST_ASSERT_EQUAL_INT(0, netlink->remove_address(link_index + 1000, vip, 32));
  TEST_ASSERT_EQUAL_INT(0, netlink->remove_address(link_index + 1000, vip6, 128));
  TEST_ASSERT_EQUAL_INT(0, count(vip, 32));
  TEST_ASSERT_EQUAL_INT(0, count(vip6, 128));
  TEST_ASSERT_TRUE(wait_for([] { return seen.removed.size() == 2; }));
  TEST_ASSERT_TRUE(seen.removed[0].own_change);
  TEST_ASSERT_FALSE(seen.removed[0].expired);
}

void test_errors_of_the_kernel_are_returned() {
  TEST_ASSERT_EQUAL_INT(ENODEV, netlink->add_address(link_index + 1000, vip, 32, 10));
  TEST_ASSERT_EQUAL_INT(EINVAL, netlink->add_address(link_index, vip, 33, 10));
  TEST_ASSERT_EQUAL_INT(0, netlink->add_address(link_index, vip, 32, 10));
}

void test_expiry_is_told_from_other_removals() {
  TEST_ASSERT_EQUAL_INT(0, netlink->add_address(link_index, vip, 32, 1));
  TEST_ASSERT_EQUAL_INT(0, netlink->add_address(link_index, vip6, 128, 1));
  TEST_ASSERT_TRUE(wait_for([] { return seen.removed.size() == 2; }, Duration::seconds(4)));
  for (const AddressInfo& info : seen.removed) {
    TEST_ASSERT_TRUE(info.expired);
    TEST_ASSERT_FALSE(info.own_change);
    TEST_ASSERT_EQUAL_INT(kAddressProto, info.proto);
  }
}

void test_foreign_changes_are_not_ours() {
  TEST_ASSERT_EQUAL_INT(0, netlink->add_address(link_index, vip, 32, 10));
  settle();
  TEST_ASSERT_TRUE(run("ip addr del 192.0.2.15/32 dev t0"));
  TEST_ASSERT_TRUE(run("ip addr add 192.0.2.15/24 dev t0"));
  TEST_ASSERT_TRUE(wait_for([] { return seen.removed.size() == 1 && seen.added.size() == 1; }));
  TEST_ASSERT_FALSE(seen.removed[0].own_change);
  TEST_ASSERT_FALSE(seen.removed[0].expired);
  TEST_ASSERT_FALSE(seen.added[0].own_change);
  TEST_ASSERT_TRUE(seen.added[0].permanent);
  TEST_ASSERT_EQUAL_INT(0, seen.added[0].proto);
  TEST_ASSERT_EQUAL_INT(24, seen.added[0].prefix_length);
}

void test_link_down_flushes_ipv6_without_expiry() {
  TEST_ASSERT_EQUAL_INT(0, netlink->add_address(link_index, vip, 32, 10));
  TEST_ASSERT_EQUAL_INT(0, netlink->add_address(link_index, vip6, 128, 10));
  settle();
  TEST_ASSERT_TRUE(run("ip link set t0 down"));
  TEST_ASSERT_TRUE(wait_for([] { return !seen.removed.empty() && !seen.links.empty(); }));
  bool found = false;
  for (const AddressInfo& info : seen.removed) {
    TEST_ASSERT_FALSE(info.expired);
    TEST_ASSERT_FALSE(info.address == vip);
    found |= info.address == vip6;
  }
  TEST_ASSERT_TRUE(found);
  TEST_ASSERT_FALSE(last_link().up);
  TEST_ASSERT_EQUAL_INT(1, count(vip, 32));
}

void test_link_events() {
  TEST_ASSERT_TRUE(run("ip link set t0 down"));
  TEST_ASSERT_TRUE(wait_for([] { return !last_link().up; }));
  TEST_ASSERT_TRUE(run("ip link set t0 name t0b"));
  TEST_ASSERT_TRUE(wait_for([] { return last_link().name == "t0b"; }));
  TEST_ASSERT_TRUE(run("ip link set t0b address 02:00:00:00:00:77 up"));
  TEST_ASSERT_TRUE(wait_for([] { return last_link().up && last_link().carrier; }));
  TEST_ASSERT_TRUE(last_link().mac == MacAddress({{2, 0, 0, 0, 0, 0x77}}));
  // Told only of a link that is up (net/core/dev.c, netdev_state_change).
  TEST_ASSERT_TRUE(run("ip link property add dev t0b altname uplink altname other-long-name0"));
  TEST_ASSERT_TRUE(wait_for([] { return last_link().altnames.size() == 2; }));
  TEST_ASSERT_TRUE(last_link().altnames[0] == "uplink");
  TEST_ASSERT_TRUE(last_link().altnames[1] == "other-long-name0");
  TEST_ASSERT_TRUE(run("ip link del t0b && ip link add t1 type veth peer name t0"));
  TEST_ASSERT_TRUE(wait_for([] { return seen.links_removed.size() == 2; }));
  TEST_ASSERT_TRUE(seen.links_removed[0] == link_index || seen.links_removed[1] == link_index);
}

void test_carrier_loss_is_seen() {
  TEST_ASSERT_TRUE(run("ip link set t1 down"));
  TEST_ASSERT_TRUE(wait_for([] { return last_link().up && !last_link().carrier; }));
  TEST_ASSERT_TRUE(run("ip link set t1 up"));
  TEST_ASSERT_TRUE(wait_for([] { return last_link().carrier; }));
}

void test_a_port_that_leaves_its_bridge_is_not_gone() {
  TEST_ASSERT_TRUE(run("ip link add br0 type bridge && ip link set t0 master br0"));
  settle();
  TEST_ASSERT_TRUE(run("ip link set t0 nomaster && ip link set t0 alias done"));
  TEST_ASSERT_TRUE(wait_for([] { return seen.links.size() >= 2; }));
  TEST_ASSERT_TRUE(seen.links_removed.empty());
}

void test_dump_knows_links_with_names_and_macs() {
  TEST_ASSERT_TRUE(run("ip link property add dev t0 altname uplink"));
  std::vector<Link> links;
  std::vector<AddressInfo> addresses;
  TEST_ASSERT_TRUE(netlink->dump(&links, &addresses));
  TEST_ASSERT_EQUAL_INT(3, links.size());
  bool found = false;
  for (const Link& link : links) {
    TEST_ASSERT_EQUAL_INT(link.name == "lo", link.mac == MacAddress());
    if (link.index != link_index) continue;
    found = true;
    TEST_ASSERT_EQUAL_STRING("t0", link.name.c_str());
    TEST_ASSERT_TRUE(link.mac == MacAddress({{2, 0, 0, 0, 0, 1}}));
    TEST_ASSERT_TRUE(link.up && link.carrier);
    TEST_ASSERT_EQUAL_INT(1, link.altnames.size());
  }
  TEST_ASSERT_TRUE(found);
}

void test_dump_of_many() {
  TEST_ASSERT_TRUE(
      run("for i in $(seq 200); do echo addr add 198.51.100.$i/32 dev t0; done |"
          " ip -batch -"));
  std::vector<Link> links;
  std::vector<AddressInfo> addresses;
  TEST_ASSERT_TRUE(netlink->dump(&links, &addresses));
  size_t found = 0;
  for (const AddressInfo& info : addresses) found += info.address.is_v4();
  TEST_ASSERT_EQUAL_INT(200, found);
}

void test_overrun_is_reported_once_and_then_all_is_well() {
  for (int i = 0; i < 20'000; ++i) {
    if (netlink->add_address(link_index, vip, 32, 10) != 0) TEST_ASSERT_TRUE(false);
  }
  TEST_ASSERT_TRUE(wait_for([] { return seen.overruns > 0; }));
  TEST_ASSERT_EQUAL_INT(1, seen.overruns);
  TEST_ASSERT_EQUAL_INT(1, count(vip, 32));
  settle();
  TEST_ASSERT_EQUAL_INT(0, netlink->remove_address(link_index, vip, 32));
  TEST_ASSERT_TRUE(wait_for([] { return seen.removed.size() == 1; }));
  TEST_ASSERT_EQUAL_INT(0, seen.overruns);
}

void test_a_handler_may_make_requests() {
  netlink.reset();
  std::string reason;
  Netlink::Handlers mine = handlers();
  mine.address_removed = [](const AddressInfo& info) {
    seen.removed.push_back(info);
    if (!info.own_change) (void)netlink->add_address(info.link_index, info.address, 32, 10);
  };
  netlink = Netlink::open(*loop, mine, &reason);
  TEST_ASSERT_EQUAL_INT(0, netlink->add_address(link_index, vip, 32, 10));
  TEST_ASSERT_TRUE(run("ip addr del 192.0.2.15/32 dev t0"));
  TEST_ASSERT_TRUE(wait_for([] { return seen.added.size() == 2; }));
  TEST_ASSERT_EQUAL_INT(1, count(vip, 32));
}

// --- announcements

sys::Fd listen_on(const char* link, uint16_t protocol) {
  sys::Fd fd(socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(protocol)));
  sockaddr_ll at{};
  at.sll_family = AF_PACKET;
  at.sll_protocol = htons(protocol);
  at.sll_ifindex = static_cast<int>(if_nametoindex(link));
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) < 0) fd.reset();
  return fd;
}

// The next frame's length; 0 where none comes in time. A busy machine takes its time from one end
// of the cable to the other.
size_t next_frame(const sys::Fd& listener, std::span<uint8_t> frame, int at_most_ms = 2000) {
  pollfd fd = {listener.get(), POLLIN, 0};
  if (poll(&fd, 1, at_most_ms) <= 0) return 0;
  return static_cast<size_t>(std::max<ssize_t>(0, recv(fd.fd, frame.data(), frame.size(), 0)));
}

// "request", "reply" or both, as they arrive at the other end: so many, and no more.
std::string heard(const sys::Fd& listener, int count) {
  std::string words;
  uint8_t frame[128];
  while (const size_t size = next_frame(listener, frame, count-- > 0 ? 2000 : 50)) {
    const auto parsed = parse_arp({frame, size});
    if (!parsed || parsed->sender != vip || parsed->target != vip) return "another packet";
    if (parsed->sender_mac != mac || parsed->target_mac != mac) return "another MAC";
    words += parsed->operation == rfc826::ares_op_REQUEST ? "request " : "reply ";
  }
  return words;
}

void test_announcement_in_each_form() {
  const sys::Fd listener = listen_on("t1", ETH_P_ARP);
  TEST_ASSERT_TRUE(listener.is_open());
  std::string reason;
  const auto packet = PacketSocket::open(&reason);
  TEST_ASSERT_TRUE(packet != nullptr);
  const Sender sender = {.link_index = link_index, .mac = mac};
  TEST_ASSERT_EQUAL_INT(0, packet->announce(sender, vip, AnnounceForm::Both));
  TEST_ASSERT_EQUAL_STRING("request reply ", heard(listener, 2));
  TEST_ASSERT_EQUAL_INT(0, packet->announce(sender, vip, AnnounceForm::Request));
  TEST_ASSERT_EQUAL_STRING("request ", heard(listener, 1));
  TEST_ASSERT_EQUAL_INT(0, packet->announce(sender, vip, AnnounceForm::Reply));
  TEST_ASSERT_EQUAL_STRING("reply ", heard(listener, 1));
}

void test_advertisement_arrives() {
  const sys::Fd listener = listen_on("t1", ETH_P_IPV6);
  TEST_ASSERT_TRUE(listener.is_open());
  std::string reason;
  const auto packet = PacketSocket::open(&reason);
  TEST_ASSERT_TRUE(packet != nullptr);
  const Sender sender = {.link_index = link_index, .mac = mac};
  TEST_ASSERT_EQUAL_INT(0, packet->announce(sender, vip6, AnnounceForm::Both));
  uint8_t frame[128];
  // The kernel's own reports of group membership come to the same socket.
  while (const size_t size = next_frame(listener, frame)) {
    const auto parsed = parse_advertisement({frame, size});
    if (!parsed) continue;
    TEST_ASSERT_TRUE(parsed->source == mac && parsed->target == vip6);
    return;
  }
  TEST_FAIL_MESSAGE("no advertisement");
}

void test_router_is_known_by_its_forwarding() {
  TEST_ASSERT_FALSE(forwards_ipv6("t0"));
  TEST_ASSERT_TRUE(run("echo 1 > /proc/sys/net/ipv6/conf/t0/forwarding"));
  TEST_ASSERT_TRUE(forwards_ipv6("t0"));
  TEST_ASSERT_FALSE(forwards_ipv6("no-such-link"));
}

void test_announcement_errors() {
  std::string reason;
  const auto packet = PacketSocket::open(&reason);
  TEST_ASSERT_TRUE(packet != nullptr);
  const AnnounceForm both = AnnounceForm::Both;
  TEST_ASSERT_EQUAL_INT(ENXIO, packet->announce({link_index + 1000, mac}, vip, both));
  TEST_ASSERT_TRUE(run("ip link set t0 down"));
  TEST_ASSERT_EQUAL_INT(ENETDOWN, packet->announce({link_index, mac}, vip, both));
  TEST_ASSERT_EQUAL_INT(ENETDOWN, packet->announce({link_index, mac}, vip6, both));
  TEST_ASSERT_EQUAL_INT(EAFNOSUPPORT, packet->announce({link_index, MacAddress()}, vip, both));
  TEST_ASSERT_EQUAL_INT(EAFNOSUPPORT, packet->announce({link_index, kBroadcastMac}, vip, both));
}

void test_who_lacks_rights_is_told_which() {
  const pid_t child = fork();
  if (child == 0) {
    std::string reason;
    const bool is_nobody = setresuid(65534, 65534, 65534) == 0;
    const bool is_refused = PacketSocket::open(&reason) == nullptr;
    const bool is_told = reason.find("needs CAP_NET_RAW and CAP_NET_ADMIN") != reason.npos;
    _exit(is_nobody && is_refused && is_told ? 0 : 1);
  }
  int status = -1;
  TEST_ASSERT_EQUAL_INT(child, waitpid(child, &status, 0));
  TEST_ASSERT_EQUAL_INT(0, status);
}

}  // namespace

int main() {
  UNITY_BEGIN();
  is_isolated = unshare(CLONE_NEWNET) == 0;
  RUN_TEST(test_added_address_is_marked_and_deprecated);
  RUN_TEST(test_renewal_keeps_one_address);
  RUN_TEST(test_prefix_lengths_of_one_address_are_kept_apart);
  RUN_TEST(test_removal_is_confirmed_and_may_be_repeated);
  RUN_TEST(test_errors_of_the_kernel_are_returned);
  RUN_TEST(test_expiry_is_told_from_other_removals);
  RUN_TEST(test_foreign_changes_are_not_ours);
  RUN_TEST(test_link_down_flushes_ipv6_without_expiry);
  RUN_TEST(test_link_events);
  RUN_TEST(test_carrier_loss_is_seen);
  RUN_TEST(test_a_port_that_leaves_its_bridge_is_not_gone);
  RUN_TEST(test_dump_knows_links_with_names_and_macs);
  RUN_TEST(test_dump_of_many);
  RUN_TEST(test_overrun_is_reported_once_and_then_all_is_well);
  RUN_TEST(test_a_handler_may_make_requests);
  RUN_TEST(test_announcement_in_each_form);
  RUN_TEST(test_advertisement_arrives);
  RUN_TEST(test_router_is_known_by_its_forwarding);
  RUN_TEST(test_announcement_errors);
  RUN_TEST(test_who_lacks_rights_is_told_which);
  return UNITY_END();
}
