#include "core/chain.hpp"

#include <algorithm>
#include <cassert>

namespace vipd {

void Chain::open(LeaseId lease, Identity identity) {
  assert(lease != LeaseId::None);
  *this = Chain();
  lease_ = lease;
  identity_ = std::move(identity);
}

void Chain::adopt(const Entry& key, Identity identity) {
  assert(key.key.kind == KeyKind::Session && key.modified > 0);
  open(key.key.lease, std::move(identity));
  end_ = key.modified;
  end_nonce_ = key.value.nonce;
}

void Chain::close() {
  *this = Chain();
}

void Chain::slept() {
  deadline_ = last_sent_ = MonoTime::long_ago();  // the next heartbeat is due at once
  for (Attempt& attempt : attempts_) attempt.counts = false;
  for (Unechoed& heartbeat : unechoed_) heartbeat.counts = false;
}

MonoTime Chain::echo_missing_since() const {
  return unechoed_.empty() ? MonoTime::never() : unechoed_.front().known_since;
}

Txn Chain::txn_of(const Attempt& attempt) const {
  const Link& link = attempt.link;
  Txn txn;
  const Key session = session_key();
  txn.compares.push_back(
      end_ == 0 ? Compare{.kind = Compare::Kind::Absent, .key = session}
                : Compare{.kind = Compare::Kind::ModifiedIs, .key = session, .revision = end_});
  txn.success.push_back({.kind = Op::Kind::Put, .key = session, .value = value_of(attempt)});
  if (link.put_writes) {
    txn.success.push_back({.kind = Op::Kind::Put, .key = {KeyKind::Writes, lease_, {}}});
  }
  add_term(link, &txn);
  Value candidate;
  candidate.valid = true;
  candidate.node = identity_.node;
  for (const auto& [vip, priority] : link.join) {
    const Key key{KeyKind::Candidate, lease_, vip};
    candidate.priority = priority;
    txn.success.push_back({.kind = Op::Kind::Put, .key = key, .value = candidate});
  }
  for (const Address& vip : link.leave) {
    const Key key{KeyKind::Candidate, lease_, vip};
    txn.success.push_back({.kind = Op::Kind::Delete, .key = key});
  }
  txn.failure.push_back({.kind = Op::Kind::Range, .key = session});
  return txn;
}

Value Chain::value_of(const Attempt& attempt) const {
  Value value;
  value.valid = true;
  value.node = identity_.node;
  value.instance = identity_.instance;
  value.timeout = attempt.timeout;
  value.nonce = attempt.nonce;
  value.released = !attempt.link.leave.empty();
  value.held = attempt.link.held;
  value.incarnation = identity_.incarnation;
  value.seen = attempt.link.seen;
  value.honours = true;
  value.host = attempt.link.host;
  return value;
}

void Chain::add_term(const Link& link, Txn* txn) const {
  const Key peers{KeyKind::Peers, lease_, {}};
  const Key hold{KeyKind::Hold, lease_, {}};
  if (link.enter) {
    assert(link.enter->valid() && !link.leave_term);
    Value term;
    term.valid = true;
    term.peers = *link.enter;
    txn->success.push_back({.kind = Op::Kind::Put, .key = peers, .value = term});
    term.node = identity_.node;
    term.incarnation = identity_.incarnation;
    term.host = link.host;
    if (link.mark) txn->success.push_back({.kind = Op::Kind::Put, .key = hold, .value = term});
  }
  if (link.leave_term) txn->success.push_back({.kind = Op::Kind::Delete, .key = peers});
  const bool ends = link.leave_term || (link.enter && !link.mark);
  if (ends && link.unmark) txn->success.push_back({.kind = Op::Kind::Delete, .key = hold});
}

Txn Chain::attempt(MonoTime now, RequestId request, uint64_t nonce, Link link) {
  assert(lease_ != LeaseId::None && nonce != 0 && link.size() <= kMaxLinkSize && !full());
  assert(!link.held || !link.leave.empty());
  attempts_.push_back({.request = request,
                       .nonce = nonce,
                       .sent = now,
                       .timeout = identity_.timeout,
                       .link = std::move(link)});
  last_sent_ = last_tried_ = now;
  tries_++;
  return txn_of(attempts_.back());
}

Txn Chain::again(MonoTime now, RequestId request) {
  assert(busy());
  attempts_.back().request = request;
  attempts_.back().failed = false;
  last_tried_ = now;
  tries_++;
  return txn_of(attempts_.back());
}

bool Chain::owns(RequestId request) const {
  return std::any_of(attempts_.begin(), attempts_.end(),
                     [&](const Attempt& a) { return a.request == request; });
}

Chain::Outcome Chain::commit(MonoTime now, size_t index, Revision revision) {
  assert(index < attempts_.size() && revision > end_);
  Attempt won = std::move(attempts_[index]);
  attempts_.erase(attempts_.begin() + static_cast<ptrdiff_t>(index));
  Outcome outcome{.kind = Outcome::Kind::Committed, .revision = revision};
  attempts_.clear();
  tries_ = 0;
  end_ = revision;
  live_ = true;
  end_nonce_ = won.nonce;
  unechoed_.push_back({.nonce = won.nonce,
                       .revision = revision,
                       .sent = won.sent,
                       .timeout = won.timeout,
                       .known_since = now,
                       .counts = won.counts});
  outcome.link = std::move(won.link);
  return outcome;
}

// Our session key is not at the end that we know: the writer was one of our own attempts, or
// somebody else.
Chain::Outcome Chain::judge(MonoTime now, const Entry& entry) {
  for (size_t i = 0; i < attempts_.size(); i++) {
    if (attempts_[i].nonce == entry.value.nonce && entry.modified > end_) {
      return commit(now, i, entry.modified);
    }
  }
  // As whoever takes over leaves it; what we released ourselves is one of our attempts.
  if (entry.value.released) {
    return {.kind = Outcome::Kind::Fenced,
            .why = "another node ended it, because it heard nothing from this one"};
  }
  return {.kind = Outcome::Kind::Fenced, .why = "the session key was written by another process"};
}

Chain::Outcome Chain::answered(MonoTime now, const event::TxnAnswered& answer) {
  const auto found = std::find_if(attempts_.begin(), attempts_.end(),
                                  [&](const Attempt& a) { return a.request == answer.request; });
  if (found == attempts_.end()) return {};  // an attempt at an older end: it is settled already
  if (answer.succeeded) {
    if (answer.header.revision <= end_) return {};  // no revision can be older than its comparison
    return commit(now, static_cast<size_t>(found - attempts_.begin()), answer.header.revision);
  }
  if (answer.entries.empty()) {
    return {.kind = Outcome::Kind::Fenced, .why = "the session key is gone", .key_gone = true};
  }
  return judge(now, answer.entries.front());
}

void Chain::failed(MonoTime now, RequestId request) {
  for (Attempt& attempt : attempts_) {
    if (attempt.request != request) continue;
    attempt.failed = true;
    attempt.failed_at = now;
  }
}

// [safety] Only here does a heartbeat begin to count, and from before it was sent: once our own
// watch shows it, everything that was committed before it has been seen.
// An attempt that was sent again counts from its first send: it takes no authority away that a
// later heartbeat has brought.
void Chain::echo(const Unechoed& heartbeat) {
  const MonoTime deadline = heartbeat.sent + heartbeat.timeout;
  if (deadline <= deadline_) return;
  deadline_ = deadline;
  by_read_ = false;
}

// [safety] Without its `writes` key nobody takes this session for dead, however silent it is.
Chain::Outcome Chain::read(MonoTime now, MonoTime sent, const Entry* entry, Revision revision,
                           bool writes) {
  if (revision < end_) return {};
  if (entry == nullptr) {
    return {.kind = Outcome::Kind::Fenced, .why = "the session key is gone", .key_gone = true};
  }
  if (entry->modified != end_ || entry->value.nonce != end_nonce_) return judge(now, *entry);
  if (writes || sent + identity_.timeout <= deadline_) return {};
  deadline_ = sent + identity_.timeout;
  by_read_ = true;
  return {};
}

Chain::Outcome Chain::seen(MonoTime now, const Change& change, bool* echoed) {
  if (change.deleted) {
    return {.kind = Outcome::Kind::Fenced, .why = "the session key was deleted", .key_gone = true};
  }
  Outcome outcome;
  const auto is_this = [&](const Unechoed& u) { return u.nonce == change.entry.value.nonce; };
  auto found = std::find_if(unechoed_.begin(), unechoed_.end(), is_this);
  if (found == unechoed_.end()) {
    outcome = judge(now, change.entry);
    if (outcome.kind == Outcome::Kind::Fenced) return outcome;
    found = std::find_if(unechoed_.begin(), unechoed_.end(), is_this);
  }
  assert(found != unechoed_.end());
  if (found->counts) echo(*found);
  *echoed = found->counts;
  unechoed_.erase(unechoed_.begin(), found + 1);
  return outcome;
}

Chain::Outcome Chain::found(MonoTime now, const Entry* entry, Revision snapshot) {
  // What the snapshot covers will never be echoed.
  std::erase_if(unechoed_, [&](const Unechoed& u) { return u.revision <= snapshot; });
  if (snapshot < end_) return {};  // it was read before our last link was answered
  if (entry == nullptr) {
    if (end_ == 0) return {};  // not put yet
    return {.kind = Outcome::Kind::Fenced, .why = "the session key is gone", .key_gone = true};
  }
  if (entry->modified == end_ && entry->value.nonce == end_nonce_) return {};
  Outcome outcome = judge(now, *entry);
  std::erase_if(unechoed_, [&](const Unechoed& u) { return u.revision <= snapshot; });
  return outcome;
}

}  // namespace vipd
