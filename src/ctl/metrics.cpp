#include "ctl/metrics.hpp"

#include <algorithm>
#include <cstdio>
#include <initializer_list>
#include <iterator>
#include <map>
#include <span>
#include <utility>

#include "ctl/json_text.hpp"
#include "vipd/state.hpp"

namespace vipd::ctl {
namespace {

#define VIPD_TEXT(value, text) text,
constexpr std::string_view kVipStateNames[] = {VIPD_VIP_STATES(VIPD_TEXT)};
constexpr std::string_view kNodeStates[] = {VIPD_NODE_STATES(VIPD_TEXT)};
constexpr std::string_view kCauses[] = {VIPD_TAKEOVER_CAUSES(VIPD_TEXT)};
#undef VIPD_TEXT
constexpr std::string_view kFences[] = {"tcx", "clsact", "none"};

using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

std::string seconds(int64_t ns) {
  char text[32];
  snprintf(text, sizeof text, "%.12g", static_cast<double>(ns) / 1e9);
  return text;
}

constexpr size_t kAtOnce = 64;  // VIPs

class Page {
 public:
  // Of the samples of one family.
  Page(std::string* text, const char* name) : name_(name), text_(*text) {}

  void begin(const char* type, const char* help) {
    text_.append("# HELP ").append(name_).append(" ").append(help);
    text_.append("\n# TYPE ").append(name_).append(" ").append(type).append("\n");
  }
  void sample(Labels labels, const std::string& value, std::string_view suffix = "") {
    text_.append(name_).append(suffix);
    char before = '{';
    for (const auto& [label, text] : labels) {
      text_.append(1, std::exchange(before, ',')).append(label).append("=\"");
      escape(text);
      text_ += '"';
    }
    if (before != '{') text_ += '}';
    text_.append(" ").append(value).append("\n");
  }
  void sample(Labels labels, uint64_t value) { sample(labels, std::to_string(value)); }
  // 1 for the one of them that it is.
  void one_of(const char* label, std::span<const std::string_view> all, std::string_view is) {
    for (const std::string_view each : all) sample({{label, each}}, each == is ? 1 : 0);
  }

 private:
  void escape(std::string_view text) {
    const bool is_plain = std::all_of(text.begin(), text.end(), [](char c) {
      return c >= ' ' && c <= '~' && c != '\\' && c != '"';
    });
    if (is_plain) {
      text_.append(text);
      return;
    }
    for (const char c : valid_utf8(text)) {
      if (c == '\\' || c == '"') text_ += '\\';
      text_ += c == '\n' ? std::string("\\n") : std::string(1, c);
    }
  }

