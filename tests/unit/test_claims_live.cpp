// What is heard on a real link, in a network namespace of its own. Needs root.
#include <net/if.h>
#include <sched.h>
#include <unistd.h>

#include <cstdlib>

#include "harness.hpp"
#include "net/claims.hpp"
#include "net/packet.hpp"

using namespace vipd;
using namespace vipd::net;

namespace {

const Address kVip = *Address::parse("192.0.2.15");
const Address kVip6 = *Address::parse("2001:db8::15");
const Address kOther = *Address::parse("192.0.2.16");
const Address kOther6 = *Address::parse("2001:db8::16");
constexpr MacAddress kMac = {{2, 0, 0, 0, 0, 9}};

bool is_isolated = false;
std::unique_ptr<Loop> loop;
std::unique_ptr<PacketSocket> packet;
std::vector<std::string> heard;

int index_of(const char* link) {
  return static_cast<int>(if_nametoindex(link));
}

bool run(const std::string& command) {
  return system(command.c_str()) == 0;
}

std::unique_ptr<ClaimListener> listen(std::vector<Address> addresses) {
  std::string reason;
  auto listener = ClaimListener::open(*loop, &reason);
  if (listener == nullptr) return nullptr;
  const bool is_done = listener->listen(std::move(addresses), [](const ClaimListener::Heard& h) {
    if (h.link_index == index_of("t0")) heard.push_back(h.address.text() + " by " + h.mac.text());
  });
  return is_done ? std::move(listener) : nullptr;
}

void turns() {
  for (int i = 0; i < 20; ++i) loop->run_once(Duration::milliseconds(5));
}

std::string all_heard() {
  turns();
  std::string text;
  for (const std::string& one : heard) text += one + "; ";
  heard.clear();
  return text;
}

// From the other end of the cable.
void announce(const Address& address) {
  (void)packet->announce({.link_index = index_of("t1"), .mac = kMac}, address,
                         AnnounceForm::Request);
}

}  // namespace

void setUp() {
  if (!is_isolated) TEST_IGNORE_MESSAGE("needs root: unshare(CLONE_NEWNET) was refused");
  TEST_ASSERT_TRUE(run("ip link add t0 type veth peer name t1"));
  TEST_ASSERT_TRUE(run("ip link set t0 up") && run("ip link set t1 up"));
  std::string reason;
  loop = std::make_unique<Loop>();
  packet = PacketSocket::open(&reason);
  heard.clear();
}

void tearDown() {
  packet.reset();
  loop.reset();
  if (is_isolated) (void)run("ip link del t0 2>/dev/null");
}

