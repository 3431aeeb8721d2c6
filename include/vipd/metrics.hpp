// What GET /metrics shows, as plain data: src/daemon fills it, src/ctl writes it in the text format
// of Prometheus.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vipd/counts.hpp"
#include "vipd/peer_view.hpp"
#include "vipd/state.hpp"
#include "vipd/status.hpp"

namespace vipd {

#define VIPD_EACH(value, text) VipState::value,
inline constexpr size_t kVipStates =
    std::initializer_list<VipState>{VIPD_VIP_STATES(VIPD_EACH)}.size();
#undef VIPD_EACH

// What one VIP counts; `to` by the state that was changed to.
struct VipCounts {
  std::array<uint64_t, kVipStates> to{};
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

struct VipMetrics {
  std::string name;
  std::string address;
  VipState state = VipState::Standby;
  VipCounts counts;
};

struct Metrics {
  Status status;  // without its VIPs
  std::vector<VipMetrics> vips;
  NodeCounts node;
  PeerCounts peers;
  Heartbeats heartbeats;
  Histogram turns;          // of the loop
  int64_t uncompacted = 0;  // revisions of etcd
  std::vector<RequestCounts> requests;
};

}  // namespace vipd
