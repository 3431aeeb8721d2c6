#include "sim/store.hpp"

#include <algorithm>

namespace sim {

using vipd::Change;
using vipd::Compare;
using vipd::Entry;
using vipd::Key;
using vipd::LeaseId;
using vipd::Op;
using vipd::Revision;
using vipd::Txn;
using vipd::Value;

namespace {

// Compaction is a number: what was sent before it may still be on its way.
constexpr size_t kHistory = 20'000;

// etcd, server/etcdserver/api/v3rpc/key.go: "duplicate key given in txn request".
bool contradicts_itself(const std::vector<Op>& ops) {
  return std::any_of(ops.begin(), ops.end(), [&](const Op& put) {
    return put.kind == Op::Kind::Put && std::any_of(ops.begin(), ops.end(), [&](const Op& other) {
             return &other != &put && other.kind != Op::Kind::Range && other.key == put.key;
           });
  });
}

}  // namespace

size_t Store::place(const Key& key) const {
  const auto at = std::lower_bound(keys.begin(), keys.end(), key,
                                   [](const Stored& s, const Key& k) { return s.entry.key < k; });
  return static_cast<size_t>(at - keys.begin());
}

const Store::Stored* Store::find(const Key& key) const {
  const size_t at = place(key);
  return at < keys.size() && keys[at].entry.key == key ? &keys[at] : nullptr;
}

Store::Lease* Store::lease(LeaseId id) {
  for (Lease& lease : leases) {
    if (lease.id == id) return &lease;
  }
  return nullptr;
}

bool Store::holds(const Compare& compare) const {
  const Stored* found = find(compare.key);
  switch (compare.kind) {
    case Compare::Kind::ModifiedIs:
      return (found == nullptr ? 0 : found->entry.modified) == compare.revision;
    case Compare::Kind::CreatedIs:
      return (found == nullptr ? 0 : found->entry.created) == compare.revision;
    case Compare::Kind::Absent:
      return found == nullptr;
    case Compare::Kind::Exists:
      return found != nullptr;
  }
  return false;
}

void Store::put_at(const Key& key, const Value& value, LeaseId lease, Commit* commit) {
  const size_t at = place(key);
  const bool there = at < keys.size() && keys[at].entry.key == key;
  if (!there) {
    keys.insert(keys.begin() + static_cast<ptrdiff_t>(at), Stored{});
    keys[at].entry.created = commit->revision;
  }
  keys[at].entry.key = key;
  keys[at].entry.value = value;
  keys[at].entry.modified = commit->revision;
  keys[at].lease = lease;
  commit->changes.push_back({.deleted = false, .entry = keys[at].entry});
}

void Store::erase_at(const Key& key, Commit* commit) {
  const size_t at = place(key);
  if (at == keys.size() || keys[at].entry.key != key) return;
  keys.erase(keys.begin() + static_cast<ptrdiff_t>(at));
  Change change{.deleted = true};
  change.entry.key = key;
  change.entry.modified = commit->revision;
  commit->changes.push_back(std::move(change));
}

void Store::finish(Commit commit) {
  if (commit.changes.empty()) return;
  revision = commit.revision;
  history.push_back(std::move(commit));
  if (history.size() <= kHistory) return;
  compacted = std::max(compacted, history.front().revision);
  history.pop_front();
}

bool Store::txn(const Txn& txn, bool* succeeded, std::vector<Entry>* out) {
  *succeeded = std::all_of(txn.compares.begin(), txn.compares.end(),
                           [this](const Compare& c) { return holds(c); });
  const std::vector<Op>& ops = *succeeded ? txn.success : txn.failure;
  for (const Op& op : ops) {
    const bool attached = op.kind == Op::Kind::Put && op.key.kind != vipd::KeyKind::Hold;
    if (attached && lease(op.key.lease) == nullptr) return false;
  }
  if (contradicts_itself(ops)) return false;
  Commit commit{.revision = revision + 1};
  for (const Op& op : ops) {
    switch (op.kind) {
      case Op::Kind::Put:
        put_at(op.key, op.value, op.key.kind == vipd::KeyKind::Hold ? LeaseId::None : op.key.lease,
               &commit);
        break;
      case Op::Kind::Delete:
        erase_at(op.key, &commit);
        break;
      case Op::Kind::Range:
        if (const Stored* found = find(op.key)) out->push_back(found->entry);
        break;
    }
  }
  finish(std::move(commit));
  return true;
}

bool Store::puts(const Txn& txn) {
  const auto is_put = [](const Op& op) { return op.kind == Op::Kind::Put; };
  return std::any_of(txn.success.begin(), txn.success.end(), is_put) ||
         std::any_of(txn.failure.begin(), txn.failure.end(), is_put);
}

std::vector<Entry> Store::everything() const {
  std::vector<Entry> all;
  all.reserve(keys.size());
  for (const Stored& stored : keys) all.push_back(stored.entry);
  return all;
}

void Store::grant(LeaseId id, int64_t ttl, int64_t now) {
  leases.push_back({.id = id, .ttl = ttl, .expires = now + ttl});
}

bool Store::revoke(LeaseId id) {
  if (std::erase_if(leases, [id](const Lease& l) { return l.id == id; }) == 0) return false;
  Commit commit{.revision = revision + 1};
  std::vector<Key> attached;
  for (const Stored& stored : keys) {
    if (stored.lease == id) attached.push_back(stored.entry.key);
  }
  for (const Key& key : attached) erase_at(key, &commit);
  finish(std::move(commit));
  return true;
}

bool Store::was_deleted(const vipd::Key& key) const {
  return std::any_of(history.begin(), history.end(), [&](const Commit& commit) {
    return std::any_of(commit.changes.begin(), commit.changes.end(), [&](const Change& change) {
      return change.deleted && change.entry.key == key;
    });
  });
}

void Store::erase(const std::vector<Key>& gone) {
  Commit commit{.revision = revision + 1};
  for (const Key& key : gone) erase_at(key, &commit);
  finish(std::move(commit));
}

void Store::put(const Key& key, const Value& value, LeaseId lease) {
  Commit commit{.revision = revision + 1};
  put_at(key, value, lease, &commit);
  finish(std::move(commit));
}

void Store::compact(Revision upto) {
  compacted = std::max(compacted, std::min(upto, revision));
}

}  // namespace sim
