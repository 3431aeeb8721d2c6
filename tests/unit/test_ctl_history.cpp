#include "ctl/history.hpp"

#include "fixture.hpp"
#include "harness.hpp"

using namespace vipd;
using namespace vipd::ctl;

namespace {

HistoryEntry taken() {
  HistoryEntry entry;
  entry.time = "2026-01-31T03:12:07.123Z";
  entry.kind = "state";
  entry.vip = "api";
  entry.address = "192.168.0.15";
  entry.from = "waiting";
  entry.to = entry.owner = "owner";
  entry.owner = "n2";
  entry.reason = "n1 fell silent and was waited out";
  entry.session = "694d8f3a1c2b4e01";
  entry.endpoint = "http://127.0.0.1:2379";
  entry.revision = 4711;
  entry.heartbeat_ms = 480;
  entry.authority_ms = 4520;
  return entry;
}

HistoryEntry elsewhere() {
  HistoryEntry entry = taken();
  entry.kind = "owner";
  entry.from = "n\033[31m1\n";
  entry.to = entry.owner = "";
  entry.heartbeat_ms = -1;
  entry.session = entry.endpoint = "";
  return entry;
}

HistoryEntry event() {
  HistoryEntry entry = taken();
  entry.kind = "event";
  entry.vip = entry.address = entry.owner = entry.from = entry.to = "";
  entry.reason = "session 694d8f3a1c2b4e01 is lost: the session key is gone";
  return entry;
}

void lines_say_what_and_why_and_nothing_to_a_terminal() {
  const std::string figures =
      "  [session 694d8f3a1c2b4e01, heartbeat 480 ms ago, authority 4520 ms left, revision 4711 at "
      "http://127.0.0.1:2379]";
  TEST_ASSERT_EQUAL_STRING(
      "2026-01-31T03:12:07.123Z  vip api: waiting -> owner: n1 fell silent and was waited out" +
          figures,
      history_line(taken()));
  TEST_ASSERT_EQUAL_STRING(
      "2026-01-31T03:12:07.123Z  vip api: owner n?[31m1? -> nobody: n1 fell silent and was waited "
      "out  [no session, no authority, revision 4711]",
      history_line(elsewhere()));
  HistoryEntry unexplained = elsewhere();
  unexplained.reason = "";
  TEST_ASSERT_EQUAL_STRING(
      "2026-01-31T03:12:07.123Z  vip api: owner n?[31m1? -> nobody  [no session, no authority, "
      "revision 4711]",
      history_line(unexplained));
  TEST_ASSERT_EQUAL_STRING(
      "2026-01-31T03:12:07.123Z  node: session 694d8f3a1c2b4e01 is lost: the session key is gone" +
          figures,
      history_line(event()));
}

void json_reads_back_to_the_same() {
  const std::deque<HistoryEntry> history = {taken(), elsewhere(), event()};
  const std::string json = history_json(history);
  const auto read = read_history(json);
  TEST_ASSERT_TRUE(read.has_value());
  TEST_ASSERT_EQUAL_INT(3, read->size());
  TEST_ASSERT_EQUAL_STRING(json, history_json(*read));
  TEST_ASSERT_EQUAL_STRING("{\"history\":[]}", history_json({}));
}

void what_is_no_history_is_refused_and_wrong_types_are_nothing() {
  for (const char* text : {"", "[]", "{}", "{\"history\":1}", "{\"history\":[}"}) {
    TEST_ASSERT_MESSAGE(!read_history(text).has_value(), text);
  }
  const auto read = read_history("{\"history\":[1,{\"vip\":2,\"revision\":\"x\",\"to\":\"a\"}]}");
  TEST_ASSERT_TRUE(read.has_value());
  TEST_ASSERT_EQUAL_INT(2, read->size());
  TEST_ASSERT_EQUAL_STRING("a", read->at(1).to);
  TEST_ASSERT_EQUAL_INT(0, read->at(1).revision);
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(lines_say_what_and_why_and_nothing_to_a_terminal);
  RUN_TEST(json_reads_back_to_the_same);
  RUN_TEST(what_is_no_history_is_refused_and_wrong_types_are_nothing);
  return UNITY_END();
}
