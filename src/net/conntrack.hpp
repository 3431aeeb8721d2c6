// Deletes what the kernel tracks of connections to addresses that are gone (ctnetlink): an entry
// keeps what NAT once decided for it, so those of containers, and of clients behind this host,
// would go on to where the address was. Their next packet is looked at anew. For any number of
// entries in small parts of turns. Never touches connections of other addresses.
//
// Source: linux/netfilter/nfnetlink_conntrack.h, net/netfilter/nf_conntrack_netlink.c.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <span>

#include "sys/fd.hpp"
#include "vipd/loop.hpp"
#include "vipd/types.hpp"

struct nlmsghdr;

namespace vipd::net {

class Conntrack {
 public:
  struct Done {
    size_t entries = 0;  // deleted
    size_t addresses = 0;
    int error = 0;  // errno of the kernel's refusal
  };

  // done: each time that the table has been gone through. Without ctnetlink in this kernel nothing
  // is ever done. Needs CAP_NET_ADMIN.
  Conntrack(Loop& loop, std::function<void(const Done&)> done);
  ~Conntrack();
  Conntrack(const Conntrack&) = delete;
  Conntrack& operator=(const Conntrack&) = delete;

  [[nodiscard]] bool is_there() const { return fd_.is_open(); }
  // Soon: those of several addresses are found in one go.
  void forget(const Address& address);
  // Calls handler once all that was asked for is done; at once if nothing is left to do.
  void when_idle(std::function<void()> handler);

 private:
  [[nodiscard]] bool is_idle() const { return now_.empty() && next_.empty(); }
  void tell_idle();
  void begin();
  void on_readable();
  bool take(std::span<const uint8_t> datagram);
  void judge(const nlmsghdr& header);
  void finish(int error);

  Loop& loop_;
  std::function<void(const Done&)> done_;
  sys::Fd fd_;
  Loop::FdWatch watch_ = Loop::FdWatch::None;
  Loop::Timer timer_ = Loop::Timer::None;
  std::function<void()> idle_;
  std::set<Address> next_;
  std::set<Address> now_;  // empty: the table is not being read
  uint32_t seq_ = 0;       // of the dump
  size_t entries_ = 0;
};

}  // namespace vipd::net
