// What rtnetlink messages say, as plain data. Pure: no socket, no memory of earlier messages. Takes
// bytes from anywhere; what is cut short or of no use here becomes Kind::Other.
//
// Source: linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h, netlink(7).
#pragma once

#include <linux/netlink.h>

#include <cstddef>
#include <cstdint>
#include <functional>

#include "net/netlink.hpp"

namespace vipd::net {

struct RtnlMessage {
  enum class Kind {
    Other,
    LinkChanged,
    LinkRemoved,
    AddressAdded,
    AddressRemoved,
    Ack,       // error is 0 or a positive errno
    DumpDone,  // likewise
  };

  Kind kind = Kind::Other;
  uint32_t seq = 0;
  bool dump_interrupted = false;  // NLM_F_DUMP_INTR
  int error = 0;
  Link link;            // LinkChanged; LinkRemoved: the index at least
  AddressInfo address;  // AddressAdded, AddressRemoved
};

// REQUIRES: nlmsg_len is right and covers the header at least. own_port: the port id of the request
// socket.
[[nodiscard]] RtnlMessage parse_message(const nlmsghdr& header, uint32_t own_port);

// Calls `take` for each whole message in a datagram. REQUIRES: data is aligned to 4 bytes.
void for_each_message(const void* data, size_t size, uint32_t own_port,
                      const std::function<void(const RtnlMessage&)>& take);

}  // namespace vipd::net
