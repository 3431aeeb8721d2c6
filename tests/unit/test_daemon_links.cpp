// Hundreds of links, each named by its MAC address by several VIPs. Operations are counted, not
// time: what is allocated stands for what is looked through or written anew.
#include "daemon/links.hpp"

#include <string>
#include <vector>

#include "daemon/vips.hpp"
#include "harness.hpp"
#include "logged.hpp"
#include "net/netlink.hpp"
#include "unit/allocations.hpp"

using namespace vipd;

namespace {

constexpr int kLinks = 600;
constexpr uint32_t kVips = 3'000;

net::Link link_at(int index) {
  net::Link link;
  link.index = index;
  link.name = "eth" + std::to_string(index);
  link.mac = {{2, 0, 0, 0, static_cast<uint8_t>(index >> 8), static_cast<uint8_t>(index)}};
  link.up = link.carrier = true;
  return link;
}

std::string text_of(int index) {
  return "mac:" + link_at(index).mac.text();
}

std::vector<VipConfig> vips_on_links() {
  std::vector<VipConfig> all(kVips);
  for (uint32_t i = 0; i < kVips; i++) {
    all[i].name = "v" + std::to_string(i);
    all[i].address = Address::v4(0x0a000001 + i);
    all[i].link = text_of(1 + static_cast<int>(i) % kLinks);
  }
  return all;
}

struct Bench {
  std::vector<VipConfig> configured = vips_on_links();
  Vips vips{configured};
  Loop loop;
  size_t told = 0;
  Links links{loop, vips, {[this](const Event&) { told++; }, [](Duration) {}}};

  Bench() {
    std::vector<net::Link> all;
    for (int i = 1; i <= kLinks; i++) all.push_back(link_at(i));
    links.set(std::move(all));
  }
};

void a_link_is_found_by_its_mac_without_a_look_at_all_others() {
  const Bench b;
  TEST_ASSERT_EQUAL_INT(7, b.links.named(text_of(7))->index);
  const size_t before = allocations::count;
  size_t found = 0;
  for (const VipConfig& vip : b.configured) found += b.links.named(vip.link) != nullptr ? 1 : 0;
  TEST_ASSERT_EQUAL_INT(0, allocations::count - before);
  TEST_ASSERT_EQUAL_INT(kVips, found);
}

// `ip link del group 7`: a notice for each, and one look at them all.
void many_notices_cost_one_look() {
  Bench b;
  (void)b.links.named(text_of(1));
  size_t before = allocations::count;
  b.links.removed(1);
  (void)b.links.named(text_of(2));
  const size_t one = allocations::count - before;
  before = allocations::count;
  for (int i = 2; i <= kLinks / 2; i++) b.links.removed(i);
  TEST_ASSERT_TRUE(b.links.named(text_of(2)) == nullptr);
  TEST_ASSERT_TRUE(b.links.named(text_of(kLinks)) != nullptr);
  TEST_ASSERT_TRUE(allocations::count - before <= one + 2);
}

void each_link_is_told_once_however_many_vips_are_on_it() {
  Bench b;
  b.links.tell();
  TEST_ASSERT_EQUAL_INT(kLinks, b.told);
  b.links.tell();
  TEST_ASSERT_EQUAL_INT(kLinks, b.told);
  for (int i = 1; i <= 300; i++) b.links.removed(i);
  b.links.tell();
  TEST_ASSERT_EQUAL_INT(kLinks + 300, b.told);
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(a_link_is_found_by_its_mac_without_a_look_at_all_others);
  RUN_TEST(many_notices_cost_one_look);
  RUN_TEST(each_link_is_told_once_however_many_vips_are_on_it);
  return UNITY_END();
}
