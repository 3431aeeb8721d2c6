#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>

#include <cstdint>
#include <vector>

#include "harness.hpp"
#include "net/rtnl_parse.hpp"

using namespace vipd;
using namespace vipd::net;

namespace {

using Kind = RtnlMessage::Kind;

constexpr uint32_t kOwnPort = 4711;
constexpr uint8_t kMac[6] = {2, 0, 0, 0, 0, 1};

// Builds one message at a time, as the kernel would.
struct Builder {
  alignas(nlmsghdr) uint8_t bytes[4096] = {};
  nlmsghdr* header = nullptr;

  explicit Builder(uint16_t type, uint32_t port = 0) {
    header = mnl_nlmsg_put_header(bytes);
    header->nlmsg_type = type;
    header->nlmsg_pid = port;
  }

  ifinfomsg* link(int index, unsigned flags, uint16_t type = ARPHRD_ETHER) {
    auto* info = static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(header, sizeof(ifinfomsg)));
    info->ifi_index = index;
    info->ifi_flags = flags;
    info->ifi_type = type;
    return info;
  }

  ifaddrmsg* address(uint8_t family, unsigned prefix_length, unsigned index, uint8_t flags = 0) {
    auto* info = static_cast<ifaddrmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(ifaddrmsg)));
    info->ifa_family = family;
    info->ifa_prefixlen = static_cast<uint8_t>(prefix_length);
    info->ifa_index = index;
    info->ifa_flags = flags;
    return info;
  }

  void put_ip(uint16_t type, const char* text) {
    const Address address = *Address::parse(text);
    mnl_attr_put(header, type, address.size(), address.data());
  }

  void put_valid(uint32_t valid_s) {
    ifa_cacheinfo info{};
    info.ifa_valid = valid_s;
    mnl_attr_put(header, IFA_CACHEINFO, sizeof info, &info);
  }

  [[nodiscard]] RtnlMessage parse() const { return parse_message(*header, kOwnPort); }
};

void test_link_in_full() {
  Builder b(RTM_NEWLINK);
  b.link(7, IFF_UP | IFF_LOWER_UP);
  mnl_attr_put_strz(b.header, IFLA_IFNAME, "eth0");
  mnl_attr_put(b.header, IFLA_ADDRESS, sizeof kMac, kMac);
  nlattr* list = mnl_attr_nest_start(b.header, IFLA_PROP_LIST);
  mnl_attr_put_strz(b.header, IFLA_ALT_IFNAME, "uplink");
  mnl_attr_put_strz(b.header, IFLA_ALT_IFNAME, "enp1s0");
  mnl_attr_nest_end(b.header, list);
  const RtnlMessage message = b.parse();
  TEST_ASSERT_TRUE(message.kind == Kind::LinkChanged);
  TEST_ASSERT_EQUAL_INT(7, message.link.index);
  TEST_ASSERT_EQUAL_STRING("eth0", message.link.name);
  TEST_ASSERT_EQUAL_STRING("02:00:00:00:00:01", message.link.mac.text());
  TEST_ASSERT_TRUE(message.link.up);
  TEST_ASSERT_TRUE(message.link.carrier);
  TEST_ASSERT_EQUAL_INT(2, message.link.altnames.size());
  TEST_ASSERT_EQUAL_STRING("uplink", message.link.altnames[0]);
  TEST_ASSERT_EQUAL_STRING("enp1s0", message.link.altnames[1]);
}

void test_up_and_carrier_are_two_things() {
  Builder b(RTM_NEWLINK);
  b.link(7, IFF_UP);
  mnl_attr_put_strz(b.header, IFLA_IFNAME, "eth0");
  const RtnlMessage message = b.parse();
  TEST_ASSERT_TRUE(message.link.up);
  TEST_ASSERT_FALSE(message.link.carrier);
}

