// The core's typed keys and requests as the texts and requests of the etcd adapter, and back. Part
// of EtcdSide; pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "etcd/client.hpp"
#include "vipd/store.hpp"

namespace vipd {

class Store {
 public:
  explicit Store(std::string prefix) : prefix_(std::move(prefix)) {}

  [[nodiscard]] etcd::Txn request(const Txn& txn) const;
  [[nodiscard]] static Header header(const etcd::Header& header);
  // Keys that have no part in the protocol are left out.
  [[nodiscard]] std::vector<Entry> entries(const std::vector<etcd::KeyValue>& kvs) const;
  void decode(const etcd::KeyValue& kv, std::vector<Entry>* entries) const;
  [[nodiscard]] std::vector<Change> changes(const std::vector<etcd::WatchEvent>& events) const;
  // Whether a key has a part in the protocol.
  [[nodiscard]] bool is_ours(std::string_view key) const;
  [[nodiscard]] std::vector<etcd::Range> ranges() const;
  [[nodiscard]] etcd::Range watched() const;
  [[nodiscard]] std::string begin() const;  // of everything below the prefix
  [[nodiscard]] std::string end() const;

 private:
  [[nodiscard]] bool decode(const etcd::KeyValue& kv, Entry* entry) const;
  [[nodiscard]] std::vector<etcd::Op> ops(const std::vector<Op>& ops) const;

  std::string prefix_;
};

}  // namespace vipd
