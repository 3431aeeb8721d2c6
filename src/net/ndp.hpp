// Neighbour discovery for IPv6 over Ethernet (RFC 4861, RFC 4862), as much as a floating address
// needs: advertisements and probes to bytes, advertisements back. Pure; sends nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "net/station.hpp"
#include "vipd/types.hpp"

namespace vipd::net {

constexpr uint16_t kEtherTypeIpv6 = 0x86dd;
constexpr size_t kAdvertisementSize = 14 + 40 + 24 + 8;  // Ethernet, IPv6, ICMPv6, one option
constexpr size_t kSolicitationSize = 14 + 40 + 24;

using AdvertisementFrame = std::array<uint8_t, kAdvertisementSize>;
using SolicitationFrame = std::array<uint8_t, kSolicitationSize>;

struct Advertisement {
  MacAddress source;  // of the Ethernet header
  Address to;         // whom it answers, or a group
  Address target;
};

// Unsolicited, to all nodes (RFC 4861, 7.2.6): Override, so that peers replace what they have; not
// Solicited, which a multicast advertisement must not be. `to`: or to that one alone. REQUIRES:
// all addresses are of IPv6.
[[nodiscard]] AdvertisementFrame unsolicited_advertisement(const MacAddress& mac,
                                                           const Address& address, bool is_router,
                                                           const Station* to = nullptr);

// As duplicate address detection asks (RFC 4862, 5.4.2): from nobody, so that the owner answers to
// all nodes. REQUIRES: address.is_v6().
[[nodiscard]] SolicitationFrame probe_solicitation(const MacAddress& mac, const Address& address);

// An ordinary solicitation by the host that has `self` (RFC 4861, 7.2.2): answered to it alone.
// REQUIRES: both are of IPv6.
[[nodiscard]] AdvertisementFrame solicitation(const MacAddress& mac, const Address& self,
                                              const Address& target);

// nullopt for anything but a whole and valid advertisement (RFC 4861, 7.1.2). Extension headers are
// not looked behind: no node puts them before neighbour discovery.
[[nodiscard]] std::optional<Advertisement> parse_advertisement(std::span<const uint8_t> frame);

}  // namespace vipd::net
