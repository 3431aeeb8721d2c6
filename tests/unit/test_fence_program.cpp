// The packet fence's instructions, run by an interpreter on made frames of every protocol.
#include <linux/pkt_cls.h>

#include <map>

#include "harness.hpp"
#include "net/arp.hpp"
#include "net/fence_memory.hpp"
#include "net/fence_program.hpp"
#include "net/ndp.hpp"
#include "net/peer_frame.hpp"
#include "unit/bpf_machine.hpp"

using namespace vipd;
using namespace vipd::net;

namespace {

using Bytes = std::vector<uint8_t>;

constexpr int kMap = 77;
constexpr uint32_t kSlots = 64;
constexpr int kLink = 3;
constexpr int64_t kSecond = 1'000'000'000;
constexpr MacAddress kMac = {{2, 0, 0, 0, 0, 1}};
const Address kVip = *Address::parse("192.0.2.15");
const Address kVip6 = *Address::parse("2001:db8::15");
const Address kOther = *Address::parse("192.0.2.16");
const Address kOther6 = *Address::parse("2001:db8::16");

std::vector<uint64_t> storage;
FenceMemory fence;
bpf::World world;

int verdict(FenceHook hook, const Bytes& packet) {
  world.packet = packet;
  world.ran_past_the_end = false;
  const int result = bpf::Machine(fence_program(hook, kMap, kSlots), world).run();
  return world.ran_past_the_end ? 99 : result;
}

bool drops(FenceHook hook, const Bytes& packet) {
  return verdict(hook, packet) == TC_ACT_SHOT;
}
bool drops_incoming(const Bytes& packet) {
  return drops(FenceHook::Ingress, packet);
}
bool drops_leaving(const Bytes& packet) {
  return drops(FenceHook::Egress, packet);
}

void at_time(int64_t boot, int64_t suspended = 0) {
  world.boot = static_cast<uint64_t>(boot);
  world.mono = static_cast<uint64_t>(boot - suspended);
}

// Frames.

template <typename Frame>
Bytes bytes_of(const Frame& frame) {
  return {frame.begin(), frame.end()};
}

Bytes with(Bytes bytes, size_t at, const Address& address) {
  std::memcpy(&bytes[at], address.data(), address.size());
  return bytes;
}

// As each protocol has it: sender and target.
Bytes arp(uint8_t operation, const Address& sender, const Address& target) {
  Bytes frame = bytes_of(arp_probe(kMac, target));
  frame[21] = operation;
  return with(frame, 28, sender);
}

Bytes ipv4(const Address& source, const Address& destination) {
  Bytes frame(14 + 20 + 8);
  frame[12] = 8;
  frame[14] = 0x45;
  return with(with(frame, 26, source), 30, destination);
}

Bytes ipv6(const Address& source, const Address& destination, uint8_t next = 17, size_t more = 8) {
  Bytes frame(14 + 40 + more);
  frame[12] = 0x86;
  frame[13] = 0xdd;
  frame[20] = next;
  return with(with(frame, 22, source), 38, destination);
}

Bytes neighbour(uint8_t type, const Address& source, const Address& destination,
                const Address& target) {
  Bytes frame = ipv6(source, destination, 58, 24);
  frame[54] = type;
  return with(frame, 62, target);
}

Bytes tagged(Bytes frame, uint8_t type_high = 0x81, uint8_t type_low = 0) {
  const uint8_t tag[] = {type_high, type_low, 0, 10};
  frame.insert(frame.begin() + 12, std::begin(tag), std::end(tag));
  return frame;
}

constexpr uint8_t kRequest = 1, kReply = 2;
constexpr uint8_t kSolicitation = 135, kAdvertisement = 136;

}  // namespace

void setUp() {
  storage.assign(FenceMemory::size_for(kSlots) / 8, 0);
  fence = FenceMemory::made(storage.data(), kSlots, 1, 2);
  world = {};
  world.memory = {reinterpret_cast<uint8_t*>(storage.data()), storage.size() * 8};
  world.link_index = kLink;
  (void)fence.protect(kVip);
  (void)fence.protect(kVip6);
  fence.set_deadline(MonoTime::from_ns(100 * kSecond), Duration::seconds(7));
  at_time(100 * kSecond, 7 * kSecond);  // closed, just
}

