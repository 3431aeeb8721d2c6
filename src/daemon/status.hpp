// What people and monitors are told of this daemon, gathered from its parts. Changes nothing.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "vipd/loop.hpp"
#include "vipd/metrics.hpp"
#include "vipd/status.hpp"

namespace vipd {

class Engine;
class EtcdSide;
class FenceSide;
class Gate;
class Kept;
class Ledger;
class Peers;
class Vips;
struct Config;
struct VipConfig;
struct VipNetwork;

// The parts of the daemon that are asked. REQUIRES: all were started.
struct Parts {
  const Loop& loop;
  const Config& config;
  const Vips& vips;
  const Engine& engine;
  const EtcdSide& etcd;
  const FenceSide& fence;
  const Peers& peers;
  const Gate& gate;
  std::function<VipNetwork(const VipConfig&)> network;
  const Kept& kept;
  const Ledger& ledger;
  std::string started;  // as sys::wall_clock_text()
};

// All but the VIPs.
[[nodiscard]] Status status_of(const Parts& parts);
[[nodiscard]] Metrics metrics_of(const Parts& parts);
// Of `most` configured VIPs in their order, beginning with number `first` (from 0); fewer, or none,
// at their end.
[[nodiscard]] std::vector<VipStatus> vips_of(const Parts& parts, size_t first, size_t most);
[[nodiscard]] std::vector<VipMetrics> counts_of(const Parts& parts, size_t first, size_t most);
// Why this node cannot take part in the elections, or cannot keep a VIP; empty: it can.
[[nodiscard]] std::string unhealthy(const Parts& parts);
// The last of the history's entries at which the owner of a VIP changed, for the status page.
[[nodiscard]] std::vector<HistoryEntry> moves_in(const std::deque<HistoryEntry>& history);

}  // namespace vipd
