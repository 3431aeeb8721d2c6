#include "harness.hpp"
#include "net/address_book.hpp"

using namespace vipd;
using namespace vipd::net;

namespace {

const Address kVip = *Address::parse("192.0.2.15");
const Address kVip6 = *Address::parse("2001:db8::15");

std::map<int, Link> links;
std::vector<AddressInfo> addresses;

AddressInfo info(int link, const char* address, unsigned length, uint8_t proto = 0) {
  AddressInfo result;
  result.link_index = link;
  result.address = *Address::parse(address);
  result.prefix_length = length;
  result.proto = proto;
  result.permanent = proto != kAddressProto;
  result.deprecated = proto == kAddressProto;
  return result;
}

std::string obstacle(const Address& vip, bool is_up = false) {
  return AddressBook(links, addresses).obstacle(vip, 2, is_up);
}

std::string oddity(const Address& vip, unsigned length = 128) {
  return AddressBook(links, addresses).oddity(vip, length, 2);
}

}  // namespace

void setUp() {
  links.clear();
  for (const char* name : {"lo", "eth0", "eth1"}) {
    const int index = static_cast<int>(links.size()) + 1;
    links[index].name = name;
    links[index].has_arp = index != 1;
  }
  addresses = {info(1, "127.0.0.1", 8, 1), info(2, "192.0.2.1", 24), info(2, "2001:db8::1", 64)};
}

