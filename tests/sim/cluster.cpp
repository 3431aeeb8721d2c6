// etcd's members, the client's requests to them, and the watch.
#include <algorithm>

#include "sim/world.hpp"

namespace sim {

using vipd::LeaseId;
using vipd::Revision;

namespace {

constexpr int64_t kPatience = 7 * kS;     // of a member without a leader (notes, etcd)
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

// --- requests

// kNobody: no endpoint is known to be of our cluster.
uint8_t World::pick_member(Node* node, uint64_t group) {
  uint8_t member = node->member;
  for (int tries = 0; tries < members_count_ && !may_use(*node, member); tries++) {
    member = static_cast<uint8_t>((member + 1) % members_count_);
  }
  if (!may_use(*node, member)) return kNobody;
  if (group == 0) return member;
  const uint8_t best = member;
  for (int tries = 0; tries < members_count_; tries++) {
    const bool taken = std::any_of(calls_.begin(), calls_.end(), [&](const Call& c) {
      return c.references != 0 && !c.done && c.group == group && c.member == member &&
             &nodes_[c.node] == node;
    });
    if (!taken && may_use(*node, member)) return member;
    member = static_cast<uint8_t>((member + 1) % members_count_);
  }
  return best;
}

void World::send_call(int n, Call call) {
  Node& node = nodes_[static_cast<size_t>(n)];
  check_storm(n);
  call.node = static_cast<uint8_t>(n);
  call.incarnation = node.incarnation;
  call.member = pick_member(&node, call.group);
  call.sent = now_;
  call.shown = shown(node);
  call.references = 1;
  uint32_t slot = 0;
  if (free_calls_.empty()) {
    slot = static_cast<uint32_t>(calls_.size());
    calls_.push_back({});
  } else {
    slot = free_calls_.back();
    free_calls_.pop_back();
  }
  const uint8_t member = call.member;
  call.strange = member != kNobody && node.strange[member];
  calls_[slot] = std::move(call);
  // timing::request_timeout
  const int64_t limit = member == kNobody ? kMs : std::min(kS, node.its_timeout / 6);
  post(true_time_of(node, shown(node) + limit), Ev::CallTimedOut, n, 0, 0, slot);
  if (member == kNobody) return;
  if ((node.cut[member] & kCutRequests) != 0 || random_.per_million(node.loss)) {
    tally_.count(Rule::RequestLost);
    return;
  }
  calls_[slot].references++;
  const int64_t arrives = now_ + way(node) + random_.below(disk_) + members_[member].latency;
  post(arrives, Ev::CallArrives, n, 0, 0, slot, arrives);
  // libcurl repeats a POST whose reused connection died without an answer.
  if (random_.per_million(duplicate_)) {
    calls_[slot].references++;
    post(arrives + random_.spread(kMs, 2 * kS), Ev::CallArrives, n, 1, 0, slot, arrives);
  }
}

void World::release(uint32_t slot) {
  Call& call = calls_[slot];
  if (--call.references != 0) return;
  call.txn = {};
  call.entries.clear();
  free_calls_.push_back(slot);
}

void World::call_arrives(const Item& item) {
  const uint32_t slot = item.x;
  Call& call = calls_[slot];
  const Member& member = members_[call.member];
  if (call.strange) {
    execute(slot);
    return release(slot);
  }
  if (!member.up || cluster_down_) {
    call_answer(slot, true, 0);
    return release(slot);
  }
  if (serves(call.member)) {
    execute(slot);
    return release(slot);
  }
  const int64_t waited = now_ - item.y;
  if (!call.kept && !member.hung && (waited > kPatience || random_.one_in(200))) {
    call_answer(slot, true, 0);
    call.kept = outage_;
    if (!call.kept) return release(slot);
  }
  if (waited > (call.kept ? 120 * kS : 60 * kS)) return release(slot);
  const int64_t again = call.kept ? late_random_.between(100, 900) : random_.between(30, 90);
  post(now_ + again * kMs, Ev::CallArrives, item.node, item.a, 0, slot, item.y);
}

void World::execute(uint32_t slot) {
  Call& call = calls_[slot];
  bool refused = false;
  bool succeeded = false;
  std::vector<vipd::Entry> entries;
  Store& store = call.strange ? other_ : store_;
  const bool no_space = no_space_ && !call.strange;
  const Revision before = store.revision;
  switch (call.kind) {
    case Call::Kind::Txn: {
      call.no_space = no_space && Store::puts(call.txn);
      if ((refused = call.no_space)) {
        tally_.count(Rule::NoSpaceRefused);
      } else if ((refused = !store.txn(call.txn, &succeeded, &entries))) {
        tally_.count(Rule::TxnLeaseGone);
      } else {
        tally_.count(succeeded ? Rule::TxnCommitted : Rule::TxnRefused);
      }
      break;
    }
    case Call::Kind::Read:
      entries = store.everything();
      break;
    case Call::Kind::Grant:
      if ((call.no_space = refused = no_space)) {
        tally_.count(Rule::NoSpaceRefused);
        break;
      }
      call.lease = static_cast<LeaseId>(0x1000 + (++last_lease_ << 4) + random_.below(16));
      store.grant(call.lease, call.ttl, now_);
      post(now_ + call.ttl + random_.below(kS / 2), Ev::LeaseSweep, 0, 0, 0, 0,
           static_cast<int64_t>(call.lease));
      break;
    case Call::Kind::Revoke:
      (void)store.revoke(call.lease);
      break;
    case Call::Kind::Keep:
      if (Store::Lease* lease = store.lease(call.lease)) {
        lease->expires = now_ + lease->ttl;
        succeeded = true;
      }
      break;
  }
  const bool granted = call.kind == Call::Kind::Grant && !refused;
  const bool effect = store.revision != before || granted;
  if (call.executed) tally_.count(effect ? Rule::RepeatExecuted : Rule::RepeatRefused);
  if (effect && call.kept) tally_.count(Rule::KeptExecuted);
  if (effect) {
    const Node& node = nodes_[call.node];
    if (call.incarnation != node.incarnation) {
      tally_.count(Rule::CommittedForDeadProcess);
    } else if (call.done) {
      tally_.count(Rule::CommittedAfterTimeout);
    }
  }
  call.executed = true;
  if (!call.answered) {
    call.succeeded = succeeded;
    call.entries = std::move(entries);
    call.header = store.header();
    // A member answers when it has applied.
    call_answer(slot, refused, call.strange ? 0 : members_[call.member].lag);
  }
  if (call.strange) return other_committed();
  committed();
}

void World::call_answer(uint32_t slot, bool failed, int64_t extra) {
  Call& call = calls_[slot];
  if (call.answered) return;
  Node& node = nodes_[call.node];
  if ((node.cut[call.member] & kCutAnswers) != 0 || random_.per_million(node.loss) ||
      random_.per_million(duplicate_ / 2)) {
    tally_.count(call.executed && call.kind == Call::Kind::Txn && call.succeeded
                     ? Rule::CommittedAnswerLost
                     : Rule::AnswerLost);
    return;
  }
  call.answered = true;
  call.failed = failed;
  call.references++;
  post(now_ + way(node) + extra, Ev::CallAnswered, call.node, 0, 0, slot);
}

void World::call_answered(const Item& item) {
  Call& call = calls_[item.x];
  if (call.done || call.incarnation != nodes_[call.node].incarnation) return release(item.x);
  tell(call.node, {.kind = Mail::Kind::Answer, .source = 2, .slot = item.x});
}

void World::call_timed_out(const Item& item) {
  Call& call = calls_[item.x];
  if (call.done || call.incarnation != nodes_[call.node].incarnation) return release(item.x);
  tell(call.node, {.kind = Mail::Kind::Timeout, .source = 2, .slot = item.x});
}

// The client hears of a request, once.
void World::deliver_call(int n, uint32_t slot, bool timed_out) {
  Call& call = calls_[slot];
  Node& node = nodes_[static_cast<size_t>(n)];
  if (call.done || call.incarnation != node.incarnation) return release(slot);
  call.done = true;
  const bool failed = timed_out || call.failed;
  const char* why = timed_out       ? "timed out"
                    : call.no_space ? "etcdserver: mvcc: database space exceeded"
                                    : "refused";
  if (failed) {
    tally_.count(Rule::RequestTimedOut);
    if (call.member == node.member) {
      node.member = static_cast<uint8_t>(random_.below(members_count_));
    }
  }
  const vipd::RequestId request = call.request;
  const vipd::LeaseId lease = call.lease;
  const Call::Kind kind = call.kind;
  const bool succeeded = call.succeeded;
  const bool no_space = call.no_space && !timed_out;
  const int64_t shown = call.shown;
  const vipd::Header header = call.header;
  const uint8_t member = call.member;
  std::vector<vipd::Entry> entries = std::move(call.entries);
  if (broken(Broken::Chain) && kind == Call::Kind::Txn && !entries.empty()) {
    entries.front().value.nonce ^= 1;
  }
  release(slot);
  const uint32_t incarnation = node.incarnation;
  if (!failed) header_heard(n, member, header);
  if (node.incarnation != incarnation || node.core == nullptr) return;
  if (kind == Call::Kind::Keep) {
    if (failed || header.cluster_id != node.used) return;
    return feed_next(n, vipd::event::LeaseKept{.lease = lease, .alive = succeeded});
  }
  if (failed) {
    return feed_next(
        n, vipd::event::RequestFailed{.request = request, .reason = why, .no_space = no_space});
  }
  switch (kind) {
    case Call::Kind::Txn:
      return feed_next(n, vipd::event::TxnAnswered{.request = request,
                                                   .header = header,
                                                   .succeeded = succeeded,
                                                   .entries = std::move(entries)});
    case Call::Kind::Read:
      note_read(n, shown, entries);
      return feed_next(n, vipd::event::PrefixRead{
                              .request = request, .header = header, .entries = std::move(entries)});
    case Call::Kind::Grant:
      return feed_next(
          n, vipd::event::LeaseGranted{.request = request, .header = header, .lease = lease});
    case Call::Kind::Revoke:
      return feed_next(n, vipd::event::LeaseRevoked{.request = request});
    case Call::Kind::Keep:
      return;
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
