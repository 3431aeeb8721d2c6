#include "ctl/status_text.hpp"

#include <rapidjson/document.h>

#include "ctl/json_text.hpp"
#include "ctl/status_read.hpp"
#include "ctl/table.hpp"
#include "fixture.hpp"
#include "harness.hpp"

using namespace vipd;
using namespace vipd::ctl;

namespace {

const std::string kData = "tests/unit/data/ctl/";

// The one of the users' contract.
Status example() {
  Status status;
  status.version = "1.0.0";
  status.node = "n1";
  status.state = "running";
  status.session_id = "694d8f3a1c2b4e01";
  status.timeout_ms = 5000;
  status.authority_ms = 4412;
  status.etcd_connected = true;
  status.etcd_endpoint = "http://127.0.0.1:2379";
  status.etcd_version = "3.5.16";
  status.etcd_cluster_id = "cdf818194e3a8c32";
  status.etcd_endpoints = {{"http://127.0.0.1:2379", "cdf818194e3a8c32", false, ""}};
  status.fence = {.kind = "tcx", .in_force = true, .reason = ""};
  status.peer_lease = {.state = "in force",
                       .timeout_ms = 1000,
                       .left_ms = 812,
                       .reason = "",
                       .left_because = "n3 did not grant it",
                       .no_hold_because = "peer.hold = no",
                       .grantors = {{"n2", true, 240}, {"", false, 1300}}};
  VipStatus vip;
  vip.name = "api";
  vip.address = "192.168.0.15";
  vip.link = "eth0";
  vip.state = "owner";
  vip.owner = "n1";
  vip.since = "2026-01-31T12:00:00.123Z";
  vip.transitions = 1;
  vip.queue = {{"n1", 100, "694d8f3a1c2b4e01"}, {"n2", 100, "694d8f3a1c2b4e07"}};
  vip.checks = {{"apiserver", "up", "2026-01-31T11:59:58.001Z", "", false}};
  status.vips.push_back(vip);
  status.checks = vip.checks;
  return status;
}

Status troubled() {
  Status status;
  status.version = "1.0.0";
  status.node = "n-with-a-longer-name";
  status.state = "starting";
  status.timeout_ms = 7500;
  status.etcd_error_endpoint = "http://10.0.0.9:2380";
  status.etcd_error = "this is etcd's \033peer port";
  status.etcd_error_age_ms = 250;
  status.etcd_error_matters = true;
  status.etcd_cluster_id = "cdf818194e3a8c32";
  status.etcd_objection = "2 of 3 endpoints belong to cluster 7b, not to cdf818194e3a8c32";
  status.etcd_endpoints = {{"http://127.0.0.1:2379", "7b", true, "n\xc3\xb6rd, n\033[31m"},
                           {"http://10.0.0.2:2379", "7b", true, ""},
                           {"http://10.0.0.3:2379", "cdf818194e3a8c32", false, ""}};
  status.fence = {
      .kind = "clsact", .in_force = false, .reason = "bypassed on eth0 by another filter"};
  status.peer_lease.state = "none";
  status.peer_lease.reason = "bypassed on eth0 by another filter";
  status.nodes_differ =
      "n\033[31m has a session.timeout of 8.0 s, this node of 7.5 s; give all nodes the same";
  VipStatus vip;
  vip.name = "a-longer-name";
  vip.address = "10.0.0.1";
  vip.link = "bond0.100";
  vip.group = "router";
  vip.state = "fault";
  vip.reason = "link bond0.100 is not there";
  vip.checks = {{"a", "down", "2026-01-31T11:59:58.001Z", "connection \"refused\"", false},
                {"b", "unknown", "2026-01-31T11:59:58.001Z", "", true}};
  vip.since = "2026-01-31T12:00:00.123Z";
  status.vips.push_back(vip);
  vip = example().vips[0];
  vip.state = "standby";
  vip.owner = "n\xc3\xb6rd\033[31m\xc2\x9b\xff";
  vip.queue[0].node = vip.owner;
  status.vips.push_back(vip);
  return status;
}

void json_is_that_of_the_contract() {
  const std::string actual = StatusJson(example()).text() + "\n";
  TEST_ASSERT_EQUAL_STRING(fixture::golden(kData + "status.json", actual), actual);
}

void log_lines_are_one_for_the_node_and_one_for_each_vip() {
  Status faulty = troubled();
  faulty.vips.pop_back();
  std::string actual;
  for (const Status& status : {example(), faulty, Status{}}) {
    actual += fixture::joined(node_lines(status));
    for (const VipStatus& vip : status.vips) actual += vip_line(vip) + "\n";
  }
  TEST_ASSERT_EQUAL_STRING(fixture::golden(kData + "status.lines", actual), actual);
}

void table_lines_up() {
  const std::string actual = status_table(example(), false) + "\n" +
                             status_table(troubled(), false) + "\n" + status_table(Status{}, false);
  TEST_ASSERT_EQUAL_STRING(fixture::golden(kData + "status.table", actual), actual);
}

void it_is_said_what_becomes_of_the_vips_without_etcd() {
  Status status = example();
  PeerLeaseStatus& lease = status.peer_lease;
  lease.would_hold = true;
  lease.no_hold_because = "";
  const auto ends = [&](const std::string& with) { return peer_line(status).ends_with(with); };
  TEST_ASSERT_TRUE(ends("812 of 1000 ms left; without etcd: holds on"));
  lease.holds = true;
  lease.reason = "etcd has been away for 40.0 s; n2 agrees that this node keeps api";
  TEST_ASSERT_TRUE(ends("812 of 1000 ms left"));  // the reason says it
  lease.would_hold = lease.holds = false;         // a daemon of an older version
  TEST_ASSERT_TRUE(ends("812 of 1000 ms left"));
}

void table_has_colours_only_when_asked() {
  TEST_ASSERT_TRUE(status_table(troubled(), false).find('\033') == std::string::npos);
  const std::string coloured = status_table(troubled(), true);
  TEST_ASSERT_TRUE(coloured.find("\033[31mfault\033[0m") != std::string::npos);
  std::string plain = coloured;
  for (const char* code : {"\033[32m", "\033[33m", "\033[31m", "\033[1m", "\033[0m"}) {
    plain = fixture::replaced(plain, code, "");
  }
  TEST_ASSERT_EQUAL_STRING(status_table(troubled(), false), plain);
}

void json_reads_back_to_the_same() {
  for (const Status& status : {example(), troubled(), Status{}}) {
    const std::optional<Status> read = read_status(StatusJson(status).text());
    TEST_ASSERT_TRUE(read.has_value());
    TEST_ASSERT_EQUAL_STRING(StatusJson(status).text(), StatusJson(*read).text());
  }
}

// As the daemon makes it of thousands: the VIPs are added some at a time.
void json_is_the_same_however_it_is_cut() {
  const std::string whole = StatusJson(troubled()).text();
  Status status = troubled();
  const std::vector<VipStatus> vips = std::exchange(status.vips, {});
  StatusJson cut(status);
  for (const VipStatus& vip : vips) cut.add({vip});
  TEST_ASSERT_EQUAL_STRING(whole, std::move(cut).text());
}

void json_has_a_group_where_there_is_one() {
  const std::string group = "\"link\":\"bond0.100\",\"group\":\"router\",";
  TEST_ASSERT_TRUE(StatusJson(troubled()).text().find(group) != std::string::npos);
  TEST_ASSERT_TRUE(StatusJson(example()).text().find("group") == std::string::npos);
}

void json_is_valid_whatever_other_nodes_are_called() {
  const std::string text = StatusJson(troubled()).text();
  rapidjson::Document document;
  document.Parse<rapidjson::kParseValidateEncodingFlag>(text.data(), text.size());
  TEST_ASSERT_FALSE(document.HasParseError());
}

void what_is_no_status_is_refused() {
  for (const char* text :
       {"", "{}", "[]", "{\"vips\":{}}", "{\"vips\":[]", "null", "{\"vips\":[]}x"}) {
    TEST_ASSERT_MESSAGE(!read_status(text).has_value(), text);
  }
  TEST_ASSERT_FALSE(read_status(std::string(1'000'000, '[')).has_value());
}

void wrong_types_are_read_as_nothing() {
  const std::optional<Status> status = read_status(
      "{\"node\":1,\"session\":[],\"etcd\":{\"connected\":\"yes\"},\"new\":{},"
      "\"vips\":[1,{\"name\":\"a\",\"queue\":{},\"transitions\":-1.5},{\"queue\":[\"n1\"]}]}");
  TEST_ASSERT_TRUE(status.has_value());
  TEST_ASSERT_EQUAL_STRING("", status->node);
  TEST_ASSERT_FALSE(status->etcd_connected);
  TEST_ASSERT_EQUAL_INT(3, status->vips.size());
  TEST_ASSERT_EQUAL_STRING("a", status->vips[1].name);
  TEST_ASSERT_EQUAL_INT(1, status->vips[2].queue.size());
}

void errors_are_written_and_read() {
  const std::string reason = "vipd.conf:3: \"x\" is \033 no\nkey";
  TEST_ASSERT_EQUAL_STRING(reason, read_error(error_json(reason)));
  TEST_ASSERT_EQUAL_STRING("", read_error("oops"));
  TEST_ASSERT_EQUAL_STRING("", read_error("{\"error\":5}"));
}

void invalid_utf8_is_replaced() {
  TEST_ASSERT_EQUAL_STRING("n\xc3\xb6rd \xf0\x9f\x98\x80",
                           valid_utf8("n\xc3\xb6rd \xf0\x9f\x98\x80"));
  TEST_ASSERT_EQUAL_STRING(
      "a\xef\xbf\xbd"
      "b",
      valid_utf8("a\xff"
                 "b"));
  TEST_ASSERT_EQUAL_STRING("\xef\xbf\xbd", valid_utf8("\xc3"));
  TEST_ASSERT_EQUAL_STRING("\xef\xbf\xbd\xef\xbf\xbd", valid_utf8("\xc0\x80"));
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(json_is_that_of_the_contract);
  RUN_TEST(log_lines_are_one_for_the_node_and_one_for_each_vip);
  RUN_TEST(table_lines_up);
  RUN_TEST(it_is_said_what_becomes_of_the_vips_without_etcd);
  RUN_TEST(table_has_colours_only_when_asked);
  RUN_TEST(json_reads_back_to_the_same);
  RUN_TEST(json_is_the_same_however_it_is_cut);
  RUN_TEST(json_has_a_group_where_there_is_one);
  RUN_TEST(json_is_valid_whatever_other_nodes_are_called);
  RUN_TEST(what_is_no_status_is_refused);
  RUN_TEST(wrong_types_are_read_as_nothing);
  RUN_TEST(errors_are_written_and_read);
  RUN_TEST(invalid_utf8_is_replaced);
  return UNITY_END();
}
