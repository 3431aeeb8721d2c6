// The metrics' names, labels and form. `make check-metrics` has promtool look at the same golden.
#include "ctl/metrics.hpp"

#include "fixture.hpp"
#include "harness.hpp"

using namespace vipd;
using namespace vipd::ctl;

namespace {

const std::string kGolden = "tests/unit/data/ctl/metrics.txt";

VipMetrics vip(const std::string& name, const std::string& address, VipState state) {
  VipMetrics vip;
  vip.name = name;
  vip.address = address;
  vip.state = state;
  return vip;
}

Metrics example() {
  Metrics m;
  m.status.version = "1.0.0";
  m.status.state = "running";
  m.status.timeout_ms = 5000;
  m.status.authority_ms = 4412;
  m.status.etcd_connected = true;
  m.status.etcd_cluster_id = "cdf818194e3a8c32";
  m.status.etcd_endpoints = {{"http://127.0.0.1:2379", "7b", true, "n9"},
                             {"http://10.0.0.2:2379", "cdf818194e3a8c32", false, ""}};
  m.status.checks = {{"apiserver", "up", "", "", false}, {"disk", "unknown", "", "", false}};
  m.vips = {vip("api", "192.168.0.15", VipState::Owner),
            vip("six", "2001:db8::15", VipState::Fault)};
  VipCounts& api = m.vips[0].counts;
  api.to[static_cast<size_t>(VipState::Owner)] = 2;
  api.to[static_cast<size_t>(VipState::Standby)] = 1;
  api.announcements = 12;
  api.reachable = false;
  m.vips[1].counts.conflicts = 3;
  m.vips[1].counts.restored = 4;
  m.heartbeats.echoed = 3;
  m.heartbeats.failed = 1;
  for (const int ms : {1, 7, 3000}) m.heartbeats.took.add(Duration::milliseconds(ms));
  m.status.nodes_differ = "n2 has a session.timeout of 6.0 s, this node of 5.0 s";
  m.status.fence = {.kind = "tcx", .in_force = true, .reason = ""};
  m.status.peer_lease.left_ms = 812;
  m.peers.terms = {.entered = 6, .changed = 5, .left = 4, .lost = 3, .refused = 2, .expired = 1};
  m.peers.grants = {{"n2", 20}, {"n3", 21}};
  m.peers.frames = {.sent = {{"renew", 40}, {"grant", 8}},
                    .received = {{"grant", 41}, {"renew", 8}},
                    .dropped = {{"length", 0}, {"nonce", 9}}};
  m.node.takeovers = {{"silent", 2}};
  m.node.fenced = 5;
  m.uncompacted = 345600;
  m.requests = {{"http://127.0.0.1:2379", "txn", "ok", 42},
                {"unix:/run/a\\b \"c\"\nd\xff", "range", "failed", 1}};
  return m;
}

std::string text_of(const Metrics& metrics) {
  MetricsText text(metrics);
  while (text.add_some()) {
  }
  return std::move(text).text();
}

void text_is_that_of_the_golden() {
  const std::string actual = text_of(example());
  TEST_ASSERT_EQUAL_STRING(fixture::golden(kGolden, actual), actual);
}

// The users' contract.
void no_name_of_the_contract_is_missing() {
  const std::string text = text_of(example());
  for (const char* sample :
       {"vipd_build_info{",
        "vipd_nodes_differ 1",
        "vipd_etcd_cluster_bound 1",
        "vipd_etcd_cluster_mismatch{endpoint=\"http://127.0.0.1:2379\"} 1",
        "vipd_etcd_cluster_mismatch{endpoint=\"http://10.0.0.2:2379\"} 0",
        "vipd_owner{vip=\"api\",address=\"192.168.0.15\"} 1",
        "vipd_state{vip=\"six\",state=\"fault\"} 1",
        "vipd_transitions_total{vip=\"api\",to=\"owner\"} 2",
        "vipd_authority_seconds 4.412",
        "vipd_heartbeats_total{result=",
        "vipd_heartbeat_duration_seconds_bucket{le=\"+Inf\"} 3",
        "vipd_fence{kind=\"tcx\"} 1",
        "vipd_fence{kind=\"none\"} 0",
        "vipd_peer_lease_seconds 0.812",
        "vipd_peer_grants_total{peer=\"n3\"} 21",
        "vipd_peer_terms_total{how=\"entered\"} 6",
        "vipd_peer_frames_dropped_total{reason=\"nonce\"} 9",
        "vipd_etcd_requests_total{endpoint=\"http://127.0.0.1:2379\",op=\"txn\",result=\"ok\"} 42",
        "vipd_takeovers_total{cause=\"silent\"} 2",
        "vipd_fenced_total 5",
        "vipd_announcements_total{vip=\"api\"} 12",
        "vipd_conflicts_total{vip=\"six\"} 3",
        "vipd_check_up{check=\"apiserver\"} 1",
        "vipd_address_restored_total{vip=\"six\"} 4"}) {
    TEST_ASSERT_MESSAGE(text.find("\n" + std::string(sample)) != std::string::npos, sample);
  }
}

// However many VIPs there are: no part has more than some of them.
void of_thousands_each_part_is_short() {
  Metrics m = example();
  m.vips.resize(10'000, m.vips[0]);
  MetricsText text(std::move(m));
  size_t parts = 1;
  while (text.add_some()) parts++;
  TEST_ASSERT_TRUE(parts > 7 * 100);
  size_t owners = 0;
  for (const std::string& line : fixture::lines(std::move(text).text())) {
    owners += line.starts_with("vipd_owner{") ? 1 : 0;
  }
  TEST_ASSERT_EQUAL_INT(10'000, owners);
}

// Each family once, before its samples; each sample once.
void families_are_announced_and_no_sample_is_given_twice() {
  std::string family;
  std::vector<std::string> seen;
  for (const std::string& line : fixture::lines(text_of(example()))) {
    if (line.starts_with("# HELP ")) continue;
    const bool is_type = line.starts_with("# TYPE ");
    if (is_type) family = line.substr(7, line.find(' ', 7) - 7);
    if (!is_type) TEST_ASSERT_MESSAGE(line.starts_with(family), line);
    const std::string name = is_type ? line : line.substr(0, line.rfind(' '));
    TEST_ASSERT_MESSAGE(std::find(seen.begin(), seen.end(), name) == seen.end(), line);
    seen.push_back(name);
  }
}

void labels_are_escaped_and_valid_utf8() {
  const std::string text = text_of(example());
  TEST_ASSERT_TRUE(text.find("endpoint=\"unix:/run/a\\\\b \\\"c\\\"\\nd\xef\xbf\xbd\"") !=
                   std::string::npos);
}

void histogram_counts_each_once_and_adds_up() {
  Histogram took;
  for (const int64_t ms : Histogram::kBoundsMs) took.add(Duration::milliseconds(ms));
  took.add(Duration::milliseconds(Histogram::kBoundsMs.back()) + Duration::nanoseconds(1));
  for (const uint64_t count : took.counts()) TEST_ASSERT_EQUAL_UINT64(1, count);
  TEST_ASSERT_EQUAL_INT(4443 + 2500, took.sum().ms());
}

// What begins with vipd_ in a text.
std::vector<std::string> names_in(const std::string& text) {
  const char* const kName = "abcdefghijklmnopqrstuvwxyz0123456789_";
  std::vector<std::string> names;
  for (size_t at = 0; (at = text.find("vipd_", at)) != std::string::npos;) {
    const size_t end = text.find_first_not_of(kName, at);
    names.push_back(text.substr(at, end - at));
    at = end;
  }
  return names;
}

// Alerts and panels that name what nobody counts would be silent for ever.
void monitoring_uses_only_what_is_there() {
  const std::string text = text_of(example());
  for (const char* path : {"contrib/monitoring/alerts.yml", "contrib/monitoring/dashboard.json"}) {
    const std::vector<std::string> names = names_in(fixture::read(path));
    TEST_ASSERT_TRUE(names.size() > 10);
    for (const std::string& name : names) {
      const bool is_there = text.find("\n" + name + " ") != std::string::npos ||
                            text.find("\n" + name + "{") != std::string::npos;
      TEST_ASSERT_MESSAGE(is_there, path + (": " + name));
    }
  }
}

void the_manual_has_every_metric() {
  const std::vector<std::string> names = names_in(fixture::read("contrib/man/vipd.8"));
  int families = 0;
  for (const std::string& line : fixture::lines(text_of(example()))) {
    if (!line.starts_with("# TYPE ")) continue;
    const std::string family = line.substr(7, line.find(' ', 7) - 7);
    TEST_ASSERT_MESSAGE(std::find(names.begin(), names.end(), family) != names.end(), family);
    ++families;
  }
  TEST_ASSERT_TRUE(families > 15);
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(the_manual_has_every_metric);
  RUN_TEST(text_is_that_of_the_golden);
  RUN_TEST(no_name_of_the_contract_is_missing);
  RUN_TEST(of_thousands_each_part_is_short);
  RUN_TEST(families_are_announced_and_no_sample_is_given_twice);
  RUN_TEST(labels_are_escaped_and_valid_utf8);
  RUN_TEST(histogram_counts_each_once_and_adds_up);
  RUN_TEST(monitoring_uses_only_what_is_there);
  return UNITY_END();
}
