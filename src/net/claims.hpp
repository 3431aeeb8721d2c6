// Hears on one link who else speaks as the owner of our addresses (RFC 5227, 2.4): ARP packets from
// such an address, neighbour advertisements for it. A filter in the kernel lets nothing else
// through, so it costs nothing while nobody does. Never sends, never judges.
//
// Source: packet(7), linux/filter.h.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "sys/fd.hpp"
#include "vipd/loop.hpp"
#include "vipd/types.hpp"

namespace vipd::net {

class ClaimListener {
 public:
  // Of frames that came in; those that this host sends on the link are not among them. The MAC is
  // that of the Ethernet header. Addresses that were not asked for are possible: a filter has room
  // for some hundred only.
  using Handler = std::function<void(const Address& address, const MacAddress& mac)>;

  // nullptr and a reason when the kernel refuses (needs CAP_NET_RAW).
  static std::unique_ptr<ClaimListener> open(Loop& loop, int link_index,
                                             std::span<const Address> addresses, Handler handler,
                                             std::string* reason);
  ~ClaimListener();
  ClaimListener(const ClaimListener&) = delete;
  ClaimListener& operator=(const ClaimListener&) = delete;

  // The link went, and another may be there under its number by now: nothing is heard any more.
  [[nodiscard]] bool is_deaf() const;
  // Hands out at once what has come in by now, as far as one turn takes; else the loop does it.
  void hear();

 private:
  struct Ear {
    sys::Fd fd;
    Loop::FdWatch watch;
  };

  ClaimListener(Loop& loop, Handler handler) : loop_(loop), handler_(std::move(handler)) {}
  bool listen(int link_index, std::span<const Address> addresses, bool v4, std::string* reason);
  void on_readable(int fd);

  Loop& loop_;
  Handler handler_;
  std::vector<Ear> ears_;
};

}  // namespace vipd::net
