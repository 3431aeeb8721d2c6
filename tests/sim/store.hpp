// What an etcd cluster has agreed on: keys, revisions, leases, history. One linear history; who
// sees it when is the business of cluster.cpp. Never draws chance, never looks at a clock.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "vipd/store.hpp"

namespace sim {

class Store {
 public:
  struct Stored {
    vipd::Entry entry{};
    vipd::LeaseId lease = vipd::LeaseId::None;  // none when a person put it
  };
  struct Lease {
    vipd::LeaseId id = vipd::LeaseId::None;
    int64_t ttl = 0;
    int64_t expires = 0;  // true time
  };
  struct Commit {
    vipd::Revision revision = 0;
    std::vector<vipd::Change> changes{};
  };

  [[nodiscard]] vipd::Header header() const { return {cluster_id, revision}; }
  // False: refused, a lease is not there. `out`: what the ranges of the branch taken found.
  [[nodiscard]] bool txn(const vipd::Txn& txn, bool* succeeded, std::vector<vipd::Entry>* out);
  // In either branch: a member without space refuses the whole txn (quotaApplierV3).
  [[nodiscard]] static bool puts(const vipd::Txn& txn);
  [[nodiscard]] std::vector<vipd::Entry> everything() const;
  void grant(vipd::LeaseId id, int64_t ttl, int64_t now);
  [[nodiscard]] Lease* lease(vipd::LeaseId id);
  // False when there is no such lease. Its keys go in one revision.
  [[nodiscard]] bool revoke(vipd::LeaseId id);
  [[nodiscard]] const Stored* find(const vipd::Key& key) const;
  // In what history is left.
  [[nodiscard]] bool was_deleted(const vipd::Key& key) const;
  // People: one revision.
  void erase(const std::vector<vipd::Key>& keys);
  void put(const vipd::Key& key, const vipd::Value& value, vipd::LeaseId lease);
  // Somebody else's keys, outside the prefix.
  void foreign(int64_t revisions) { revision += revisions; }
  void compact(vipd::Revision upto);

  uint64_t cluster_id = 1;
  vipd::Revision revision = 1;
  vipd::Revision compacted = 0;
  std::vector<Stored> keys;  // sorted
  std::vector<Lease> leases;
  std::deque<Commit> history;

 private:
  [[nodiscard]] size_t place(const vipd::Key& key) const;
  [[nodiscard]] bool holds(const vipd::Compare& compare) const;
  void put_at(const vipd::Key& key, const vipd::Value& value, vipd::LeaseId lease, Commit* commit);
  void erase_at(const vipd::Key& key, Commit* commit);
  void finish(Commit commit);
};

}  // namespace sim
