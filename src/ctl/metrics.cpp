#include "ctl/metrics.hpp"

#include <cstdio>
#include <initializer_list>
#include <utility>

#include "ctl/json_text.hpp"
#include "vipd/state.hpp"

namespace vipd::ctl {
namespace {

#define VIPD_TEXT(value, text) text,
constexpr std::string_view kVipStates[] = {VIPD_VIP_STATES(VIPD_TEXT)};
constexpr std::string_view kNodeStates[] = {VIPD_NODE_STATES(VIPD_TEXT)};
constexpr std::string_view kCauses[] = {VIPD_TAKEOVER_CAUSES(VIPD_TEXT)};
#undef VIPD_TEXT

using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

std::string number(uint64_t value) {
  return std::to_string(value);
}

std::string seconds(int64_t ns) {
  char text[32];
  snprintf(text, sizeof text, "%.12g", static_cast<double>(ns) / 1e9);
  return text;
}

class Page {
 public:
  void family(std::string_view name, const char* type, const char* help) {
    name_ = name;
    text_.append("# HELP ").append(name).append(" ").append(help);
    text_.append("\n# TYPE ").append(name).append(" ").append(type).append("\n");
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
  void single(std::string_view name, const char* type, const char* help, const std::string& value) {
    family(name, type, help);
    sample({}, value);
  }
  [[nodiscard]] std::string text() && { return std::move(text_); }

 private:
  void escape(std::string_view text) {
    for (const char c : valid_utf8(text)) {
      if (c == '\\' || c == '"') text_ += '\\';
      text_ += c == '\n' ? std::string("\\n") : std::string(1, c);
    }
  }

  std::string name_;
  std::string text_;
};

void put_node(Page* page, const Metrics& m) {
  page->family("vipd_build_info", "gauge", "Always 1.");
  page->sample({{"version", m.status.version}}, "1");
  page->family("vipd_node_state", "gauge", "1 for the state that the daemon is in.");
  for (const std::string_view state : kNodeStates) {
    page->sample({{"state", state}}, m.status.state == state ? "1" : "0");
  }
  page->single("vipd_session_timeout_seconds", "gauge", "session.timeout.",
               seconds(m.status.timeout_ms * 1'000'000));
  page->single("vipd_authority_seconds", "gauge",
               "How long this node may own VIPs without a further heartbeat.",
               seconds(m.status.authority_ms * 1'000'000));
  page->single("vipd_fenced_total", "counter", "Sessions that were lost.", number(m.node.fenced));
  page->single("vipd_authority_lost_total", "counter",
               "Times that no heartbeat came back until the fencing deadline.",
               number(m.node.authority_lost));
  page->family("vipd_takeovers_total", "counter",
               "VIPs that this node took, by how their last owner went.");
  for (const std::string_view cause : kCauses) {
    const auto found = m.node.takeovers.find(cause);
    page->sample({{"cause", cause}}, number(found == m.node.takeovers.end() ? 0 : found->second));
  }
}

void put_heartbeats(Page* page, const Heartbeats& heartbeats) {
  page->family("vipd_heartbeats_total", "counter",
               "Heartbeats that gave authority, and attempts that failed.");
  page->sample({{"result", "echoed"}}, number(heartbeats.echoed));
  page->sample({{"result", "failed"}}, number(heartbeats.failed));
  page->family("vipd_heartbeat_duration_seconds", "histogram",
               "From sending a heartbeat until our own watch showed it.");
  uint64_t total = 0;
  for (size_t i = 0; i < Histogram::kBoundsMs.size(); i++) {
    total += heartbeats.took.counts()[i];
    const std::string bound = seconds(Histogram::kBoundsMs[i] * 1'000'000);
    page->sample({{"le", bound}}, number(total), "_bucket");
  }
  total += heartbeats.took.counts().back();
  page->sample({{"le", "+Inf"}}, number(total), "_bucket");
  page->sample({}, seconds(heartbeats.took.sum().ns()), "_sum");
  page->sample({}, number(total), "_count");
}

void put_by(Page* page, const char* label, const std::map<std::string_view, uint64_t>& counts) {
  for (const auto& [what, count] : counts) page->sample({{label, what}}, number(count));
}

void put_frames(Page* page, const FrameCounts& frames) {
  page->family("vipd_peer_frames_sent_total", "counter", "Frames of the peer lease, by kind.");
  put_by(page, "kind", frames.sent);
  page->family("vipd_peer_frames_received_total", "counter",
               "Frames of the peer lease that other nodes sent to this one or to all, by kind.");
  put_by(page, "kind", frames.received);
  page->family("vipd_peer_frames_dropped_total", "counter",
               "Frames of the peer lease that were not used, by what is wrong with them.");
  put_by(page, "reason", frames.dropped);
}

void put_peers(Page* page, const Metrics& m) {
  page->family("vipd_fence", "gauge",
               "1 for the packet fence that is in force: by tcx, by clsact, or none.");
  const std::string kind = m.status.fence.in_force ? m.status.fence.kind : "none";
  for (const std::string_view each : {"tcx", "clsact", "none"}) {
    page->sample({{"kind", each}}, each == kind ? "1" : "0");
  }
  page->single("vipd_peer_lease_seconds", "gauge",
               "How long this node may own VIPs without a further grant of other nodes; 0 without "
               "a peer lease.",
               seconds(m.status.peer_lease.left_ms * 1'000'000));
  page->family("vipd_peer_grants_total", "counter",
               "Grants of our peer lease that other nodes sent, by node.");
  for (const auto& [node, count] : m.peers.grants) page->sample({{"peer", node}}, number(count));
  page->family(
      "vipd_peer_terms_total", "counter",
      "What became of our terms of the peer lease, and terms of others that expired here.");
  const TermCounts& terms = m.peers.terms;
  page->sample({{"how", "entered"}}, number(terms.entered));
  page->sample({{"how", "changed"}}, number(terms.changed));
  page->sample({{"how", "left"}}, number(terms.left));
  page->sample({{"how", "lost"}}, number(terms.lost));
  page->sample({{"how", "refused"}}, number(terms.refused));
  page->sample({{"how", "expired"}}, number(terms.expired));
  put_frames(page, m.peers.frames);
}

void put_etcd(Page* page, const Metrics& m) {
  page->single("vipd_etcd_connected", "gauge", "1 while etcd answers.",
               m.status.etcd_connected ? "1" : "0");
  page->single("vipd_etcd_cluster_bound", "gauge",
               "1 once it is known to which cluster the endpoints must belong.",
               m.status.etcd_cluster_id.empty() ? "0" : "1");
  page->family("vipd_etcd_cluster_mismatch", "gauge",
               "1 for an endpoint that belongs to another cluster, and is not used.");
  for (const EndpointStatus& each : m.status.etcd_endpoints) {
    page->sample({{"endpoint", each.endpoint}}, each.mismatch ? "1" : "0");
  }
  page->single("vipd_etcd_no_space", "gauge", "1 while etcd takes no writes for want of space.",
               m.node.no_space ? "1" : "0");
  page->single("vipd_etcd_uncompacted_revisions", "gauge",
               "Revisions that etcd is known to keep, asked for once an hour: nobody compacts it "
               "if this goes on to grow.",
               std::to_string(m.uncompacted));
  page->family("vipd_etcd_requests_total", "counter", "Requests to etcd.");
  for (const RequestCounts& r : m.requests) {
    page->sample({{"endpoint", r.endpoint}, {"op", r.operation}, {"result", r.result}},
                 number(r.count));
  }
}

void put_states(Page* page, const Metrics& m) {
  page->family("vipd_owner", "gauge", "1 for a VIP that this node has on its link.");
  for (const VipStatus& vip : m.status.vips) {
    page->sample({{"vip", vip.name}, {"address", vip.address}}, vip.state == "owner" ? "1" : "0");
  }
  page->family("vipd_state", "gauge", "1 for the state that the VIP is in on this node.");
  for (const VipStatus& vip : m.status.vips) {
    for (const std::string_view state : kVipStates) {
      page->sample({{"vip", vip.name}, {"state", state}}, vip.state == state ? "1" : "0");
    }
  }
  page->family("vipd_transitions_total", "counter", "Changes of a VIP's state on this node.");
  for (size_t i = 0; i < m.vips.size(); i++) {
    for (const std::string_view state : kVipStates) {
      const auto found = m.vips[i].to.find(state);
      page->sample({{"vip", m.status.vips[i].name}, {"to", state}},
                   number(found == m.vips[i].to.end() ? 0 : found->second));
    }
  }
}

void put_checks(Page* page, const Metrics& m) {
  page->family("vipd_check_up", "gauge", "1 for a check that is up.");
  for (const CheckStatus& check : m.status.checks) {
    page->sample({{"check", check.name}}, check.state == "up" ? "1" : "0");
  }
}

void put_count(Page* page, const Metrics& m, const char* name, const char* help,
               uint64_t VipCounts::*count) {
  page->family(name, "counter", help);
  for (size_t i = 0; i < m.vips.size(); i++) {
    page->sample({{"vip", m.status.vips[i].name}}, number(m.vips[i].*count));
  }
}

}  // namespace

std::string metrics_text(const Metrics& metrics) {
  Page page;
  put_node(&page, metrics);
  put_heartbeats(&page, metrics.heartbeats);
  put_peers(&page, metrics);
  put_etcd(&page, metrics);
  put_states(&page, metrics);
  put_checks(&page, metrics);
  put_count(&page, metrics, "vipd_announcements_total", "Announcements of the VIP to its network.",
            &VipCounts::announcements);
  put_count(&page, metrics, "vipd_conflicts_total",
            "Times that a host outside the election claimed the VIP.", &VipCounts::conflicts);
  put_count(&page, metrics, "vipd_address_restored_total",
            "Times that somebody else had removed the address from our link.",
            &VipCounts::restored);
  return std::move(page).text();
}

}  // namespace vipd::ctl
