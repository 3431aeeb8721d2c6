// A second etcd cluster behind some of a node's endpoints, and what the endpoints say of theirs:
// the client's questions, as src/etcd/client_cluster.cpp asks them. The core is handed answers of
// the wrong cluster all the same: it must not need the client for its safety. Chance has a source
// of its own here.
#include <algorithm>

#include "sim/world.hpp"

namespace sim {

namespace {

constexpr int64_t kBetweenFirstQuestions = 250 * kMs;
constexpr int64_t kForever = INT64_MAX / 4;

// A copy has the endpoints of its original, and they turn with these.
bool is_copy_of(const Node& node, const Node& original) {
  return node.copy && !original.copy && node.name == original.name;
}

}  // namespace

void World::draw_clusters() {
  const bool without = (options_.without >> static_cast<size_t>(Fault::SecondCluster) & 1) != 0;
  // A single endpoint decides alone, whatever it leads to.
  const bool has_one = cluster_random_.one_in(3) && members_count_ > 1 && !without;
  strange_gap_ = cluster_random_.spread(2 * kS, 120 * kS);
  other_.cluster_id = uint64_t{1} << 40;
  if (!has_one) return;
  static constexpr Strange kKinds[] = {Strange::Few,  Strange::Few,  Strange::Careless,
                                       Strange::Most, Strange::Most, Strange::Contested};
  Random kind(~options_.seed * 17);
  strange_ = kKinds[kind.below(6)];
  const bool most = strange_ == Strange::Most || strange_ == Strange::Contested;
  // What is promised there is promised to nodes with one timeout.
  if (most && mixed_) strange_ = Strange::Few;
  if (strange_ == Strange::Most && kind.one_in(3))
    members_count_ = 4;  // half of them is no majority
  if (turns_many()) hear_all();
}

bool World::turns_many() const {
  return strange_ == Strange::Most || strange_ == Strange::Contested;
}

// A node that hears neither its endpoints nor its neighbours can know of nothing.
void World::hear_all() {
  for (const Fault fault :
       {Fault::CutBoth, Fault::CutAnswers, Fault::CutAll, Fault::SlowNetwork, Fault::LossyNetwork,
        Fault::Restore, Fault::LanLoss, Fault::LinkFlap, Fault::LinkMissing}) {
    uint32_t& weight = weights_[static_cast<size_t>(fault)];
    weights_sum_ -= weight;
    weight = 0;
  }
  has_strangers_ = true;  // who claims is heard
}

void World::next_strange() {
  if (strange_ == Strange::None) return;
  post(now_ + cluster_random_.below(2 * strange_gap_), Ev::EndpointTurns, 0, 0, 0, round_);
}

void World::endpoints_turn() {
  next_strange();
  const auto n = static_cast<int>(cluster_random_.below(nodes_count_));
  // Each by itself leaves most of the endpoints as they were. They must not follow each other so
  // quickly that most of them were wrong within half a timeout.
  if (now_ < nodes_[static_cast<size_t>(n)].strange_until + timeout_) return;
  tally_.count(Fault::SecondCluster);
  if (turns_many()) return most_turn(n);
  few_turn(n);
}

// The members behind fewer than half of a node's endpoints are re-created, or another etcd stands
// there. As often as not the node can reach nothing else.
void World::few_turn(int n) {
  const int64_t most = members_count_ / 2;
  const int64_t first = cluster_random_.below(members_count_);
  const bool alone = cluster_random_.one_in(2);
  const int64_t count = cluster_random_.between(1, most + 1);
  turn(n, first, count);
  for (int64_t i = count; alone && i < members_count_; i++) {
    cut(n, static_cast<int>((first + i) % members_count_), kCutRequests | kCutAnswers);
  }
  SAY(n, "**** %lld of its endpoints lead to another cluster%s", static_cast<long long>(count),
      alone ? ", and it reaches no other" : "");
  const int64_t span = cluster_random_.spread(kS, 8 * timeout_);
  nodes_[static_cast<size_t>(n)].strange_until = now_ + span;
  heal_after(Fault::SecondCluster, span, n);
}

// Most members are one cluster, restored from a backup, and one or two go on as the old one. Or all
// nodes have an endpoint that leads to a second cluster, and one has more of these. One node boots
// then, and is bound to the second. They turn back one by one: a node that was not there meanwhile
// knows of it by those that are left.
void World::most_turn(int n) {
  const int64_t first = cluster_random_.below(members_count_);
  const int64_t most = cluster_random_.between(members_count_ / 2 + 1, members_count_);
  strange_once_ = true;
  int64_t span = 0;
  for (int64_t left = most; left > 0;
       left = left > members_count_ / 2 ? members_count_ / 2 : left - 1) {
    for (int each = 0; each < nodes_count_; each++) {
      const bool all = strange_ == Strange::Most || each == n;
      post(now_ + span, Ev::EndpointsTurn, each, static_cast<int>(first),
           static_cast<int>(all ? left : 1), round_);
    }
    span += cluster_random_.spread(2 * timeout_, 8 * timeout_);
  }
  for (int each = 0; each < nodes_count_; each++) {
    nodes_[static_cast<size_t>(each)].strange_until = now_ + span;
    heal_after(Fault::SecondCluster, span, each);
  }
  SAY(-1, "**** %lld endpoints lead to another cluster%s", static_cast<long long>(most),
      strange_ == Strange::Most ? "" : ", for one node");
  post(now_ + cluster_random_.below(timeout_ / 2), Ev::OwnerStops, 0, 0, 0, round_);
  if (!nodes_[static_cast<size_t>(n)].up || cluster_random_.one_in(4)) return;
  crash_host(n, cluster_random_.spread(10 * kMs, 5 * kS));
  nodes_[static_cast<size_t>(n)].memory = {};
}

// The process that owns, before it may have heard of that: it is stopped, or killed.
void World::owner_stops() {
  const int n = only_owner(0);
  if (n < 0 || !runs(nodes_[static_cast<size_t>(n)]) || cluster_random_.one_in(3)) return;
  const int64_t at = now_ + cluster_random_.spread(timeout_, 8 * timeout_);
  if (cluster_random_.one_in(3)) {
    SAY(n, "==== the process is killed");
    end_process(n);
    return post(at, Ev::ProcessStarts, n);
  }
  nodes_[static_cast<size_t>(n)].stopped = true;
  SAY(n, "the process is stopped");
  post(at, Ev::ProcessResumes, n);
}

void World::turn(int n, int64_t first, int64_t count) {
  Node& node = nodes_[static_cast<size_t>(n)];
  node.strange.fill(false);
  for (int64_t i = 0; i < count; i++) {
    const auto m = static_cast<size_t>((first + i) % members_count_);
    node.strange[m] = true;
    if (node.watch.id != 0 && node.watch.member == m) end_watch_soon(n);
  }
  for (int each = 0; each < nodes_count_; each++) {
    if (is_copy_of(nodes_[static_cast<size_t>(each)], node)) turn(each, first, count);
  }
}

void World::endpoints_are_right(int n) {
  Node& node = nodes_[static_cast<size_t>(n)];
  if (node.watch.id != 0 && node.watch.strange) end_watch_soon(n);
  node.strange.fill(false);
  for (int each = 0; each < nodes_count_; each++) {
    if (is_copy_of(nodes_[static_cast<size_t>(each)], node)) endpoints_are_right(each);
  }
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
  if (strange_ == Strange::Careless) return node.used != 0;
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
  // Who stands still asks as soon as he goes on.
  if (!runs(node)) {
    const int64_t soon = now_ + cluster_random_.between(kMs, 10 * kMs);
    return post(soon, Ev::Asked, item.node, item.a, 0, item.x);
  }
  const int64_t unbound = named == 0 ? kBetweenFirstQuestions : kS;
  const int64_t again = node.used == 0 ? unbound : node.its_timeout / 2;
  post(now_ + again, Ev::Asked, item.node, item.a, 0, item.x);
  if (node.cut[item.a] != 0 || cluster_random_.per_million(node.loss) || !node.up) return;
  const int64_t way = base_way_ + cluster_random_.below(base_way_ + node.slow);
  post(now_ + 2 * way, Ev::Answered, item.node, item.a, 0, item.x, shown(node));
}

// Only who can commit says anything.
void World::answered(const Item& item) {
  const Node& node = nodes_[item.node];
  if (item.x != node.incarnation || node.cut[item.a] != 0) return;
  if (!node.strange[item.a] && !serves(item.a)) return;
  const Store& store = node.strange[item.a] ? other_ : store_;
  tell(item.node, {.event = endpoint_names(item.a, store, item.y)});
}

vipd::Event World::endpoint_names(int m, const Store& store, int64_t asked) {
  return vipd::event::EndpointNamed{
      .endpoint = static_cast<size_t>(m),
      .cluster = store.cluster_id,
      .member = store.cluster_id * 100 + static_cast<uint64_t>(m),
      .asked = vipd::MonoTime::from_ns(asked),
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
  const Store& store = header.cluster_id == other_.cluster_id ? other_ : store_;
  feed(n, endpoint_names(m, store, 0));  // nobody notes when that was asked
}

// Another has the address by the other cluster's election, as nobody can know whose endpoints lead
// elsewhere than those of others.
void World::note_elsewhere(int n, int vip) {
  const auto i = static_cast<size_t>(vip);
  Node& node = nodes_[static_cast<size_t>(n)];
  for (const Node& other : nodes_) {
    if (&other == &node || !other.addresses[i].present) continue;
    if (other.addresses[i].cluster != node.used) node.addresses[i].elsewhere_until = kForever;
  }
}

// It lets go when it hears of that, if one of its endpoints names another cluster.
void World::heard_elsewhere(int n, int vip) {
  Node& node = nodes_[static_cast<size_t>(n)];
  int64_t& until = node.addresses[static_cast<size_t>(vip)].elsewhere_until;
  const bool disputed = std::any_of(node.named.begin(), node.named.end(), [&](uint64_t named) {
    return named != 0 && named != node.used;
  });
  if (disputed) until = std::min(until, now_ + in_true_time(timeout_));
}

void World::act(int n, const vipd::action::UseCluster& a) {
  nodes_[static_cast<size_t>(n)].used = a.cluster;
}

}  // namespace sim
