#include <algorithm>
#include <vector>

#include "harness.hpp"
#include "net/arp.hpp"

using namespace vipd;
using namespace vipd::net;

namespace {

constexpr MacAddress kMac = {{0x02, 0x11, 0x22, 0x33, 0x44, 0x55}};
const Address vip = Address::v4(0xc000020f);  // 192.0.2.15

// RFC 826, "Packet format", after the Ethernet header.
constexpr uint8_t kRequest[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0x11, 0x22, 0x33,
                                0x44, 0x55, 0x08, 0x06,                                      //
                                0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x01,              //
                                0x02, 0x11, 0x22, 0x33, 0x44, 0x55, 0xc0, 0x00, 0x02, 0x0f,  //
                                0x02, 0x11, 0x22, 0x33, 0x44, 0x55, 0xc0, 0x00, 0x02, 0x0f};

constexpr size_t kOperationOffset = 21;

std::vector<uint8_t> bytes() {
  return {std::begin(kRequest), std::end(kRequest)};
}

void test_request_byte_by_byte() {
  const ArpFrame frame = gratuitous_request(kMac, vip);
  TEST_ASSERT_EQUAL_INT(sizeof kRequest, frame.size());
  TEST_ASSERT_EQUAL_MEMORY(kRequest, frame.data(), frame.size());
}

void test_reply_differs_in_the_operation_only() {
  const ArpFrame frame = gratuitous_reply(kMac, vip);
  std::vector<uint8_t> expected = bytes();
  expected[kOperationOffset] = 2;
  TEST_ASSERT_EQUAL_MEMORY(expected.data(), frame.data(), frame.size());
}

void test_probe_comes_from_nobody() {
  std::vector<uint8_t> expected = bytes();
  std::fill_n(expected.begin() + 28, 10, 0);  // sender's address, target's hardware address
  const ArpFrame frame = arp_probe(kMac, vip);
  TEST_ASSERT_EQUAL_MEMORY(expected.data(), frame.data(), frame.size());
}

void test_an_announcement_to_one_station_differs_in_the_receiver_only() {
  constexpr MacAddress kRouter = {{0x02, 0xaa, 0xbb, 0xcc, 0xdd, 0xee}};
  std::vector<uint8_t> expected = bytes();
  std::copy(kRouter.bytes.begin(), kRouter.bytes.end(), expected.begin());
  TEST_ASSERT_EQUAL_MEMORY(expected.data(), gratuitous_request(kMac, vip, kRouter).data(),
                           expected.size());
  expected[kOperationOffset] = 2;
  TEST_ASSERT_EQUAL_MEMORY(expected.data(), gratuitous_reply(kMac, vip, kRouter).data(),
                           expected.size());
}

void test_a_question_names_who_asks() {
  const auto packet = parse_arp(arp_question(kMac, vip, Address::v4(0xc0000201)));
  TEST_ASSERT_TRUE(packet.has_value());
  TEST_ASSERT_EQUAL_INT(rfc826::ares_op_REQUEST, packet->operation);
  TEST_ASSERT_TRUE(packet->sender == vip && packet->sender_mac == kMac);
  TEST_ASSERT_EQUAL_STRING("192.0.2.1", packet->target.text());
  TEST_ASSERT_TRUE(packet->target_mac == MacAddress{});
}

void test_parse_reads_each_field() {
  std::vector<uint8_t> frame = bytes();
  frame[11] = 0x56;  // source of the Ethernet header
  frame[27] = 0x57;  // sender's hardware address
  frame[31] = 0x10;  // sender's protocol address
  frame[37] = 0x58;  // target's hardware address
  frame[41] = 0x11;  // target's protocol address
  const auto packet = parse_arp(frame);
  TEST_ASSERT_TRUE(packet.has_value());
  TEST_ASSERT_EQUAL_INT(rfc826::ares_op_REQUEST, packet->operation);
  TEST_ASSERT_EQUAL_STRING("02:11:22:33:44:56", packet->source.text());
  TEST_ASSERT_EQUAL_STRING("02:11:22:33:44:57", packet->sender_mac.text());
  TEST_ASSERT_EQUAL_STRING("192.0.2.16", packet->sender.text());
  TEST_ASSERT_EQUAL_STRING("02:11:22:33:44:58", packet->target_mac.text());
  TEST_ASSERT_EQUAL_STRING("192.0.2.17", packet->target.text());
}

void test_parse_takes_what_was_built() {
  const auto packet = parse_arp(gratuitous_reply(kMac, vip));
  TEST_ASSERT_TRUE(packet.has_value());
  TEST_ASSERT_EQUAL_INT(rfc826::ares_op_REPLY, packet->operation);
  TEST_ASSERT_TRUE(packet->sender == vip && packet->target == vip);
  TEST_ASSERT_TRUE(packet->sender_mac == kMac && packet->target_mac == kMac);
}

void test_parse_allows_padding() {
  std::vector<uint8_t> frame = bytes();
  frame.resize(60);
  TEST_ASSERT_TRUE(parse_arp(frame).has_value());
}

void test_parse_refuses_what_is_cut_short() {
  const std::vector<uint8_t> frame = bytes();
  for (size_t size = 0; size < frame.size(); ++size) {
    const std::vector<uint8_t> part(frame.begin(), frame.begin() + static_cast<long>(size));
    TEST_ASSERT_FALSE(parse_arp(part).has_value());
  }
}

void test_parse_refuses_other_protocols_and_lengths() {
  // Ethernet type, hardware space, protocol space, both lengths, operation.
  for (const size_t offset : {12, 13, 14, 15, 16, 17, 18, 19, 20}) {
    std::vector<uint8_t> frame = bytes();
    frame[offset] ^= 0x10;
    TEST_ASSERT_FALSE(parse_arp(frame).has_value());
  }
  for (const uint8_t operation : {0, 3, 8, 255}) {
    std::vector<uint8_t> frame = bytes();
    frame[kOperationOffset] = operation;
    TEST_ASSERT_FALSE(parse_arp(frame).has_value());
  }
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(test_request_byte_by_byte);
  RUN_TEST(test_reply_differs_in_the_operation_only);
  RUN_TEST(test_probe_comes_from_nobody);
  RUN_TEST(test_an_announcement_to_one_station_differs_in_the_receiver_only);
  RUN_TEST(test_a_question_names_who_asks);
  RUN_TEST(test_parse_reads_each_field);
  RUN_TEST(test_parse_takes_what_was_built);
  RUN_TEST(test_parse_allows_padding);
  RUN_TEST(test_parse_refuses_what_is_cut_short);
  RUN_TEST(test_parse_refuses_other_protocols_and_lengths);
  return UNITY_END();
}
