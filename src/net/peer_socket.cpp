#include "net/peer_socket.hpp"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>

#include "net/arp.hpp"
#include "sys/errno_text.hpp"

namespace vipd::net {
namespace {

constexpr int kFramesPerTurn = 64;
constexpr Duration kLongestTurn = Duration::milliseconds(10);  // heartbeats wait meanwhile
constexpr uint32_t kRead = kPeerFrameSize + 1;                 // one that is too long is seen to be

// To us or to all; not what this host sends, nor what goes to others. Wrong frames come through: to
// be counted.
constexpr sock_filter kFilter[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(SKF_AD_OFF + SKF_AD_PKTTYPE)),
    BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, PACKET_MULTICAST, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, 0),
    BPF_STMT(BPF_RET | BPF_K, kRead),
};

// Not before the filter is in place may a frame be queued: the protocol comes with bind().
bool attach(int fd) {
  const sock_fprog filter{std::size(kFilter), const_cast<sock_filter*>(kFilter)};
  const int on = 1;
  if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) < 0) return false;
  if (setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof on) < 0) return false;
  sockaddr_ll at{};
  at.sll_family = AF_PACKET;
  at.sll_protocol = htons(kPeerEtherType);
  return bind(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0;
}

}  // namespace

PeerSocket::PeerSocket(Loop& loop, Handler handler, sys::Fd fd)
    : loop_(loop), handler_(std::move(handler)), fd_(std::move(fd)) {
  watch_ = loop_.add_fd(fd_.get(), EPOLLIN, [this](uint32_t) { hear(); });
}

PeerSocket::~PeerSocket() {
  loop_.remove_fd(watch_);
}

std::unique_ptr<PeerSocket> PeerSocket::open(Loop& loop, Handler handler, std::string* reason) {
  sys::Fd fd(socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.is_open() || !attach(fd.get())) {
    *reason = sys::errno_text("packet socket of the peer lease");
    return nullptr;
  }
  return std::unique_ptr<PeerSocket>(new PeerSocket(loop, std::move(handler), std::move(fd)));
}

void PeerSocket::wake(bool on) {
  loop_.modify_fd(watch_, on ? uint32_t{EPOLLIN} : 0);
}

int PeerSocket::send(const Sender& sender, const PeerFrame& frame,
                     const std::optional<MacAddress>& to) {
  if (!is_station(sender.mac)) return EAFNOSUPPORT;
  if (!tag_) return EAGAIN;
  const PeerFrameBytes bytes =
      encode_peer_frame(frame, *tag_, sender.mac, to.value_or(kBroadcastMac));
  sockaddr_ll at{};
  at.sll_family = AF_PACKET;
  at.sll_protocol = htons(kPeerEtherType);
  at.sll_ifindex = sender.link_index;
  const ssize_t sent = sendto(fd_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT,
                              reinterpret_cast<const sockaddr*>(&at), sizeof at);
  return sent < 0 ? errno : 0;
}

void PeerSocket::hear() {
  std::array<uint8_t, kRead> buffer;
  const MonoTime until = loop_.now() + kLongestTurn;
  for (int i = 0; i < kFramesPerTurn; ++i) {
    sockaddr_ll from{};
    socklen_t from_size = sizeof from;
    const ssize_t size = recvfrom(fd_.get(), buffer.data(), buffer.size(), 0,
                                  reinterpret_cast<sockaddr*>(&from), &from_size);
    if (size < 0) return;
    const MonoTime at = loop_.now();
    if (tag_) {
      const PeerReading read = decode_peer_frame({buffer.data(), static_cast<size_t>(size)}, *tag_);
      if (read.is_good()) {
        handler_({read.frame, from.sll_ifindex, read.source, at});
      } else {
        ++dropped_[static_cast<size_t>(read.fault)];
      }
    }
    if (at >= until) return;
  }
}

}  // namespace vipd::net
