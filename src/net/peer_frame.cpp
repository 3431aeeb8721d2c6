#include "net/peer_frame.hpp"

#include <endian.h>

#include <algorithm>
#include <cassert>
#include <cstring>

namespace vipd::net {
namespace {

constexpr size_t kSourceAt = 6, kTypeAt = 12, kKindAt = 15, kTagAt = 16, kTermAt = 24, kFromAt = 32,
                 kToAt = 40, kSecretAt = 56;
static_assert(kSecretAt + sizeof(uint64_t) == kPeerFrameSize);

void put(PeerFrameBytes& bytes, size_t at, uint64_t value) {
  const uint64_t wire = htobe64(value);
  std::memcpy(&bytes[at], &wire, sizeof wire);
}

uint64_t take(std::span<const uint8_t> bytes, size_t at) {
  uint64_t wire = 0;
  std::memcpy(&wire, &bytes[at], sizeof wire);
  return be64toh(wire);
}

bool is_whole(const PeerFrame& frame) {
  const bool is_answered = frame.kind != PeerFrame::Kind::Expired;
  return frame.term != 0 && frame.from != 0 && (frame.to != 0) == is_answered &&
         (frame.nonce != 0) == is_answered && (frame.secret == 0) == is_answered;
}

constexpr uint64_t kFnvBasis = 0xcbf29ce484222325, kFnvPrime = 0x100000001b3;

}  // namespace

uint64_t peer_cluster_tag(uint64_t etcd_cluster, std::string_view prefix) {
  uint64_t hash = kFnvBasis;
  for (int shift = 56; shift >= 0; shift -= 8) {
    hash = (hash ^ (etcd_cluster >> shift & 0xff)) * kFnvPrime;
  }
  for (const char c : prefix) hash = (hash ^ static_cast<uint8_t>(c)) * kFnvPrime;
  return hash;
}

PeerFrameBytes encode_peer_frame(const PeerFrame& frame, uint64_t cluster_tag,
                                 const MacAddress& source, const MacAddress& destination) {
  assert(is_whole(frame));
  PeerFrameBytes bytes{};
  std::copy(destination.bytes.begin(), destination.bytes.end(), bytes.begin());
  std::copy(source.bytes.begin(), source.bytes.end(), bytes.begin() + kSourceAt);
  bytes[kTypeAt] = kPeerEtherType >> 8;
  bytes[kTypeAt + 1] = kPeerEtherType & 0xff;
  bytes[kPeerVersionAt] = kPeerVersion;
  bytes[kKindAt] = peer_kind_number(frame.kind);
  put(bytes, kTagAt, cluster_tag);
  put(bytes, kTermAt, frame.term);
  put(bytes, kFromAt, frame.from);
  put(bytes, kToAt, frame.to);
  put(bytes, kPeerNonceAt, frame.nonce);
  put(bytes, kSecretAt, frame.secret);
  return bytes;
}

std::string_view name_of(PeerFault fault) {
  switch (fault) {
    case PeerFault::Length:
      return "length";
    case PeerFault::Version:
      return "version";
    case PeerFault::Cluster:
      return "cluster";
    case PeerFault::Kind:
      return "kind";
    case PeerFault::Field:
      return "field";
    case PeerFault::Count:
      break;
  }
  return "none";
}

PeerReading decode_peer_frame(std::span<const uint8_t> bytes, uint64_t cluster_tag) {
  if (bytes.size() != kPeerFrameSize || bytes[kTypeAt] != kPeerEtherType >> 8 ||
      bytes[kTypeAt + 1] != (kPeerEtherType & 0xff)) {
    return {.fault = PeerFault::Length};
  }
  if (bytes[kPeerVersionAt] != kPeerVersion) return {.fault = PeerFault::Version};
  if (take(bytes, kTagAt) != cluster_tag) return {.fault = PeerFault::Cluster};
  PeerReading reading;
  const uint8_t kind = bytes[kKindAt];
  if (kind < peer_kind_number(PeerFrame::Kind::Renew) ||
      kind > peer_kind_number(PeerFrame::Kind::Expired)) {
    return {.fault = PeerFault::Kind};
  }
  reading.frame = {.kind = static_cast<PeerFrame::Kind>(kind - 1),
                   .term = take(bytes, kTermAt),
                   .from = take(bytes, kFromAt),
                   .to = take(bytes, kToAt),
                   .nonce = take(bytes, kPeerNonceAt),
                   .secret = take(bytes, kSecretAt)};
  std::copy_n(&bytes[kSourceAt], reading.source.bytes.size(), reading.source.bytes.begin());
  const bool is_station = (reading.source.bytes[0] & 1) == 0;
  if (!is_whole(reading.frame) || !is_station) reading.fault = PeerFault::Field;
  return reading;
}

}  // namespace vipd::net
