#include "daemon/status.hpp"

#include "check/checks.hpp"
#include "daemon/engine.hpp"
#include "daemon/etcd_side.hpp"
#include "daemon/gate.hpp"
#include "daemon/kept.hpp"
#include "daemon/ledger.hpp"
#include "daemon/network.hpp"
#include "daemon/peers.hpp"
#include "daemon/settings.hpp"
#include "daemon/vips.hpp"
#include "harness.hpp"
#include "logged.hpp"

using namespace vipd;

namespace {

std::string route_fault;
const Address kVip = *Address::parse("192.0.2.1");

// The parts of a daemon whose etcd does not answer.
struct Bench {
  Loop loop;
  Config config;
  Vips vips{config.vips};
  Engine engine{loop, {[] {}, [](const Action&) {}}};
  EtcdSide etcd{loop, "/vipd", [](const Event&) {}};
  Gate gate{loop,
            vips,
            {[](const Event&) {}, [] { return std::vector<VipView>(); }, [] { return false; }}};
  Network network{loop, vips, {}};
  FenceSide fence{loop, network, {}};
  Peers peers{loop, vips, network, fence, {}};
  Kept kept{"/vipd"};
  Ledger ledger;

  Bench() {
    config.node_name = "a";
    config.etcd.endpoints = {"http://127.0.0.1:1"};
    config.etcd.prefix = "/vipd";
    config.session_timeout = Duration::seconds(5);
    config.session_heartbeat = Duration::milliseconds(600);
    config.vips.resize(1);
    config.vips[0].name = "api";
    config.vips[0].address = kVip;
    config.vips[0].link = "eth0";
    config.vips[0].group = "router";
    config.vips[0].checks = {"ready"};
    config.checks.resize(1);
    config.checks[0].name = "ready";
    config.checks[0].kind = CheckKind::File;
    config.checks[0].target = "/nonexistent/ready";
    vips.changed();
    Settings settings = settings_of(config);
    settings.instance = "a-1";
    etcd.start(config);
    engine.start(settings);
    gate.start(check::Tools{.loop = loop, .environment = {}, .link_of = nullptr}, config.checks);
  }

  Parts parts() {
    return {loop,
            config,
            vips,
            engine,
            etcd,
            fence,
            peers,
            gate,
            [](const VipConfig& vip) {
              return VipNetwork{.link = vip.link, .no_link = "", .route_fault = route_fault};
            },
            kept,
            ledger,
            "2026-01-01T00:00:00.000Z"};
  }
};

void a_route_that_is_missing_is_said() {
  Bench b;
  const std::string before = vips_of(b.parts(), 0, 2)[0].reason;
  route_fault = "route default via 203.0.113.1: File exists";
  TEST_ASSERT_EQUAL_STRING(before + "; " + route_fault, vips_of(b.parts(), 0, 2)[0].reason);
  route_fault.clear();
}

void a_daemon_that_has_just_begun_says_so() {
  Bench b;
  const Status status = status_of(b.parts());
  TEST_ASSERT_EQUAL_STRING("a", status.node);
  TEST_ASSERT_EQUAL_STRING("starting", status.state);
  TEST_ASSERT_EQUAL_STRING("", status.session_id);
  TEST_ASSERT_EQUAL_INT(5000, status.timeout_ms);
  TEST_ASSERT_EQUAL_INT(0, status.authority_ms);
  TEST_ASSERT_FALSE(status.etcd_connected);
  TEST_ASSERT_FALSE(status.fence.in_force);
  TEST_ASSERT_EQUAL_STRING("none, it is not loaded yet",
                           status.fence.kind + ", " + status.fence.reason);
  TEST_ASSERT_EQUAL_STRING("none, it is switched off",
                           status.peer_lease.state + ", " + status.peer_lease.reason);
  TEST_ASSERT_EQUAL_INT(1, status.checks.size());
  TEST_ASSERT_EQUAL_STRING("there is no session in etcd", unhealthy(b.parts()));
}

void a_vip_has_its_configuration_its_check_and_what_is_kept_of_it() {
  Bench b;
  TEST_ASSERT_EQUAL_STRING("2026-01-01T00:00:00.000Z", vips_of(b.parts(), 0, 2)[0].since);
  b.ledger.take(action::ReportState{
      .address = kVip, .from = VipState::Fault, .to = VipState::Standby, .reason = "so"});
  const VipStatus vip = vips_of(b.parts(), 0, 2)[0];
  TEST_ASSERT_EQUAL_STRING("api", vip.name);
  TEST_ASSERT_EQUAL_STRING("192.0.2.1", vip.address);
  TEST_ASSERT_EQUAL_STRING("eth0", vip.link);
  TEST_ASSERT_EQUAL_STRING("router", vip.group);
  TEST_ASSERT_EQUAL_UINT64(1, vip.transitions);
  TEST_ASSERT_EQUAL_STRING("so", vip.last_change);
  TEST_ASSERT_TRUE(vip.since != "2026-01-01T00:00:00.000Z");
  TEST_ASSERT_EQUAL_INT(1, vip.checks.size());
  TEST_ASSERT_EQUAL_STRING("unknown", vip.checks[0].state);
}

void counters_go_in_the_order_of_the_vips() {
  Bench b;
  b.ledger.announced(kVip);
  b.ledger.announced(*Address::parse("192.0.2.9"));  // configured no more
  b.ledger.take(action::Report{.kind = ReportKind::Fenced, .text = ""});
  const std::vector<VipMetrics> vips = counts_of(b.parts(), 0, 9);
  TEST_ASSERT_EQUAL_INT(1, vips.size());
  TEST_ASSERT_EQUAL_UINT64(1, vips[0].counts.announcements);
  TEST_ASSERT_EQUAL_UINT64(1, metrics_of(b.parts()).node.fenced);
  TEST_ASSERT_TRUE(counts_of(b.parts(), 1, 9).empty() && vips_of(b.parts(), 2, 1).empty());
}

void a_daemon_that_stops_is_not_healthy() {
  Bench b;
  b.engine.feed(event::StopAsked{});
  TEST_ASSERT_EQUAL_STRING("the daemon is stopping", unhealthy(b.parts()));
}

HistoryEntry entry(const char* kind, const char* from, const char* to) {
  HistoryEntry entry;
  entry.kind = kind;
  entry.from = from;
  entry.to = to;
  return entry;
}

void moves_are_changes_of_the_owner() {
  std::deque<HistoryEntry> history = {
      entry("owner", "a", "b"),         entry("state", "standby", "owner"),
      entry("state", "owner", "fault"), entry("state", "fault", "standby"),
      entry("state", "owner", "owner"), entry("event", "", "")};
  TEST_ASSERT_EQUAL_INT(3, moves_in(history).size());
  for (int i = 0; i < 80; i++) history.push_back(entry("owner", "a", "c"));
  TEST_ASSERT_EQUAL_INT(64, moves_in(history).size());
  TEST_ASSERT_EQUAL_STRING("c", moves_in(history).front().to);
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(a_route_that_is_missing_is_said);
  RUN_TEST(a_daemon_that_has_just_begun_says_so);
  RUN_TEST(a_vip_has_its_configuration_its_check_and_what_is_kept_of_it);
  RUN_TEST(counters_go_in_the_order_of_the_vips);
  RUN_TEST(a_daemon_that_stops_is_not_healthy);
  RUN_TEST(moves_are_changes_of_the_owner);
  return UNITY_END();
}
