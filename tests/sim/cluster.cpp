// etcd's members, its leases, and the watch.
#include <algorithm>

#include "sim/world.hpp"

namespace sim {

using vipd::LeaseId;
using vipd::Revision;

namespace {

constexpr int64_t kUserTimeout = 3 * kS;  // TCP gives a silent watch up
constexpr int64_t kElectionTimeout = 1 * kS;

}  // namespace

bool World::quorum() const {
  int alive = 0;
  for (int m = 0; m < members_count_; m++) {
    const Member& member = members_[static_cast<size_t>(m)];
    if (member.up && !member.hung && !member.isolated) alive++;
  }
  return alive * 2 > members_count_;
}

bool World::serves(int m) const {
  const Member& member = members_[static_cast<size_t>(m)];
  return member.up && !member.hung && !member.isolated && !leaderless_ && !cluster_down_ &&
         quorum();
}

int64_t World::way(const Node& node) {
  int64_t span = base_way_ + random_.below(base_way_);
  if (node.slow != 0) span += random_.spread(kMs, node.slow);
  return span;
}

// --- what was agreed on reaches the members and their watchers

void World::committed() {
  if (noted_ == store_.revision) return;
  observe_commit(noted_);
  noted_ = store_.revision;
  for (int m = 0; m < members_count_; m++) {
    Member& member = members_[static_cast<size_t>(m)];
    if (!member.up || member.hung || member.isolated) continue;
    if (member.lag == 0) {
      apply_at(m, store_.revision);
    } else {
      post(now_ + member.lag, Ev::MemberApplies, 0, m, 0, 0, store_.revision);
    }
  }
}

void World::apply_at(int m, Revision revision) {
  Member& member = members_[static_cast<size_t>(m)];
  if (!member.up || member.hung || member.isolated || revision > store_.revision) return;
  member.applied = std::max(member.applied, revision);
  for (int n = 0; n < nodes_count_; n++) {
    if (nodes_[static_cast<size_t>(n)].watch.member == m) pump(n);
  }
}

void World::observe_commit(Revision before) {
  for (auto commit = store_.history.rbegin(); commit != store_.history.rend(); ++commit) {
    if (commit->revision <= before) break;
    note_changes(*commit);
  }
}

// Whoever ends the session of another is not the process that the session names.
bool World::ended_by_others(const Store::Commit& commit) {
  return std::any_of(commit.changes.begin(), commit.changes.end(), [](const vipd::Change& change) {
    return !change.deleted && change.entry.key.kind == vipd::KeyKind::Session &&
           change.entry.value.released && change.entry.value.incarnation == 0;
  });
}

void World::note_changes(const Store::Commit& commit) {
  for (const vipd::Change& change : commit.changes) {
    SAY(-1, "      etcd r%lld: %s", static_cast<long long>(commit.revision),
        describe(change).c_str());
    if (change.entry.value.held) tally_.count(Rule::ReleasedHeld);
    const bool ends = change.deleted && change.entry.key.kind == vipd::KeyKind::Peers;
    if (ends && ended_by_others(commit)) tally_.count(Rule::EndedByPeers);
    if (!change.deleted || change.entry.key.kind != vipd::KeyKind::Candidate) continue;
    const bool clean =
        std::any_of(commit.changes.begin(), commit.changes.end(), [&](const vipd::Change& other) {
          return !other.deleted && other.entry.key.kind == vipd::KeyKind::Session &&
                 other.entry.key.lease == change.entry.key.lease && other.entry.value.released;
        });
    tally_.count(clean ? Rule::HeadWentClean : Rule::HeadWentUnclean);
  }
}

// --- the watch

void World::open_watch(int n, const vipd::action::OpenWatch& wanted) {
  Node& node = nodes_[static_cast<size_t>(n)];
  uint8_t member = node.member;
  if (wanted.avoid_current && members_count_ > 1) {
    member = static_cast<uint8_t>((node.watch.member + 1 + random_.below(members_count_ - 1)) %
                                  members_count_);
  }
  for (int tries = 0; tries < members_count_ && !may_use(node, member); tries++) {
    member = static_cast<uint8_t>((member + 1) % members_count_);
  }
  tally_.count(Rule::WatchOpened);
  check_storm(n);
  node.watch = {.id = ++last_watch_,
                .strange = node.strange[member],
                .member = member,
                .next = wanted.from,
                .sent = wanted.from - 1};
  const uint32_t id = node.watch.id;
  const int64_t limit = std::min(kS, node.its_timeout / 6);
  post(true_time_of(node, shown(node) + limit), Ev::WatchEnds, n, 1, 0, id);
  if ((node.cut[member] & kCutRequests) != 0 || !may_use(node, member)) return;
  post(now_ + way(node), Ev::WatchArrives, n, 0, 0, id);
}

void World::watch_arrives(const Item& item) {
  Node& node = nodes_[item.node];
  Watch& watch = node.watch;
  if (watch.id != item.x) return;
  const Member& member = members_[watch.member];
  if (member.hung && !watch.strange) {
    post(now_ + 100 * kMs, Ev::WatchArrives, item.node, 0, 0, item.x);
    return;
  }
  const int64_t back = now_ + way(node);
  if ((node.cut[watch.member] & kCutAnswers) != 0) return;
  const bool is_away = !watch.strange && (!member.up || cluster_down_);
  if (is_away) return post(back, Ev::WatchEnds, item.node, 0, 0, item.x);
  watch.open = true;
  watch.last_at = back;
  post(back, Ev::WatchCreated, item.node, 0, 0, item.x, shown_by(watch));
  if (watch.next <= store_of(watch).compacted) {
    watch.open = false;
    return post(back + 1, Ev::WatchEnds, item.node, 2, 0, item.x);
  }
  pump(item.node);
}

void World::watch_created(const Item& item) {
  Watch& watch = nodes_[item.node].watch;
  if (watch.id != item.x) return;
  watch.created = true;
  const vipd::event::WatchCreated event{{store_of(watch).cluster_id, item.y}};
  tell(item.node, {.source = 1, .slot = item.x, .event = event});
}

void World::pump(int n) {
  Node& node = nodes_[static_cast<size_t>(n)];
  Watch& watch = node.watch;
  const Member& member = members_[watch.member];
  if (watch.id == 0 || !watch.open || watch.sent >= shown_by(watch)) return;
  if (!watch.strange && (!member.up || member.hung)) return;
  if ((node.cut[watch.member] & kCutAnswers) != 0) return;
  if (broken(Broken::Liveness)) return;
  watch.last_at = std::max(watch.last_at, now_ + way(node));
  watch.sent = shown_by(watch);
  post(watch.last_at, Ev::WatchDelivers, n, 0, static_cast<int>(restores_ & 0xff), watch.id,
       watch.sent);
}

void World::watch_delivers(const Item& item) {
  Watch& watch = nodes_[item.node].watch;
  if (watch.id != item.x || item.y < watch.next || item.b != (restores_ & 0xff)) return;
  vipd::event::WatchAdvanced event;
  const Store& store = store_of(watch);
  auto commit = std::lower_bound(
      store.history.begin(), store.history.end(), watch.next,
      [](const Store::Commit& c, Revision revision) { return c.revision < revision; });
  int batch = 0;
  for (; commit != store.history.end() && commit->revision <= item.y; ++commit) {
    event.changes.insert(event.changes.end(), commit->changes.begin(), commit->changes.end());
    event.header.revision = commit->revision;
    batch++;
  }
  watch.next = item.y + 1;
  event.header.cluster_id = store.cluster_id;
  if (batch > 1) tally_.count(Rule::WatchBatch);
  if (event.changes.empty()) {
    if (!random_.one_in(20)) return;
    event.header.revision = item.y;
  }
  tell(item.node, {.source = 1, .slot = item.x, .event = std::move(event)});
}

// a: 0 the connection is gone, 1 never confirmed, 2 compacted, 3 cut for too long
void World::watch_ends(const Item& item) {
  Node& node = nodes_[item.node];
  Watch& watch = node.watch;
  if (watch.id != item.x) return;
  if (item.a == 1 && watch.created) return;
  if (item.a == 3 && (node.cut[watch.member] & kCutAnswers) == 0) return pump(item.node);
  tally_.count(item.a == 2 ? Rule::WatchEndedCompacted : Rule::WatchEnded);
  watch.open = false;
  const vipd::event::WatchEnded event{.compacted = item.a == 2, .reason = "ended"};
  tell(item.node, {.source = 1, .slot = item.x, .event = event});
}

void World::end_watches_of(int member, int64_t within) {
  for (int n = 0; n < nodes_count_; n++) {
    const Watch& watch = nodes_[static_cast<size_t>(n)].watch;
    if (watch.id == 0 || watch.member != member || watch.strange) continue;
    nodes_[static_cast<size_t>(n)].watch.open = false;
    const int64_t at = now_ + (random_.one_in(3) ? kUserTimeout : random_.between(kMs, within));
    post(std::max(at, watch.last_at + 1), Ev::WatchEnds, n, 0, 0, watch.id);
  }
}

// --- leases and leaders

void World::lease_sweep(LeaseId id) {
  const Store::Lease* lease = store_.lease(id);
  if (lease == nullptr) return;
  if (lease->expires > now_ || leaderless_ || !quorum() || cluster_down_) {
    const int64_t at = std::max(lease->expires, now_ + kS / 2) + random_.below(kS / 2);
    return post(at, Ev::LeaseSweep, 0, 0, 0, 0, static_cast<int64_t>(id));
  }
  SAY(-1, "etcd: lease %s expires", vipd::lease_hex(id).c_str());
  tally_.count(Rule::LeaseExpired);
  (void)store_.revoke(id);
  committed();
}

void World::lose_leader(int64_t span) {
  leaderless_ = true;
  post(now_ + span, Ev::Elected, 0, 0, 0, ++election_);
}

// The new leader knows nothing of what was left of the leases: all begin anew.
void World::elected(uint32_t generation) {
  if (generation != election_) return;
  if (!quorum() || cluster_down_) return post(now_ + kS / 2, Ev::Elected, 0, 0, 0, generation);
  leaderless_ = false;
  do {
    leader_ = static_cast<int>(random_.below(members_count_));
  } while (!serves(leader_));
  for (Store::Lease& lease : store_.leases) lease.expires = now_ + lease.ttl + kElectionTimeout;
  tally_.count(Rule::LeaseExtended);
  SAY(-1, "etcd: member %d leads", leader_ + 1);
}

}  // namespace sim
