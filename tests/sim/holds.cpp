// Outages of etcd that an owner may outlast: for all nodes or for some, aimed at an owner in whose
// term all others grant, since chance alone seldom gets there; and what goes wrong meanwhile.
// Chance has a source of its own here.
#include <algorithm>

#include "sim/world.hpp"

namespace sim {

namespace {

enum Strike : int {
  LanCut,
  LeaseRevoked,
  CandidateGone,
  GrantorKilled,
  GrantorBoots,
  GrantorStopped,
  Newcomer,
  OwnerKilled,
  OwnerStopped,
  OwnerStops,
  Back,
  kStrikes,
  TermChanges  // its txn is executed, and it never hears of it
};

}  // namespace

// Restored backups and second clusters are left out: whoever reaches one while no grantor does
// knows nothing of a mark (README.md, "Limits").
void World::draw_holds() {
  if (!options_.hold) return;
  for (Node& node : nodes_) node.hold = !hold_random_.one_in(12);
  uint32_t& restore = weights_[static_cast<size_t>(Fault::Restore)];
  weights_sum_ -= restore;
  restore = 0;
  strange_ = Strange::None;
  hold_gap_ = hold_random_.spread(5 * kS, 60 * kS);
  if (hold_random_.one_in(3)) return;
  // Whatever else goes wrong ends most of them before they begin.
  weights_.fill(0);
  weights_sum_ = 0;
  peer_weights_.fill(0);
  peer_weights_sum_ = 0;
  aimed_ = 0;
  outage_gap_ = 0;
}

void World::next_hold() {
  if (hold_gap_ == 0) return;
  post(now_ + hold_random_.below(2 * hold_gap_), Ev::HoldBegins, 0, 0, 0, round_);
}

void World::cut_off(int n, int64_t span) {
  const auto how = hold_random_.one_in(3) ? static_cast<uint8_t>(hold_random_.between(1, 4))
                                          : static_cast<uint8_t>(kCutRequests | kCutAnswers);
  for (int m = 0; m < members_count_; m++) cut(n, m, how);
  heal_after(Fault::CutAll, span, n);
}

// The owner, and of the others all, all grantors, or some.
void World::hold_begins() {
  next_hold();
  const int owner = holder(static_cast<int>(hold_random_.below(vips_count_)));
  if (owner < 0 || nodes_[static_cast<size_t>(owner)].core == nullptr) return;
  const vipd::LeaseId lease = nodes_[static_cast<size_t>(owner)].core->session();
  // Whoever has no mark must not hold on.
  const bool marked = store_.find({vipd::KeyKind::Hold, lease, {}}) != nullptr;
  if (!marked && !hold_random_.one_in(3)) return;
  tally_.count(Fault::HoldStruck);
  SAY(owner, "**** etcd is away, with it and others");
  const int64_t span = hold_random_.spread(timeout_ / 2, 8 * timeout_);
  const int64_t spares = hold_random_.below(3);
  for (int n = 0; n < nodes_count_; n++) {
    if (n != owner && spares != 0 && hold_random_.one_in(3)) continue;
    const bool together = hold_random_.one_in(2);
    cut_off(n, together ? span : span / 2 + hold_random_.below(span));
  }
  const int64_t strikes = hold_random_.below(5);
  for (int64_t i = 0; i < strikes; i++) {
    post(now_ + hold_random_.below(span + timeout_), Ev::HoldStrikes, owner,
         static_cast<int>(hold_random_.below(kStrikes)), 0, round_, static_cast<int64_t>(lease));
  }
}

// An owner enters, changes or leaves a term: etcd does it, and is away for the owner before that
// hears of it, and not for the others.
void World::aim_hold(int n, const vipd::Txn& txn) {
  if (!faults_on_ || hold_gap_ == 0) return;
  const vipd::LeaseId own = nodes_[static_cast<size_t>(n)].core->session();
  const bool changes = std::any_of(txn.success.begin(), txn.success.end(), [&](const auto& op) {
    return op.key.kind == vipd::KeyKind::Peers && op.key.lease == own;
  });
  if (!changes || !hold_random_.one_in(4)) return;
  post(now_, Ev::HoldStrikes, n, TermChanges, 0, round_, static_cast<int64_t>(own));
}

void World::strike_hold(const Item& item) {
  const int owner = item.node;
  int other = static_cast<int>(hold_random_.below(nodes_count_ - 1));
  other += other >= owner ? 1 : 0;
  Node& node = nodes_[static_cast<size_t>(other)];
  const auto lease = static_cast<vipd::LeaseId>(item.y);
  const int64_t span = hold_random_.spread(50 * kMs, 3 * timeout_);
  SAY(owner, "**** while etcd is away: %d, the other is n%d", item.a, other + 1);
  if (strike_holder(owner, item.a, span) || strike_grantor(other, item.a, span)) return;
  if (item.a == LanCut) {
    cut_from(owner, hold_random_.one_in(2) ? other : -1,
             static_cast<int>(hold_random_.between(1, 4)), kAllLinks);
    post(now_ + span, Ev::PeerHeals, owner, static_cast<int>(Fault::PeerCut));
  } else if (item.a == TermChanges) {
    tally_.count(Fault::HoldStruck);
    for (int m = 0; m < members_count_; m++) cut(owner, m, kCutAnswers);
    heal_after(Fault::CutAll, timeout_ + span, owner);
  } else if (item.a == LeaseRevoked) {
    if (!leaderless_ && store_.revoke(lease)) committed();
  } else if (item.a == CandidateGone) {
    const auto v = static_cast<size_t>(hold_random_.below(vips_count_));
    if (leaderless_) return;
    store_.erase({{vipd::KeyKind::Candidate, lease, vips_[v]}});
    committed();
  } else if (item.a == Back) {
    // Without a draw, so that kept seeds tell what they told.
    if (now_ % 2 == 0 && node.core != nullptr) return all_back(owner, other, lease);
    node.cut.fill(0);
    pump(other);
  }
}

bool World::strike_holder(int owner, int how, int64_t span) {
  Node& node = nodes_[static_cast<size_t>(owner)];
  if (how == OwnerKilled && node.core != nullptr) {
    end_process(owner);
    post(now_ + hold_random_.spread(kMs, 30 * kS), Ev::ProcessStarts, owner);
  } else if (how == OwnerStopped && node.core != nullptr && !node.stopped) {
    node.stopped = true;
    post(now_ + span, Ev::ProcessResumes, owner);
  } else if (how == OwnerStops && node.core != nullptr) {
    tell(owner, {.event = vipd::event::StopAsked{}});
  } else {
    return false;
  }
  return true;
}

bool World::strike_grantor(int other, int how, int64_t span) {
  Node& node = nodes_[static_cast<size_t>(other)];
  if (how == GrantorKilled && node.core != nullptr) {
    end_process(other);
    post(now_ + hold_random_.spread(kMs, 5 * kS), Ev::ProcessStarts, other);
  } else if (how == GrantorBoots) {
    crash_host(other, hold_random_.spread(100 * kMs, 20 * kS));
  } else if (how == GrantorStopped && node.core != nullptr && !node.stopped) {
    node.stopped = true;
    post(now_ + span, Ev::ProcessResumes, other);
  } else if (how == Newcomer) {
    node.cut.fill(0);
    pump(other);
    if (node.core == nullptr) return true;
    end_process(other);
    post(now_ + kMs, Ev::ProcessStarts, other);
  } else {
    return false;
  }
  return true;
}

// For all but the owner, whose session is gone; and one of them is another process by then, while
// what its former one granted has not run out.
void World::all_back(int owner, int other, vipd::LeaseId lease) {
  if (!leaderless_ && store_.revoke(lease)) committed();
  for (int n = 0; n < nodes_count_; n++) {
    if (n == owner) continue;
    nodes_[static_cast<size_t>(n)].cut.fill(0);
    pump(n);
  }
  end_process(other);
  post(now_ + hold_random_.below(200 * kMs), Ev::ProcessStarts, other);
}

// Where no grantor is left that could say so, a person does: of whoever is off indeed.
void World::take_marks() {
  if (faults_on_) return;
  post(now_ + 2 * kS, Ev::MarkTaken, 0);
  std::vector<vipd::Key> off;
  for (const Store::Stored& stored : store_.keys) {
    const vipd::Key& key = stored.entry.key;
    if (key.kind != vipd::KeyKind::Hold) continue;
    const bool has = std::any_of(nodes_.begin(), nodes_.end(), [&](const Node& node) {
      const bool lives = node.core != nullptr && node.core->session() == key.lease;
      return lives || std::any_of(node.addresses.begin(), node.addresses.end(),
                                  [&](const KernelAddress& address) {
                                    return address.present && address.session == key.lease;
                                  });
    });
    if (!has) off.push_back(key);
  }
  if (off.empty() || leaderless_ || cluster_down_) return;
  tally_.count(Rule::MarkTaken);
  SAY(-1, "a person says that %zu former owners are off", off.size());
  store_.erase(off);
  committed();
}

// Until when it may own: by what was echoed, or, while it holds on, as its fence says; lifetimes
// may go on for a session timeout behind that fence.
int64_t World::authority(const Node& node) const {
  if (!options_.hold || node.fence.missing || node.fence.deadline == INT64_MAX) {
    return node.deadline;
  }
  return std::max(node.deadline, node.fence.deadline + node.its_timeout);
}

}  // namespace sim
