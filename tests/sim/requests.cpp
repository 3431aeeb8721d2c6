// A client's requests to etcd: on their way, executed, answered or given up.
#include <algorithm>
#include <utility>
#include <variant>

#include "sim/world.hpp"

namespace sim {

using vipd::LeaseId;
using vipd::Revision;

namespace {

constexpr int64_t kPatience = 7 * kS;  // of a member without a leader (notes, etcd)

}  // namespace

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
    case Call::Kind::Txn:
      call.no_space = no_space && Store::puts(call.txn);
      refused = call.no_space || !store.txn(call.txn, &succeeded, &entries);
      tally_.count(call.no_space ? Rule::NoSpaceRefused
                   : refused     ? Rule::TxnLeaseGone
                   : succeeded   ? Rule::TxnCommitted
                                 : Rule::TxnRefused);
      break;
    case Call::Kind::Read:
      entries = store.everything();
      break;
    case Call::Kind::Grant:
      if ((call.no_space = refused = no_space)) {
        tally_.count(Rule::NoSpaceRefused);
      } else {
        grant_lease(&call, &store);
      }
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
  note_effect(call, effect);
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

void World::grant_lease(Call* call, Store* store) {
  call->lease = static_cast<LeaseId>(0x1000 + (++last_lease_ << 4) + random_.below(16));
  store->grant(call->lease, call->ttl, now_);
  post(now_ + call->ttl + random_.below(kS / 2), Ev::LeaseSweep, 0, 0, 0, 0,
       static_cast<int64_t>(call->lease));
}

void World::note_effect(const Call& call, bool effect) {
  if (call.executed) tally_.count(effect ? Rule::RepeatExecuted : Rule::RepeatRefused);
  if (!effect) return;
  if (call.kept) tally_.count(Rule::KeptExecuted);
  if (call.incarnation != nodes_[call.node].incarnation) {
    tally_.count(Rule::CommittedForDeadProcess);
  } else if (call.done) {
    tally_.count(Rule::CommittedAfterTimeout);
  }
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
  if (failed) {
    tally_.count(Rule::RequestTimedOut);
    if (call.member == node.member) {
      node.member = static_cast<uint8_t>(random_.below(members_count_));
    }
  }
  if (broken(Broken::Chain) && call.kind == Call::Kind::Txn && !call.entries.empty()) {
    call.entries.front().value.nonce ^= 1;
  }
  const Call::Kind kind = call.kind;
  const int64_t shown = call.shown;
  const vipd::Header header = call.header;
  const uint8_t member = call.member;
  const vipd::Event event = event_of(&call, timed_out);
  release(slot);
  const uint32_t incarnation = node.incarnation;
  if (!failed) header_heard(n, member, header);
  if (node.incarnation != incarnation || node.core == nullptr) return;
  if (kind == Call::Kind::Keep && (failed || header.cluster_id != node.used)) return;
  if (const auto* read = std::get_if<vipd::event::PrefixRead>(&event)) {
    note_read(n, shown, read->entries);
  }
  feed_next(n, event);
}

// What becomes of a request, as its process is told. Takes the entries out of the call.
vipd::Event World::event_of(Call* call, bool timed_out) {
  const vipd::RequestId request = call->request;
  if (call->kind == Call::Kind::Keep) {
    return vipd::event::LeaseKept{.lease = call->lease, .alive = call->succeeded};
  }
  if (timed_out || call->failed) {
    const char* why = timed_out        ? "timed out"
                      : call->no_space ? "etcdserver: mvcc: database space exceeded"
                                       : "refused";
    return vipd::event::RequestFailed{
        .request = request, .reason = why, .no_space = call->no_space && !timed_out};
  }
  switch (call->kind) {
    case Call::Kind::Txn:
      return vipd::event::TxnAnswered{.request = request,
                                      .header = call->header,
                                      .succeeded = call->succeeded,
                                      .entries = std::move(call->entries)};
    case Call::Kind::Read:
      return vipd::event::PrefixRead{
          .request = request, .header = call->header, .entries = std::move(call->entries)};
    case Call::Kind::Grant:
      return vipd::event::LeaseGranted{
          .request = request, .header = call->header, .lease = call->lease};
    case Call::Kind::Revoke:
    case Call::Kind::Keep:
      break;
  }
  return vipd::event::LeaseRevoked{.request = request};
}

}  // namespace sim
