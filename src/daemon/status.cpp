#include "daemon/status.hpp"

#include <algorithm>
#include <optional>
#include <span>
#include <utility>

#include "daemon/engine.hpp"
#include "daemon/etcd_side.hpp"
#include "daemon/gate.hpp"
#include "daemon/kept.hpp"
#include "daemon/ledger.hpp"
#include "daemon/peers.hpp"
#include "daemon/vips.hpp"
#include "sys/wall_clock.hpp"

namespace vipd {

namespace {

constexpr size_t kMostMoves = 64;

VipView view_of(const Parts& parts, const Address& vip) {
  std::optional<VipView> view = parts.engine.core().vip(vip, parts.loop.now());
  if (view) return *std::move(view);
  VipView none;  // the core takes no step any more
  none.address = vip;
  return none;
}

VipStatus vip_status(const Parts& parts, const VipConfig& config) {
  const VipView view = view_of(parts, config.address);
  const Ledger::OfVip& record = parts.ledger.of(view.address);
  VipStatus vip;
  vip.name = config.name;
  vip.address = view.address.text();
  const VipNetwork network = parts.network(config);
  vip.link = network.link;
  vip.group = config.group;
  vip.state = name_of(view.state);
  vip.reason = view.reason;
  if (parts.gate.has_no_candidate(view.address)) vip.reason += "; no node can own it";
  if (!network.no_link.empty() && view.state == VipState::Fault) vip.reason = network.no_link;
  if (!network.route_fault.empty()) {
    vip.reason += (vip.reason.empty() ? "" : "; ") + network.route_fault;
  }
  vip.owner = view.owner;
  if (view.transfer_to != LeaseId::None) vip.transfer_to = lease_hex(view.transfer_to);
  vip.transfer_failed = record.transfer_failed;
  vip.since = record.since.empty() ? parts.started : record.since;
  vip.transitions = record.transitions;
  vip.last_change = record.last_change;
  for (const std::string& name : config.checks) vip.checks.push_back(parts.gate.check(name));
  for (const CandidateView& candidate : view.queue) {
    vip.queue.push_back({.node = candidate.node,
                         .priority = candidate.priority,
                         .session = lease_hex(candidate.lease)});
  }
  return vip;
}

std::span<const VipConfig> some_of(const Parts& parts, size_t first, size_t most) {
  const std::span<const VipConfig> all(parts.vips.all());
  first = std::min(first, all.size());
  return all.subspan(first, std::min(most, all.size() - first));
}

void put_session(const Parts& parts, Status* status) {
  const Core& core = parts.engine.core();
  status->state = name_of(core.node_state());
  status->pause_persists = parts.kept.is_paused();
  if (core.session() != LeaseId::None) status->session_id = lease_hex(core.session());
  status->timeout_ms = core.timeout().ms();
  status->authority_ms = std::max<int64_t>(0, (core.fencing_deadline() - parts.loop.now()).ms());
}

void put_peer_lease(const Parts& parts, Status* status) {
  status->fence = {.kind = parts.fence.kind(),
                   .in_force = parts.fence.is_in_force(),
                   .reason = parts.fence.reason()};
  const PeersView view = parts.engine.core().peers(parts.loop.now());
  PeerLeaseStatus& lease = status->peer_lease;
  lease.state = name_of(view.state);
  lease.timeout_ms = view.timeout.ms();
  lease.left_ms = view.left.ms();
  lease.reason = view.reason;
  lease.left_because = view.left_because;
  lease.holds = view.holds;
  lease.would_hold = view.no_hold_because.empty();
  lease.no_hold_because = view.no_hold_because;
  for (const GrantorView& grantor : view.grantors) {
    lease.grantors.push_back(
        {.node = grantor.node, .grants = grantor.grants, .delay_us = grantor.delay.ns() / 1000});
  }
}

}  // namespace

Status status_of(const Parts& parts) {
  Status status;
  status.time = sys::wall_clock_text();
  status.version = VIPD_VERSION;
  status.node = parts.config.node_name;
  put_session(parts, &status);
  put_peer_lease(parts, &status);
  parts.etcd.fill_in(&status);
  const ClusterView cluster = parts.engine.core().cluster();
  if (cluster.id != 0) status.etcd_cluster_id = cluster_hex(cluster.id);
  status.etcd_objection = cluster.objection;
  status.nodes_differ = parts.engine.core().differences();
  for (const CheckConfig& check : parts.config.checks) {
    status.checks.push_back(parts.gate.check(check.name));
  }
  return status;
}

std::vector<VipStatus> vips_of(const Parts& parts, size_t first, size_t most) {
  std::vector<VipStatus> vips;
  for (const VipConfig& vip : some_of(parts, first, most)) vips.push_back(vip_status(parts, vip));
  return vips;
}

std::vector<VipMetrics> counts_of(const Parts& parts, size_t first, size_t most) {
  std::vector<VipMetrics> vips;
  for (const VipConfig& vip : some_of(parts, first, most)) {
    vips.push_back({.name = vip.name,
                    .address = vip.address.text(),
                    .state = view_of(parts, vip.address).state,
                    .counts = parts.ledger.of(vip.address).counts});
  }
  return vips;
}

Metrics metrics_of(const Parts& parts) {
  Metrics metrics;
  metrics.status = status_of(parts);
  metrics.node = parts.ledger.node();
  const PeersView peers = parts.engine.core().peers(parts.loop.now());
  metrics.peers = {.terms = peers.terms, .grants = peers.grants, .frames = parts.peers.counts()};
  metrics.heartbeats = parts.engine.core().heartbeats();
  metrics.turns = parts.loop.turns();
  metrics.uncompacted = parts.etcd.uncompacted();
  metrics.requests = parts.etcd.requests();
  return metrics;
}

std::string unhealthy(const Parts& parts) {
  const Core& core = parts.engine.core();
  const NodeState state = core.node_state();
  if (state == NodeState::Releasing) return "the daemon is stopping";
  if (core.session() == LeaseId::None || state == NodeState::Starting) {
    return "there is no session in etcd";
  }
  return parts.etcd.is_connected() ? "" : "etcd does not answer";
}

std::vector<HistoryEntry> moves_in(const std::deque<HistoryEntry>& history) {
  std::vector<HistoryEntry> moves;
  for (const HistoryEntry& entry : history) {
    const bool is_move =
        entry.kind == "owner" || (entry.kind == "state" && entry.to != entry.from &&
                                  (entry.to == "owner" || entry.from == "owner"));
    if (is_move) moves.push_back(entry);
  }
  if (moves.size() > kMostMoves) moves.erase(moves.begin(), moves.end() - kMostMoves);
  return moves;
}

}  // namespace vipd
