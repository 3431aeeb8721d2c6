#include "daemon/peers.hpp"

#include <cassert>
#include <cstring>
#include <utility>

#include "daemon/network.hpp"
#include "daemon/vips.hpp"
#include "net/netlink.hpp"
#include "net/peer_socket.hpp"
#include "vipd/log.hpp"

namespace vipd {

Peers::Peers(Loop& loop, const Vips& vips, const Network& network, FenceSide& fence,
             std::function<void(const Event&)> feed)
    : loop_(loop), vips_(vips), network_(network), fence_(fence), feed_(std::move(feed)) {}

Peers::~Peers() = default;

bool Peers::open(std::string* reason) {
  assert(socket_ == nullptr);
  const auto heard = [this](const net::PeerArrival& arrival) { this->heard(arrival); };
  socket_ = net::PeerSocket::open(loop_, heard, reason);
  return socket_ != nullptr;
}

void Peers::set_cluster(uint64_t cluster, const std::string& prefix) {
  socket_->set_cluster(net::peer_cluster_tag(cluster, prefix));
}

void Peers::hear() {
  socket_->hear();
}

// As the configuration calls the link, which may have two names for it; else by its own: a node
// renews the leases of others on any link.
std::vector<std::string> Peers::names_of(int link_index) const {
  std::vector<std::string> names;
  for (const std::string& name : vips_.links()) {
    if (network_.links().told_index(name) == link_index) names.push_back(name);
  }
  const auto link = network_.links().all().find(link_index);
  const bool has_name = !names.empty() || link == network_.links().all().end();
  if (!has_name) names.push_back(link->second.name);
  return names;
}

// [safety] A grant proves nothing unless the packet fence saw the request leave and the grant come.
void Peers::heard(const net::PeerArrival& arrival) {
  const bool is_grant = arrival.frame.kind == PeerFrame::Kind::Grant;
  FenceSide::Sight sight = FenceSide::Sight::Whole;
  if (is_grant) sight = fence_.sight(arrival.link_index, arrival.frame.nonce);
  if (sight == FenceSide::Sight::Unknown) {
    unknown_nonces_++;
    return;
  }
  for (const std::string& link : names_of(arrival.link_index)) {
    feed_(event::PeerFrameReceived{.frame = arrival.frame,
                                   .link = link,
                                   .mac = arrival.source,
                                   .fenced = sight == FenceSide::Sight::Whole});
    if (!is_grant) return;
  }
}

void Peers::perform(const action::SendPeerFrame& a) {
  const net::Link* link = network_.links().named(a.link);
  if (link == nullptr) return;
  if (a.frame.kind == PeerFrame::Kind::Renew) fence_.expect(link->index, a.frame.nonce);
  const int error = socket_->send({.link_index = link->index, .mac = link->mac}, a.frame, a.to);
  if (error != 0) log::debug("frame of the peer lease on %s: %s", a.link.c_str(), strerror(error));
}

std::vector<Peers::Dropped> Peers::dropped() const {
  std::vector<Dropped> all;
  for (size_t i = 0; i < static_cast<size_t>(net::PeerFault::Count); ++i) {
    const auto fault = static_cast<net::PeerFault>(i);
    all.push_back({net::name_of(fault), socket_->dropped(fault)});
  }
  all.push_back({"nonce", unknown_nonces_});
  return all;
}

}  // namespace vipd
