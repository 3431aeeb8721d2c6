#include "net/packet.hpp"

#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "net/arp.hpp"
#include "sys/errno_text.hpp"

namespace vipd::net {
namespace {

int send_frame(int fd, int link_index, const ArpFrame& frame) {
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_protocol = htons(rfc826::ether_type_ADDRESS_RESOLUTION);
  to.sll_ifindex = link_index;
  to.sll_halen = kBroadcastMac.bytes.size();
  std::memcpy(to.sll_addr, kBroadcastMac.bytes.data(), kBroadcastMac.bytes.size());
  const ssize_t sent = sendto(fd, frame.data(), frame.size(), MSG_DONTWAIT,
                              reinterpret_cast<const sockaddr*>(&to), sizeof to);
  return sent < 0 ? errno : 0;
}

// Links without Ethernet addresses have none in Link::mac; a group's address is nobody's own.
bool is_station(const MacAddress& mac) {
  return mac != MacAddress{} && (mac.bytes[0] & 1) == 0;
}

}  // namespace

std::unique_ptr<PacketSocket> PacketSocket::open(std::string* reason) {
  // Protocol 0: sends only; no frame is ever copied to this socket (packet(7)).
  const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    *reason = sys::errno_text("packet socket");
    return nullptr;
  }
  return std::unique_ptr<PacketSocket>(new PacketSocket(fd));
}

PacketSocket::~PacketSocket() {
  close(fd_);
}

int PacketSocket::announce(int link_index, const MacAddress& mac, const Address& address) {
  if (!address.is_v4() || !is_station(mac)) return EAFNOSUPPORT;
  // The reply goes even when the request failed: a full queue may have room again.
  const int request_error = send_frame(fd_, link_index, gratuitous_request(mac, address));
  const int reply_error = send_frame(fd_, link_index, gratuitous_reply(mac, address));
  return request_error != 0 ? request_error : reply_error;
}

}  // namespace vipd::net
