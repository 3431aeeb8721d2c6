// What `vipctl status` shows, as plain data: src/daemon fills it, src/ctl writes it as
// JSON (vipctl(8)) and as text for the log.
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

// An endpoint of etcd, and to which cluster it belongs.
struct EndpointStatus {
  std::string endpoint;
  std::string cluster_id;  // that it named last; empty: none yet
  bool mismatch = false;   // not the one that this node uses
  std::string members;     // of that other cluster, by name
};

// The packet fence of this node.
struct FenceStatus {
  std::string kind;  // tcx, clsact, or none: there is no program at all; empty: not known
  bool in_force = false;
  std::string reason;  // why not
};

struct GrantorStatus {
  std::string node;
  bool grants = false;   // its newest grant has not run out
  int64_t delay_us = 0;  // the longest from a request to its grant, in the last minute or two
};

// The peer lease that this node holds.
struct PeerLeaseStatus {
  std::string state;  // none, trying, entering, in force, leaving; empty: not known
  int64_t timeout_ms = 0;
  int64_t left_ms = 0;
  std::string reason;             // why there is none, or why it is left
  std::string left_because;       // why the last one ended
  bool holds = false;             // etcd is away, and this node keeps what it has
  bool would_hold = false;        // it would, or does
  std::string no_hold_because{};  // else why not; with would_hold == false empty: it does not say
  std::vector<GrantorStatus> grantors;
};

struct VipStatus {
  std::string name;
  std::string address;
  std::string link;
  std::string group;  // empty: of none
  std::string state;
  std::string reason;
  std::string owner;
  std::string transfer_to;      // a hand-over is under way: to that session
  std::string transfer_failed;  // why the last one was given up
  std::string since;            // RFC 3339, UTC, milliseconds
  uint64_t transitions = 0;
  std::string last_change;  // why the state is what it is since then
  std::vector<QueueStatus> queue;
  std::vector<CheckStatus> checks;  // those that it needs
};

// One line of the history: what changed, and the figures that explain it, as of just before.
struct HistoryEntry {
  std::string time;
  std::string kind;     // state: of the VIP on this node; owner: of the VIP elsewhere; event
  std::string vip;      // empty: it concerns the node
  std::string address;  // of the VIP
  std::string from;     // states, or owners
  std::string to;
  std::string owner;  // of the VIP from then on, as far as this node knows
  std::string reason;
  std::string session;
  std::string endpoint;
  int64_t revision = 0;       // up to which our watch had shown etcd
  int64_t heartbeat_ms = -1;  // the age of the last heartbeat that gave authority; -1: none
  int64_t authority_ms = 0;
};

struct Status {
  std::string time;  // now
  std::string version;
  std::string node;
  std::string state;
  bool pause_persists = false;  // paused until resumed, whatever is restarted
  std::string session_id;
  int64_t timeout_ms = 0;
  int64_t authority_ms = 0;
  bool etcd_connected = false;
  FenceStatus fence;
  PeerLeaseStatus peer_lease;
  std::string etcd_endpoint;
  std::string etcd_version;
  std::string etcd_cluster_id;  // empty: this node is bound to none so far
  std::string etcd_objection;   // why no VIP may be taken for the sake of the cluster, in words
  std::vector<EndpointStatus> etcd_endpoints;
  std::string etcd_error;  // the last one; empty: none so far
  std::string etcd_error_endpoint;
  int64_t etcd_error_age_ms = 0;
  bool etcd_error_matters = false;  // etcd does not answer, or somebody has to mend this
  std::string nodes_differ;         // in what they must not, in words; empty: in nothing
  std::vector<VipStatus> vips;
  std::vector<CheckStatus> checks;  // all that are configured
  std::vector<HistoryEntry> moves;  // the last changes of owners; only for the status page
};

}  // namespace vipd
