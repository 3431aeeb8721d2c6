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
constexpr size_t kMostRanges = 500;
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

struct Range {
  uint32_t first;
  uint32_t last;
};

// Thousands of addresses are mostly neighbours of each other.
std::vector<Range> ranges_of(std::span<const Address> addresses, bool v4) {
  std::vector<uint32_t> tails;
  for (const Address& address : addresses) {
    if (address.is_v4() == v4) tails.push_back(tail_of(address));
  }
  std::sort(tails.begin(), tails.end());
  std::vector<Range> ranges;
  for (const uint32_t tail : tails) {
    const bool goes_on = !ranges.empty() && tail - ranges.back().last <= 1;
    if (goes_on) {
      ranges.back().last = tail;
    } else {
      ranges.push_back({.first = tail, .last = tail});
    }
  }
  return ranges;
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
  const std::vector<Range> ranges = ranges_of(addresses, v4);
  const bool fits = ranges.size() <= kMostRanges;
  for (const Range& range : fits ? std::span(ranges) : std::span<const Range>()) {
    code.push_back(BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, range.first, 0, 2));
    code.push_back(BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, range.last, 1, 0));
    code.push_back(BPF_STMT(BPF_RET | BPF_K, kWholeFrame));
  }
  code.push_back(BPF_STMT(BPF_RET | BPF_K, fits ? 0 : kWholeFrame));
  return code;
}

bool attach(int fd, std::span<const Address> addresses, bool v4) {
  std::vector<sock_filter> code = program(addresses, v4);
  const sock_fprog filter{static_cast<unsigned short>(code.size()), code.data()};
  return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) == 0;
}

}  // namespace

// Not before the filter is in place may a frame be queued: the protocol comes with bind().
bool ClaimListener::open_ear(bool v4) {
  sys::Fd fd(socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.is_open() || !attach(fd.get(), {}, v4)) return false;
  // Linux 4.20; before it, such frames are recognised when they are read.
  const int on = 1;
  setsockopt(fd.get(), SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on);
  sockaddr_ll at{};
  at.sll_family = AF_PACKET;
  at.sll_protocol = htons(v4 ? ETH_P_ARP : ETH_P_IPV6);
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) return false;
  const int number = fd.get();
  const auto watch =
      loop_.add_fd(number, EPOLLIN, [this, number](uint32_t) { on_readable(number); });
  ears_.push_back({std::move(fd), watch});
  return true;
}

std::unique_ptr<ClaimListener> ClaimListener::open(Loop& loop, std::string* reason) {
  auto listener = std::unique_ptr<ClaimListener>(new ClaimListener(loop));
  for (const bool v4 : kFamilies) {
    if (listener->open_ear(v4)) continue;
    *reason = sys::errno_text("listening for claims");
    return nullptr;
  }
  return listener;
}

ClaimListener::~ClaimListener() {
  for (const Ear& ear : ears_) loop_.remove_fd(ear.watch);
}

bool ClaimListener::listen(std::vector<Address> addresses, Handler handler) {
  handler_ = std::move(handler);
  if (addresses == addresses_) return true;
  std::swap(addresses_, addresses);
  if (filter()) return true;
  std::swap(addresses_, addresses);
  return false;
}

// Both filters hold what either handler wants. The kernel exchanges one for the other in between
// two frames.
bool ClaimListener::filter() {
  std::vector<Address> all = addresses_;
  for (const auto& [key, handler] : others_) all.push_back(key.first);
  for (size_t i = 0; i < ears_.size(); i++) {
    if (!attach(ears_[i].fd.get(), all, kFamilies[i])) return false;
  }
  return true;
}

ClaimListener::Id ClaimListener::also(const Address& address, Handler handler) {
  const Id id{next_id_++};
  others_.emplace(std::pair(address, id), std::move(handler));
  if (filter()) return id;
  forget(id);
  return Id::None;
}

// The filter goes on to let the address through until it is replaced: that costs little.
void ClaimListener::forget(Id id) {
  std::erase_if(others_, [id](const auto& other) { return other.first.second == id; });
}

void ClaimListener::hear() {
  for (const Ear& ear : ears_) on_readable(ear.fd.get());
}

void ClaimListener::tell(const Heard& heard) {
  if (handler_) handler_(heard);
  for (auto it = others_.lower_bound({heard.address, Id::None});
       it != others_.end() && it->first.first == heard.address; ++it) {
    it->second(heard);
  }
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
      const bool answers = arp->operation == rfc826::ares_op_REPLY;
      tell({from.sll_ifindex, arp->sender, arp->source, answers ? arp->target : Address()});
    } else if (const auto advertisement = parse_advertisement(frame)) {
      tell({from.sll_ifindex, advertisement->target, advertisement->source, advertisement->to});
    }
  }
}

}  // namespace vipd::net
