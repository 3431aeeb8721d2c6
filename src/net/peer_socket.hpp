// The packet socket for frames of the peer lease: one for all links. Its descriptor says which link
// a frame came in on and is told which it leaves by. A socket of one EtherType, it is handed a
// frame only after the ingress hooks of the link have seen it, and what it sends passes those of
// egress: so the packet fence sees each of our frames, or is bypassed (fence_memory.hpp).
//
// Sending is best effort, as in packet.hpp: the kernel reports success even where it drops.
//
// Source: packet(7), net/packet/af_packet.c.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "net/packet.hpp"
#include "net/peer_frame.hpp"
#include "sys/fd.hpp"
#include "vipd/loop.hpp"

namespace vipd::net {

struct PeerArrival {
  PeerFrame frame;
  int link_index = 0;
  MacAddress source;
  // The clock, read after the frame was taken from the socket: what a grant in answer to it, or an
  // expiry, counts from. [safety] The start of the turn would be too early.
  MonoTime at;
};

class PeerSocket {
 public:
  using Handler = std::function<void(const PeerArrival&)>;

  // Hears all links at once, those that appear later as well. Needs CAP_NET_RAW.
  static std::unique_ptr<PeerSocket> open(Loop& loop, Handler handler, std::string* reason);
  ~PeerSocket();
  PeerSocket(const PeerSocket&) = delete;
  PeerSocket& operator=(const PeerSocket&) = delete;

  // Which frames are ours (peer_cluster_tag). Until it is set none is sent or heard.
  void set_cluster(uint64_t tag) { tag_ = tag; }

  // To that MAC address, or to all. Where the frame is a Renew, FenceMemory::expect() comes first.
  // 0 or the errno of the send; EAFNOSUPPORT for a link without Ethernet addresses, EAGAIN before
  // set_cluster().
  [[nodiscard]] int send(const Sender& sender, const PeerFrame& frame,
                         const std::optional<MacAddress>& to);

  // Hands out what has come in: at most 64 frames, and for at most 10 ms. The loop does so by
  // itself; to be called before expiry is judged.
  void hear();

  // Whether a frame that comes in begins a turn of the loop. While it does not, hear() is to be
  // called in time.
  void wake(bool on);

  // Frames of this EtherType that were dropped, by reason.
  [[nodiscard]] uint64_t dropped(PeerFault fault) const {
    return dropped_[static_cast<size_t>(fault)];
  }

 private:
  PeerSocket(Loop& loop, Handler handler, sys::Fd fd);

  Loop& loop_;
  Handler handler_;
  sys::Fd fd_;
  Loop::FdWatch watch_ = Loop::FdWatch::None;
  std::optional<uint64_t> tag_;
  std::array<uint64_t, static_cast<size_t>(PeerFault::Count)> dropped_{};
};

}  // namespace vipd::net