  const char* name_;
  std::string& text_;
};

uint64_t count_of(const std::map<std::string_view, uint64_t>& counts, std::string_view what) {
  const auto found = counts.find(what);
  return found == counts.end() ? 0 : found->second;
}

void put_takeovers(Page* page, const Metrics& m) {
  for (const std::string_view cause : kCauses) {
    page->sample({{"cause", cause}}, count_of(m.node.takeovers, cause));
  }
}

void put_heartbeats(Page* page, const Metrics& m) {
  page->sample({{"result", "echoed"}}, m.heartbeats.echoed);
  page->sample({{"result", "failed"}}, m.heartbeats.failed);
}

void put_histogram(Page* page, const Histogram& took) {
  uint64_t total = 0;
  for (size_t i = 0; i < Histogram::kBoundsMs.size(); i++) {
    total += took.counts()[i];
    const std::string bound = seconds(Histogram::kBoundsMs[i] * 1'000'000);
    page->sample({{"le", bound}}, std::to_string(total), "_bucket");
  }
  total += took.counts().back();
  page->sample({{"le", "+Inf"}}, std::to_string(total), "_bucket");
  page->sample({}, seconds(took.sum().ns()), "_sum");
  page->sample({}, std::to_string(total), "_count");
}

void put_fence(Page* page, const Metrics& m) {
  const FenceStatus& fence = m.status.fence;
  page->one_of("kind", kFences, fence.in_force ? std::string_view(fence.kind) : "none");
}

void put_terms(Page* page, const Metrics& m) {
  const TermCounts& terms = m.peers.terms;
  page->sample({{"how", "entered"}}, terms.entered);
  page->sample({{"how", "changed"}}, terms.changed);
  page->sample({{"how", "left"}}, terms.left);
  page->sample({{"how", "lost"}}, terms.lost);
  page->sample({{"how", "refused"}}, terms.refused);
  page->sample({{"how", "expired"}}, terms.expired);
}

void put_by(Page* page, const char* label, const std::map<std::string_view, uint64_t>& counts) {
  for (const auto& [what, count] : counts) page->sample({{label, what}}, count);
}

void put_grants(Page* page, const Metrics& m) {
  for (const auto& [node, count] : m.peers.grants) page->sample({{"peer", node}}, count);
}

void put_mismatches(Page* page, const Metrics& m) {
  for (const EndpointStatus& each : m.status.etcd_endpoints) {
    page->sample({{"endpoint", each.endpoint}}, each.mismatch ? 1 : 0);
  }
}

void put_requests(Page* page, const Metrics& m) {
  for (const RequestCounts& r : m.requests) {
    page->sample({{"endpoint", r.endpoint}, {"op", r.operation}, {"result", r.result}}, r.count);
  }
}

void put_owned(Page* page, const VipMetrics& vip) {
  page->sample({{"vip", vip.name}, {"address", vip.address}}, vip.state == VipState::Owner ? 1 : 0);
}

void put_states(Page* page, const VipMetrics& vip) {
  for (size_t i = 0; i < kVipStates; i++) {
    page->sample({{"vip", vip.name}, {"state", kVipStateNames[i]}},
                 static_cast<size_t>(vip.state) == i ? 1 : 0);
  }
}

void put_transitions(Page* page, const VipMetrics& vip) {
  for (size_t i = 0; i < kVipStates; i++) {
    page->sample({{"vip", vip.name}, {"to", kVipStateNames[i]}}, vip.counts.to[i]);
  }
}

void put_checks(Page* page, const Metrics& m) {
  for (const CheckStatus& check : m.status.checks) {
    page->sample({{"check", check.name}}, check.state == "up" ? 1 : 0);
  }
}

template <uint64_t VipCounts::*count>
void put_count(Page* page, const VipMetrics& vip) {
  page->sample({{"vip", vip.name}}, vip.counts.*count);
}

void put_reachable(Page* page, const VipMetrics& vip) {
  if (vip.counts.reachable) page->sample({{"vip", vip.name}}, *vip.counts.reachable ? 1 : 0);
}

// A metric is a row here. vipd(8) must name each; alerts and dashboard may name no other
// (tests/unit/test_ctl_metrics).
struct Family {
  const char* name;
  const char* type;
  const char* help;
  void (*samples)(Page*, const Metrics&);
  void (*of_vip)(Page*, const VipMetrics&) = nullptr;  // in their place: the samples of each VIP
};

// What else a new one needs: ARCHITECTURE.md, "Where to add what".
constexpr Family kFamilies[] = {
    {"vipd_build_info", "gauge", "Always 1.",
     [](Page* p, const Metrics& m) {
       p->sample({{"version", m.status.version}}, 1);
     }},
    {"vipd_node_state", "gauge", "1 for the state that the daemon is in.",
     [](Page* p, const Metrics& m) { p->one_of("state", kNodeStates, m.status.state); }},
    {"vipd_session_timeout_seconds", "gauge", "session.timeout.",
     [](Page* p, const Metrics& m) { p->sample({}, seconds(m.status.timeout_ms * 1'000'000)); }},
    {"vipd_authority_seconds", "gauge",
     "How long this node may own VIPs without a further heartbeat.",
     [](Page* p, const Metrics& m) { p->sample({}, seconds(m.status.authority_ms * 1'000'000)); }},
    {"vipd_fenced_total", "counter", "Sessions that were lost.",
     [](Page* p, const Metrics& m) { p->sample({}, m.node.fenced); }},
    {"vipd_authority_lost_total", "counter",
     "Times that all VIPs were let go: not confirmed in time by etcd or the other nodes.",
     [](Page* p, const Metrics& m) { p->sample({}, m.node.authority_lost); }},
    {"vipd_takeovers_total", "counter", "VIPs that this node took, by how their last owner went.",
     put_takeovers},
    {"vipd_heartbeats_total", "counter",
     "Heartbeats that gave authority, and attempts that failed.", put_heartbeats},
    {"vipd_heartbeat_duration_seconds", "histogram",
     "From sending a heartbeat until our own watch showed it.",
     [](Page* p, const Metrics& m) { put_histogram(p, m.heartbeats.took); }},
    {"vipd_loop_turn_seconds", "histogram",
     "How long the turns of the event loop took: while one lasts nothing else is done.",
     [](Page* p, const Metrics& m) { put_histogram(p, m.turns); }},
    {"vipd_fence", "gauge", "1 for the packet fence that is in force: by tcx, by clsact, or none.",
     put_fence},
    {"vipd_peer_lease_seconds", "gauge",
     "How long this node may own VIPs without a further grant of other nodes; 0 without a peer "
     "lease.",
     [](Page* p, const Metrics& m) {
       p->sample({}, seconds(m.status.peer_lease.left_ms * 1'000'000));
     }},
    {"vipd_holding", "gauge", "1 while etcd is away and this node keeps its VIPs all the same.",
     [](Page* p, const Metrics& m) { p->sample({}, m.status.peer_lease.holds ? 1 : 0); }},
    {"vipd_peer_grants_total", "counter",
     "Grants of our peer lease that other nodes sent, by node.", put_grants},
    {"vipd_peer_terms_total", "counter",
     "What became of our terms of the peer lease, and terms of others that expired here.",
     put_terms},
    {"vipd_peer_frames_sent_total", "counter", "Frames of the peer lease, by kind.",
     [](Page* p, const Metrics& m) { put_by(p, "kind", m.peers.frames.sent); }},
    {"vipd_peer_frames_received_total", "counter",
     "Frames of the peer lease that other nodes sent to this one or to all, by kind.",
     [](Page* p, const Metrics& m) { put_by(p, "kind", m.peers.frames.received); }},
    {"vipd_peer_frames_dropped_total", "counter",
     "Frames of the peer lease that were not used, by what is wrong with them.",
     [](Page* p, const Metrics& m) { put_by(p, "reason", m.peers.frames.dropped); }},
    {"vipd_nodes_differ", "gauge",
     "1 while another node has another session.timeout, or the same node.name.",
     [](Page* p, const Metrics& m) { p->sample({}, m.status.nodes_differ.empty() ? 0 : 1); }},
    {"vipd_etcd_connected", "gauge", "1 while etcd answers.",
     [](Page* p, const Metrics& m) { p->sample({}, m.status.etcd_connected ? 1 : 0); }},
    {"vipd_etcd_cluster_bound", "gauge",
     "1 once it is known to which cluster the endpoints must belong.",
     [](Page* p, const Metrics& m) { p->sample({}, m.status.etcd_cluster_id.empty() ? 0 : 1); }},
    {"vipd_etcd_cluster_mismatch", "gauge",
     "1 for an endpoint that belongs to another cluster, and is not used.", put_mismatches},
    {"vipd_etcd_no_space", "gauge", "1 while etcd takes no writes for want of space.",
     [](Page* p, const Metrics& m) { p->sample({}, m.node.no_space ? 1 : 0); }},
    {"vipd_etcd_uncompacted_revisions", "gauge",
     "Revisions that etcd is known to keep, asked for once an hour: nobody compacts it if this "
     "keeps growing.",
     [](Page* p, const Metrics& m) { p->sample({}, std::to_string(m.uncompacted)); }},
    {"vipd_etcd_requests_total", "counter", "Requests to etcd.", put_requests},
    {"vipd_owner", "gauge", "1 for a VIP that this node has on its link.", nullptr, put_owned},
    {"vipd_state", "gauge", "1 for the state that the VIP is in on this node.", nullptr,
     put_states},
    {"vipd_transitions_total", "counter", "Changes of a VIP's state on this node.", nullptr,
     put_transitions},
    {"vipd_check_up", "gauge", "1 for a check that is up.", put_checks},
    {"vipd_announcements_total", "counter", "Announcements of the VIP to its network.", nullptr,
     put_count<&VipCounts::announcements>},
    {"vipd_reachable", "gauge",
     "1 where a neighbour answers the VIP's owner in the VIP's name, 0 where the network drops "
     "that; absent while it is not known.",
     nullptr, put_reachable},
    {"vipd_conflicts_total", "counter", "Times that a host outside the election claimed the VIP.",
     nullptr, put_count<&VipCounts::conflicts>},
    {"vipd_address_restored_total", "counter",
     "How often the address was restored after something else had removed it.", nullptr,
     put_count<&VipCounts::restored>},
};

}  // namespace

bool MetricsText::add_some() {
  const Family& family = kFamilies[family_];
  Page page(&text_, family.name);
  if (vip_ == 0) page.begin(family.type, family.help);
  if (family.samples != nullptr) family.samples(&page, metrics_);
  const size_t all = family.of_vip == nullptr ? 0 : metrics_.vips.size();
  const size_t end = std::min(vip_ + kAtOnce, all);
  for (; vip_ < end; vip_++) family.of_vip(&page, metrics_.vips[vip_]);
  if (vip_ < all) return true;
  vip_ = 0;
  return ++family_ < std::size(kFamilies);
}

}  // namespace vipd::ctl
