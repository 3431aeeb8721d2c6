#include <vector>

#include "harness.hpp"
#include "net/ndp.hpp"

using namespace vipd;
using namespace vipd::net;

namespace {

constexpr MacAddress kMac = {{0x02, 0x11, 0x22, 0x33, 0x44, 0x55}};
const Address vip = *Address::parse("2001:db8::15");

// Put together by another program, checksums and all.
constexpr uint8_t kAdvertisement[] = {
    0x33, 0x33, 0x00, 0x00, 0x00, 0x01, 0x02, 0x11, 0x22, 0x33, 0x44, 0x55, 0x86, 0xdd, 0x60,
    0x00, 0x00, 0x00, 0x00, 0x20, 0x3a, 0xff, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x15, 0xff, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x88, 0x00, 0x92, 0x6a, 0x20, 0x00,
    0x00, 0x00, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x15, 0x02, 0x01, 0x02, 0x11, 0x22, 0x33, 0x44, 0x55};
constexpr uint8_t kSolicitation[] = {
    0x33, 0x33, 0xff, 0x00, 0x00, 0x15, 0x02, 0x11, 0x22, 0x33, 0x44, 0x55, 0x86, 0xdd, 0x60, 0x00,
    0x00, 0x00, 0x00, 0x18, 0x3a, 0xff, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x01, 0xff, 0x00, 0x00, 0x15, 0x87, 0x00, 0x4c, 0xc5, 0x00, 0x00, 0x00, 0x00, 0x20, 0x01,
    0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x15};

constexpr size_t kChecksumAt = 56;
constexpr size_t kFlagsAt = 58;

std::vector<uint8_t> bytes() {
  return {std::begin(kAdvertisement), std::end(kAdvertisement)};
}

// What was changed outside the checksum's reach, or with the checksum put right by hand.
void put_right(std::vector<uint8_t>* frame, size_t at, uint8_t to) {
  const int before = (*frame)[at];
  (*frame)[at] = to;
  int sum = (*frame)[kChecksumAt] << 8 | (*frame)[kChecksumAt + 1];
  const int shift = at % 2 == 0 ? 8 : 0;
  sum -= (to - before) * (1 << shift);
  if (sum < 0) sum -= 1;
  if (sum > 0xffff) sum += 1;
  (*frame)[kChecksumAt] = static_cast<uint8_t>(sum >> 8);
  (*frame)[kChecksumAt + 1] = static_cast<uint8_t>(sum);
}

void test_advertisement_byte_by_byte() {
  const AdvertisementFrame frame = unsolicited_advertisement(kMac, vip, false);
  TEST_ASSERT_EQUAL_INT(sizeof kAdvertisement, frame.size());
  TEST_ASSERT_EQUAL_MEMORY(kAdvertisement, frame.data(), frame.size());
}

void test_router_flag() {
  const AdvertisementFrame frame = unsolicited_advertisement(kMac, vip, true);
  TEST_ASSERT_EQUAL_INT(0xa0, frame[kFlagsAt]);
  TEST_ASSERT_TRUE(parse_advertisement(frame).has_value());
}

void test_solicitation_byte_by_byte() {
  const SolicitationFrame frame = probe_solicitation(kMac, vip);
  TEST_ASSERT_EQUAL_INT(sizeof kSolicitation, frame.size());
  TEST_ASSERT_EQUAL_MEMORY(kSolicitation, frame.data(), frame.size());
}

void test_parse_reads_source_and_target() {
  const auto parsed = parse_advertisement(kAdvertisement);
  TEST_ASSERT_TRUE(parsed.has_value());
  TEST_ASSERT_TRUE(parsed->source == kMac);
  TEST_ASSERT_EQUAL_STRING("2001:db8::15", parsed->target.text());
  TEST_ASSERT_EQUAL_STRING("ff02::1", parsed->to.text());
}

void test_an_advertisement_to_one_station() {
  const Station router = {.address = *Address::parse("fe80::1"),
                          .mac = {{0x02, 0xaa, 0xbb, 0xcc, 0xdd, 0xee}}};
  const AdvertisementFrame frame = unsolicited_advertisement(kMac, vip, false, &router);
  TEST_ASSERT_EQUAL_MEMORY(router.mac.bytes.data(), frame.data(), router.mac.bytes.size());
  const auto parsed = parse_advertisement(frame);  // with its checksum
  TEST_ASSERT_TRUE(parsed.has_value());
  TEST_ASSERT_TRUE(parsed->to == router.address && parsed->target == vip);
}

// As a probe, but for who asks, and by which card.
void test_an_ordinary_solicitation() {
  const AdvertisementFrame frame = solicitation(kMac, *Address::parse("2001:db8::1"), vip);
  TEST_ASSERT_EQUAL_MEMORY(kSolicitation, frame.data(), 18);
  TEST_ASSERT_EQUAL_INT(32, frame[19]);  // the length of the message
  TEST_ASSERT_EQUAL_INT(0x01, frame[37]);
  constexpr uint8_t kOption[] = {0x01, 0x01, 0x02, 0x11, 0x22, 0x33, 0x44, 0x55};
  TEST_ASSERT_EQUAL_MEMORY(kOption, &frame[78], sizeof kOption);
}

void test_parse_allows_padding() {
  std::vector<uint8_t> frame = bytes();
  frame.resize(frame.size() + 9);
  TEST_ASSERT_TRUE(parse_advertisement(frame).has_value());
}

void test_parse_refuses_what_is_cut_short() {
  const std::vector<uint8_t> frame = bytes();
  for (size_t size = 0; size < frame.size(); ++size) {
    const std::vector<uint8_t> part(frame.begin(), frame.begin() + static_cast<long>(size));
    TEST_ASSERT_FALSE(parse_advertisement(part).has_value());
  }
}

void test_parse_refuses_each_broken_field() {
  // Ethernet type, version, length, next header, hop limit: none is in the checksum but the third.
  for (const size_t offset : {12, 14, 18, 20, 21}) {
    std::vector<uint8_t> frame = bytes();
    frame[offset] ^= 0x10;
    TEST_ASSERT_FALSE(parse_advertisement(frame).has_value());
  }
  for (size_t offset = 22; offset < sizeof kAdvertisement; ++offset) {
    std::vector<uint8_t> frame = bytes();
    frame[offset] ^= 0x10;
    TEST_ASSERT_FALSE(parse_advertisement(frame).has_value());
  }
}

void test_parse_refuses_with_the_checksum_right() {
  const struct {
    size_t at;
    uint8_t to;
    bool good;
  } cases[] = {{kFlagsAt, 0, true}, {54, 135, false}, {55, 1, false},
               {62, 0xff, false},   {79, 0, false},   {79, 2, false}};
  for (const auto& c : cases) {
    std::vector<uint8_t> frame = bytes();
    put_right(&frame, c.at, c.to);
    TEST_ASSERT_EQUAL_INT(c.good, parse_advertisement(frame).has_value());
  }
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(test_advertisement_byte_by_byte);
  RUN_TEST(test_router_flag);
  RUN_TEST(test_solicitation_byte_by_byte);
  RUN_TEST(test_parse_reads_source_and_target);
  RUN_TEST(test_an_advertisement_to_one_station);
  RUN_TEST(test_an_ordinary_solicitation);
  RUN_TEST(test_parse_allows_padding);
  RUN_TEST(test_parse_refuses_what_is_cut_short);
  RUN_TEST(test_parse_refuses_each_broken_field);
  RUN_TEST(test_parse_refuses_with_the_checksum_right);
  return UNITY_END();
}
