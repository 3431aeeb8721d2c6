#include "net/claims.hpp"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "net/arp.hpp"
#include "net/ndp.hpp"
#include "sys/errno_text.hpp"

namespace vipd::net {
namespace {

// net.core.optmem_max bounds a filter, to some 2500 instructions where it was never raised.
constexpr size_t kMostFiltered = 500;
constexpr int kFramesPerTurn = 64;
constexpr Duration kLongestTurn = Duration::milliseconds(10);  // heartbeats wait meanwhile
constexpr size_t kLongestFrame = 512;

constexpr uint32_t kArpSenderAt = 28;
constexpr uint32_t kNextHeaderAt = 20;
constexpr uint32_t kIcmpTypeAt = 54;
constexpr uint32_t kTargetEndAt = 74;  // the last 4 bytes of the target
constexpr uint32_t kIcmpv6 = 58;
constexpr uint32_t kNeighborAdvertisement = 136;
constexpr uint32_t kWholeFrame = 0xffff;

// The last 32 bits: all of an IPv4 address, and enough of an IPv6 address for a filter.
uint32_t tail_of(const Address& address) {
  uint32_t tail = 0;
  std::memcpy(&tail, address.data() + address.size() - sizeof tail, sizeof tail);
  return ntohl(tail);
}

std::vector<sock_filter> program(std::span<const Address> addresses, bool v4) {
  std::vector<sock_filter> code;
  const auto load = [&](uint16_t size, uint32_t at) {
    code.push_back(BPF_STMT(static_cast<uint16_t>(BPF_LD | BPF_ABS | size), at));
  };
  const auto unless_equal_drop = [&](uint32_t value) {
    code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 1, 0));
    code.push_back(BPF_STMT(BPF_RET | BPF_K, 0));
  };
  if (!v4) {
    load(BPF_B, kNextHeaderAt);
    unless_equal_drop(kIcmpv6);
    load(BPF_B, kIcmpTypeAt);
    unless_equal_drop(kNeighborAdvertisement);
  }
  load(BPF_W, v4 ? kArpSenderAt : kTargetEndAt);
  size_t count = 0;
  for (const Address& address : addresses) {
    if (address.is_v4() != v4) continue;
    code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, tail_of(address), 0, 1));
    code.push_back(BPF_STMT(BPF_RET | BPF_K, kWholeFrame));
    if (++count > kMostFiltered) break;
  }
  code.push_back(BPF_STMT(BPF_RET | BPF_K, count > kMostFiltered ? kWholeFrame : 0));
  return code;
}

// Not before the filter is in place may a frame be queued: the protocol comes with bind().
bool attach(int fd, int link_index, std::span<sock_filter> code, uint16_t protocol) {
  const sock_fprog filter{static_cast<unsigned short>(code.size()), code.data()};
  const int on = 1;
  if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) < 0) return false;
  if (setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof on) < 0) return false;
  // Linux 4.20; before it, such frames are recognised when they are read.
  setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on);
  sockaddr_ll at{};
  at.sll_family = AF_PACKET;
  at.sll_protocol = htons(protocol);
  at.sll_ifindex = link_index;
  return bind(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0;
}

}  // namespace

bool ClaimListener::listen(int link_index, std::span<const Address> addresses, bool v4,
                           std::string* reason) {
  const bool any = std::any_of(addresses.begin(), addresses.end(),
                               [v4](const Address& address) { return address.is_v4() == v4; });
  if (!any) return true;
  sys::Fd fd(socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  std::vector<sock_filter> code = program(addresses, v4);
  if (!fd.is_open() || !attach(fd.get(), link_index, code, v4 ? ETH_P_ARP : ETH_P_IPV6)) {
    *reason = sys::errno_text("listening for claims");
    return false;
  }
  const int number = fd.get();
  const auto watch =
      loop_.add_fd(number, EPOLLIN, [this, number](uint32_t) { on_readable(number); });
  ears_.push_back({std::move(fd), watch});
  return true;
}

std::unique_ptr<ClaimListener> ClaimListener::open(Loop& loop, int link_index,
                                                   std::span<const Address> addresses,
                                                   Handler handler, std::string* reason) {
  auto listener = std::unique_ptr<ClaimListener>(new ClaimListener(loop, std::move(handler)));
  if (!listener->listen(link_index, addresses, true, reason)) return nullptr;
  if (!listener->listen(link_index, addresses, false, reason)) return nullptr;
  return listener;
}

ClaimListener::~ClaimListener() {
  for (const Ear& ear : ears_) loop_.remove_fd(ear.watch);
}

// net/packet/af_packet.c, packet_notifier: a socket loses its link with NETDEV_UNREGISTER.
bool ClaimListener::is_deaf() const {
  return std::any_of(ears_.begin(), ears_.end(), [](const Ear& ear) {
    sockaddr_ll at{};
    socklen_t size = sizeof at;
    const int error = getsockname(ear.fd.get(), reinterpret_cast<sockaddr*>(&at), &size);
    return error == 0 && at.sll_ifindex <= 0;
  });
}

void ClaimListener::hear() {
  for (const Ear& ear : ears_) on_readable(ear.fd.get());
}

// A link that went down is told once by an error, which this reads away.
void ClaimListener::on_readable(int fd) {
  std::array<uint8_t, kLongestFrame> buffer;
  const MonoTime until = loop_.now() + kLongestTurn;
  for (int i = 0; i < kFramesPerTurn && loop_.now() < until; ++i) {
    sockaddr_ll from{};
    socklen_t from_size = sizeof from;
    const ssize_t size = recvfrom(fd, buffer.data(), buffer.size(), 0,
                                  reinterpret_cast<sockaddr*>(&from), &from_size);
    if (size <= 0) return;
    // PACKET_OTHERHOST: also what was sent on a VLAN that this host does not have.
    if (from.sll_pkttype == PACKET_OUTGOING || from.sll_pkttype == PACKET_OTHERHOST) continue;
    const std::span<const uint8_t> frame(buffer.data(), static_cast<size_t>(size));
    if (const auto arp = parse_arp(frame); arp && arp->sender != Address::v4(0)) {
      handler_(arp->sender, arp->source);
    } else if (const auto advertisement = parse_advertisement(frame)) {
      handler_(advertisement->target, advertisement->source);
    }
  }
}

}  // namespace vipd::net
