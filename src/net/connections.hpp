// Resets TCP connections by their local address (SOCK_DESTROY), so that clients reconnect at once
// instead of waiting for answers that will not come. Listening sockets stay. The resets leave
// only while the address is still there.
//
// Source: linux/inet_diag.h, linux/sock_diag.h, sock_diag(7).
#pragma once

#include <cstddef>
#include <span>

#include "vipd/loop.hpp"
#include "vipd/types.hpp"

namespace vipd::net {

struct Killed {
  size_t connections = 0;
  bool is_complete = true;  // false: the time was over first
  int error = 0;  // of the kernel's refusal; EOPNOTSUPP: it was built without INET_DIAG_DESTROY
};

// Takes as much time as `budget` and a little more, for any number of connections; reads the loop's
// clock. Needs CAP_NET_ADMIN.
[[nodiscard]] Killed kill_connections(Loop& loop, std::span<const Address> locals, Duration budget);

}  // namespace vipd::net
