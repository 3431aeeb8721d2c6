// VIPs that belong together, over links that fail separately: how they are configured, what strikes
// one member alone, and what must hold (ARCHITECTURE.md, "Groups"): whoever takes one takes all,
// and nobody keeps a part. Chance has a source of its own here: a run without groups is what it was
// before there were any.
#include <algorithm>
#include <set>
#include <utility>

#include "sim/world.hpp"

namespace sim {

namespace {

enum Strike : int {
  LinkDown,
  LinkMissing,
  Refused,       // by the kernel of one host, for as long as it lasts
  Deleted,       // the address
  KeyDeleted,    // of one node
  QueueDeleted,  // of all
  Resigned,
  Transferred,
  Regrouped,
  Twice,  // a second change before all nodes have the first
  kStrikes
};

// In part while something of it is added, waited for or restored, and no longer.
constexpr int64_t kLongestPart = 6 * kS;
// All that is needed for the whole is there when the first is set.
constexpr int64_t kMovingIn = 3 * kS;

}  // namespace

void World::draw_groups() {
  if (!options_.groups) return;
  static constexpr int kVipChoices[] = {1, 2, 2, 2, 3, 3, 4, 5};
  vips_count_ = kVipChoices[group_random_.below(8)];
  links_count_ = kLinks;
  group_gap_ = group_random_.spread(kS, 60 * kS);
  draw_membership();
  const auto first = static_cast<size_t>(group_random_.below(kLinks));
  for (size_t v = 0; v < kMaxVips; v++) {
    vips_[v] = vipd::Address::v4(0x0a000064U + static_cast<uint32_t>(v));
    for (Node& node : nodes_) node.vip_link[v] = static_cast<uint8_t>((first + v) % kLinks);
  }
  for (Node& node : nodes_) {
    node.group = groups_;
    node.configured.fill(true);
  }
}

// All in one, some alone, two groups, or groups of one.
void World::draw_membership() {
  const int64_t kind = group_random_.below(8);
  const int64_t cut = group_random_.between(1, kMaxVips);
  for (size_t v = 0; v < kMaxVips; v++) {
    const bool behind = static_cast<int64_t>(v) >= cut;
    groups_[v] = 1;
    if (kind == 5 && behind) groups_[v] = 0;
    if (kind == 6 && behind) groups_[v] = 2;
    if (kind == 7) groups_[v] = static_cast<uint8_t>(v + 1);
  }
}

// Priorities belong to the group.
size_t World::priority_of(const Node& node, int vip) const {
  int first = vip;
  for (int v = vip - 1; v >= 0; v--) {
    const auto i = static_cast<size_t>(v);
    const bool same = node.group[i] != 0 && node.group[i] == node.group[static_cast<size_t>(vip)];
    if (same && node.configured[i]) first = v;
  }
  return static_cast<size_t>(first) % kMostAlone;
}

std::string World::group_name(uint8_t group) const {
  return group == 0 || broken(Broken::Groups) ? "" : "g" + std::to_string(group);
}

void World::note_groups(int n, const vipd::Settings& settings) {
  Node& node = nodes_[static_cast<size_t>(n)];
  if (!options_.groups) return;
  node.its_group.fill(kNotThere);
  node.given_up.fill(false);
  for (const vipd::VipSettings& vip : settings.vips) {
    const auto v = static_cast<size_t>(index_of(vip.address));
    node.its_group[v] = node.group[v];
    if (!vip.group.empty()) node.its_group[v] = static_cast<uint8_t>(vip.group[1] - '0');
    if (vip.group.empty() && !broken(Broken::Groups)) node.its_group[v] = 0;
  }
  for (Node& each : nodes_) each.in_part.fill(0);
}

void World::turn_link(Node* node, int vip) const {
  uint8_t& link = node->vip_link[static_cast<size_t>(vip)];
  link = static_cast<uint8_t>((link + 1) % links_count_);
}

// --- what strikes one member

void World::next_group_fault() {
  if (!options_.groups) return;
  post(now_ + group_random_.below(2 * group_gap_), Ev::GroupStruck, 0, 0, 0, round_);
}

void World::strike_group() {
  next_group_fault();
  const auto what = static_cast<int>(group_random_.below(kStrikes));
  if (what == Regrouped || what == Twice) {
    change_groups();
    if (what == Twice) change_groups();
    return;
  }
  const auto vip = static_cast<int>(group_random_.below(vips_count_));
  const int owner = only_owner(vip);
  const bool at_owner = owner >= 0 && !group_random_.one_in(3);
  const int n = at_owner ? owner : static_cast<int>(group_random_.below(nodes_count_));
  if (strike_member(what, vip, n)) tally_.count(Rule::GroupStruck);
}

bool World::strike_member(int what, int vip, int n) {
  const auto v = static_cast<size_t>(vip);
  Node& node = nodes_[static_cast<size_t>(n)];
  const int64_t span = group_random_.spread(50 * kMs, 90 * kS);
  const vipd::LeaseId lease = node.core == nullptr ? vipd::LeaseId::None : node.core->session();
  SAY(n, "**** v%d alone is struck: %d", vip + 1, what);
  if (what == LinkDown || what == LinkMissing) {
    if (!node.up) return false;
    set_link(n, node.vip_link[v], what == LinkDown, false);
    post(now_ + span, Ev::GroupHeals, n, what, node.vip_link[v], round_);
  } else if (what == Refused) {
    node.is_refused[v] = refused_once_ = true;
    post(now_ + span, Ev::GroupHeals, n, what, vip, round_);
  } else if (what == Deleted) {
    if (!node.addresses[v].present) return false;
    remove_address(n, vip, Rule::AddressGoneByOthers);
    notice(n, vip, false);
  } else if (what == KeyDeleted || what == QueueDeleted) {
    std::vector<vipd::Key> keys;
    const vipd::Entry* head = nullptr;
    for (const Store::Stored& stored : store_.keys) {
      const vipd::Key& key = stored.entry.key;
      if (key.kind != vipd::KeyKind::Candidate || key.vip != vips_[v]) continue;
      if (head == nullptr || stored.entry.created < head->created) head = &stored.entry;
      if (what == QueueDeleted || key.lease == lease) keys.push_back(key);
    }
    if (keys.empty() || leaderless_ || cluster_down_) return false;
    // Whoever was the head is waited out from then on, however long others were before.
    const bool new_head = std::find(keys.begin(), keys.end(), head->key) != keys.end();
    for (size_t i = 0; new_head && i < kMaxNodes; i++) {
      nodes_[i].in_part.fill(0);
      nodes_[i].moves_in.fill(false);
    }
    store_.erase(keys);
    committed();
  } else if (what == Resigned && node.core != nullptr) {
    tell(n, {.event = vipd::event::ResignAsked{{vips_[v]}}});
  } else if (what == Transferred && node.core != nullptr) {
    const Node& to = nodes_[static_cast<size_t>(group_random_.below(nodes_count_))];
    if (to.core == nullptr) return false;
    tell(n, {.event = vipd::event::TransferAsked{.vip = vips_[v], .to = to.core->session()}});
  } else {
    return false;
  }
  return true;
}

// A calm heals everything at once.
void World::heal_group(const Item& item) {
  Node& node = nodes_[item.node];
  if (!faults_on_ || item.x != round_) return;
  if (item.a == Refused) node.is_refused[item.b] = false;
  if ((item.a == LinkDown || item.a == LinkMissing) && node.up) {
    set_link(item.node, item.b, true, true);
  }
}

// The configuration is changed on one node after the other, in any order.
void World::change_groups() {
  draw_membership();
  tally_.count(Rule::GroupsChanged);
  SAY(-1, "**** the groups are changed, node by node");
  const int64_t span = group_random_.spread(kMs, 40 * kS);
  for (int n = 0; n < nodes_count_; n++) {
    post(now_ + group_random_.below(span), Ev::GroupsChange, n, 0, 0, round_);
  }
}

void World::regroup(int n) {
  Node& node = nodes_[static_cast<size_t>(n)];
  node.group = groups_;
  if (node.core == nullptr) return;
  tell(n, {.event = vipd::event::Reconfigured{settings(node)}});
  tell_checks(n);
}

// Now and then a node stays without groups through the whole of a calm, as an older version would.
void World::draw_disagreement() {
  const bool some = options_.groups && group_random_.one_in(6);
  has_no_groups_ = some ? static_cast<int>(group_random_.below(nodes_count_)) : -1;
}

// True where they were others.
bool World::groups_are_right(int n) {
  const std::array<uint8_t, kMaxVips> right =
      n == has_no_groups_ ? std::array<uint8_t, kMaxVips>{} : groups_;
  return std::exchange(nodes_[static_cast<size_t>(n)].group, right) != right;
}

// While nodes disagree, one that cannot have all of its group may stand in the way of another, and
// so may orders that differ.
bool World::may_be_nobodys() const {
  if (!options_.groups || all_agree()) return false;
  bool all = !ordered_ && check_weight_ == 0;
  for (int n = 0; n < nodes_count_; n++) {
    const Node& node = nodes_[static_cast<size_t>(n)];
    for (int v = 0; v < vips_count_; v++) {
      all = all && (node.core == nullptr || node.person_paused || eligible(node, v));
    }
  }
  return !all;
}

// Of a node whose services stay bad: all, or some alone.
bool World::stays_bad(int) {
  return !options_.groups || group_random_.one_in(2);
}

// Through the whole of a calm: the others have to do without that node.
void World::leave_link_down() {
  if (!options_.groups || !group_random_.one_in(5)) return;
  const auto n = static_cast<int>(group_random_.below(nodes_count_));
  if (!nodes_[static_cast<size_t>(n)].up) return;
  set_link(n, static_cast<int>(group_random_.below(kLinks)), true, false);
}

// --- what must hold

bool World::together(const Node& node, int a, int b) const {
  const uint8_t group = node.its_group[static_cast<size_t>(a)];
  return a == b ||
         (group != 0 && group != kNotThere && group == node.its_group[static_cast<size_t>(b)]);
}

// Of the nodes whose process runs: each has the same groups.
bool World::all_agree() const {
  const Node* first = nullptr;
  for (int n = 0; n < nodes_count_; n++) {
    const Node& node = nodes_[static_cast<size_t>(n)];
    if (node.core == nullptr) continue;
    if (first == nullptr) first = &node;
    if (node.its_group != first->its_group) return false;
  }
  return true;
}

// A member has just been set: nobody else may have any other member of that group, but for what
// cannot be helped (ownership.cpp), whatever its own configuration says.
void World::check_whole(int n, int vip) {
  if (!options_.groups) return;
  Node& node = nodes_[static_cast<size_t>(n)];
  // What it takes for there is renewed.
  if (std::exchange(node.lost[static_cast<size_t>(vip)], false)) return;
  note_moving_in(&node, vip);
  int64_t until = 0;
  if (!holds(node, vip) || excuse_of(node, vip, &until) != Excuse::None) return;
  bool whole = true;
  for (int v = 0; v < vips_count_; v++) {
    if (v == vip || !together(node, vip, v)) continue;
    whole = whole && node.addresses[static_cast<size_t>(v)].present;
    for (int o = 0; o < nodes_count_; o++) {
      const Node& other = nodes_[static_cast<size_t>(o)];
      if (o == n || !holds(other, v) || excuse_of(other, v, &until) != Excuse::None) continue;
      // An election by another cluster: ownership.cpp judges that, address by address.
      if (other.addresses[static_cast<size_t>(v)].cluster != node.used) continue;
      fail("groups", "n%d sets v%d, and n%d has v%d of the same group", n + 1, vip + 1, o + 1,
           v + 1);
    }
  }
  if (whole) tally_.count(Rule::GroupMovesIn);
}

void World::note_moving_in(Node* node, int vip) const {
  const uint8_t group = node->its_group[static_cast<size_t>(vip)];
  if (group == 0 || group == kNotThere) return;
  bool first = true;
  for (int v = 0; v < vips_count_; v++) {
    const bool other = v != vip && together(*node, vip, v);
    first = first && !(other && node->addresses[static_cast<size_t>(v)].present);
  }
  if (first) node->moves_in[group - 1U] = true;
}

// One that goes by the core's own will takes the others along, within the turn. One that somebody
// removed, that was set too late or that is configured otherwise may go alone.
void World::note_alone(Node* node, const vipd::Event& event) {
  const bool is_late = std::holds_alternative<vipd::event::AddressAdded>(event) && held_up(*node);
  const bool lost = std::holds_alternative<vipd::event::AddressLost>(event);
  const bool reconfigured = std::holds_alternative<vipd::event::Reconfigured>(event);
  if (is_late || lost || reconfigured) node->may_go_alone = true;
}

// A process that has just started hears first of what a former one left (daemon/network.cpp); here
// it may be stopped before.
bool World::knows_of(const Node& node, int vip) const {
  return std::none_of(node.inbox.begin(), node.inbox.end(), [&](const Mail& mail) {
    const auto* found = std::get_if<vipd::event::AddressFound>(&mail.event);
    return found != nullptr && found->address == vips_[static_cast<size_t>(vip)];
  });
}

void World::check_given_up(int n) {
  Node& node = nodes_[static_cast<size_t>(n)];
  const auto given_up = std::exchange(node.given_up, {});
  if (std::exchange(node.may_go_alone, false)) return;
  for (int v = 0; v < vips_count_; v++) {
    for (int u = 0; given_up[static_cast<size_t>(v)] && u < vips_count_; u++) {
      const KernelAddress& other = node.addresses[static_cast<size_t>(u)];
      if (u == v || !together(node, v, u) || !other.present || other.stuck) continue;
      if (!knows_of(node, u)) continue;
      fail("groups", "n%d has given up v%d, and keeps v%d of the same group", n + 1, v + 1, u + 1);
    }
  }
}

// A place in one queue is left with all others, when nothing of the group is on a link. One that
// was left before the VIP was of the group is left until it is gone: where etcd takes no writes,
// nobody knows what became of the first try.
void World::check_left_together(int n, int vip) {
  Node& node = nodes_[static_cast<size_t>(n)];
  vipd::Revision& left = node.left_alone[static_cast<size_t>(vip)];
  const vipd::Revision created = queued_since(node, vip);
  if (left != 0 && (created == left || created == 0)) return;
  bool alone = true;
  for (int v = 0; options_.groups && v < vips_count_; v++) {
    if (!together(node, vip, v)) continue;
    alone = alone && v == vip;
    if (!node.addresses[static_cast<size_t>(v)].present || !knows_of(node, v)) continue;
    fail("groups", "n%d leaves the queue of v%d, and has v%d of the same group", n + 1, vip + 1,
         v + 1);
  }
  left = alone ? created : 0;
}

// What nobody ends for its silence, only its lease: a foreign candidate, and a session that leaves
// no trace in etcd.
bool World::all_can_be_ended() const {
  std::set<vipd::LeaseId> traced;
  for (const Store::Stored& stored : store_.keys) {
    if (stored.entry.key.kind == vipd::KeyKind::Writes) traced.insert(stored.entry.key.lease);
  }
  return std::all_of(store_.keys.begin(), store_.keys.end(), [&](const Store::Stored& stored) {
    return stored.entry.key.kind != vipd::KeyKind::Candidate ||
           (stored.entry.value.valid && traced.contains(stored.entry.key.lease));
  });
}

// A turn is over. Who has a part of a group gets the rest soon, or lets go of it. It may last
// longer while the nodes disagree, etcd takes no writes, a kernel keeps what should go, or somebody
// else queues.
void World::check_parts(int n) {
  Node& node = nodes_[static_cast<size_t>(n)];
  if (!options_.groups || node.core == nullptr) return;
  check_given_up(n);
  const int64_t span = std::min(now_ - node.parts_at, kS);
  node.parts_at = now_;
  bool judged = all_agree() && !no_space_ && !options_.hold && all_can_be_ended();
  for (size_t v = 0; v < kMaxVips; v++) judged = judged && !node.addresses[v].stuck;
  for (uint8_t group = 1; group <= kMaxVips; group++) {
    int here = 0;
    int all = 0;
    for (size_t v = 0; v < static_cast<size_t>(vips_count_); v++) {
      if (node.its_group[v] != group) continue;
      all++;
      here += node.addresses[v].present ? 1 : 0;
    }
    int64_t& lasts = node.in_part[group - 1U];
    const bool in_part = here != 0 && here != all;
    if (in_part && lasts == 0) tally_.count(Rule::GroupInPart);
    lasts = in_part && judged ? lasts + span : 0;
    bool& moves_in = node.moves_in[group - 1U];
    moves_in = moves_in && in_part && judged;
    if (lasts <= (moves_in ? kMovingIn : kLongestPart + timeout_)) continue;
    fail("groups", "n%d has %d of the %d members of g%d for %.1f s", n + 1, here, all, group,
         static_cast<double>(lasts) / 1e9);
  }
}

// After the last fault.
void World::check_owned_whole() {
  if (!options_.groups || no_space_ || has_no_groups_ >= 0) return;
  for (int v = 1; v < vips_count_; v++) {
    for (int u = 0; u < v; u++) {
      const auto a = static_cast<size_t>(u);
      if (groups_[a] == 0 || groups_[a] != groups_[static_cast<size_t>(v)]) continue;
      const int one = only_owner(u);
      const int other = only_owner(v);
      if (one != other) {
        fail("groups", "n%d has v%d, n%d has v%d of the same group", one + 1, u + 1, other + 1,
             v + 1);
      }
      if (one >= 0 && one == other) tally_.count(Rule::GroupWhole);
    }
  }
}

}  // namespace sim
