// Subnets: an address and the length of a prefix. Pure.
#pragma once

#include "vipd/types.hpp"

namespace vipd {

// The first `length` bits of the address, the rest zero. REQUIRES: it has as many bits.
[[nodiscard]] Address network_of(const Address& address, unsigned length);

// REQUIRES: as above, for `a`. False for addresses of two families.
[[nodiscard]] inline bool same_network(const Address& a, const Address& b, unsigned length) {
  return a.size() == b.size() && network_of(a, length) == network_of(b, length);
}

}  // namespace vipd
