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
  const unsigned length = vip.is_v4() ? 32 : 128;
  return AddressBook(links, addresses).obstacle(vip, length, 2, is_up);
}

std::string oddity(const Address& vip) {
  return AddressBook(links, addresses).oddity(vip, 2);
}

}  // namespace

void setUp() {
  links.clear();
  for (const char* name : {"lo", "eth0", "eth1"}) {
    const int index = static_cast<int>(links.size()) + 1;
    links[index].name = name;
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

void test_foreign_copies_stand_in_the_way_wherever_they_are() {
  const char* kElsewhere =
      "192.0.2.15/32 is on eth1 already, and not by vipd; \"ip addr del 192.0.2.15/32 dev eth1\" "
      "removes it";
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
      "10.0.0.1 is in no subnet of eth0 (192.0.2.1/24): its neighbours will not look for it on "
      "that link",
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
  RUN_TEST(test_foreign_copies_stand_in_the_way_wherever_they_are);
  RUN_TEST(test_network_and_broadcast_of_the_link_are_refused);
  RUN_TEST(test_an_address_of_no_subnet_is_odd);
  RUN_TEST(test_a_vip_with_a_subnet_of_its_own_is_no_subnet_of_the_link);
  RUN_TEST(test_link_local_addresses_are_odd);
  return UNITY_END();
}