void test_where_the_kernel_answers_arp() {
  const std::pair<unsigned, bool> links[] = {
      {IFF_UP, true}, {IFF_UP | IFF_NOARP, false}, {IFF_UP | IFF_LOOPBACK, false}};
  for (const auto& [flags, expected] : links) {
    Builder b(RTM_NEWLINK);
    b.link(7, flags);
    TEST_ASSERT_EQUAL_INT(expected, b.parse().link.has_arp);
    TEST_ASSERT_TRUE(b.parse().link.is_ethernet);
  }
}

void test_links_that_come_and_go() {
  const std::pair<const char*, bool> kinds[] = {
      {"veth", true},  {"macvlan", true}, {"tun", true},   {"vlan", false},
      {"bond", false}, {"bridge", false}, {nullptr, false}};
  for (const auto& [kind, expected] : kinds) {
    Builder b(RTM_NEWLINK);
    b.link(7, IFF_UP);
    mnl_attr_put_strz(b.header, IFLA_IFNAME, "x0");
    nlattr* const info = mnl_attr_nest_start(b.header, IFLA_LINKINFO);
    if (kind != nullptr) mnl_attr_put_strz(b.header, IFLA_INFO_KIND, kind);
    mnl_attr_nest_end(b.header, info);
    TEST_ASSERT_EQUAL_INT(expected, b.parse().link.is_fleeting);
  }
}

void test_hardware_addresses_other_than_ethernet_are_left_out() {
  const uint8_t infiniband[20] = {1};
  for (const uint16_t type : {ARPHRD_LOOPBACK, ARPHRD_TUNNEL, ARPHRD_NONE}) {
    Builder b(RTM_NEWLINK);
    b.link(7, IFF_UP, type);
    mnl_attr_put_strz(b.header, IFLA_IFNAME, "x0");
    mnl_attr_put(b.header, IFLA_ADDRESS, sizeof kMac, kMac);
    TEST_ASSERT_TRUE(b.parse().link.mac == MacAddress());
  }
  Builder b(RTM_NEWLINK);
  b.link(7, IFF_UP);
  mnl_attr_put_strz(b.header, IFLA_IFNAME, "x0");
  mnl_attr_put(b.header, IFLA_ADDRESS, sizeof infiniband, infiniband);
  TEST_ASSERT_TRUE(b.parse().link.mac == MacAddress());
}

void test_whether_secondaries_are_promoted() {
  for (const uint32_t expected : {0u, 1u}) {
    Builder b(RTM_NEWLINK);
    b.link(7, IFF_UP);
    std::vector<uint32_t> values(IPV4_DEVCONF_PROMOTE_SECONDARIES, 7);
    values.back() = expected;
    nlattr* const families = mnl_attr_nest_start(b.header, IFLA_AF_SPEC);
    nlattr* const family = mnl_attr_nest_start(b.header, AF_INET);
    mnl_attr_put(b.header, IFLA_INET_CONF, sizeof(uint32_t) * values.size(), values.data());
    mnl_attr_nest_end(b.header, family);
    mnl_attr_nest_end(b.header, families);
    TEST_ASSERT_EQUAL_INT(expected, b.parse().link.promotes);
    mnl_attr_put(b.header, IFLA_AF_SPEC, 0, nullptr);
    TEST_ASSERT_FALSE(b.parse().link.promotes);
  }
}

void test_link_removal_needs_no_name() {
  Builder b(RTM_DELLINK);
  b.link(7, 0);
  const RtnlMessage message = b.parse();
  TEST_ASSERT_TRUE(message.kind == Kind::LinkRemoved);
  TEST_ASSERT_EQUAL_INT(7, message.link.index);
}

void test_what_a_bridge_says_of_its_ports_is_no_link_event() {
  for (const uint16_t type : {RTM_NEWLINK, RTM_DELLINK}) {
    Builder b(type);
    b.link(7, IFF_UP)->ifi_family = AF_BRIDGE;
    mnl_attr_put_strz(b.header, IFLA_IFNAME, "eth0");
    TEST_ASSERT_TRUE(b.parse().kind == Kind::Other);
  }
}

