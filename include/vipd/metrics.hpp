// What GET /metrics shows, as plain data: src/daemon fills it, src/ctl writes it in the text format
// of Prometheus.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vipd/counts.hpp"
#include "vipd/peer_view.hpp"
#include "vipd/status.hpp"

namespace vipd {

// What one VIP counts; `to` by the state that was changed to.
struct VipCounts {
  std::map<std::string_view, uint64_t> to;
  uint64_t announcements = 0;
  uint64_t conflicts = 0;
  uint64_t restored = 0;
  std::optional<bool> reachable{};  // as its owner: frames in its name are answered
};

// What the node counts, and what it last reported.
struct NodeCounts {
  std::map<std::string_view, uint64_t> takeovers;  // by cause
  uint64_t fenced = 0;
  uint64_t authority_lost = 0;
  bool no_space = false;  // etcd takes no writes
};

struct RequestCounts {
  std::string endpoint;
  std::string operation;
  std::string_view result;
  uint64_t count = 0;
};

// Frames of the peer lease.
struct FrameCounts {
  std::map<std::string_view, uint64_t> sent;      // by kind
  std::map<std::string_view, uint64_t> received;  // by kind
  std::map<std::string_view, uint64_t> dropped;   // by reason
};

struct PeerCounts {
  TermCounts terms;
  std::map<std::string, uint64_t> grants;  // received, by node
  FrameCounts frames;
};

struct Metrics {
  Status status;
  std::vector<VipCounts> vips;  // in the order of status.vips
  NodeCounts node;
  PeerCounts peers;
  Heartbeats heartbeats;
  Histogram turns;          // of the loop
  int64_t uncompacted = 0;  // revisions of etcd
  std::vector<RequestCounts> requests;
};

}  // namespace vipd
