// The peer lease's side of the world: frames between the hosts, the packet fence in each kernel,
// and what goes wrong with them. Chance has a source of its own here: a run without the peer lease
// is what it was before there was one.
#include <algorithm>

#include "sim/world.hpp"

namespace sim {

namespace {

constexpr size_t kMostWaiting = 256;  // frames in a socket's buffer
constexpr int64_t kOpen = INT64_MAX;

int link_of(const std::string& name) {
  int link = kLinks - 1;
  while (link > 0 && name != link_name(link)) link--;
  return link;
}

}  // namespace

void World::draw_peers() {
  for (Node& node : nodes_) node.fence.missing = !options_.peers;
  if (!options_.peers) return;
  static constexpr int64_t kTimeouts[] = {200, 250, 250, 500, 1000, 1000, 1000, 2000};
  const int64_t common = kTimeouts[peer_random_.below(8)] * kMs;
  const bool mixed = peer_random_.one_in(4);
  const bool spread = peer_random_.one_in(3);  // over both links
  for (Node& node : nodes_) {
    node.peer_timeout = mixed ? kTimeouts[peer_random_.below(8)] * kMs : common;
    if (mixed && peer_random_.one_in(6)) node.peer_timeout = 0;
    node.fence.missing = mixed && peer_random_.one_in(8);
    for (size_t v = 0; spread && v < kMaxVips; v++) node.vip_link[v] = v % 2;
  }
  for (size_t i = 0; i < kPeerFaults; i++) {
    peer_weights_[i] =
        peer_random_.one_in(2) ? 0 : static_cast<uint32_t>(peer_random_.spread(1, 64));
    const size_t fault = static_cast<size_t>(Fault::PeerCut) + i;
    if ((options_.without >> fault & 1) != 0) peer_weights_[i] = 0;
    peer_weights_sum_ += peer_weights_[i];
  }
  peer_gap_ = peer_random_.spread(200 * kMs, 40 * kS);
}

// --- frames

void World::act(int n, const vipd::action::SendPeerFrame& a) {
  const Node& node = nodes_[static_cast<size_t>(n)];
  const int link = link_of(a.link);
  tally_.count(Rule::PeerFrameSent);
  if (!node.link_up[static_cast<size_t>(link)]) return;
  for (int to = 0; to < nodes_count_; to++) {
    // A copy of a machine has its address, too.
    const int name = nodes_[static_cast<size_t>(to)].name;
    if (to == n || (a.to && *a.to != mac_of(name, link))) continue;
    fly(n, to, link, a.frame);
  }
}

void World::fly(int from, int to, int link, const vipd::PeerFrame& frame) {
  if ((peer_cut_[static_cast<size_t>(from)][static_cast<size_t>(to)] >> link & 1) != 0 ||
      peer_random_.per_million(peer_loss_)) {
    tally_.count(Rule::PeerFrameLost);
    return;
  }
  const int copies = peer_random_.per_million(peer_twice_) ? 2 : 1;
  for (int i = 0; i < copies; i++) {
    int64_t late = peer_random_.between(20 * kUs, 300 * kUs);
    if (peer_late_ != 0) late += peer_random_.below(peer_late_);
    late += nodes_[static_cast<size_t>(to)].peer_slow;
    if (i > 0) late += peer_random_.spread(kMs, 10 * kS);
    uint32_t slot = 0;
    if (free_frames_.empty()) {
      slot = static_cast<uint32_t>(frames_.size());
      frames_.push_back({});
    } else {
      slot = free_frames_.back();
      free_frames_.pop_back();
    }
    frames_[slot] = frame;
    post(now_ + late, Ev::PeerFrame, to, link, from, slot);
  }
}

void World::peer_frame(const Item& item) {
  const vipd::PeerFrame frame = frames_[item.x];
  free_frames_.push_back(item.x);
  Node& node = nodes_[item.node];
  if (!node.up || node.paused == HostPause::Suspend || !node.link_up[item.a]) return;
  if (node.inbox.size() >= kMostWaiting) return;
  vipd::event::PeerFrameReceived event{.frame = frame,
                                       .link = link_name(item.a),
                                       .mac = mac_of(nodes_[item.b].name, item.a),
                                       .fenced = fence_works(node, item.a)};
  tell(item.node, {.event = std::move(event)});
}

// --- the fence

bool World::fence_works(const Node& node, int link) const {
  return node.fence.attached[static_cast<size_t>(link)] && !node.fence.missing;
}

bool World::fence_drops(const Node& node, const KernelAddress& address) const {
  const bool closed = shown(node) >= node.fence.deadline || node.suspended != node.fence.suspended;
  return fence_works(node, address.link) && closed;
}

void World::act(int n, const vipd::action::SetFence& a) {
  Node& node = nodes_[static_cast<size_t>(n)];
  node.fence.deadline = a.deadline.is_never() ? kOpen : a.deadline.ns();
  node.fence.suspended = a.suspended.ns();
  judge_all();
}

void World::tell_fence(int n) {
  if (!options_.peers) return;
  const Node& node = nodes_[static_cast<size_t>(n)];
  const bool works = fence_works(node, 0) && fence_works(node, 1);
  tell(n, {.event = vipd::event::FenceChanged{.in_force = works,
                                              .reason = works ? "" : "somebody removed it"}});
}

// Whoever was owner under a term by then may be stopped before it has seen that: as long as a
// lifetime lasts (README.md, "Limits").
void World::fence_goes(int n) {
  Node& node = nodes_[static_cast<size_t>(n)];
  const int64_t which = peer_random_.between(1, 4);
  for (size_t link = 0; link < kLinks; link++) {
    if ((which >> link & 1) != 0) node.fence.attached[link] = false;
  }
  node.unfenced_until = std::max(node.unfenced_until, true_time_of(node, shown(node) + timeout_));
  SAY(n, "somebody removes the packet fence from %s",
      which == 3 ? "both links" : link_name(static_cast<int>(which) - 1));
  judge_all();
  for (int v = 0; v < vips_count_; v++) post(node.unfenced_until + 1, Ev::ExcuseEnds, 0, v);
  // A notice tells at once; else the counters, or the look that the daemon takes each second.
  const int64_t late = peer_random_.one_in(2) ? kMs : peer_random_.below(kS);
  post(now_ + late, Ev::FenceLook, n, 0, 0, node.incarnation);
}

void World::look_at_fence(const Item& item) {
  const Node& node = nodes_[item.node];
  if (item.x != node.incarnation || (fence_works(node, 0) && fence_works(node, 1))) return;
  tell_fence(item.node);
}

void World::fence_is_back(int n) {
  Node& node = nodes_[static_cast<size_t>(n)];
  if ((node.fence.attached[0] && node.fence.attached[1]) || node.fence.missing) return;
  node.fence.attached.fill(true);  // its map was never gone, nor the deadline in it
  SAY(n, "the packet fence is back");
  tell_fence(n);
}

// --- faults

void World::next_peer_fault() {
  if (peer_weights_sum_ == 0) return;
  post(now_ + peer_random_.below(2 * peer_gap_), Ev::PeerFault, 0, 0, 0, round_);
}

int World::peer_victim() {
  const int vip = static_cast<int>(peer_random_.below(vips_count_));
  const int owner = only_owner(vip);
  return owner >= 0 && peer_random_.one_in(2) ? owner
                                              : static_cast<int>(peer_random_.below(nodes_count_));
}

void World::strike_peers() {
  int64_t at = peer_random_.below(peer_weights_sum_);
  size_t which = 0;
  while (at >= peer_weights_[which]) at -= peer_weights_[which++];
  const auto fault = static_cast<Fault>(static_cast<size_t>(Fault::PeerCut) + which);
  const int n = peer_victim();
  Node& node = nodes_[static_cast<size_t>(n)];
  if (story_.on()) say(n, "**** fault: %s", name_of(fault));
  const int64_t span = peer_random_.spread(50 * kMs, 40 * kS);
  if (fault == Fault::PeerCut) {
    cut_peers(n);
  } else if (fault == Fault::PeerLoss) {
    peer_loss_ = static_cast<uint32_t>(peer_random_.spread(10'000, 1'000'000));
  } else if (fault == Fault::PeerLate) {
    peer_late_ = peer_random_.spread(kMs, 3 * kS);
  } else if (fault == Fault::PeerTwice) {
    peer_twice_ = static_cast<uint32_t>(peer_random_.spread(10'000, 900'000));
  } else if (fault == Fault::PeerSlow) {
    node.peer_slow = peer_random_.spread(kMs, 500 * kMs);
  } else if (fault == Fault::FenceRemoved) {
    fence_goes(n);
  } else if (fault == Fault::PeersOff) {
    node.peers_off = true;
    if (node.core != nullptr) tell(n, {.event = vipd::event::Reconfigured{settings(node)}});
  }
  tally_.count(fault);
  post(now_ + span, Ev::PeerHeals, n, static_cast<int>(fault));
  next_peer_fault();
}

// One way or both, with one other or with all, on one link or on all.
void World::cut_peers(int n) {
  const int only = peer_random_.one_in(2) ? static_cast<int>(peer_random_.below(nodes_count_)) : -1;
  const int how = static_cast<int>(peer_random_.between(1, 4));
  const int64_t links = peer_random_.one_in(3) ? peer_random_.between(1, 3) : kAllLinks;
  cut_from(n, only, how, static_cast<uint8_t>(links));
}

// how: bit 0 what it sends, bit 1 what it gets. only: -1 for all others.
void World::cut_from(int n, int only, int how, uint8_t links) {
  for (int other = 0; other < nodes_count_; other++) {
    if (other == n || (only >= 0 && other != only)) continue;
    const auto a = static_cast<size_t>(n);
    const auto b = static_cast<size_t>(other);
    if ((how & 1) != 0) peer_cut_[a][b] |= links;
    if ((how & 2) != 0) peer_cut_[b][a] |= links;
  }
}

void World::heal_peers(const Item& item) {
  const auto fault = static_cast<Fault>(item.a);
  Node& node = nodes_[item.node];
  if (fault == Fault::PeerCut) {
    for (size_t other = 0; other < kMaxNodes; other++) {
      peer_cut_[item.node][other] = peer_cut_[other][item.node] = 0;
    }
  }
  if (fault == Fault::PeerLoss) peer_loss_ = 0;
  if (fault == Fault::PeerLate) peer_late_ = 0;
  if (fault == Fault::PeerTwice) peer_twice_ = 0;
  if (fault == Fault::PeerSlow) node.peer_slow = 0;
  if (fault == Fault::FenceRemoved) fence_is_back(item.node);
  if (fault == Fault::PeersOff && node.peers_off) {
    node.peers_off = false;
    if (node.core != nullptr) tell(item.node, {.event = vipd::event::Reconfigured{settings(node)}});
  }
}

void World::heal_all_peers() {
  if (!options_.peers) return;
  for (auto& row : peer_cut_) row.fill(0);
  peer_loss_ = peer_twice_ = 0;
  peer_late_ = 0;
  for (int n = 0; n < nodes_count_; n++) {
    nodes_[static_cast<size_t>(n)].peer_slow = 0;
    fence_is_back(n);
    heal_peers({.node = static_cast<uint8_t>(n), .a = static_cast<uint8_t>(Fault::PeersOff)});
  }
}

}  // namespace sim