void test_partial_link_messages_are_passed_over() {
  Builder wireless(RTM_NEWLINK);
  wireless.link(7, IFF_UP);
  mnl_attr_put_strz(wireless.header, IFLA_IFNAME, "wlan0");
  mnl_attr_put_u32(wireless.header, IFLA_WIRELESS, 0);
  TEST_ASSERT_TRUE(wireless.parse().kind == Kind::Other);
  Builder nameless(RTM_NEWLINK);
  nameless.link(7, IFF_UP);
  TEST_ASSERT_TRUE(nameless.parse().kind == Kind::Other);
}

void test_ipv4_address_in_full() {
  Builder b(RTM_NEWADDR, kOwnPort);
  b.address(AF_INET, 32, 7);
  b.put_ip(IFA_ADDRESS, "192.0.2.15");
  b.put_ip(IFA_LOCAL, "192.0.2.15");
  mnl_attr_put_u32(b.header, IFA_FLAGS, IFA_F_NOPREFIXROUTE | IFA_F_DEPRECATED);
  mnl_attr_put_u8(b.header, IFA_PROTO, kAddressProto);
  b.put_valid(3);
  const RtnlMessage message = b.parse();
  TEST_ASSERT_TRUE(message.kind == Kind::AddressAdded);
  TEST_ASSERT_EQUAL_INT(7, message.address.link_index);
  TEST_ASSERT_EQUAL_STRING("192.0.2.15", message.address.address.text());
  TEST_ASSERT_EQUAL_INT(32, message.address.prefix_length);
  TEST_ASSERT_EQUAL_INT(kAddressProto, message.address.proto);
  TEST_ASSERT_TRUE(message.address.own_change);
  TEST_ASSERT_FALSE(message.address.permanent);
  TEST_ASSERT_FALSE(message.address.expired);
}

void test_the_peer_of_an_address_is_not_the_address() {
  Builder b(RTM_NEWADDR);
  b.address(AF_INET6, 128, 7, IFA_F_PERMANENT);
  b.put_ip(IFA_LOCAL, "2001:db8::15");
  b.put_ip(IFA_ADDRESS, "2001:db8::16");
  const RtnlMessage message = b.parse();
  TEST_ASSERT_EQUAL_STRING("2001:db8::15", message.address.address.text());
  TEST_ASSERT_TRUE(message.address.permanent);
}

void test_ipv6_has_no_local_attribute() {
  Builder b(RTM_NEWADDR);
  b.address(AF_INET6, 64, 7);
  b.put_ip(IFA_ADDRESS, "2001:db8::15");
  const RtnlMessage message = b.parse();
  TEST_ASSERT_EQUAL_STRING("2001:db8::15", message.address.address.text());
  TEST_ASSERT_EQUAL_INT(64, message.address.prefix_length);
  TEST_ASSERT_EQUAL_INT(0, message.address.proto);
}

bool is_expiry(uint16_t type, uint32_t port, uint32_t valid_s) {
  Builder b(type, port);
  b.address(AF_INET, 32, 7);
  b.put_ip(IFA_LOCAL, "192.0.2.15");
  b.put_valid(valid_s);
  return b.parse().address.expired;
}

void test_expiry_is_the_kernels_removal_with_no_lifetime_left() {
  TEST_ASSERT_TRUE(is_expiry(RTM_DELADDR, 0, 0));
  TEST_ASSERT_FALSE(is_expiry(RTM_DELADDR, 0, 60));  // link down (IPv6)
  TEST_ASSERT_FALSE(is_expiry(RTM_DELADDR, 99, 0));  // somebody's deletion
  TEST_ASSERT_FALSE(is_expiry(RTM_NEWADDR, 0, 0));
}

void test_the_kernels_own_changes_are_nobodys() {
  Builder b(RTM_NEWADDR, 0);
  b.address(AF_INET, 32, 7);
  b.put_ip(IFA_LOCAL, "192.0.2.15");
  TEST_ASSERT_FALSE(parse_message(*b.header, 0).address.own_change);
}

