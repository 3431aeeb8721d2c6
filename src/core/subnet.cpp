#include "vipd/subnet.hpp"

#include <array>
#include <cassert>
#include <cstring>

namespace vipd {

Address network_of(const Address& address, unsigned length) {
  assert(length <= 8 * address.size());
  std::array<uint8_t, 16> bytes{};
  std::memcpy(bytes.data(), address.data(), address.size());
  for (size_t bit = length; bit < 8 * address.size(); ++bit) {
    bytes[bit / 8] = static_cast<uint8_t>(bytes[bit / 8] & ~(0x80U >> bit % 8));
  }
  if (address.is_v6()) return Address::v6(bytes);
  return Address::v4(uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 |
                     bytes[3]);
}

}  // namespace vipd
