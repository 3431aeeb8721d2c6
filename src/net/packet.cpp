#include "net/packet.hpp"

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <span>

#include "net/arp.hpp"
#include "net/ndp.hpp"
#include "sys/errno_text.hpp"
#include "sys/file.hpp"

namespace vipd::net {
namespace {

int send_frame(int fd, int link_index, std::span<const uint8_t> frame) {
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  std::memcpy(&to.sll_protocol, &frame[2 * ETH_ALEN], sizeof to.sll_protocol);
  to.sll_ifindex = link_index;
  to.sll_halen = ETH_ALEN;
  std::memcpy(to.sll_addr, frame.data(), ETH_ALEN);
  const ssize_t sent = sendto(fd, frame.data(), frame.size(), MSG_DONTWAIT,
                              reinterpret_cast<const sockaddr*>(&to), sizeof to);
  return sent < 0 ? errno : 0;
}

}  // namespace

bool forwards_ipv6(const std::string& link_name) {
  const std::string path = "/proc/sys/net/ipv6/conf/" + link_name + "/forwarding";
  std::string text, reason;
  return sys::read_bounded(path, 16, &text, &reason) && !text.starts_with('0');
}

std::unique_ptr<PacketSocket> PacketSocket::open(std::string* reason) {
  // Protocol 0: sends only; no frame is ever copied to this socket (packet(7)).
  const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    const int error = errno;
    *reason = sys::errno_text("packet socket", error);
    if (error == EPERM) {
      *reason +=
          "; vipd needs CAP_NET_RAW and CAP_NET_ADMIN: start it as root (vipd(8), PRIVILEGES); "
          "`user` drops the other rights afterwards";
    }
    return nullptr;
  }
  return std::unique_ptr<PacketSocket>(new PacketSocket(fd));
}

PacketSocket::~PacketSocket() {
  close(fd_);
}

int PacketSocket::probe(const Sender& sender, const Address& address) {
  if (!is_station(sender.mac)) return EAFNOSUPPORT;
  if (address.is_v4()) {
    return send_frame(fd_, sender.link_index, arp_probe(sender.mac, address));
  }
  return send_frame(fd_, sender.link_index, probe_solicitation(sender.mac, address));
}

int PacketSocket::ask(const Sender& sender, const Address& self, const Address& neighbour) {
  if (!is_station(sender.mac)) return EAFNOSUPPORT;
  if (neighbour.is_v4()) {
    return send_frame(fd_, sender.link_index, arp_question(sender.mac, self, neighbour));
  }
  return send_frame(fd_, sender.link_index, solicitation(sender.mac, self, neighbour));
}

int PacketSocket::announce(const Sender& sender, const Address& address, AnnounceForm form,
                           const Station* to) {
  if (!is_station(sender.mac)) return EAFNOSUPPORT;
  if (address.is_v6()) {
    return send_frame(fd_, sender.link_index,
                      unsolicited_advertisement(sender.mac, address, sender.is_router, to));
  }
  const MacAddress& receiver = to == nullptr ? kBroadcastMac : to->mac;
  int error = 0;
  if (form != AnnounceForm::Reply) {
    error = send_frame(fd_, sender.link_index, gratuitous_request(sender.mac, address, receiver));
  }
  // The reply goes even when the request failed: a full queue may have room again.
  if (form != AnnounceForm::Request) {
    const int again =
        send_frame(fd_, sender.link_index, gratuitous_reply(sender.mac, address, receiver));
    error = error == 0 ? again : error;
  }
  return error;
}

}  // namespace vipd::net