namespace {

void test_nothing_stands_in_the_way() {
  TEST_ASSERT_EQUAL_STRING("", obstacle(kVip));
  TEST_ASSERT_EQUAL_STRING("", obstacle(kVip6));
  TEST_ASSERT_EQUAL_STRING("", oddity(kVip));
  TEST_ASSERT_EQUAL_STRING("", oddity(kVip6));
}

void test_our_own_is_known_by_its_mark() {
  addresses.push_back(info(2, "192.0.2.15", 32, kAddressProto));
  const AddressBook book(links, addresses);
  TEST_ASSERT_TRUE(book.is_ours(addresses.back()));
  TEST_ASSERT_FALSE(book.is_ours(addresses[1]));
  TEST_ASSERT_TRUE(book.has(kVip, 2, 32));
  TEST_ASSERT_FALSE(book.has(kVip, 2, 24) || book.has(kVip, 3, 32));
  TEST_ASSERT_EQUAL_STRING("", obstacle(kVip));
}

void test_a_kernel_without_marks_leaves_the_kind_of_lifetime() {
  AddressInfo ours = info(2, "192.0.2.15", 32);
  ours.permanent = false;
  AddressInfo leased = ours;  // as a DHCP client adds it
  ours.deprecated = true;
  TEST_ASSERT_FALSE(AddressBook(links, addresses).is_ours(ours));
  addresses.erase(addresses.begin());
  TEST_ASSERT_TRUE(AddressBook(links, addresses).is_ours(ours));
  TEST_ASSERT_FALSE(AddressBook(links, addresses).is_ours(leased));
}

// Preferred, as a source is: nothing tells it from a DHCP client's but that we have set it.
void test_a_kernel_without_marks_and_an_address_that_we_have_set() {
  AddressInfo ours = info(2, "203.0.113.5", 32);
  ours.permanent = false;
  addresses = {info(2, "192.0.2.1", 24), ours};
  const Address vip = ours.address;
  TEST_ASSERT_FALSE(AddressBook(links, addresses).is_alone(vip, 29, 2));
  const auto installed = [&](const Address& address) { return address == vip; };
  TEST_ASSERT_TRUE(AddressBook(links, addresses, installed).is_alone(vip, 29, 2));
}

void test_foreign_copies_stand_in_the_way_wherever_they_are() {
  const char* kElsewhere =
      "192.0.2.15/32 is this host's own address on eth1, not set by vipd; a VIP is an address that "
      "no host has by itself";
  const std::vector<AddressInfo> before = addresses;
  addresses.push_back(info(3, "192.0.2.15", 32));
  TEST_ASSERT_EQUAL_STRING(kElsewhere, obstacle(kVip));
  TEST_ASSERT_EQUAL_STRING(kElsewhere, obstacle(kVip, true));
  for (const unsigned length : {24, 32}) {
    addresses = before;
    addresses.push_back(info(2, "192.0.2.15", length));
    TEST_ASSERT_FALSE(obstacle(kVip).empty());
  }
  // In its very place the next renewal makes it ours again.
  TEST_ASSERT_EQUAL_STRING("", obstacle(kVip, true));
  addresses.push_back(info(2, "2001:db8::15", 64));
  TEST_ASSERT_FALSE(obstacle(kVip6, true).empty());
}

// LVS, IPVS, anycast: there on every node, on purpose.
void test_a_copy_where_nobody_asks_for_it_stands_in_nobodys_way() {
  links[4].name = "kube-ipvs0";
  addresses.push_back(info(1, "192.0.2.15", 32));
  addresses.push_back(info(4, "192.0.2.15", 32));
  TEST_ASSERT_EQUAL_STRING("", obstacle(kVip));
  TEST_ASSERT_EQUAL_STRING("", obstacle(kVip, true));
  // The VIP's own link is no such place: to add it would be to take it over.
  TEST_ASSERT_FALSE(AddressBook(links, addresses).obstacle(kVip, 4, false).empty());
}

// Copied and pasted, a command that removes it would cut the host off.
void test_the_hosts_own_address_is_called_what_it_is() {
  AddressInfo leased = info(2, "192.0.2.1", 24);
  leased.permanent = false;
  addresses = {info(1, "127.0.0.1", 8, 1), leased};
  TEST_ASSERT_EQUAL_STRING(
      "192.0.2.1/24 is this host's own address on eth0 (with a lifetime, as DHCP sets it), not set "
      "by vipd; a VIP is an address that no host has by itself",
      obstacle(*Address::parse("192.0.2.1")));
}

void test_network_and_broadcast_of_the_link_are_refused() {
  TEST_ASSERT_EQUAL_STRING("192.0.2.0 is the network of 192.0.2.1/24 on eth0",
                           obstacle(*Address::parse("192.0.2.0")));
  TEST_ASSERT_EQUAL_STRING("192.0.2.255 is the broadcast address of 192.0.2.1/24 on eth0",
                           obstacle(*Address::parse("192.0.2.255")));
  addresses = {info(2, "192.0.2.254", 31)};  // RFC 3021: both are hosts
  TEST_ASSERT_EQUAL_STRING("", obstacle(*Address::parse("192.0.2.255")));
}

void test_an_address_of_no_subnet_is_odd() {
  TEST_ASSERT_EQUAL_STRING(
      "10.0.0.1 is in no subnet of eth0 (192.0.2.1/24): if its own subnet is on that link, write "
      "its length, as in 10.0.0.1/24",
      oddity(*Address::parse("10.0.0.1")));
  TEST_ASSERT_FALSE(oddity(*Address::parse("2001:db9::15")).empty());
  addresses.push_back(info(2, "2001:db9::1", 64));
  TEST_ASSERT_EQUAL_STRING("", oddity(*Address::parse("2001:db9::15")));
  addresses = {info(2, "192.0.2.1", 32), info(2, "fe80::1", 64)};  // nothing to compare with
  TEST_ASSERT_EQUAL_STRING("", oddity(*Address::parse("10.0.0.1")));
  TEST_ASSERT_EQUAL_STRING("", oddity(kVip6));
}

void test_a_vip_with_a_subnet_of_its_own_is_no_subnet_of_the_link() {
  addresses = {info(1, "127.0.0.1", 8, 1), info(2, "192.0.2.15", 24, kAddressProto)};
  TEST_ASSERT_EQUAL_STRING("", oddity(*Address::parse("10.0.0.1")));
}

// Then the route of the subnet comes with it.
void test_a_vip_whose_subnet_is_named_is_not_odd() {
  const Address vip = *Address::parse("10.0.0.1");
  const auto alone = [](const char* address, unsigned length) {
    return AddressBook(links, addresses).is_alone(*Address::parse(address), length, 2);
  };
  TEST_ASSERT_EQUAL_STRING("", oddity(vip, 24));
  TEST_ASSERT_TRUE(alone("10.0.0.1", 24) && alone("2001:db9::15", 64));
  TEST_ASSERT_FALSE(alone("10.0.0.1", 32) || alone("2001:db9::15", 128));  // it has none
  TEST_ASSERT_FALSE(alone("192.0.2.15", 24) || alone("192.0.2.15", 28) || alone("192.0.2.15", 16));
  TEST_ASSERT_FALSE(AddressBook(links, addresses).is_alone(vip, 24, 9));  // there is no such link
  // Without a route of its own: the host has its way to the subnet (clouds), and ours were wrong.
  addresses.push_back(info(2, "10.0.0.7", 32));
  TEST_ASSERT_FALSE(alone("10.0.0.1", 24));
  addresses.back() = info(2, "10.0.0.7", 32, kAddressProto);
  TEST_ASSERT_TRUE(alone("10.0.0.1", 24));
  addresses.back() = info(3, "10.0.0.7", 24);
  TEST_ASSERT_TRUE(alone("10.0.0.1", 24));
}

void test_link_local_addresses_are_odd() {
  TEST_ASSERT_FALSE(oddity(*Address::parse("fe80::15")).empty());
  TEST_ASSERT_FALSE(oddity(*Address::parse("169.254.0.15")).empty());
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(test_nothing_stands_in_the_way);
  RUN_TEST(test_our_own_is_known_by_its_mark);
  RUN_TEST(test_a_kernel_without_marks_leaves_the_kind_of_lifetime);
  RUN_TEST(test_a_kernel_without_marks_and_an_address_that_we_have_set);
  RUN_TEST(test_foreign_copies_stand_in_the_way_wherever_they_are);
  RUN_TEST(test_a_copy_where_nobody_asks_for_it_stands_in_nobodys_way);
  RUN_TEST(test_the_hosts_own_address_is_called_what_it_is);
  RUN_TEST(test_network_and_broadcast_of_the_link_are_refused);
  RUN_TEST(test_an_address_of_no_subnet_is_odd);
  RUN_TEST(test_a_vip_with_a_subnet_of_its_own_is_no_subnet_of_the_link);
  RUN_TEST(test_a_vip_whose_subnet_is_named_is_not_odd);
  RUN_TEST(test_link_local_addresses_are_odd);
  return UNITY_END();
}