void test_addresses_that_make_no_sense_are_passed_over() {
  Builder none(RTM_NEWADDR);
  none.address(AF_INET, 32, 7);
  TEST_ASSERT_TRUE(none.parse().kind == Kind::Other);
  Builder other_family(RTM_NEWADDR);
  other_family.address(AF_BRIDGE, 32, 7);
  other_family.put_ip(IFA_LOCAL, "192.0.2.15");
  TEST_ASSERT_TRUE(other_family.parse().kind == Kind::Other);
  Builder too_long(RTM_NEWADDR);
  too_long.address(AF_INET, 33, 7);
  too_long.put_ip(IFA_LOCAL, "192.0.2.15");
  TEST_ASSERT_TRUE(too_long.parse().kind == Kind::Other);
  Builder too_short(RTM_NEWADDR);
  too_short.address(AF_INET6, 64, 7);
  too_short.put_ip(IFA_ADDRESS, "192.0.2.15");
  TEST_ASSERT_TRUE(too_short.parse().kind == Kind::Other);
}

RtnlMessage parse_code(uint16_t type, int code) {
  Builder b(type);
  b.header->nlmsg_seq = 5;
  *static_cast<int*>(mnl_nlmsg_put_extra_header(b.header, sizeof(int))) = code;
  return b.parse();
}

void test_acknowledgements() {
  TEST_ASSERT_TRUE(parse_code(NLMSG_ERROR, 0).kind == Kind::Ack);
  TEST_ASSERT_EQUAL_INT(5, parse_code(NLMSG_ERROR, 0).seq);
  TEST_ASSERT_EQUAL_INT(0, parse_code(NLMSG_ERROR, 0).error);
  TEST_ASSERT_EQUAL_INT(EEXIST, parse_code(NLMSG_ERROR, -EEXIST).error);
  TEST_ASSERT_EQUAL_INT(EBADMSG, parse_code(NLMSG_ERROR, 17).error);
  TEST_ASSERT_EQUAL_INT(EBADMSG, parse_code(NLMSG_ERROR, INT32_MIN).error);
  TEST_ASSERT_EQUAL_INT(EBADMSG, Builder(NLMSG_ERROR).parse().error);
}

void test_end_of_a_dump() {
  TEST_ASSERT_TRUE(Builder(NLMSG_DONE).parse().kind == Kind::DumpDone);
  TEST_ASSERT_EQUAL_INT(0, Builder(NLMSG_DONE).parse().error);
  TEST_ASSERT_EQUAL_INT(EPERM, parse_code(NLMSG_DONE, -EPERM).error);
  Builder interrupted(NLMSG_DONE);
  interrupted.header->nlmsg_flags = NLM_F_MULTI | NLM_F_DUMP_INTR;
  TEST_ASSERT_TRUE(interrupted.parse().dump_interrupted);
}

Builder whole_link() {
  Builder b(RTM_NEWLINK);
  b.link(7, IFF_UP);
  mnl_attr_put_strz(b.header, IFLA_IFNAME, "eth0");
  mnl_attr_put(b.header, IFLA_ADDRESS, sizeof kMac, kMac);
  nlattr* list = mnl_attr_nest_start(b.header, IFLA_PROP_LIST);
  mnl_attr_put_strz(b.header, IFLA_ALT_IFNAME, "uplink");
  mnl_attr_nest_end(b.header, list);
  return b;
}

int messages_in(const std::vector<uint32_t>& words, size_t size) {
  int count = 0;
  for_each_message(words.data(), size, kOwnPort, [&](const RtnlMessage&) { ++count; });
  return count;
}

// In memory of exactly the size given, so that a sanitizer sees each read beyond the end.
std::vector<uint32_t> copy_of(const Builder& b, size_t size) {
  std::vector<uint32_t> words((size + 3) / 4);
  if (size > 0) memcpy(words.data(), b.bytes, size);
  return words;
}

