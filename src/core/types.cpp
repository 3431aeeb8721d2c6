#include "vipd/types.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <cstring>

namespace vipd {

Address Address::v4(uint32_t host_order) {
  Address address;
  address.length_ = 4;
  const uint32_t network_order = htonl(host_order);
  memcpy(address.bytes_.data(), &network_order, 4);
  return address;
}

Address Address::v6(const std::array<uint8_t, 16>& bytes) {
  Address address;
  address.length_ = 16;
  address.bytes_ = bytes;
  return address;
}

std::optional<Address> Address::parse(std::string_view text) {
  const std::string terminated(text);
  if (terminated.size() != strlen(terminated.c_str())) return std::nullopt;  // a NUL inside
  Address address;
  if (inet_pton(AF_INET, terminated.c_str(), address.bytes_.data()) == 1) {
    address.length_ = 4;
    return address;
  }
  if (inet_pton(AF_INET6, terminated.c_str(), address.bytes_.data()) == 1) {
    address.length_ = 16;
    return address;
  }
  return std::nullopt;
}

std::string Address::text() const {
  if (length_ == 0) return "";
  char buffer[INET6_ADDRSTRLEN];
  inet_ntop(is_v4() ? AF_INET : AF_INET6, bytes_.data(), buffer, sizeof buffer);
  return buffer;
}

std::string MacAddress::text() const {
  char buffer[18];
  snprintf(buffer, sizeof buffer, "%02x:%02x:%02x:%02x:%02x:%02x", bytes[0], bytes[1], bytes[2],
           bytes[3], bytes[4], bytes[5]);
  return buffer;
}

std::string in_seconds(Duration d) {
  const int64_t tenths = (std::max(d, Duration()).ms() + 50) / 100;
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " s";
}

std::string lease_hex(LeaseId lease) {
  return cluster_hex(static_cast<uint64_t>(lease));
}

std::optional<uint64_t> cluster_from_hex(std::string_view text) {
  uint64_t id = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, id, 16);
  if (error != std::errc() || stop != end || id == 0) return std::nullopt;
  return id;
}

std::string cluster_hex(uint64_t cluster_id) {
  char buffer[17];
  snprintf(buffer, sizeof buffer, "%" PRIx64, cluster_id);
  return buffer;
}

}  // namespace vipd
