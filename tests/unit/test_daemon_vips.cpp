#include "daemon/vips.hpp"

#include "harness.hpp"

using namespace vipd;

namespace {

VipConfig vip(const char* name, const char* address, const char* link) {
  VipConfig config;
  config.name = name;
  config.address = *Address::parse(address);
  config.link = link;
  return config;
}

const Address kSecond = *Address::parse("192.0.2.2");

void a_vip_is_found_by_name_and_by_address() {
  const std::vector<VipConfig> configured = {vip("api", "192.0.2.1", "eth0"),
                                             vip("db", "192.0.2.2", "eth1")};
  const Vips vips(configured);
  TEST_ASSERT_TRUE(vips.at(kSecond) == &configured[1]);
  TEST_ASSERT_TRUE(vips.named("db") == &configured[1]);
  TEST_ASSERT_TRUE(vips.named("192.0.2.2") == &configured[1]);
  TEST_ASSERT_NULL(vips.named("192.0.2.3"));
  TEST_ASSERT_NULL(vips.at(*Address::parse("192.0.2.3")));
}

void each_link_is_named_once() {
  const std::vector<VipConfig> configured = {
      vip("a", "192.0.2.1", "eth1"), vip("b", "192.0.2.2", "eth0"), vip("c", "192.0.2.3", "eth1")};
  const Vips vips(configured);
  TEST_ASSERT_TRUE(vips.links() == (std::vector<std::string>{"eth0", "eth1"}));
}

void a_change_is_seen_once_it_was_told() {
  std::vector<VipConfig> configured = {vip("api", "192.0.2.1", "eth0")};
  Vips vips(configured);
  configured = {vip("db", "192.0.2.2", "eth1"), vip("api", "192.0.2.1", "eth1")};
  vips.changed();
  TEST_ASSERT_EQUAL_STRING("db", vips.at(kSecond)->name);
  TEST_ASSERT_EQUAL_STRING("api", vips.at(*Address::parse("192.0.2.1"))->name);
  TEST_ASSERT_TRUE(vips.links() == std::vector<std::string>{"eth1"});
}

void a_check_belongs_to_the_first_that_needs_it() {
  std::vector<VipConfig> configured = {vip("a", "192.0.2.1", "eth0"), vip("b", "192.0.2.2", "eth0"),
                                       vip("c", "192.0.2.3", "eth0")};
  configured[1].checks = configured[2].checks = {"web", "disk"};
  const Vips vips(configured);
  TEST_ASSERT_EQUAL_STRING("b", vips.first_with("disk")->name);
  TEST_ASSERT_NULL(vips.first_with("dis"));
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(a_vip_is_found_by_name_and_by_address);
  RUN_TEST(each_link_is_named_once);
  RUN_TEST(a_change_is_seen_once_it_was_told);
  RUN_TEST(a_check_belongs_to_the_first_that_needs_it);
  return UNITY_END();
}