void test_datagrams_cut_short() {
  const Builder b = whole_link();
  const size_t whole = reinterpret_cast<const nlmsghdr*>(b.bytes)->nlmsg_len;
  for (size_t size = 0; size < whole; ++size) {
    TEST_ASSERT_EQUAL_INT(0, messages_in(copy_of(b, size), size));
  }
  TEST_ASSERT_EQUAL_INT(1, messages_in(copy_of(b, whole), whole));
}

void test_messages_that_claim_less_than_they_hold() {
  const Builder b = whole_link();
  const size_t whole = reinterpret_cast<const nlmsghdr*>(b.bytes)->nlmsg_len;
  for (uint32_t size = 0; size < whole; ++size) {
    std::vector<uint32_t> words = copy_of(b, size < sizeof(nlmsghdr) ? sizeof(nlmsghdr) : size);
    words[0] = size;
    TEST_ASSERT_TRUE(messages_in(words, words.size() * 4) <= 2);
  }
}

void test_several_messages_in_a_datagram() {
  const Builder b = whole_link();
  const size_t whole = reinterpret_cast<const nlmsghdr*>(b.bytes)->nlmsg_len;
  TEST_ASSERT_EQUAL_INT(0, whole % 4);
  std::vector<uint32_t> words = copy_of(b, whole);
  words.insert(words.end(), words.begin(), words.end());
  TEST_ASSERT_EQUAL_INT(2, messages_in(words, 2 * whole));
}

// Every byte of a good message replaced by others: nothing may be read outside of it.
void test_every_byte_replaced() {
  const Builder b = whole_link();
  const size_t whole = reinterpret_cast<const nlmsghdr*>(b.bytes)->nlmsg_len;
  for (size_t at = 0; at < whole; ++at) {
    for (const uint8_t value : {0x00, 0x01, 0x03, 0x04, 0x05, 0x14, 0x35, 0x7f, 0x80, 0xff}) {
      std::vector<uint32_t> words = copy_of(b, whole);
      reinterpret_cast<uint8_t*>(words.data())[at] = value;
      TEST_ASSERT_TRUE(messages_in(words, whole) <= 3);
    }
  }
}

void test_altnames_are_bounded() {
  Builder b(RTM_NEWLINK);
  b.link(7, IFF_UP);
  mnl_attr_put_strz(b.header, IFLA_IFNAME, "eth0");
  nlattr* list = mnl_attr_nest_start(b.header, IFLA_PROP_LIST);
  for (int i = 0; i < 200; ++i) mnl_attr_put_strz(b.header, IFLA_ALT_IFNAME, "again");
  mnl_attr_nest_end(b.header, list);
  TEST_ASSERT_EQUAL_INT(64, b.parse().link.altnames.size());
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(test_link_in_full);
  RUN_TEST(test_up_and_carrier_are_two_things);
  RUN_TEST(test_where_the_kernel_answers_arp);
  RUN_TEST(test_links_that_come_and_go);
  RUN_TEST(test_hardware_addresses_other_than_ethernet_are_left_out);
  RUN_TEST(test_whether_secondaries_are_promoted);
  RUN_TEST(test_link_removal_needs_no_name);
  RUN_TEST(test_what_a_bridge_says_of_its_ports_is_no_link_event);
  RUN_TEST(test_partial_link_messages_are_passed_over);
  RUN_TEST(test_ipv4_address_in_full);
  RUN_TEST(test_the_peer_of_an_address_is_not_the_address);
  RUN_TEST(test_ipv6_has_no_local_attribute);
  RUN_TEST(test_expiry_is_the_kernels_removal_with_no_lifetime_left);
  RUN_TEST(test_the_kernels_own_changes_are_nobodys);
  RUN_TEST(test_addresses_that_make_no_sense_are_passed_over);
  RUN_TEST(test_acknowledgements);
  RUN_TEST(test_end_of_a_dump);
  RUN_TEST(test_datagrams_cut_short);
  RUN_TEST(test_messages_that_claim_less_than_they_hold);
  RUN_TEST(test_several_messages_in_a_datagram);
  RUN_TEST(test_every_byte_replaced);
  RUN_TEST(test_altnames_are_bounded);
  return UNITY_END();
}
