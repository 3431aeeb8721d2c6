// A second etcd cluster behind some of a node's endpoints, and what the endpoints say of theirs:
// the client's questions, as src/etcd/client_cluster.cpp asks them. The core is handed answers of
// the wrong cluster all the same: it must not need the client for its safety. Chance has a source
// of its own here.
#include <algorithm>

#include "sim/world.hpp"

namespace sim {

namespace {

constexpr int64_t kBetweenFirstQuestions = 250 * kMs;

}  // namespace

void World::draw_clusters() {
  const bool without = (options_.without >> static_cast<size_t>(Fault::SecondCluster) & 1) != 0;
  // A single endpoint decides alone, whatever it leads to.
  has_strange_ = cluster_random_.one_in(3) && members_count_ > 1 && !without;
  strange_gap_ = cluster_random_.spread(2 * kS, 120 * kS);
  other_.cluster_id = uint64_t{1} << 40;
}

void World::next_strange() {
  if (!has_strange_) return;
  post(now_ + cluster_random_.below(2 * strange_gap_), Ev::EndpointTurns, 0, 0, 0, round_);
}

// The members behind fewer than half of a node's endpoints are re-created, or another etcd stands
// there. As often as not the node can reach nothing else.
void World::endpoints_turn() {
  next_strange();
  const auto n = static_cast<int>(cluster_random_.below(nodes_count_));
  Node& node = nodes_[static_cast<size_t>(n)];
  // Each by itself leaves most of the endpoints as they were. They must not follow each other so
  // quickly that most of them were wrong within half a timeout.
  if (now_ < node.strange_until + timeout_) return;
  node.strange.fill(false);
  const int64_t most = members_count_ / 2;
  const int64_t first = cluster_random_.below(members_count_);
  const bool alone = cluster_random_.one_in(2);
  const int64_t count = cluster_random_.between(1, most + 1);
  for (int64_t i = 0; i < members_count_; i++) {
    const auto m = static_cast<int>((first + i) % members_count_);
    if (i < count) {
      node.strange[static_cast<size_t>(m)] = true;
      if (node.watch.id != 0 && node.watch.member == m) end_watch_soon(n);
    } else if (alone) {
      cut(n, m, kCutRequests | kCutAnswers);
    }
  }
  SAY(n, "**** %lld of its endpoints lead to another cluster%s", static_cast<long long>(count),
      alone ? ", and it reaches no other" : "");
  tally_.count(Fault::SecondCluster);
  const int64_t span = cluster_random_.spread(kS, 8 * timeout_);
  node.strange_until = now_ + span;
  heal_after(Fault::SecondCluster, span, n);
}

void World::endpoints_are_right(int n) {
  Node& node = nodes_[static_cast<size_t>(n)];
  if (node.watch.id != 0 && node.watch.strange) end_watch_soon(n);
  node.strange.fill(false);
}

void World::end_watch_soon(int n) {
  Watch& watch = nodes_[static_cast<size_t>(n)].watch;
  watch.open = false;
  const int64_t at = now_ + cluster_random_.between(kMs, 200 * kMs);
  post(std::max(at, watch.last_at + 1), Ev::WatchEnds, n, 0, 0, watch.id);
}

// The second cluster has one member, which shows all of it at once.
void World::other_committed() {
  for (int n = 0; n < nodes_count_; n++) {
    if (nodes_[static_cast<size_t>(n)].watch.strange) pump(n);
  }
}

const Store& World::store_of(const Watch& watch) const {
  return watch.strange ? other_ : store_;
}

vipd::Revision World::shown_by(const Watch& watch) const {
  return watch.strange ? other_.revision : members_[watch.member].applied;
}

// --- what the client knows of the endpoints

bool World::may_use(const Node& node, int m) const {
  const uint64_t named = node.named[static_cast<size_t>(m)];
  return node.used != 0 && (named == 0 || named == node.used);
}

void World::ask_all(int n) {
  for (int m = 0; m < members_count_; m++) {
    post(now_ + cluster_random_.below(kMs), Ev::Asked, n, m, 0,
         nodes_[static_cast<size_t>(n)].incarnation);
  }
}

void World::asked(const Item& item) {
  const Node& node = nodes_[item.node];
  if (item.x != node.incarnation || node.core == nullptr) return;
  const uint64_t named = node.named[item.a];
  const bool unknown = node.used == 0 && named == 0;
  const int64_t at_rest = named == node.used ? node.its_timeout / 2 : kS;
  const int64_t again = unknown ? kBetweenFirstQuestions : at_rest;
  post(now_ + again, Ev::Asked, item.node, item.a, 0, item.x);
  if (node.cut[item.a] != 0 || cluster_random_.per_million(node.loss) || !node.up) return;
  const int64_t way = base_way_ + cluster_random_.below(base_way_ + node.slow);
  post(now_ + 2 * way, Ev::Answered, item.node, item.a, 0, item.x);
}

// Only who can commit says anything.
void World::answered(const Item& item) {
  const Node& node = nodes_[item.node];
  if (item.x != node.incarnation || node.cut[item.a] != 0) return;
  if (!node.strange[item.a] && !serves(item.a)) return;
  tell(item.node, {.event = endpoint_names(item.a, node.strange[item.a] ? other_ : store_)});
}

vipd::Event World::endpoint_names(int m, const Store& store) {
  return vipd::event::EndpointNamed{
      .endpoint = static_cast<size_t>(m),
      .cluster = store.cluster_id,
      .member = store.cluster_id * 100 + static_cast<uint64_t>(m),
  };
}

void World::note_named(Node* node, const vipd::event::EndpointNamed& named) {
  node->named[named.endpoint] = named.cluster;
}

// The client compares the cluster of each answer.
void World::header_heard(int n, int m, const vipd::Header& header) {
  Node& node = nodes_[static_cast<size_t>(n)];
  if (header.cluster_id == 0 || node.named[static_cast<size_t>(m)] == header.cluster_id) return;
  tally_.count(header.cluster_id == other_.cluster_id ? Rule::StrangerHeard : Rule::ClusterNamed);
  feed(n, endpoint_names(m, header.cluster_id == other_.cluster_id ? other_ : store_));
}

void World::act(int n, const vipd::action::UseCluster& a) {
  nodes_[static_cast<size_t>(n)].used = a.cluster;
}

}  // namespace sim
