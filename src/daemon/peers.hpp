// The frames of the peer lease: those that come in as events, and those that the core wants sent.
// Tells the packet fence of each request before it is sent. Decides nothing.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "daemon/fence_side.hpp"
#include "vipd/action.hpp"
#include "vipd/loop.hpp"
#include "vipd/metrics.hpp"

namespace vipd::net {
class PeerSocket;
struct PeerArrival;
}  // namespace vipd::net

namespace vipd {

class Vips;

class Peers {
 public:
  Peers(Loop& loop, const Vips& vips, const Network& network, FenceSide& fence,
        std::function<void(const Event&)> feed);
  ~Peers();
  Peers(const Peers&) = delete;
  Peers& operator=(const Peers&) = delete;

  // Needs CAP_NET_RAW. REQUIRES: once, before all that follows.
  [[nodiscard]] bool open(std::string* reason);
  // Frames of this cluster and prefix are ours. None is heard or sent before.
  void set_cluster(uint64_t cluster, const std::string& prefix);

  // Feeds what has come in. To be called at the start of each turn, before anything is judged.
  void hear();
  void perform(const action::SendPeerFrame& a);

  [[nodiscard]] FrameCounts counts() const;

 private:
  void heard(const net::PeerArrival& arrival);
  [[nodiscard]] bool was_asked(int link_index, uint64_t nonce);
  void gather();
  void gathered();
  [[nodiscard]] std::vector<std::string> names_of(int link_index) const;

  Loop& loop_;
  const Vips& vips_;
  const Network& network_;
  FenceSide& fence_;
  std::function<void(const Event&)> feed_;
  std::unique_ptr<net::PeerSocket> socket_;
  Loop::Timer gathering_ = Loop::Timer::None;  // None: each frame wakes us
  int missing_ = 0;                            // grants
  uint64_t asked_nonce_ = 0;                   // of the last request, and the links that it was on
  std::set<int> asked_on_;
  FrameCounts counts_;  // but for what the socket drops
};

}  // namespace vipd
