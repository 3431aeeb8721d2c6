// Reading the attributes of netlink messages: nothing is read behind their end, whatever they say.
//
// Source: netlink(7), libmnl.
#pragma once

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>

#include "vipd/types.hpp"

namespace vipd::net {

// Copies, because an attribute may be shorter than the structure that it should hold.
template <typename T>
std::optional<T> fixed_payload(const nlattr* attr) {
  if (mnl_attr_get_payload_len(attr) < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, mnl_attr_get_payload(attr), sizeof value);
  return value;
}

// libmnl's own loops are macros that only C accepts.
template <typename Function>
void for_each_attribute(const void* begin, const void* end, Function take) {
  auto* attr = static_cast<const nlattr*>(begin);
  auto left = [&] {
    return static_cast<int>(static_cast<const char*>(end) - reinterpret_cast<const char*>(attr));
  };
  for (; mnl_attr_ok(attr, left()); attr = mnl_attr_next(attr)) take(attr);
}

// Those inside of another.
template <typename Function>
void for_each_nested(const nlattr* outer, Function take) {
  const char* begin = static_cast<const char*>(mnl_attr_get_payload(outer));
  for_each_attribute(begin, begin + mnl_attr_get_payload_len(outer), take);
}

// Unset when the attribute is too short.
inline Address address_payload(const nlattr* attr, uint8_t family) {
  if (family == AF_INET) {
    auto bytes = fixed_payload<uint32_t>(attr);
    return bytes ? Address::v4(ntohl(*bytes)) : Address();
  }
  auto bytes = fixed_payload<std::array<uint8_t, 16>>(attr);
  return bytes ? Address::v6(*bytes) : Address();
}

}  // namespace vipd::net
