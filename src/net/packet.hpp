// The packet socket that announcements leave by. Sending is best effort: the kernel reports success
// even where it drops (no carrier), so the caller repeats announcements and never trusts one.
//
// Source: packet(7), RFC 5227 section 3, RFC 826, RFC 4861 section 7.2.6.
#pragma once

#include <memory>
#include <string>

#include "vipd/config.hpp"
#include "vipd/types.hpp"

namespace vipd::net {

struct Station;

// A link as far as sending on it goes.
struct Sender {
  int link_index = 0;
  MacAddress mac;
  bool is_router = false;  // IPv6: the host forwards on this link
};

// Whether the host forwards IPv6 on the link. False when the kernel would not say.
[[nodiscard]] bool forwards_ipv6(const std::string& link_name);

class PacketSocket {
 public:
  static std::unique_ptr<PacketSocket> open(std::string* reason);  // needs CAP_NET_RAW
  ~PacketSocket();
  PacketSocket(const PacketSocket&) = delete;
  PacketSocket& operator=(const PacketSocket&) = delete;

  // IPv4: a gratuitous ARP request, reply or both (some peers take only one of the two), broadcast.
  // IPv6: an unsolicited advertisement, whatever the form. From the link's own MAC; `to`: to that
  // one alone, of the same family. Returns 0 or the errno of the send that failed; EAFNOSUPPORT for
  // a link without Ethernet addresses.
  [[nodiscard]] int announce(const Sender& sender, const Address& address, AnnounceForm form,
                             const Station* to = nullptr);
  // Asks who has the address, from nobody's: whoever has it answers. Errors as announce().
  [[nodiscard]] int probe(const Sender& sender, const Address& address);
  // Asks as any host asks for its neighbour: the answer goes to `self`, of the same family, which
  // whoever hears the question learns. Errors as announce().
  [[nodiscard]] int ask(const Sender& sender, const Address& self, const Address& neighbour);

 private:
  explicit PacketSocket(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace vipd::net
