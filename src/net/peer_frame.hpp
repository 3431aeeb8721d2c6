// What the daemons of one LAN say to each other about the peer lease: frames to bytes and back.
// Pure; sends nothing. Frames go from link to link, without IP: no address, no port and no host
// firewall is involved, and the path that they try is the one that clients use.
//
// Ethernet II, 64 bytes (the shortest frame that is never padded, tagged or not); numbers in
// network byte order:
//    0   6  destination: the other's MAC address, or broadcast
//    6   6  source: the link's own MAC address
//   12   2  EtherType 0x88b5 (IEEE Std 802 local experimental 1)
//   14   1  version: 1
//   15   1  kind: 1 renew, 2 grant, 3 expired
//   16   8  cluster tag: which etcd and which prefix
//   24   8  term, never 0
//   32   8  incarnation of the sender, never 0
//   40   8  incarnation of the receiver; expired: 0, it is for all
//   48   8  nonce of the request, which its grant repeats, never 0; expired: 0
//   56   8  expired: the secret that the term has for the sender, never 0; others: 0
// The program of the packet fence knows offsets 14, 15 and 48 (fence_program.hpp).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "vipd/peer.hpp"
#include "vipd/types.hpp"

namespace vipd::net {

constexpr uint16_t kPeerEtherType = 0x88b5;
constexpr uint8_t kPeerVersion = 1;
constexpr size_t kPeerFrameSize = 64;
constexpr size_t kPeerVersionAt = 14;
constexpr size_t kPeerNonceAt = 48;

constexpr uint8_t peer_kind_number(PeerFrame::Kind kind) {
  return static_cast<uint8_t>(static_cast<uint8_t>(kind) + 1);
}

using PeerFrameBytes = std::array<uint8_t, kPeerFrameSize>;

// The same on every machine and in every version: FNV-1a of the cluster's id and the prefix.
// Keeps clusters on one segment apart; no protection against anybody.
[[nodiscard]] uint64_t peer_cluster_tag(uint64_t etcd_cluster, std::string_view prefix);

// REQUIRES: the fields that the kind wants are set, and no others.
[[nodiscard]] PeerFrameBytes encode_peer_frame(const PeerFrame& frame, uint64_t cluster_tag,
                                               const MacAddress& source,
                                               const MacAddress& destination);

// Why a frame is dropped, in the order in which it is looked at.
enum class PeerFault : uint8_t {
  Length,   // not 64 bytes, or not this EtherType
  Version,  // of a daemon of another version
  Cluster,  // of another cluster on this segment
  Kind,     // no kind of this version
  Field,    // what must not be 0 is, or the other way round; or from a group's address
  Count,    // how many there are
};
// For metrics and log: "length", "version", ...
[[nodiscard]] std::string_view name_of(PeerFault fault);

struct PeerReading {
  PeerFault fault = PeerFault::Count;  // Count: none, the frame is good
  PeerFrame frame{};
  MacAddress source{};
  [[nodiscard]] bool is_good() const { return fault == PeerFault::Count; }
};

[[nodiscard]] PeerReading decode_peer_frame(std::span<const uint8_t> bytes, uint64_t cluster_tag);

}  // namespace vipd::net
