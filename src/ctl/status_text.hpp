// The status as the JSON object of vipctl(8) and as log lines. Pure.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "vipd/status.hpp"

namespace vipd::ctl {

// Made bit by bit, where there are many VIPs: what `status` has comes first, and then more of them.
class StatusJson {
 public:
  explicit StatusJson(Status status);
  ~StatusJson();
  StatusJson(const StatusJson&) = delete;
  StatusJson& operator=(const StatusJson&) = delete;

  void add(const std::vector<VipStatus>& vips);
  // REQUIRES: once, and nothing is added after it.
  [[nodiscard]] std::string text() &&;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// "ENDPOINT: what is wrong there".
[[nodiscard]] std::string etcd_error_of(const Status& status);
// For the log (SIGUSR1): of the daemon, and of a VIP.
[[nodiscard]] std::vector<std::string> node_lines(const Status& status);
[[nodiscard]] std::string vip_line(const VipStatus& vip);
// Packet fence and peer lease; empty where nothing is known of them.
[[nodiscard]] std::string peer_line(const Status& status);
// What somebody has to mend: clusters of endpoints, nodes that differ. Nothing where all is well.
[[nodiscard]] std::vector<std::string> trouble_lines(const Status& status);

}  // namespace vipd::ctl
