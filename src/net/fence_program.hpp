// The packet fence's program: two classifiers (sched_cls, direct action), one for what comes in on
// a link and one for what leaves. Pure: a table of instructions. Once the deadline in the shared
// memory has come they drop
//   coming in: ARP requests and IPv6 neighbour solicitations for a VIP, and IP packets to it;
//   leaving:   ARP, neighbour advertisements and IP packets that have a VIP as their sender.
// What asks for a VIP may leave at all times: this host must be able to find its next owner.
// Everything else goes on to other filters (TC_ACT_UNSPEC). Tags of VLANs, in the frame or beside
// it, are passed over. Besides, our own frames (peer_frame.hpp) are marked in the shared memory as
// seen, open or closed.
//
// Packets are read by BPF_LD | BPF_IND alone: they give numbers in the processor's byte order,
// whatever it is, and work where parts of the packet lie elsewhere. They would end the program with
// 0 (TC_ACT_OK, which ends the chain, too) past the end of the packet, so each length is compared
// before.
//
// Source: Documentation/bpf/standardization/instruction-set.rst, linux/bpf.h, net/core/filter.c
// (bpf_gen_ld_abs), RFC 791, 826, 4861, 8200, IEEE 802.1Q.
#pragma once

#include <linux/bpf.h>

#include <cstdint>
#include <span>
#include <vector>

namespace vipd::net {

enum class FenceHook : uint8_t { Ingress, Egress };

// Odd, near 2^32 / the golden ratio; as BPF has it, a number with a sign.
constexpr int32_t kFenceHashFactor = static_cast<int32_t>(0x9e3779b1U);

// The license that the kernel is told: none of the helpers that we call asks for the GPL.
constexpr char kFenceLicense[] = "Apache-2.0";

// With the map's descriptor, for a memory of so many slots (fence_memory.hpp; a power of two).
[[nodiscard]] std::vector<bpf_insn> fence_program(FenceHook hook, int map_fd, uint32_t slots);

}  // namespace vipd::net
