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

namespace {

constexpr std::string_view kUnknownNonce = "nonce";
constexpr Duration kGather = Duration::milliseconds(5);

std::string_view name_of(PeerFrame::Kind kind) {
  switch (kind) {
    case PeerFrame::Kind::Renew:
      return "renew";
    case PeerFrame::Kind::Grant:
      return "grant";
    case PeerFrame::Kind::Expired:
      return "expired";
  }
  return "";
}

}  // namespace

Peers::Peers(Loop& loop, const Vips& vips, const Network& network, FenceSide& fence,
             std::function<void(const Event&)> feed)
    : loop_(loop), vips_(vips), network_(network), fence_(fence), feed_(std::move(feed)) {
  using Kind = PeerFrame::Kind;
  for (const Kind kind : {Kind::Renew, Kind::Grant, Kind::Expired}) {
    counts_.sent[name_of(kind)] = counts_.received[name_of(kind)] = 0;
  }
  counts_.dropped[kUnknownNonce] = 0;
}

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
  if (gathering_ != Loop::Timer::None && missing_ <= 0) gathered();
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
  counts_.received[name_of(arrival.frame.kind)]++;
  if (is_grant) missing_--;
  FenceSide::Sight sight = FenceSide::Sight::Whole;
  if (is_grant) sight = fence_.sight(arrival.link_index, arrival.frame.nonce);
  if (sight == FenceSide::Sight::Unknown) {
    counts_.dropped[kUnknownNonce]++;
    return;
  }
  std::vector<std::string> names = names_of(arrival.link_index);
  if (names.empty()) return;
  const std::string link = names.front();
  names.erase(names.begin());
  if (!is_grant) names.clear();
  feed_(event::PeerFrameReceived{.frame = arrival.frame,
                                 .link = link,
                                 .aliases = std::move(names),
                                 .mac = arrival.source,
                                 .fenced = sight == FenceSide::Sight::Whole});
}

// By another name of the link, right before.
bool Peers::was_asked(int link_index, uint64_t nonce) {
  if (std::exchange(asked_nonce_, nonce) != nonce) asked_on_.clear();
  return !asked_on_.insert(link_index).second;
}

void Peers::perform(const action::SendPeerFrame& a) {
  const net::Link* link = network_.links().named(a.link);
  if (link == nullptr) return;
  if (a.frame.kind == PeerFrame::Kind::Renew) {
    if (was_asked(link->index, a.frame.nonce)) return;
    fence_.expect(link->index, a.frame.nonce);
    gather();
  }
  counts_.sent[name_of(a.frame.kind)]++;
  const int error = socket_->send({.link_index = link->index, .mac = link->mac}, a.frame, a.to);
  if (error != 0) log::debug("frame of the peer lease on %s: %s", a.link.c_str(), strerror(error));
}

// Grants of several nodes come within a millisecond: one turn for all of them. That costs no
// authority: a grant counts from before its request was sent.
void Peers::gather() {
  missing_++;
  if (gathering_ != Loop::Timer::None) return;
  socket_->wake(false);
  gathering_ = loop_.add_timer(loop_.now() + kGather, [this] { gathered(); });
}

void Peers::gathered() {
  loop_.cancel_timer(gathering_);
  gathering_ = Loop::Timer::None;
  missing_ = 0;
  socket_->wake(true);
}

FrameCounts Peers::counts() const {
  FrameCounts counts = counts_;
  for (size_t i = 0; i < static_cast<size_t>(net::PeerFault::Count); ++i) {
    const auto fault = static_cast<net::PeerFault>(i);
    counts.dropped[net::name_of(fault)] = socket_ == nullptr ? 0 : socket_->dropped(fault);
  }
  return counts;
}

}  // namespace vipd
