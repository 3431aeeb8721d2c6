// Hosts outside the election that say they have an address, or have it; and what nodes hear of each
// other. Chance has a source of its own here: a run without strangers is what it was before there
// were any.
#include <algorithm>

#include "sim/world.hpp"

namespace sim {

namespace {

constexpr int kStranger = kNobody;

}  // namespace

void World::draw_strangers() {
  const bool without = (options_.without >> static_cast<size_t>(Fault::Stranger) & 1) != 0;
  has_strangers_ = stranger_random_.one_in(4) && !without;
  stranger_gap_ = stranger_random_.spread(500 * kMs, 40 * kS);
}

void World::next_stranger() {
  if (!has_strangers_) return;
  post(now_ + stranger_random_.below(2 * stranger_gap_), Ev::StrangerComes, 0, 0, 0, round_);
}

// He says so once or more; he may really have it, and then he answers probes as well.
void World::stranger_comes() {
  const auto vip = static_cast<int>(stranger_random_.below(vips_count_));
  next_stranger();
  tally_.count(Fault::Stranger);
  const bool has_it = stranger_random_.one_in(2);
  SAY(-1, "a stranger %s v%d", has_it ? "takes" : "claims", vip + 1);
  if (has_it) {
    stranger_until_[static_cast<size_t>(vip)] = now_ + stranger_random_.spread(10 * kMs, 20 * kS);
  }
  for (int64_t i = stranger_random_.between(1, 4); i > 0; i--) heard_by_all(kStranger, vip);
}

// What waits for a process that stands still is not lost.
void World::heard_by_all(int from, int vip) {
  if (!has_strangers_) return;
  for (int n = 0; n < nodes_count_; n++) {
    if (n != from && !stranger_random_.per_million(lan_loss_)) heard_by(n, from, vip);
  }
}

void World::heard_by(int n, int from, int vip) {
  const Node& node = nodes_[static_cast<size_t>(n)];
  if (!node.up || !node.link_up[node.vip_link[static_cast<size_t>(vip)]]) return;
  const int64_t late = stranger_random_.between(20 * kUs, 300 * kUs);
  post(now_ + late, Ev::ClaimHeard, n, vip, from);
}

void World::claim_heard(const Item& item) {
  const vipd::MacAddress mac = {{2, 0, 0, 0, 0, item.b}};
  tally_.count(Rule::ClaimHeard);
  heard_elsewhere(item.node, item.a);
  tell(item.node, {.event = vipd::event::ForeignClaim{.address = vips_[item.a], .mac = mac}});
}

// Whoever has the address answers, by right or not.
void World::act(int n, const vipd::action::SendProbe& a) {
  if (!has_strangers_) return;
  const int vip = index_of(a.address);
  const Node& node = nodes_[static_cast<size_t>(n)];
  if (!node.link_up[node.vip_link[static_cast<size_t>(vip)]]) return;
  if (now_ < stranger_until_[static_cast<size_t>(vip)]) heard_by(n, kStranger, vip);
  for (int other = 0; other < nodes_count_; other++) {
    const Node& its = nodes_[static_cast<size_t>(other)];
    const KernelAddress& address = its.addresses[static_cast<size_t>(vip)];
    if (other == n || !address.present || its.paused != HostPause::None) continue;
    if (fence_drops(its, address)) continue;
    if (its.link_up[address.link]) heard_by(n, other, vip);
  }
}

// As the daemon's turn begins (daemon.cpp): before its deadlines are looked at.
void World::hear_first(int n) {
  Node& node = nodes_[static_cast<size_t>(n)];
  const auto is_claim = [](const Mail& mail) {
    return mail.kind == Mail::Kind::Fact &&
           (std::holds_alternative<vipd::event::ForeignClaim>(mail.event) ||
            std::holds_alternative<vipd::event::PeerFrameReceived>(mail.event));
  };
  const uint32_t incarnation = node.incarnation;
  while (runs(node) && node.incarnation == incarnation) {
    const auto claim = std::find_if(node.inbox.begin(), node.inbox.end(), is_claim);
    if (claim == node.inbox.end()) return;
    const vipd::Event event = claim->event;
    node.inbox.erase(claim);
    feed(n, event);
  }
}

}  // namespace sim
