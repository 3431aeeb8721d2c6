#include "daemon/auto_links.hpp"
#include "harness.hpp"
#include "net/address_book.hpp"
#include "vipd/auto_link.hpp"

using namespace vipd;
using net::AddressBook;
using net::AddressInfo;
using net::Link;

namespace {

const std::string kSubnet = auto_link(*Address::parse("192.0.2.15"), 24);
const std::string kHost = auto_link(*Address::parse("198.51.100.7"), 32);

std::map<int, Link> links;
std::vector<AddressInfo> addresses;
AutoLinks autos;
int default_link;

AddressInfo info(int link, const char* address, unsigned length) {
  AddressInfo result;
  result.link_index = link;
  result.address = *Address::parse(address);
  result.prefix_length = length;
  result.permanent = true;
  return result;
}

int found(const std::string& name) {
  autos.find({"eth0", kSubnet, kHost}, AddressBook(links, addresses), links,
             [](bool) { return default_link; });
  return autos.index(name);
}

}  // namespace

void setUp() {
  links.clear();
  for (const char* name : {"lo", "eth0", "eth1"}) {
    const int index = static_cast<int>(links.size()) + 1;
    links[index].name = name;
    links[index].has_arp = index != 1;
  }
  addresses = {info(1, "127.0.0.1", 8), info(1, "192.0.2.99", 32), info(2, "192.0.2.1", 24)};
  autos = AutoLinks();
  default_link = 0;
}

namespace {

void it_is_the_link_with_an_address_of_the_subnet() {
  TEST_ASSERT_EQUAL_STRING("auto (192.0.2.0/24)", kSubnet);
  TEST_ASSERT_EQUAL_INT(2, found(kSubnet));
  addresses.back().link_index = 3;
  TEST_ASSERT_EQUAL_INT(3, found(kSubnet));  // it is followed
}

void two_that_fit_are_refused() {
  addresses.push_back(info(3, "192.0.2.2", 24));
  TEST_ASSERT_EQUAL_INT(0, found(kSubnet));
  TEST_ASSERT_EQUAL_STRING(
      "link = auto: eth0 and eth1 have an address of 192.0.2.0/24; write the link's name",
      autos.fault(kSubnet));
  addresses.pop_back();
  TEST_ASSERT_EQUAL_INT(2, found(kSubnet));
  addresses.push_back(info(3, "192.0.2.2", 24));
  TEST_ASSERT_EQUAL_INT(2, found(kSubnet));  // the one it was still fits
}

void it_stays_while_the_hosts_own_address_is_away() {
  TEST_ASSERT_EQUAL_INT(2, found(kSubnet));
  addresses.pop_back();
  TEST_ASSERT_EQUAL_INT(2, found(kSubnet));
  links.erase(2);
  TEST_ASSERT_EQUAL_INT(0, found(kSubnet));
  TEST_ASSERT_EQUAL_STRING("link = auto: no link has an address of 192.0.2.0/24",
                           autos.fault(kSubnet));
}

void without_a_length_it_is_that_of_the_default_route() {
  default_link = 3;
  TEST_ASSERT_EQUAL_INT(3, found(kHost));
  TEST_ASSERT_EQUAL_INT(2, found(kSubnet));
  autos = AutoLinks();
  default_link = 9;  // it has gone since
  TEST_ASSERT_EQUAL_INT(0, found(kHost));
  addresses.push_back(info(2, "198.51.100.1", 24));
  TEST_ASSERT_EQUAL_INT(2, found(kHost));
}

// Thousands of VIPs may be written so: the kernel's routes are read once for all of them.
void the_default_route_is_looked_up_once_for_all() {
  std::vector<std::string> names;
  for (int i = 1; i <= 100; i++) {
    names.push_back(auto_link(*Address::parse("198.51.100." + std::to_string(i)), 32));
  }
  int asked = 0;
  autos = AutoLinks();
  autos.find(names, AddressBook(links, addresses), links, [&](bool) {
    asked++;
    return 3;
  });
  TEST_ASSERT_EQUAL_INT(3, autos.index(names.back()));
  TEST_ASSERT_EQUAL_INT(1, asked);
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(it_is_the_link_with_an_address_of_the_subnet);
  RUN_TEST(two_that_fit_are_refused);
  RUN_TEST(it_stays_while_the_hosts_own_address_is_away);
  RUN_TEST(without_a_length_it_is_that_of_the_default_route);
  RUN_TEST(the_default_route_is_looked_up_once_for_all);
  return UNITY_END();
}
