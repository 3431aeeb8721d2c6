#include "net/fence_program.hpp"

#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>

#include <array>
#include <bit>
#include <cassert>
#include <cstddef>

#include "net/fence_memory.hpp"
#include "net/peer_frame.hpp"

namespace vipd::net {
namespace {

// r0 to r5 are lost by every call and every load from the packet.
constexpr uint8_t R0 = 0, R1 = 1, R2 = 2, R3 = 3, R4 = 4;
constexpr uint8_t kPacket = 6;       // where BPF_LD | BPF_IND wants it
constexpr uint8_t kMemory = 7;       // the shared memory
constexpr uint8_t kHeader = 8;       // where the header after Ethernet's begins
constexpr uint8_t kLength = 9;       // bytes from there
constexpr uint8_t kNonce = kLength;  // in an own frame, once its length is known to be right
constexpr uint8_t kHigh = kLength;   // half of an address, likewise
constexpr uint8_t kStack = 10;

// On the stack:
constexpr int16_t kType = -8;     // the EtherType
constexpr int16_t kNow = -16;     // CLOCK_MONOTONIC
constexpr int16_t kPartly = -24;  // a part of an address

constexpr int32_t kBetweenTypes = 4;  // one EtherType to the next, over a tag
constexpr int32_t kArpSize = 28, kArpOperation = 6, kArpSender = 14, kArpTarget = 24;
constexpr int32_t kIpv4Size = 20, kIpv4Source = 12, kIpv4Destination = 16;
constexpr int32_t kIpv6Size = 40, kIpv6Next = 6, kIpv6Source = 8, kIpv6Destination = 24;
constexpr int32_t kIcmpv6 = 58, kSolicitation = 135, kAdvertisement = 136;
constexpr int32_t kNdType = kIpv6Size, kNdTarget = kIpv6Size + 8, kNdSize = kIpv6Size + 24;

// Jumps lead forwards only. Without CAP_PERFMON the kernel follows each branch as a processor might
// by mistake, and finds no end of a loop; so what is repeated is written out.
enum Label : int16_t {
  Tagged,
  TaggedTwice,
  Untagged,
  Other,
  Closed,
  Arp,
  Ipv4Address,
  Ipv6,
  Ipv6Address,
  Pass,
  Drop,
  Labels,
};

constexpr bpf_insn insn(int code, uint8_t to, uint8_t from, int16_t off, int32_t imm) {
  return {static_cast<uint8_t>(code), to, from, off, imm};
}
constexpr bpf_insn move(uint8_t to, uint8_t from) {
  return insn(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0);
}
constexpr bpf_insn set(uint8_t to, int32_t value) {
  return insn(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value);
}
constexpr bpf_insn compute(int op, uint8_t to, int32_t value) {
  return insn(BPF_ALU64 | op | BPF_K, to, 0, 0, value);
}
constexpr bpf_insn combine(int op, uint8_t to, uint8_t from) {
  return insn(BPF_ALU64 | op | BPF_X, to, from, 0, 0);
}
constexpr bpf_insn load(int size, uint8_t to, uint8_t base, size_t at) {
  return insn(BPF_LDX | BPF_MEM | size, to, base, static_cast<int16_t>(at), 0);
}
constexpr bpf_insn keep(uint8_t from, int16_t at) {
  return insn(BPF_STX | BPF_MEM | BPF_DW, kStack, from, at, 0);
}
constexpr bpf_insn recall(uint8_t to, int16_t at) {
  return insn(BPF_LDX | BPF_MEM | BPF_DW, to, kStack, at, 0);
}
// r0 = what is in the packet at base + at.
constexpr bpf_insn packet(int size, uint8_t base, int32_t at) {
  return insn(BPF_LD | BPF_IND | size, 0, base, 0, at);
}
constexpr bpf_insn call(int32_t helper) {
  return insn(BPF_JMP | BPF_CALL, 0, 0, 0, helper);
}
// Jumps hold a label, as a number below 0, where the kernel wants an offset.
constexpr int16_t place_of(Label label) {
  return static_cast<int16_t>(-label - 1);
}
constexpr bpf_insn jump(Label to) {
  return insn(BPF_JMP | BPF_JA, 0, 0, place_of(to), 0);
}
constexpr bpf_insn jump_if(int test, uint8_t reg, int32_t value, Label to) {
  return insn(BPF_JMP | test | BPF_K, reg, 0, place_of(to), value);
}
constexpr bpf_insn jump_if_reg(int test, uint8_t reg, uint8_t other, Label to) {
  return insn(BPF_JMP | test | BPF_X, reg, other, place_of(to), 0);
}

class Writer {
 public:
  void operator()(bpf_insn next) { code_.push_back(next); }
  void at(Label label) { labels_[label] = code_.size(); }
  void load_64(uint8_t to, uint8_t kind, uint64_t value) {
    (*this)(insn(BPF_LD | BPF_IMM | BPF_DW, to, kind, 0, static_cast<int32_t>(value)));
    (*this)(insn(0, 0, 0, 0, static_cast<int32_t>(value >> 32)));
  }
  // Over as many instructions as follow until arrive().
  void skip_if_reg(int test, uint8_t reg, uint8_t other) {
    skips_.push_back(code_.size());
    (*this)(insn(BPF_JMP | test | BPF_X, reg, other, 0, 0));
  }
  void arrive() {
    for (const size_t from : skips_) code_[from].off = static_cast<int16_t>(distance(from));
    skips_.clear();
  }
  std::vector<bpf_insn> finish();

