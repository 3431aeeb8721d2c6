// The neighbours: each sends to a VIP all the time. It follows the last announcement it heard, and
// asks anew when nobody answers any more (as Linux does: ARP entries are probed, then resolved).
#include "sim/world.hpp"

namespace sim {

namespace {

constexpr int kMissesToAsk = 3;

}  // namespace

void World::announce(int n, int vip) {
  Node& node = nodes_[static_cast<size_t>(n)];
  KernelAddress& address = node.addresses[static_cast<size_t>(vip)];
  // With authority nobody else can have it, and the address comes back at once; without, the
  // neighbours are led astray.
  const bool authority = shown(node) <= this->authority(node);
  if (!address.present && !authority && !held_up(node)) {
    fail("cache", "n%d announces v%d, which it neither has nor may have", n + 1, vip + 1);
  }
  address.announced = address.present;
  tally_.count(Rule::Announced);
  if (!node.link_up[node.vip_link[static_cast<size_t>(vip)]]) return;
  if (fence_drops(node, address)) return;
  heard_by_all(n, vip);
  for (int b = 0; b < kBystanders; b++) {
    if (random_.per_million(lan_loss_)) {
      tally_.count(Rule::AnnouncementLost);
      continue;
    }
    int64_t late = random_.between(20 * kUs, 300 * kUs);
    if (lan_delay_ != 0) late += random_.below(lan_delay_);
    post(now_ + late, Ev::Frame, n, vip, b);
  }
}

void World::frame(const Item& item) {
  if (broken(Broken::Cache)) return;
  Bystander& bystander = bystanders_[item.b];
  bystander.owner[item.a] = item.node;
  bystander.misses[item.a] = 0;
}

int World::answerer(int vip) {
  int who = kNobody;
  for (int n = 0; n < nodes_count_; n++) {
    const Node& node = nodes_[static_cast<size_t>(n)];
    const KernelAddress& address = node.addresses[static_cast<size_t>(vip)];
    if (!holds(node, vip) || !node.link_up[address.link]) continue;
    if (who == kNobody || random_.one_in(2)) who = n;
  }
  return who;
}

void World::probe(const Item& item) {
  post(now_ + random_.between(3 * kS, 10 * kS), Ev::Probe, 0, item.a, item.b);
  Bystander& bystander = bystanders_[item.b];
  uint8_t& owner = bystander.owner[item.a];
  uint8_t& misses = bystander.misses[item.a];
  const bool answers = owner != kNobody && holds(nodes_[owner], item.a) &&
                       nodes_[owner].link_up[nodes_[owner].addresses[item.a].link];
  misses = answers ? 0 : static_cast<uint8_t>(misses + 1);
  if (answers || (owner != kNobody && misses < kMissesToAsk) || broken(Broken::Cache)) return;
  owner = static_cast<uint8_t>(answerer(item.a));
  misses = 0;
}

}  // namespace sim