namespace {

void test_hears_claims_of_its_addresses_only() {
  const auto listener = listen({kVip, kVip6});
  TEST_ASSERT_TRUE(listener != nullptr);
  for (const Address& address : {kVip, kOther, kVip6, kOther6}) announce(address);
  const std::string text = all_heard();
  TEST_ASSERT_TRUE(text.find("192.0.2.15 by 02:00:00:00:00:09") != std::string::npos);
  TEST_ASSERT_TRUE(text.find("2001:db8::15 by 02:00:00:00:00:09") != std::string::npos);
  TEST_ASSERT_TRUE(text.find("16 by") == std::string::npos);
}

void test_does_not_hear_probes_nor_itself() {
  const auto listener = listen({kVip, kVip6});
  for (const Address& address : {kVip, kVip6}) {
    (void)packet->probe({.link_index = index_of("t1"), .mac = kMac}, address);
    (void)packet->probe({.link_index = index_of("t0"), .mac = kMac}, address);
    (void)packet->announce({.link_index = index_of("t0"), .mac = kMac}, address,
                           AnnounceForm::Both);
  }
  TEST_ASSERT_EQUAL_STRING("", all_heard());
}

// The kernel of whoever has an address answers a probe.
void test_hears_the_answer_to_a_probe() {
  const std::string other = "claims-test" + std::to_string(getpid());
  const std::string in_other = "ip -n " + other + " ";
  TEST_ASSERT_TRUE(run("ip link set t0 address " + kMac.text()));
  TEST_ASSERT_TRUE(run("ip netns add " + other) && run("ip link set t1 netns " + other));
  TEST_ASSERT_TRUE(run(in_other + "link set t1 up"));
  TEST_ASSERT_TRUE(run(in_other + "addr add 192.0.2.15/32 dev t1"));
  TEST_ASSERT_TRUE(run(in_other + "addr add 2001:db8::15/128 dev t1 nodad"));
  // The kernel adds an IPv6 address's own route in a work queue, later than the address.
  TEST_ASSERT_TRUE(run("timeout 5 sh -c 'until " + in_other +
                       "-6 route get 2001:db8::15 > /dev/null 2>&1; do sleep 0.01; done'"));
  const auto listener = listen({kVip, kVip6});
  for (const Address& address : {kVip, kVip6}) {
    TEST_ASSERT_EQUAL_INT(0, packet->probe({.link_index = index_of("t0"), .mac = kMac}, address));
  }
  const std::string text = all_heard();
  TEST_ASSERT_TRUE(run("ip netns del " + other));
  TEST_ASSERT_TRUE(text.find("192.0.2.15 by") != std::string::npos);
  TEST_ASSERT_TRUE(text.find("2001:db8::15 by") != std::string::npos);
}

// Neighbours are one range of the filter; what does not fit is let through as a whole.
void test_more_addresses_than_a_filter_takes() {
  std::vector<Address> many;
  for (uint32_t i = 0; i < 20'000; ++i) many.push_back(Address::v4(0x0a000000 + i));
  const auto listener = listen(many);
  for (const Address& address : {many.front(), many.back(), kVip}) announce(address);
  const std::string text = all_heard();
  TEST_ASSERT_TRUE(text.find(many.front().text() + " ") != std::string::npos);
  TEST_ASSERT_TRUE(text.find(many.back().text() + " ") != std::string::npos);
  TEST_ASSERT_TRUE(text.find(kVip.text()) == std::string::npos);
  std::vector<Address> scattered;
  for (uint32_t i = 0; i < 2'000; ++i) scattered.push_back(Address::v4(0x0a000000 + 2 * i));
  const auto all = listen(scattered);
  announce(scattered.back());
  TEST_ASSERT_TRUE(all_heard().find(scattered.back().text()) != std::string::npos);
}

void test_other_addresses_replace_those_before() {
  const auto listener = listen({kVip, kVip6});
  TEST_ASSERT_TRUE(listener->listen(
      {kOther}, [](const ClaimListener::Heard& h) { heard.push_back("now " + h.address.text()); }));
  for (const Address& address : {kVip, kOther, kVip6}) announce(address);
  TEST_ASSERT_EQUAL_STRING("now 192.0.2.16; ", all_heard().c_str());
}

// As the checks do, beside the VIPs.
void test_another_hears_of_one_address_until_it_is_forgotten() {
  const auto listener = listen({kVip});
  const auto id = listener->also(kOther, [](const ClaimListener::Heard& h) {
    heard.push_back("also " + h.address.text() +
                    (h.link_index == index_of("t0") ? "" : " elsewhere"));
  });
  announce(kOther);
  TEST_ASSERT_TRUE(all_heard().find("also 192.0.2.16; ") != std::string::npos);
  listener->forget(id);
  announce(kOther);
  TEST_ASSERT_TRUE(all_heard().find("also") == std::string::npos);
}

void test_hands_out_what_has_come_in_when_asked() {
  const auto listener = listen({kVip, kVip6});
  announce(kVip);
  announce(kVip6);
  listener->hear();
  TEST_ASSERT_EQUAL_INT(2, heard.size());
  listener->hear();
  TEST_ASSERT_EQUAL_INT(2, heard.size());
}

void test_goes_on_after_the_link_was_down() {
  const auto listener = listen({kVip});
  TEST_ASSERT_TRUE(run("ip link set t0 down"));
  turns();
  TEST_ASSERT_TRUE(run("ip link set t0 up"));
  turns();
  announce(kVip);
  TEST_ASSERT_FALSE(all_heard().empty());
}

// A link that is made anew under its number, or another, needs no other socket.
void test_hears_a_link_that_was_made_anew() {
  const auto listener = listen({kVip, kVip6});
  TEST_ASSERT_TRUE(run("ip link del t0"));
  turns();
  TEST_ASSERT_TRUE(run("ip link add t0 type veth peer name t1"));
  TEST_ASSERT_TRUE(run("ip link set t0 up") && run("ip link set t1 up"));
  announce(kVip);
  announce(kVip6);
  TEST_ASSERT_EQUAL_INT(2, (turns(), heard.size()));
}

}  // namespace

int main() {
  UNITY_BEGIN();
  is_isolated = unshare(CLONE_NEWNET) == 0;
  RUN_TEST(test_hears_claims_of_its_addresses_only);
  RUN_TEST(test_does_not_hear_probes_nor_itself);
  RUN_TEST(test_hears_the_answer_to_a_probe);
  RUN_TEST(test_more_addresses_than_a_filter_takes);
  RUN_TEST(test_hands_out_what_has_come_in_when_asked);
  RUN_TEST(test_goes_on_after_the_link_was_down);
  RUN_TEST(test_other_addresses_replace_those_before);
  RUN_TEST(test_another_hears_of_one_address_until_it_is_forgotten);
  RUN_TEST(test_hears_a_link_that_was_made_anew);
  return UNITY_END();
}
