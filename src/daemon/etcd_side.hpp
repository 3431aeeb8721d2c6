// The core's dealings with etcd: its requests in the adapter's terms, and the answers as events.
// Also sees, once an hour, whether anybody compacts etcd. Never decides.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "vipd/action.hpp"
#include "vipd/config.hpp"
#include "vipd/loop.hpp"
#include "vipd/metrics.hpp"

namespace vipd {

class EtcdSide {
 public:
  // `feed` gets every event, never from inside a call of perform(): each request ends in exactly
  // one that names it, and the watch goes on until the next one replaces it.
  EtcdSide(Loop& loop, std::string prefix, std::function<void(const Event&)> feed);
  ~EtcdSide();
  EtcdSide(const EtcdSide&) = delete;
  EtcdSide& operator=(const EtcdSide&) = delete;

  // Nothing is asked before. REQUIRES: once, before all that follows.
  void start(const Config& config);
  void reconfigure(const Config& config);

  void perform(const action::UseCluster& a);
  void perform(const action::GrantLease& a);
  void perform(const action::KeepLease& a);
  void perform(const action::RevokeLease& a);
  void perform(const action::SendTxn& a);
  void perform(const action::ReadPrefix& a);
  void perform(const action::OpenWatch& a);

  // A key of somebody else's, as it is: `read` with its value (nullptr: there is none), or
  // `failed`.
  void read(const std::string& key, std::function<void(const std::string* value)> read,
            std::function<void()> failed);

  // How many txns may still commit, as far as this process asked for them.
  [[nodiscard]] size_t txns_under_way() const;

  // For people: as etcd::Client says it.
  [[nodiscard]] bool is_connected() const;
  [[nodiscard]] std::string endpoint() const;
  // All that begins with etcd_, but for what the core says of the cluster.
  void fill_in(Status* status) const;
  [[nodiscard]] Revision uncompacted() const;
  [[nodiscard]] std::vector<RequestCounts> requests() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vipd
