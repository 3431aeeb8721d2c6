// Reading netlink messages and their attributes: nothing is read behind their end, whatever they
// say. Pure.
//
// Source: linux/netlink.h, netlink(7), libmnl.
#pragma once

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>

#include "vipd/types.hpp"

namespace vipd::net {

// Calls `take` with each whole message of a datagram. Not mnl_nlmsg_ok(): it takes a length of 2^31
// and above for a negative number. REQUIRES: data is aligned to 4 bytes.
template <typename Function>
void for_each_header(const void* data, size_t size, Function take) {
  assert(reinterpret_cast<uintptr_t>(data) % NLMSG_ALIGNTO == 0);
  const auto* bytes = static_cast<const uint8_t*>(data);
  while (size >= sizeof(nlmsghdr)) {
    const auto* header = reinterpret_cast<const nlmsghdr*>(bytes);
    if (header->nlmsg_len < sizeof(nlmsghdr) || header->nlmsg_len > size) return;
    take(*header);
    const size_t step = std::min<size_t>(size, NLMSG_ALIGN(header->nlmsg_len));
    bytes += step;
    size -= step;
  }
}

// The payload of a message without its attributes; nullopt when the message is too short for it.
template <typename T>
std::optional<T> fixed_header(const nlmsghdr& header) {
  if (mnl_nlmsg_get_payload_len(&header) < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, mnl_nlmsg_get_payload(&header), sizeof value);
  return value;
}

// What ends an answer: the end of a dump, an error, or an acknowledgement.
inline bool is_end(const nlmsghdr& header) {
  return header.nlmsg_type == NLMSG_DONE || header.nlmsg_type == NLMSG_ERROR;
}

// The errno that such a message carries; 0: done. EBADMSG for an error that has none.
inline int error_in(const nlmsghdr& header) {
  constexpr int kMaxErrno = 4095;
  const std::optional<int> code = fixed_header<int>(header);
  if (code && *code <= 0 && *code >= -kMaxErrno) return -*code;
  return header.nlmsg_type == NLMSG_DONE ? 0 : EBADMSG;
}

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

// The attributes that stand behind the fixed part of a message. Not libmnl's own tail: that is
// rounded up, and lies behind a message whose length is no multiple of four.
template <typename Function>
void for_each_attribute(const nlmsghdr& header, size_t fixed_size, Function take) {
  for_each_attribute(mnl_nlmsg_get_payload_offset(&header, fixed_size),
                     reinterpret_cast<const char*>(&header) + header.nlmsg_len, take);
}

// Those inside of another.
template <typename Function>
void for_each_nested(const nlattr* outer, Function take) {
  const char* begin = static_cast<const char*>(mnl_attr_get_payload(outer));
  for_each_attribute(begin, begin + mnl_attr_get_payload_len(outer), take);
}

inline std::string text_payload(const nlattr* attr) {
  const char* text = mnl_attr_get_str(attr);
  return {text, strnlen(text, mnl_attr_get_payload_len(attr))};
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