namespace {

void test_closed_drops_questions_for_a_vip_and_packets_to_it() {
  TEST_ASSERT_TRUE(drops_incoming(arp(kRequest, kOther, kVip)));
  TEST_ASSERT_TRUE(drops_incoming(ipv4(kOther, kVip)));
  TEST_ASSERT_TRUE(drops_incoming(ipv6(kOther6, kVip6)));
  TEST_ASSERT_TRUE(drops_incoming(neighbour(kSolicitation, kOther6, kOther6, kVip6)));
  TEST_ASSERT_TRUE(drops_incoming(bytes_of(probe_solicitation(kMac, kVip6))));
}

void test_closed_drops_what_leaves_in_the_name_of_a_vip() {
  for (const uint8_t operation : {kRequest, kReply}) {
    TEST_ASSERT_TRUE(drops_leaving(arp(operation, kVip, kOther)));
  }
  TEST_ASSERT_TRUE(drops_leaving(bytes_of(gratuitous_request(kMac, kVip))));
  TEST_ASSERT_TRUE(drops_leaving(bytes_of(gratuitous_reply(kMac, kVip))));
  TEST_ASSERT_TRUE(drops_leaving(ipv4(kVip, kOther)));
  TEST_ASSERT_TRUE(drops_leaving(ipv6(kVip6, kOther6)));
  TEST_ASSERT_TRUE(drops_leaving(neighbour(kAdvertisement, kOther6, kOther6, kVip6)));
  TEST_ASSERT_TRUE(drops_leaving(bytes_of(unsolicited_advertisement(kMac, kVip6, false))));
}

// This host must find the next owner, and others must find this host.
void test_closed_passes_what_asks_for_a_vip_and_all_that_has_none() {
  const Bytes leaving[] = {arp(kRequest, kOther, kVip),
                           bytes_of(arp_probe(kMac, kVip)),
                           ipv4(kOther, kVip),
                           ipv6(kOther6, kVip6),
                           neighbour(kSolicitation, kOther6, kOther6, kVip6),
                           bytes_of(probe_solicitation(kMac, kVip6)),
                           arp(kReply, kOther, kVip)};
  for (const Bytes& frame : leaving) {
    TEST_ASSERT_EQUAL_INT(TC_ACT_UNSPEC, verdict(FenceHook::Egress, frame));
  }
  const Bytes incoming[] = {arp(kReply, kVip, kOther),
                            arp(kReply, kOther, kVip),
                            arp(kRequest, kVip, kOther),
                            arp(kRequest, kOther, kOther),
                            ipv4(kVip, kOther),
                            ipv4(kOther, kOther),
                            ipv6(kVip6, kOther6),
                            ipv6(kOther6, kOther6),
                            neighbour(kSolicitation, kOther6, kOther6, kOther6),
                            neighbour(kAdvertisement, kVip6, kOther6, kVip6)};
  for (const Bytes& frame : incoming) {
    TEST_ASSERT_EQUAL_INT(TC_ACT_UNSPEC, verdict(FenceHook::Ingress, frame));
  }
}

std::vector<Bytes> fenced(FenceHook hook) {
  if (hook == FenceHook::Ingress) {
    return {arp(kRequest, kOther, kVip), ipv4(kOther, kVip), ipv6(kOther6, kVip6),
            neighbour(kSolicitation, kOther6, kOther6, kVip6)};
  }
  return {arp(kReply, kVip, kOther), ipv4(kVip, kOther), ipv6(kVip6, kOther6),
          neighbour(kAdvertisement, kOther6, kOther6, kVip6)};
}

size_t dropped(FenceHook hook) {
  size_t count = 0;
  for (const Bytes& frame : fenced(hook)) count += drops(hook, frame) ? 1 : 0;
  return count;
}

void test_open_until_the_nanosecond_of_the_deadline() {
  for (const FenceHook hook : {FenceHook::Ingress, FenceHook::Egress}) {
    at_time(100 * kSecond - 1, 7 * kSecond);
    TEST_ASSERT_EQUAL_INT(0, dropped(hook));
    at_time(100 * kSecond, 7 * kSecond);
    TEST_ASSERT_EQUAL_INT(4, dropped(hook));
    fence.set_deadline(MonoTime::never(), Duration::seconds(7));
    TEST_ASSERT_EQUAL_INT(0, dropped(hook));
    fence.close();
    TEST_ASSERT_EQUAL_INT(4, dropped(hook));
    fence.set_deadline(MonoTime::from_ns(100 * kSecond), Duration::seconds(7));
  }
}

void test_a_suspension_closes_it() {
  constexpr int64_t kTen = 10'000'000;
  const std::map<int64_t, size_t> suspended = {{7 * kSecond, 0},
                                               {7 * kSecond + kTen, 0},
                                               {7 * kSecond - kTen, 0},
                                               {7 * kSecond + kTen + 1, 4},
                                               {7 * kSecond - kTen - 1, 4},
                                               {16 * kSecond, 4},
                                               {0, 4}};
  for (const auto& [ns, count] : suspended) {
    at_time(90 * kSecond, ns);
    TEST_ASSERT_EQUAL_INT(count, dropped(FenceHook::Ingress));
    TEST_ASSERT_EQUAL_INT(count, dropped(FenceHook::Egress));
  }
  fence.set_deadline(MonoTime::from_ns(100 * kSecond), Duration::seconds(16));
  at_time(99 * kSecond, 16 * kSecond);
  TEST_ASSERT_EQUAL_INT(0, dropped(FenceHook::Ingress));
}

void test_tags_in_the_frame_are_passed_over() {
  for (const FenceHook hook : {FenceHook::Ingress, FenceHook::Egress}) {
    for (const Bytes& frame : fenced(hook)) {
      TEST_ASSERT_TRUE(drops(hook, tagged(frame)));
      TEST_ASSERT_TRUE(drops(hook, tagged(frame, 0x88, 0xa8)));
      TEST_ASSERT_TRUE(drops(hook, tagged(tagged(frame), 0x88, 0xa8)));
      TEST_ASSERT_EQUAL_INT(TC_ACT_UNSPEC, verdict(hook, tagged(tagged(tagged(frame)))));
    }
  }
}

// Not even to a program that ends the chain: other filters have their say.
void test_cut_frames_pass_and_are_never_read_past_their_end() {
  for (const FenceHook hook : {FenceHook::Ingress, FenceHook::Egress}) {
    std::vector<Bytes> frames = fenced(hook);
    for (const Bytes& frame : fenced(hook)) frames.push_back(tagged(tagged(frame), 0x88, 0xa8));
    for (const Bytes& frame : frames) {
      for (size_t size = 0; size <= frame.size(); ++size) {
        const int result = verdict(hook, {frame.begin(), frame.begin() + static_cast<long>(size)});
        TEST_ASSERT_TRUE(result == TC_ACT_UNSPEC || result == TC_ACT_SHOT);
        if (size < 14 + 20) TEST_ASSERT_EQUAL_INT(TC_ACT_UNSPEC, result);
      }
    }
  }
}

void test_other_protocols_pass() {
  for (const FenceHook hook : {FenceHook::Ingress, FenceHook::Egress}) {
    Bytes frame = ipv4(kVip, kVip);
    frame[12] = 0x88;  // LLDP
    frame[13] = 0xcc;
    TEST_ASSERT_EQUAL_INT(TC_ACT_UNSPEC, verdict(hook, frame));
  }
}

void test_an_address_counts_while_it_is_protected() {
  fence.unprotect(kVip);
  TEST_ASSERT_EQUAL_INT(2, dropped(FenceHook::Ingress));
  fence.unprotect(kVip6);
  TEST_ASSERT_EQUAL_INT(0, dropped(FenceHook::Ingress));
  TEST_ASSERT_TRUE(fence.protect(kVip) && fence.protect(kVip));
  TEST_ASSERT_EQUAL_INT(1, fence.head().address_count);
  TEST_ASSERT_EQUAL_INT(2, dropped(FenceHook::Egress));
  fence.unprotect(kVip);
  fence.unprotect(kVip);
  TEST_ASSERT_EQUAL_INT(0, fence.head().address_count);
}

// A host without a VIP pays next to nothing for each packet.
void test_the_clocks_are_read_only_where_there_is_a_vip() {
  TEST_ASSERT_EQUAL_INT(4, dropped(FenceHook::Ingress));
  TEST_ASSERT_EQUAL_INT(8, world.calls);
  fence.unprotect(kVip);
  fence.unprotect(kVip6);
  TEST_ASSERT_EQUAL_INT(0, dropped(FenceHook::Ingress));
  TEST_ASSERT_EQUAL_INT(8, world.calls);
}

// IPv4 addresses and IPv6 ones that end alike are different ones.
void test_protocols_do_not_mix() {
  TEST_ASSERT_FALSE(drops_incoming(ipv6(kOther6, *Address::parse("::192.0.2.15"))));
  TEST_ASSERT_FALSE(drops_incoming(ipv6(kOther6, *Address::parse("::"))));
  TEST_ASSERT_FALSE(drops_incoming(ipv4(kOther, *Address::parse("0.0.0.0"))));
}

// In a window of 32 slots: one that goes leaves a hole, behind which the others are still found.
void test_finds_every_address_of_a_crowded_table() {
  fence.unprotect(kVip);
  fence.unprotect(kVip6);
  std::vector<Address> all;
  for (uint32_t i = 0; i < 1000 && all.size() < 32; ++i) {
    const Address address = Address::v4(0x0a000000 + i * 7);
    if (fence.protect(address)) all.push_back(address);
  }
  TEST_ASSERT_EQUAL_INT(32, all.size());
  for (size_t i = 0; i < all.size(); i += 3) fence.unprotect(all[i]);
  for (size_t i = 0; i < all.size(); ++i) {
    TEST_ASSERT_EQUAL_INT(i % 3 != 0, fence.is_protected(all[i]));
    TEST_ASSERT_EQUAL_INT(i % 3 != 0, drops_incoming(ipv4(kOther, all[i])));
  }
}

// Numbered as people number: one after the other, in the last byte or in any other.
Address numbered(uint32_t number, unsigned kind) {
  std::array<uint8_t, 16> bytes = {0x20, 0x01, 0x0d, 0xb8};
  const uint32_t swapped = __builtin_bswap32(number);
  if (kind == 0) return Address::v4(0x0a000000 + number);
  if (kind == 1) return Address::v4(0x0a000000 | swapped >> 8);
  std::memcpy(&bytes[kind == 2 ? 12 : 4], &swapped, sizeof swapped);
  if (kind == 4) std::memcpy(&bytes[12], &number, sizeof number);
  return Address::v6(bytes);
}

void test_as_many_addresses_as_were_asked_for() {
  for (const uint32_t count : {1U, 16U, 1000U, 16384U}) {
    for (unsigned kind = 0; kind < 5; ++kind) {
      const uint32_t slots = FenceMemory::slots_for(count);
      std::vector<uint64_t> memory(FenceMemory::size_for(slots) / 8);
      FenceMemory many = FenceMemory::made(memory.data(), slots, 1, 2);
      for (uint32_t i = 0; i < count; ++i) TEST_ASSERT_TRUE(many.protect(numbered(i, kind)));
      TEST_ASSERT_EQUAL_INT(count, many.head().address_count);
      TEST_ASSERT_EQUAL_INT(count, many.addresses().size());
    }
  }
}

void test_a_full_window_is_told() {
  size_t refused = 0;
  for (uint32_t i = 0; i < 100; ++i) refused += fence.protect(Address::v4(1 + i)) ? 0 : 1;
  TEST_ASSERT_TRUE(refused > 0 && refused < 50);
  TEST_ASSERT_FALSE(fence.protect(Address()));
}

void test_memory_that_is_taken_over_is_as_it_was() {
  FenceMemory again = FenceMemory::taken_over(storage.data());
  TEST_ASSERT_TRUE(again.deadline() == MonoTime::from_ns(100 * kSecond));
  TEST_ASSERT_TRUE(again.is_protected(kVip) && again.is_protected(kVip6));
  const std::vector<Address> addresses = again.addresses();
  TEST_ASSERT_EQUAL_INT(2, addresses.size());
  TEST_ASSERT_TRUE(addresses[0] == kVip || addresses[1] == kVip);
  TEST_ASSERT_TRUE(addresses[0] == kVip6 || addresses[1] == kVip6);
}

Bytes own(PeerFrame::Kind kind, uint64_t nonce) {
  return bytes_of(encode_peer_frame({.kind = kind, .term = 1, .from = 2, .to = 3, .nonce = nonce},
                                    4, kMac, kBroadcastMac));
}

using Sight = FenceMemory::Sight;

size_t marks(uint8_t FenceRequest::*mark) {
  size_t count = 0;
  for (const FenceRequestGroup& group : fence.head().groups) {
    for (const FenceRequest& request : group) count += request.*mark;
  }
  return count;
}

constexpr uint64_t kNonce = 0xfedcba9876543210;

void test_marks_a_request_that_leaves_and_its_grant() {
  fence.expect(kLink, kNonce);
  TEST_ASSERT_TRUE(fence.sight(kLink, kNonce) == Sight::Missed);
  TEST_ASSERT_EQUAL_INT(TC_ACT_UNSPEC,
                        verdict(FenceHook::Egress, own(PeerFrame::Kind::Renew, kNonce)));
  TEST_ASSERT_TRUE(fence.sight(kLink, kNonce) == Sight::Missed);
  TEST_ASSERT_EQUAL_INT(TC_ACT_UNSPEC,
                        verdict(FenceHook::Ingress, own(PeerFrame::Kind::Grant, kNonce)));
  TEST_ASSERT_TRUE(fence.sight(kLink, kNonce) == Sight::Whole);
}

void test_marks_nothing_for_others() {
  fence.expect(kLink, kNonce);
  // The other direction, as a mirror of the link or a loop would bring it.
  (void)verdict(FenceHook::Ingress, own(PeerFrame::Kind::Renew, kNonce));
  (void)verdict(FenceHook::Egress, own(PeerFrame::Kind::Grant, kNonce));
  (void)verdict(FenceHook::Egress, own(PeerFrame::Kind::Renew, kNonce ^ 1ULL << 40));
  (void)verdict(FenceHook::Egress, own(PeerFrame::Kind::Renew, kNonce ^ 1));
  Bytes other_version = own(PeerFrame::Kind::Renew, kNonce);
  other_version[14] = 2;
  (void)verdict(FenceHook::Egress, other_version);
  for (const uint32_t other : {kLink + 1U, kLink + kFenceGroups}) {  // of another group, of its own
    world.link_index = other;
    (void)verdict(FenceHook::Egress, own(PeerFrame::Kind::Renew, kNonce));
  }
  TEST_ASSERT_EQUAL_INT(0, marks(&FenceRequest::has_left));
  TEST_ASSERT_EQUAL_INT(0, marks(&FenceRequest::is_granted));
  TEST_ASSERT_TRUE(fence.sight(kLink + 1, kNonce) == Sight::Unknown);
  TEST_ASSERT_TRUE(fence.sight(kLink, kNonce ^ 1) == Sight::Unknown);
}

// Of nonces that count up, as well as of random ones on average, the last 256.
void test_knows_many_requests() {
  for (uint64_t i = 1; i <= 300; ++i) {
    fence.expect(kLink, i);
    (void)verdict(FenceHook::Egress, own(PeerFrame::Kind::Renew, i));
  }
  for (uint64_t i = 1; i <= 300; ++i) {
    (void)verdict(FenceHook::Ingress, own(PeerFrame::Kind::Grant, i));
    TEST_ASSERT_TRUE(fence.sight(kLink, i) == (i > 44 ? Sight::Whole : Sight::Unknown));
  }
}

// One round asks on all links, with one nonce.
void test_one_nonce_on_many_links() {
  for (int link = 1; link <= 200; ++link) fence.expect(link, kNonce);
  for (int link = 1; link <= 200; ++link) {
    world.link_index = static_cast<uint32_t>(link);
    (void)verdict(FenceHook::Egress, own(PeerFrame::Kind::Renew, kNonce));
    if (link % 2 == 0) (void)verdict(FenceHook::Ingress, own(PeerFrame::Kind::Grant, kNonce));
  }
  for (int link = 1; link <= 200; ++link) {
    TEST_ASSERT_TRUE(fence.sight(link, kNonce) == (link % 2 == 0 ? Sight::Whole : Sight::Missed));
  }
}

void test_a_request_begun_anew_is_one() {
  for (int i = 0; i < 10; ++i) fence.expect(kLink, kNonce);
  fence.expect(kLink, kNonce + kFenceGroups);
  TEST_ASSERT_TRUE(fence.sight(kLink, kNonce) == Sight::Missed);
  (void)verdict(FenceHook::Egress, own(PeerFrame::Kind::Renew, kNonce));
  TEST_ASSERT_EQUAL_INT(1, marks(&FenceRequest::has_left));
  fence.expect(kLink, kNonce);
  TEST_ASSERT_EQUAL_INT(0, marks(&FenceRequest::has_left));
}

void test_marks_own_frames_in_a_tag_and_never_past_their_end() {
  fence.expect(kLink, kNonce);
  const Bytes frame = own(PeerFrame::Kind::Renew, kNonce);
  for (size_t size = 0; size < frame.size(); ++size) {
    const Bytes cut(frame.begin(), frame.begin() + static_cast<long>(size));
    TEST_ASSERT_EQUAL_INT(TC_ACT_UNSPEC, verdict(FenceHook::Egress, cut));
  }
  TEST_ASSERT_EQUAL_INT(0, marks(&FenceRequest::has_left));
  (void)verdict(FenceHook::Egress, tagged(frame));
  TEST_ASSERT_EQUAL_INT(1, marks(&FenceRequest::has_left));
}

// What the kernel's verifier needs without CAP_PERFMON, and what kernels had at first (4096).
void test_programs_are_short_and_have_no_loop() {
  for (const FenceHook hook : {FenceHook::Ingress, FenceHook::Egress}) {
    const std::vector<bpf_insn> code = fence_program(hook, kMap, kSlots);
    TEST_ASSERT_TRUE(code.size() < 1000);
    for (const bpf_insn& in : code) {
      if ((in.code & 7) == BPF_JMP) TEST_ASSERT_TRUE(in.off >= 0);
    }
  }
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(test_closed_drops_questions_for_a_vip_and_packets_to_it);
  RUN_TEST(test_closed_drops_what_leaves_in_the_name_of_a_vip);
  RUN_TEST(test_closed_passes_what_asks_for_a_vip_and_all_that_has_none);
  RUN_TEST(test_open_until_the_nanosecond_of_the_deadline);
  RUN_TEST(test_a_suspension_closes_it);
  RUN_TEST(test_tags_in_the_frame_are_passed_over);
  RUN_TEST(test_cut_frames_pass_and_are_never_read_past_their_end);
  RUN_TEST(test_other_protocols_pass);
  RUN_TEST(test_an_address_counts_while_it_is_protected);
  RUN_TEST(test_the_clocks_are_read_only_where_there_is_a_vip);
  RUN_TEST(test_protocols_do_not_mix);
  RUN_TEST(test_finds_every_address_of_a_crowded_table);
  RUN_TEST(test_as_many_addresses_as_were_asked_for);
  RUN_TEST(test_a_full_window_is_told);
  RUN_TEST(test_memory_that_is_taken_over_is_as_it_was);
  RUN_TEST(test_marks_a_request_that_leaves_and_its_grant);
  RUN_TEST(test_marks_nothing_for_others);
  RUN_TEST(test_knows_many_requests);
  RUN_TEST(test_one_nonce_on_many_links);
  RUN_TEST(test_a_request_begun_anew_is_one);
  RUN_TEST(test_marks_own_frames_in_a_tag_and_never_past_their_end);
  RUN_TEST(test_programs_are_short_and_have_no_loop);
  return UNITY_END();
}
