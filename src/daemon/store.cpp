#include "daemon/store.hpp"

#include "core/keys.hpp"

namespace vipd {

namespace {

etcd::Op::Kind kind_of(Op::Kind kind) {
  switch (kind) {
    case Op::Kind::Put:
      return etcd::Op::Kind::Put;
    case Op::Kind::Delete:
      return etcd::Op::Kind::Delete;
    case Op::Kind::Range:
      return etcd::Op::Kind::Range;
  }
  return etcd::Op::Kind::Range;
}

etcd::Compare compare_of(const Compare& compare, std::string key) {
  using Target = etcd::Compare::Target;
  using Result = etcd::Compare::Result;
  switch (compare.kind) {
    case Compare::Kind::CreatedIs:
      return {std::move(key), Target::Create, Result::Equal, compare.revision};
    case Compare::Kind::ModifiedIs:
      return {std::move(key), Target::Mod, Result::Equal, compare.revision};
    case Compare::Kind::Absent:
      return {std::move(key), Target::Create, Result::Equal, 0};
    case Compare::Kind::Exists:
      return {std::move(key), Target::Create, Result::Greater, 0};
  }
  return {};
}

}  // namespace

std::vector<etcd::Op> Store::ops(const std::vector<Op>& ops) const {
  std::vector<etcd::Op> out;
  for (const Op& op : ops) {
    etcd::Op raw;
    raw.kind = kind_of(op.kind);
    raw.key = encode_key(prefix_, op.key);
    if (op.kind == Op::Kind::Put) {
      raw.value = encode_value(op.key.kind, op.value);
      if (op.key.kind != KeyKind::Hold) raw.lease = static_cast<int64_t>(op.key.lease);
    }
    out.push_back(std::move(raw));
  }
  return out;
}

etcd::Txn Store::request(const Txn& txn) const {
  etcd::Txn raw;
  for (const Compare& compare : txn.compares) {
    raw.compares.push_back(compare_of(compare, encode_key(prefix_, compare.key)));
  }
  raw.success = ops(txn.success);
  raw.failure = ops(txn.failure);
  return raw;
}

Header Store::header(const etcd::Header& header) {
  return {.cluster_id = header.cluster_id, .revision = header.revision};
}

bool Store::decode(const etcd::KeyValue& kv, Entry* entry) const {
  const std::optional<Key> key = decode_key(prefix_, kv.key);
  if (!key) return false;
  entry->key = *key;
  entry->value = decode_value(key->kind, kv.value);
  entry->created = kv.create_revision;
  entry->modified = kv.mod_revision;
  return true;
}

std::vector<Entry> Store::entries(const std::vector<etcd::KeyValue>& kvs) const {
  std::vector<Entry> out;
  out.reserve(kvs.size());
  for (const etcd::KeyValue& kv : kvs) decode(kv, &out);
  return out;
}

void Store::decode(const etcd::KeyValue& kv, std::vector<Entry>* entries) const {
  if (!decode(kv, &entries->emplace_back())) entries->pop_back();
}

std::vector<Change> Store::changes(const std::vector<etcd::WatchEvent>& events) const {
  std::vector<Change> out;
  for (const etcd::WatchEvent& event : events) {
    Change change{.deleted = event.deleted};
    if (decode(event.kv, &change.entry)) out.push_back(std::move(change));
  }
  return out;
}

bool Store::is_ours(std::string_view key) const {
  return decode_key(prefix_, key).has_value();
}

std::vector<etcd::Range> Store::ranges() const {
  std::vector<etcd::Range> out;
  for (KeyRange& range : key_ranges(prefix_)) {
    out.push_back({std::move(range.begin), std::move(range.end)});
  }
  return out;
}

etcd::Range Store::watched() const {
  KeyRange range = watched_range(prefix_);
  return {std::move(range.begin), std::move(range.end)};
}

std::string Store::begin() const {
  return prefix_ + "/";
}

std::string Store::end() const {
  return prefix_ + "0";  // '/' + 1
}

}  // namespace vipd