 private:
  [[nodiscard]] size_t distance(size_t from) const { return code_.size() - from - 1; }

  std::vector<bpf_insn> code_;
  std::array<size_t, Labels> labels_{};
  std::vector<size_t> skips_;
};

std::vector<bpf_insn> Writer::finish() {
  for (size_t i = 0; i < code_.size(); ++i) {
    bpf_insn& in = code_[i];
    const int test = in.code & 0xf0;
    if ((in.code & 0x07) != BPF_JMP || test == BPF_CALL || test == BPF_EXIT) continue;
    if (in.off >= 0) continue;  // a skip
    in.off = static_cast<int16_t>(labels_[static_cast<size_t>(-in.off - 1)] - i - 1);
    assert(in.off >= 0);
  }
  return std::move(code_);
}

// kHeader and kLength for what is under Ethernet and at most two tags (IEEE 802.1ad), its type in
// r0. The tag of a VLAN that the kernel or the card has taken out is not in the packet.
void find_the_header(Writer& s, int map_fd) {
  s(move(kPacket, R1));
  s.load_64(kMemory, BPF_PSEUDO_MAP_VALUE, static_cast<uint32_t>(map_fd));
  s(load(BPF_W, kLength, kPacket, offsetof(__sk_buff, len)));
  s(set(kHeader, ETH_HLEN));
  s(jump_if(BPF_JLT, kLength, ETH_HLEN, Pass));
  for (const Label next : {Tagged, TaggedTwice}) {
    s(packet(BPF_H, kHeader, -2));
    s(jump_if(BPF_JEQ, R0, ETH_P_8021Q, next));
    s(jump_if(BPF_JNE, R0, ETH_P_8021AD, Untagged));
    s.at(next);
    s(compute(BPF_ADD, kHeader, kBetweenTypes));
    s(jump_if_reg(BPF_JLT, kLength, kHeader, Pass));
  }
  s(packet(BPF_H, kHeader, -2));
  s.at(Untagged);
  s(combine(BPF_SUB, kLength, kHeader));
}

// Goes on at Closed when the deadline has come, or the host was suspended since it was reckoned.
// The clocks are read only where there is a VIP at all. CLOCK_MONOTONIC first: a pause between the
// two readings makes the difference larger, never smaller, and closes the fence for this packet.
void pass_while_open(Writer& s) {
  s.at(Other);
  constexpr auto kTolerance = static_cast<int32_t>(kFenceSuspendTolerance_ns);
  s(load(BPF_W, R1, kMemory, offsetof(FenceHead, address_count)));
  s(jump_if(BPF_JEQ, R1, 0, Pass));
  s(keep(R0, kType));
  s(call(BPF_FUNC_ktime_get_ns));
  s(keep(R0, kNow));
  s(call(BPF_FUNC_ktime_get_boot_ns));
  s(load(BPF_DW, R1, kMemory, offsetof(FenceHead, deadline)));
  s(jump_if_reg(BPF_JSGE, R0, R1, Closed));
  s(recall(R1, kNow));
  s(combine(BPF_SUB, R0, R1));
  s(load(BPF_DW, R1, kMemory, offsetof(FenceHead, suspended)));
  s(combine(BPF_SUB, R0, R1));
  // -tolerance to +tolerance, in one comparison without a sign
  s(compute(BPF_ADD, R0, kTolerance));
  s(jump_if(BPF_JLE, R0, 2 * kTolerance, Pass));
}

// Drops the packet if the address in r2 and r3 is one of ours: FenceMemory::find() in
// instructions.
void drop_if_ours(Writer& s, uint32_t slots) {
  s(move(R4, R2));
  s(compute(BPF_MUL, R4, kFenceHashFactor));
  s(combine(BPF_XOR, R4, R3));
  s(compute(BPF_MUL, R4, kFenceHashFactor));
  s(move(R1, R4));
  s(compute(BPF_RSH, R1, 32));
  s(combine(BPF_XOR, R4, R1));
  s(compute(BPF_MUL, R4, kFenceHashFactor));
  s(compute(BPF_RSH, R4, 32));
  s(compute(BPF_AND, R4, static_cast<int32_t>(slots - 1)));
  s(compute(BPF_MUL, R4, sizeof(FenceAddress)));
  s(move(R0, kMemory));
  s(combine(BPF_ADD, R0, R4));
  for (size_t i = 0; i < kFenceProbes; ++i) {
    const size_t at = kFenceAddressesAt + i * sizeof(FenceAddress);
    s(load(BPF_DW, R1, R0, at + offsetof(FenceAddress, high)));
    s.skip_if_reg(BPF_JNE, R1, R2);
    s(load(BPF_DW, R1, R0, at + offsetof(FenceAddress, low)));
    s(jump_if_reg(BPF_JEQ, R1, R3, Drop));
    s.arrive();
  }
}

// The address that matters in ARP and IPv4.
void find_the_ipv4_address(Writer& s, FenceHook hook, uint32_t slots) {
  const bool in = hook == FenceHook::Ingress;
  s.at(Closed);
  s(recall(R1, kType));
  s(jump_if(BPF_JEQ, R1, ETH_P_IPV6, Ipv6));
  s(jump_if(BPF_JEQ, R1, ETH_P_ARP, Arp));
  s(jump_if(BPF_JNE, R1, ETH_P_IP, Pass));
  s(jump_if(BPF_JLT, kLength, kIpv4Size, Pass));
  s(packet(BPF_W, kHeader, in ? kIpv4Destination : kIpv4Source));
  s(jump(Ipv4Address));
  s.at(Arp);
  s(jump_if(BPF_JLT, kLength, kArpSize, Pass));
  if (in) {  // a reply to us about a VIP may come in: nobody answers it
    s(packet(BPF_H, kHeader, kArpOperation));
    s(jump_if(BPF_JNE, R0, ARPOP_REQUEST, Pass));
  }
  s(packet(BPF_W, kHeader, in ? kArpTarget : kArpSender));
  s.at(Ipv4Address);
  s(set(R2, 0));
  s(move(R3, R0));
  s.load_64(R1, 0, 0xffff'0000'0000);  // as ::ffff:a.b.c.d
  s(combine(BPF_OR, R3, R1));
  drop_if_ours(s, slots);
  s(jump(Pass));
}

// The address there, in r2 and r3.
void load_ipv6_address(Writer& s, uint8_t base, int32_t at) {
  s(packet(BPF_W, base, at));
  s(move(kHigh, R0));
  s(compute(BPF_LSH, kHigh, 32));
  s(packet(BPF_W, base, at + 4));
  s(combine(BPF_OR, kHigh, R0));
  s(packet(BPF_W, base, at + 8));
  s(compute(BPF_LSH, R0, 32));
  s(keep(R0, kPartly));
  s(packet(BPF_W, base, at + 12));
  s(recall(R3, kPartly));
  s(combine(BPF_OR, R3, R0));
  s(move(R2, kHigh));
}

// Two addresses may matter in a neighbour message. Extension headers before it are not looked
// behind: the answer to a solicitation with them would not leave.
void find_the_ipv6_addresses(Writer& s, FenceHook hook, uint32_t slots) {
  const bool in = hook == FenceHook::Ingress;
  s.at(Ipv6);
  s(jump_if(BPF_JLT, kLength, kIpv6Size, Pass));
  s(jump_if(BPF_JLT, kLength, kNdSize, Ipv6Address));
  s(packet(BPF_B, kHeader, kIpv6Next));
  s(jump_if(BPF_JNE, R0, kIcmpv6, Ipv6Address));
  s(packet(BPF_B, kHeader, kNdType));
  s(jump_if(BPF_JNE, R0, in ? kSolicitation : kAdvertisement, Ipv6Address));
  load_ipv6_address(s, kHeader, kNdTarget);
  drop_if_ours(s, slots);
  s.at(Ipv6Address);
  load_ipv6_address(s, kHeader, in ? kIpv6Destination : kIpv6Source);
  s(move(R4, R2));
  s(combine(BPF_OR, R4, R3));
  s(jump_if(BPF_JEQ, R4, 0, Pass));  // from nobody (::), which a free slot would match
  drop_if_ours(s, slots);
  s(jump(Pass));
}

// An own frame is marked where its request is among those expected on this link, and passes: it is
// for our socket, and fences nobody.
void mark_own_frame(Writer& s, FenceHook hook) {
  const bool in = hook == FenceHook::Ingress;
  const PeerFrame::Kind wanted = in ? PeerFrame::Kind::Grant : PeerFrame::Kind::Renew;
  const size_t mark = in ? offsetof(FenceRequest, is_granted) : offsetof(FenceRequest, has_left);
  constexpr int32_t kNonceAt = kPeerNonceAt - ETH_HLEN;
  s(jump_if(BPF_JLT, kLength, kPeerFrameSize - ETH_HLEN, Pass));
  s(packet(BPF_H, kHeader, kPeerVersionAt - ETH_HLEN));
  s(jump_if(BPF_JNE, R0, kPeerVersion << 8 | peer_kind_number(wanted), Pass));
  s(packet(BPF_W, kHeader, kNonceAt));
  s(move(kNonce, R0));
  s(compute(BPF_LSH, kNonce, 32));
  s(packet(BPF_W, kHeader, kNonceAt + 4));
  s(combine(BPF_OR, kNonce, R0));
  s(load(BPF_W, R2, kPacket, offsetof(__sk_buff, ifindex)));
  // FenceMemory::group()
  s(move(R3, R2));
  s(combine(BPF_ADD, R3, kNonce));
  s(compute(BPF_AND, R3, kFenceGroups - 1));
  s(compute(BPF_MUL, R3, sizeof(FenceRequestGroup)));
  s(move(R1, kMemory));
  s(combine(BPF_ADD, R1, R3));
  for (size_t i = 0; i < kFenceGroupSize; ++i) {
    const size_t at = offsetof(FenceHead, groups) + i * sizeof(FenceRequest);
    s(load(BPF_DW, R4, R1, at + offsetof(FenceRequest, nonce)));
    s.skip_if_reg(BPF_JNE, R4, kNonce);
    s(load(BPF_W, R4, R1, at + offsetof(FenceRequest, link_index)));
    s.skip_if_reg(BPF_JNE, R4, R2);
    s(insn(BPF_ST | BPF_MEM | BPF_B, R1, 0, static_cast<int16_t>(at + mark), 1));
    s.arrive();
  }
  s(jump(Pass));
}

}  // namespace

std::vector<bpf_insn> fence_program(FenceHook hook, int map_fd, uint32_t slots) {
  assert(std::has_single_bit(slots));
  Writer s;
  find_the_header(s, map_fd);
  s(jump_if(BPF_JNE, R0, kPeerEtherType, Other));
  mark_own_frame(s, hook);
  pass_while_open(s);
  find_the_ipv4_address(s, hook, slots);
  find_the_ipv6_addresses(s, hook, slots);
  s.at(Pass);
  s(set(R0, TC_ACT_UNSPEC));
  s(insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
  s.at(Drop);
  s(set(R0, TC_ACT_SHOT));
  s(insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
  return s.finish();
}

}  // namespace vipd::net
