// ARP over Ethernet for IPv4 (RFC 826, RFC 5227): frames to bytes and back. Pure; sends nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "vipd/types.hpp"

namespace vipd::net {

// NOLINTBEGIN(readability-identifier-naming): as the RFC spells them ("Definitions"), less the '$'.
namespace rfc826 {
constexpr uint16_t ether_type_ADDRESS_RESOLUTION = 0x0806;
constexpr uint16_t ares_hrd_Ethernet = 1;
constexpr uint16_t ares_pro_IP = 0x0800;
constexpr uint16_t ares_op_REQUEST = 1;
constexpr uint16_t ares_op_REPLY = 2;
}  // namespace rfc826
// NOLINTEND(readability-identifier-naming)

constexpr MacAddress kBroadcastMac = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
// Whether it can be a host's address: neither all zero (a link without Ethernet addresses) nor a
// group address.
[[nodiscard]] inline bool is_station(const MacAddress& mac) {
  return mac != MacAddress{} && (mac.bytes[0] & 1) == 0;
}

constexpr size_t kArpFrameSize = 14 + 28;  // Ethernet header, ARP; the driver pads

using ArpFrame = std::array<uint8_t, kArpFrameSize>;

struct ArpPacket {
  MacAddress source;  // of the Ethernet header; usually the sender's
  uint16_t operation = 0;
  MacAddress sender_mac;
  Address sender;
  MacAddress target_mac;
  Address target;
};

// Gratuitous ARP, broadcast: sender and target are the address. The target hardware address is our
// own in both: Linux peers then replace even an entry that is younger than their locktime
// (net/ipv4/arp.c, arp_is_garp). `to`: or to that station alone. REQUIRES: address.is_v4().
[[nodiscard]] ArpFrame gratuitous_request(const MacAddress& mac, const Address& address,
                                          const MacAddress& to = kBroadcastMac);
[[nodiscard]] ArpFrame gratuitous_reply(const MacAddress& mac, const Address& address,
                                        const MacAddress& to = kBroadcastMac);

// RFC 5227, 1.1: a broadcast request from nobody (0.0.0.0), so that no neighbour learns from it.
// The target hardware address is ignored and should be zero. REQUIRES: address.is_v4().
[[nodiscard]] ArpFrame arp_probe(const MacAddress& mac, const Address& address);

// RFC 826: a broadcast request for the target by the host that has `self`. REQUIRES: both IPv4.
[[nodiscard]] ArpFrame arp_question(const MacAddress& mac, const Address& self,
                                    const Address& target);

// nullopt for anything but a whole request or reply for IPv4 over Ethernet. Padding is allowed.
[[nodiscard]] std::optional<ArpPacket> parse_arp(std::span<const uint8_t> frame);

}  // namespace vipd::net
