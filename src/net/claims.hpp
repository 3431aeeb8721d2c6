// Listens for other hosts that claim our addresses (RFC 5227, 2.4): ARP packets from such an
// address, neighbour advertisements for it. Two sockets for all links: each frame says by which it
// came. A filter in the kernel lets nothing else through, so it costs nothing while nobody does;
// other addresses replace it in place. Never sends, never judges.
//
// Source: packet(7), linux/filter.h.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sys/fd.hpp"
#include "vipd/loop.hpp"
#include "vipd/types.hpp"

namespace vipd::net {

class ClaimListener {
 public:
  struct Heard {
    int link_index = 0;
    Address address;
    MacAddress mac;  // of the Ethernet header
    Address to;      // whom it answers; of IPv6 it may be a group, of an ARP request it is none
  };
  // Of frames that came in by that link; those that this host sends are not among them. Addresses
  // that were not asked for are possible: a filter has room for some hundred ranges only.
  using Handler = std::function<void(const Heard&)>;

  // nullptr and a reason when the kernel refuses (needs CAP_NET_RAW).
  static std::unique_ptr<ClaimListener> open(Loop& loop, std::string* reason);
  ~ClaimListener();
  ClaimListener(const ClaimListener&) = delete;
  ClaimListener& operator=(const ClaimListener&) = delete;

  // The addresses that `handler` hears of from now on, in place of those before. False when the
  // kernel refuses: then it is as it was.
  [[nodiscard]] bool listen(std::vector<Address> addresses, Handler handler);
  // Adds a second handler, for one address. Pass the returned value to forget().
  enum class Id : uint64_t { None = 0 };
  [[nodiscard]] Id also(const Address& address, Handler handler);
  void forget(Id id);

  // Hands out at once what has come in by now, as far as one turn takes; else the loop does it.
  void hear();

 private:
  static constexpr std::array<bool, 2> kFamilies = {true, false};  // IPv4 and IPv6
  struct Ear {
    sys::Fd fd;
    Loop::FdWatch watch;
  };

  explicit ClaimListener(Loop& loop) : loop_(loop) {}
  bool open_ear(bool v4);
  bool filter();
  void on_readable(int fd);
  void tell(const Heard& heard);

  Loop& loop_;
  std::vector<Address> addresses_;
  Handler handler_;
  std::map<std::pair<Address, Id>, Handler> others_;
  uint64_t next_id_ = 1;
  std::vector<Ear> ears_;  // in the order of kFamilies
};

}  // namespace vipd::net
