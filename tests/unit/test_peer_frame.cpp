#include <set>

#include "harness.hpp"
#include "net/arp.hpp"
#include "net/peer_frame.hpp"

using namespace vipd;
using namespace vipd::net;

namespace {

using Kind = PeerFrame::Kind;

constexpr uint64_t kTag = 0x0102030405060708;
constexpr MacAddress kFrom = {{0x02, 0x11, 0x22, 0x33, 0x44, 0x55}};
constexpr MacAddress kTo = {{0x02, 0x66, 0x77, 0x88, 0x99, 0xaa}};

const PeerFrame kRenew = {.kind = Kind::Renew,
                          .term = 0x1112131415161718,
                          .from = 0x2122232425262728,
                          .to = 0x3132333435363738,
                          .nonce = 0x4142434445464748};
const PeerFrame kExpired = {.kind = Kind::Expired,
                            .term = 0x1112131415161718,
                            .from = 0x2122232425262728,
                            .secret = 0x5152535455565758};

// The table in peer_frame.hpp.
constexpr uint8_t kRenewBytes[] = {0x02, 0x66, 0x77, 0x88, 0x99, 0xaa, 0x02, 0x11,
                                   0x22, 0x33, 0x44, 0x55, 0x88, 0xb5, 1,    1,     //
                                   0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08,  //
                                   0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18,  //
                                   0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28,  //
                                   0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38,  //
                                   0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48,  //
                                   0,    0,    0,    0,    0,    0,    0,    0};

PeerFrameBytes renew() {
  return encode_peer_frame(kRenew, kTag, kFrom, kTo);
}

std::string_view fault(const PeerFrameBytes& bytes) {
  return name_of(decode_peer_frame(bytes, kTag).fault);
}
std::string_view fault_with(PeerFrameBytes bytes, size_t at, uint8_t value) {
  bytes[at] = value;
  return fault(bytes);
}

void test_byte_by_byte() {
  const PeerFrameBytes bytes = renew();
  TEST_ASSERT_EQUAL_INT(sizeof kRenewBytes, bytes.size());
  TEST_ASSERT_EQUAL_MEMORY(kRenewBytes, bytes.data(), bytes.size());
}

void test_there_and_back() {
  PeerFrame grant = kRenew;
  grant.kind = Kind::Grant;
  for (const PeerFrame& frame : {kRenew, grant, kExpired}) {
    const PeerReading read =
        decode_peer_frame(encode_peer_frame(frame, kTag, kFrom, kBroadcastMac), kTag);
    TEST_ASSERT_TRUE(read.is_good());
    TEST_ASSERT_TRUE(read.frame == frame);
    TEST_ASSERT_TRUE(read.source == kFrom);
  }
}

void test_of_any_other_length() {
  const PeerFrameBytes bytes = renew();
  std::vector<uint8_t> longer(bytes.begin(), bytes.end());
  longer.push_back(0);
  TEST_ASSERT_TRUE(decode_peer_frame(longer, kTag).fault == PeerFault::Length);
  for (size_t size = 0; size < bytes.size(); ++size) {
    TEST_ASSERT_TRUE(decode_peer_frame(std::span(bytes).first(size), kTag).fault ==
                     PeerFault::Length);
  }
  TEST_ASSERT_EQUAL_STRING("length", fault_with(bytes, 13, 0xb6));
}

void test_why_a_frame_is_dropped() {
  const PeerFrameBytes bytes = renew();
  TEST_ASSERT_EQUAL_STRING("none", fault(bytes));
  for (const uint8_t version : {0, 2, 255}) {
    TEST_ASSERT_EQUAL_STRING("version", fault_with(bytes, 14, version));
  }
  for (const uint8_t kind : {0, 4, 255}) {
    TEST_ASSERT_EQUAL_STRING("kind", fault_with(bytes, 15, kind));
  }
  for (size_t at = 16; at < 24; ++at) {
    TEST_ASSERT_EQUAL_STRING("cluster", fault_with(bytes, at, 0xff));
  }
  TEST_ASSERT_EQUAL_STRING("field", fault_with(bytes, 6, 0x03));  // from a group
}

// Each of the five numbers is there exactly where the kind wants it.
void test_numbers_that_are_missing_or_too_many() {
  for (const PeerFrame& frame : {kRenew, kExpired}) {
    const PeerFrameBytes good = encode_peer_frame(frame, kTag, kFrom, kTo);
    for (const size_t at : {24, 32, 40, 48, 56}) {
      PeerFrameBytes bad = good;
      const bool is_set = bad[at] != 0;
      for (size_t i = 0; i < 8; ++i) bad[at + i] = is_set ? 0 : 1;
      TEST_ASSERT_EQUAL_STRING("field", fault(bad));
    }
  }
}

// Every version of the daemon has to make the same of them.
void test_tags_are_fixed() {
  TEST_ASSERT_TRUE(peer_cluster_tag(0, "") == 0xa8c7f832281a39c5);
  const std::set<uint64_t> tags = {peer_cluster_tag(1, "/vipd"), peer_cluster_tag(2, "/vipd"),
                                   peer_cluster_tag(1, "/vipe"), peer_cluster_tag(1, "/vipd/"),
                                   peer_cluster_tag(1ULL << 63, "/vipd")};
  TEST_ASSERT_EQUAL_INT(5, tags.size());
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(test_byte_by_byte);
  RUN_TEST(test_there_and_back);
  RUN_TEST(test_of_any_other_length);
  RUN_TEST(test_why_a_frame_is_dropped);
  RUN_TEST(test_numbers_that_are_missing_or_too_many);
  RUN_TEST(test_tags_are_fixed);
  return UNITY_END();
}
