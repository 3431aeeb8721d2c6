#include "net/ndp.hpp"

#include <algorithm>
#include <cassert>

namespace vipd::net {
namespace {

constexpr uint8_t kProtocolIcmpv6 = 58;
constexpr uint8_t kNeighborSolicitation = 135;
constexpr uint8_t kNeighborAdvertisement = 136;
constexpr uint8_t kHopLimit = 255;  // nobody behind a router can send that (RFC 4861, 7.1.2)
constexpr uint8_t kRouterFlag = 0x80;
constexpr uint8_t kOverrideFlag = 0x20;
constexpr uint8_t kSourceLinkLayerAddress = 1;
constexpr uint8_t kTargetLinkLayerAddress = 2;

constexpr size_t kSourceAt = 6;
constexpr size_t kTypeAt = 12;
constexpr size_t kIpAt = 14;
constexpr size_t kLengthAt = kIpAt + 4;
constexpr size_t kNextHeaderAt = kIpAt + 6;
constexpr size_t kHopLimitAt = kIpAt + 7;
constexpr size_t kAddressesAt = kIpAt + 8;
constexpr size_t kIcmpAt = kIpAt + 40;
constexpr size_t kChecksumAt = kIcmpAt + 2;
constexpr size_t kFlagsAt = kIcmpAt + 4;
constexpr size_t kTargetAt = kIcmpAt + 8;
constexpr size_t kOptionAt = kTargetAt + 16;

using Ipv6 = std::array<uint8_t, 16>;

void put_u16(uint8_t* at, size_t value) {
  at[0] = static_cast<uint8_t>(value >> 8);
  at[1] = static_cast<uint8_t>(value & 0xff);
}

uint16_t get_u16(const uint8_t* at) {
  return static_cast<uint16_t>(at[0] << 8 | at[1]);
}

// RFC 8200, 8.1: over the addresses, the length, the protocol and the message. 0 for a message that
// carries its right checksum.
uint16_t checksum(std::span<const uint8_t> frame, size_t length) {
  uint32_t sum = static_cast<uint32_t>(length) + kProtocolIcmpv6;
  const size_t end = kIcmpAt + length;
  for (size_t i = kAddressesAt; i + 1 < end; i += 2) sum += get_u16(&frame[i]);
  if (length % 2 != 0) sum += static_cast<uint32_t>(frame[end - 1] << 8);
  sum = (sum >> 16) + (sum & 0xffff);
  return static_cast<uint16_t>(~(sum + (sum >> 16)));
}

// Everything but the message's own fields. A multicast group's MAC ends as the group does (RFC
// 2464, 7).
void fill(std::span<uint8_t> frame, const MacAddress& mac, const Ipv6& from, const Ipv6& to) {
  std::fill(frame.begin(), frame.end(), 0);
  frame[0] = frame[1] = 0x33;
  std::copy(to.end() - 4, to.end(), &frame[2]);
  std::copy(mac.bytes.begin(), mac.bytes.end(), &frame[kSourceAt]);
  put_u16(&frame[kTypeAt], kEtherTypeIpv6);
  frame[kIpAt] = 0x60;  // version 6
  put_u16(&frame[kLengthAt], frame.size() - kIcmpAt);
  frame[kNextHeaderAt] = kProtocolIcmpv6;
  frame[kHopLimitAt] = kHopLimit;
  std::copy(from.begin(), from.end(), &frame[kAddressesAt]);
  std::copy(to.begin(), to.end(), &frame[kAddressesAt + from.size()]);
}

Ipv6 bytes_of(const Address& address) {
  assert(address.is_v6());
  Ipv6 bytes;
  std::copy_n(address.data(), bytes.size(), bytes.begin());
  return bytes;
}

void finish(std::span<uint8_t> frame, uint8_t type, const Ipv6& target) {
  frame[kIcmpAt] = type;
  std::copy(target.begin(), target.end(), &frame[kTargetAt]);
  put_u16(&frame[kChecksumAt], checksum(frame, frame.size() - kIcmpAt));
}

void put_option(AdvertisementFrame* frame, uint8_t type, const MacAddress& mac) {
  (*frame)[kOptionAt] = type;
  (*frame)[kOptionAt + 1] = 1;  // in units of 8 bytes
  std::copy(mac.bytes.begin(), mac.bytes.end(), &(*frame)[kOptionAt + 2]);
}

// RFC 4291, 2.7.1.
Ipv6 solicited_node_group(const Ipv6& of) {
  return {0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, of[13], of[14], of[15]};
}

// RFC 4861, 7.1.2: every option has a length above zero, and they end with the message.
bool options_are_whole(std::span<const uint8_t> options) {
  while (!options.empty()) {
    if (options.size() < 8 || options[1] == 0 || options.size() < 8U * options[1]) return false;
    options = options.subspan(8U * options[1]);
  }
  return true;
}

}  // namespace

AdvertisementFrame unsolicited_advertisement(const MacAddress& mac, const Address& address,
                                             bool is_router, const Station* to) {
  const Ipv6 all_nodes = {0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  const Ipv6 own = bytes_of(address);
  AdvertisementFrame frame;
  fill(frame, mac, own, to == nullptr ? all_nodes : bytes_of(to->address));
  if (to != nullptr) std::copy(to->mac.bytes.begin(), to->mac.bytes.end(), frame.begin());
  frame[kFlagsAt] = is_router ? kRouterFlag | kOverrideFlag : kOverrideFlag;
  put_option(&frame, kTargetLinkLayerAddress, mac);
  finish(frame, kNeighborAdvertisement, own);
  return frame;
}

SolicitationFrame probe_solicitation(const MacAddress& mac, const Address& address) {
  const Ipv6 target = bytes_of(address);
  SolicitationFrame frame;
  fill(frame, mac, Ipv6{}, solicited_node_group(target));
  finish(frame, kNeighborSolicitation, target);
  return frame;
}

AdvertisementFrame solicitation(const MacAddress& mac, const Address& self, const Address& target) {
  const Ipv6 wanted = bytes_of(target);
  AdvertisementFrame frame;
  fill(frame, mac, bytes_of(self), solicited_node_group(wanted));
  put_option(&frame, kSourceLinkLayerAddress, mac);
  finish(frame, kNeighborSolicitation, wanted);
  return frame;
}

std::optional<Advertisement> parse_advertisement(std::span<const uint8_t> frame) {
  if (frame.size() < kOptionAt || get_u16(&frame[kTypeAt]) != kEtherTypeIpv6) return std::nullopt;
  const size_t length = get_u16(&frame[kLengthAt]);
  if (frame[kIpAt] >> 4 != 6 || frame[kNextHeaderAt] != kProtocolIcmpv6) return std::nullopt;
  if (length < kOptionAt - kIcmpAt || length > frame.size() - kIcmpAt) return std::nullopt;
  if (frame[kHopLimitAt] != kHopLimit || frame[kIcmpAt] != kNeighborAdvertisement)
    return std::nullopt;
  if (frame[kIcmpAt + 1] != 0 || checksum(frame, length) != 0) return std::nullopt;
  if (!options_are_whole(frame.subspan(kOptionAt, kIcmpAt + length - kOptionAt))) {
    return std::nullopt;
  }
  Advertisement result;
  std::copy_n(&frame[kSourceAt], result.source.bytes.size(), result.source.bytes.begin());
  Ipv6 to, target;
  std::copy_n(&frame[kAddressesAt + to.size()], to.size(), to.begin());
  result.to = Address::v6(to);
  std::copy_n(&frame[kTargetAt], target.size(), target.begin());
  result.target = Address::v6(target);
  if (target[0] == 0xff) return std::nullopt;
  return result;
}

}  // namespace vipd::net
