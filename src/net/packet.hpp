// The packet socket that announcements leave by. Sending is best effort: the kernel reports success
// even where it drops (no carrier), so the caller repeats announcements and never trusts one.
//
// Source: packet(7), RFC 5227 section 3, RFC 826.
#pragma once

#include <memory>
#include <string>

#include "vipd/types.hpp"

namespace vipd::net {

class PacketSocket {
 public:
  static std::unique_ptr<PacketSocket> open(std::string* reason);  // needs CAP_NET_RAW
  ~PacketSocket();
  PacketSocket(const PacketSocket&) = delete;
  PacketSocket& operator=(const PacketSocket&) = delete;

  // A gratuitous ARP request and reply (some peers take only one of the
  // two), broadcast, from the link's own MAC. Returns 0 or the errno of the send that failed.
  [[nodiscard]] int announce(int link_index, const MacAddress& mac, const Address& address);

 private:
  explicit PacketSocket(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace vipd::net
