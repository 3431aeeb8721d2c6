// One netlink socket (libmnl), and the start of a request. Knows no message; decides nothing.
//
// Source: netlink(7), rtnetlink(7).
#pragma once

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace vipd::net {

// What the kernel fills at most in one part of a dump.
struct alignas(nlmsghdr) NetlinkBuffer {
  uint8_t bytes[32 << 10];
};

class NetlinkSocket {
 public:
  // `protocol`: NETLINK_ROUTE, ... Not open, a reason and errno when the kernel refuses. The kernel
  // answers a request before send() returns, so receive() waits for 0.2 s at most, and only when
  // something is wrong.
  static NetlinkSocket open_for_requests(int protocol, std::string* reason);
  // Of rtnetlink, of these groups (RTMGRP_*); receive() never waits.
  static NetlinkSocket open_for_notices(unsigned groups, std::string* reason);

  [[nodiscard]] bool is_open() const { return socket_ != nullptr; }
  [[nodiscard]] int fd() const { return mnl_socket_get_fd(socket_.get()); }
  [[nodiscard]] uint32_t port() const { return mnl_socket_get_portid(socket_.get()); }

  [[nodiscard]] int send(const nlmsghdr* header);  // 0 or an errno
  // One datagram. Returns its size; 0 for one that is to be passed over; -1 and errno.
  [[nodiscard]] ssize_t receive(NetlinkBuffer* buffer);

 private:
  struct Close {
    void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
  };
  static NetlinkSocket open(int protocol, int flags, unsigned groups, std::string* reason);
  std::unique_ptr<mnl_socket, Close> socket_;
};

// The header of a request in the buffer, to be followed by what it is about.
[[nodiscard]] nlmsghdr* start_request(NetlinkBuffer* buffer, uint16_t type, uint16_t flags,
                                      uint32_t seq);

}  // namespace vipd::net
