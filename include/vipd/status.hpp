// What `vipctl status` shows, as plain data: src/daemon.cpp fills it, src/ctl writes it as JSON
// (vipctl(8)) and as text for the log.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vipd/types.hpp"

namespace vipd {

struct QueueStatus {
  std::string node;
  int priority = 0;
  std::string session;  // lease in lower-case hex
};

struct CheckStatus {
  std::string name;
  std::string state;  // up, down, or unknown before the first result
  std::string since;
  std::string reason;       // why it is not up
  bool overridden = false;  // by vipctl check
};

struct VipStatus {
  std::string name;
  std::string address;
  std::string link;
  std::string state;
  std::string reason;
  std::string owner;
  std::string transfer_to;      // a hand-over is under way: to that session
  std::string transfer_failed;  // why the last one was given up
  std::string since;  // RFC 3339, UTC, milliseconds
  uint64_t transitions = 0;
  std::vector<QueueStatus> queue;
  std::vector<CheckStatus> checks;  // those that it needs
};

struct Status {
  std::string version;
  std::string node;
  std::string state;
  bool pause_persists = false;  // paused until resumed, whatever is restarted
  std::string session_id;
  int64_t timeout_ms = 0;
  int64_t authority_ms = 0;
  bool etcd_connected = false;
  std::string etcd_endpoint;
  std::string etcd_version;
  std::string etcd_cluster_id;
  std::vector<VipStatus> vips;
  std::vector<CheckStatus> checks;  // all that are configured
};

}  // namespace vipd
