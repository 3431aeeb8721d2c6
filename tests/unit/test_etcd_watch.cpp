#include "etcd/watch.hpp"

#include <memory>
#include <string>

#include "harness.hpp"

using namespace vipd::etcd;

static std::string trace;

void setUp() {
  trace.clear();
}

namespace {

const std::string kCreated =
    R"({"result":{"header":{"cluster_id":"9","revision":"1"},"created":true}})"
    "\n";
const std::string kPut =
    R"({"result":{"header":{"cluster_id":"9","revision":"4"},"events":[{"kv":{"key":"Yw==","create_revision":"4",)"
    R"("mod_revision":"4","version":"1","value":"YQ==","lease":"7"}}]}})"
    "\n";
const std::string kDelete =
    R"({"result": {"header": {"cluster_id": "9", "revision": "5"}, "watch_id": "6", "events": [{"type": "DELETE", )"
    R"("kv": {"key": "Yg==", "mod_revision": "5"}}]}})"
    "\n";
const std::string kProgress = R"({"result":{"header":{"cluster_id":"9","revision":"9"}}})"
                              "\n";
const std::string kWholeTrace = "created@1 put c=a@4 del b=@5 progress@9 ";

WatchHandlers tracing() {
  return {
      [](const Header& h) { trace += "created@" + std::to_string(h.revision) + " "; },
      [](const Header& h, const std::vector<WatchEvent>& events) {
        if (events.empty()) trace += "progress@" + std::to_string(h.revision) + " ";
        for (const WatchEvent& e : events) {
          trace += (e.deleted ? "del " : "put ") + e.kv.key + "=" + e.kv.value + "@" +
                   std::to_string(e.kv.mod_revision) + " ";
        }
      },
      [](const Error& error, int64_t compact_revision) {
        trace += "ended " + std::to_string(error.code) + " " + error.text;
        if (compact_revision != 0) trace += " @" + std::to_string(compact_revision);
      },
  };
}

Error cut() {
  return {Error::kTransport, "cut", ""};
}

// A watcher that catches up: etcd's header says where the store is, not what is shown.
void the_header_names_the_last_revision_that_is_shown() {
  int64_t named = 0;
  WatchHandlers handlers = tracing();
  handlers.events = [&named](const Header& h, const std::vector<WatchEvent>&) {
    named = h.revision;
  };
  WatchStream stream(std::move(handlers));
  std::string ahead = kPut;
  ahead.replace(ahead.find(R"("revision":"4")"), 14, R"("revision":"8")");
  stream.feed(kCreated + ahead);
  TEST_ASSERT_EQUAL_INT(4, named);
  stream.feed(kProgress);
  TEST_ASSERT_EQUAL_INT(9, named);
}

void lines_come_out_however_the_bytes_are_cut() {
  const std::string all = kCreated + kPut + kDelete + kProgress;
  for (size_t i = 0; i <= all.size(); ++i) {
    setUp();
    WatchStream stream(tracing());
    stream.feed(all.substr(0, i));
    stream.feed(all.substr(i));
    TEST_ASSERT_EQUAL_STRING(kWholeTrace, trace);
  }
  setUp();
  WatchStream stream(tracing());
  for (const char c : all) stream.feed({&c, 1});
  TEST_ASSERT_EQUAL_STRING(kWholeTrace, trace);
  TEST_ASSERT_TRUE(stream.created());
}

void empty_lines_are_passed_over() {
  WatchStream stream(tracing());
  stream.feed("\n" + kCreated + "\n\n" + kProgress);
  TEST_ASSERT_EQUAL_STRING("created@1 progress@9 ", trace);
}

std::string fed(const std::string& bytes) {
  setUp();
  WatchStream stream(tracing());
  stream.feed(bytes);
  if (trace.find("ended") == std::string::npos) return trace + "open";
  stream.feed(kPut);
  stream.finish(cut());
  return trace;
}

// Always with HTTP 200, and the stream stays open: it is over all the same.
void cancellations_end_the_watch() {
  TEST_ASSERT_EQUAL_STRING(
      "created@1 ended 11 history before revision 4 has been compacted @4",
      fed(kCreated +
          R"({"result":{"header":{"cluster_id":"9"},"canceled":true,"compact_revision":"4"}})"
          "\n"));
  TEST_ASSERT_EQUAL_STRING(
      "ended 1 watch cancelled by etcd: mvcc: watcher range is empty",
      fed(R"({"result":{"header":{"cluster_id":"9"},"watch_id":"-1","created":true,"canceled":true,)"
          R"("cancel_reason":"mvcc: watcher range is empty"}})"
          "\n"));
  TEST_ASSERT_EQUAL_STRING(
      "created@1 ended 1 watch cancelled by etcd",
      fed(kCreated + R"({"result":{"header":{"cluster_id":"9"},"canceled":true}})"
                     "\n"));
}

void error_lines_end_the_watch() {
  TEST_ASSERT_EQUAL_STRING("created@1 ended 14 etcdserver: no leader",
                           fed(kCreated + R"({"error":{"grpc_code":14,"http_code":503,)"
                                          R"("message":"etcdserver: no leader","http_status":"x"}})"
                                          "\n"));
  TEST_ASSERT_EQUAL_STRING("ended 14 error reading from server: EOF",
                           fed(R"({"error":{"code":14,"message":"error reading from server: EOF"}})"
                               "\n"));
}

void bad_bytes_end_the_watch() {
  TEST_ASSERT_EQUAL_STRING("ended -2 unexpected answer: 404 page not found",
                           fed("404 page not found\n"));
  TEST_ASSERT_TRUE(fed(kCreated + "{}\n").starts_with("created@1 ended -2 "));
  TEST_ASSERT_EQUAL_STRING("ended -2 events of a watch that was not created", fed(kPut));
}

std::string put_at(int revision) {
  const std::string r = std::to_string(revision);
  return R"({"kv":{"key":"Yw==","create_revision":"1","mod_revision":")" + r +
         R"(","value":"YQ=="}})";
}

std::string line_of(const std::string& events) {
  return R"({"result":{"header":{"cluster_id":"9","revision":"9"},"events":[)" + events + "]}}\n";
}

// Several changes may share a revision, but only in one message.
void revisions_go_on() {
  const std::string two = line_of(put_at(4) + "," + put_at(4) + "," + put_at(6));
  TEST_ASSERT_EQUAL_STRING("created@1 put c=a@4 put c=a@4 put c=a@6 put c=a@7 open",
                           fed(kCreated + two + line_of(put_at(7))));
  const std::string shown = "created@1 put c=a@4 put c=a@4 put c=a@6 ended -2 ";
  TEST_ASSERT_EQUAL_STRING(shown + "the watch shows revision 6 after 6",
                           fed(kCreated + two + line_of(put_at(6))));
  TEST_ASSERT_EQUAL_STRING(shown + "the watch shows revision 4 after 6", fed(kCreated + two + two));
  TEST_ASSERT_EQUAL_STRING("created@1 ended -2 the watch shows revision 4 after 5",
                           fed(kCreated + line_of(put_at(5) + "," + put_at(4))));
}

std::string fragment_of(const std::string& events) {
  std::string line = line_of(events);
  line.insert(line.rfind("}}"), R"(,"fragment":true)");
  return line;
}

// etcd cuts a long message between its events: what belongs together is shown together.
void fragments_become_whole_revisions() {
  const std::string both = put_at(4) + "," + put_at(5);
  TEST_ASSERT_EQUAL_STRING("created@1 put c=a@4 put c=a@5 put c=a@5 put c=a@6 put c=a@7 open",
                           fed(kCreated + fragment_of(both) + line_of(put_at(5) + "," + put_at(6)) +
                               line_of(put_at(7))));
  TEST_ASSERT_EQUAL_STRING(
      "created@1 progress@3 put c=a@4 put c=a@4 put c=a@4 open",
      fed(kCreated + fragment_of(put_at(4)) + fragment_of(put_at(4)) + line_of(put_at(4))));
  TEST_ASSERT_EQUAL_STRING("created@1 put c=a@4 open", fed(kCreated + fragment_of(both)));
  TEST_ASSERT_EQUAL_STRING("created@1 put c=a@4 ended -2 a fragment of a revision is missing",
                           fed(kCreated + fragment_of(both) + kProgress));
  TEST_ASSERT_EQUAL_STRING("created@1 put c=a@4 ended -2 the watch shows revision 4 after 5",
                           fed(kCreated + fragment_of(both) + line_of(put_at(4))));
}

std::string foreign_at(int revision, size_t length) {
  const std::string r = std::to_string(revision);
  return R"({"kv":{"key":"eA==","create_revision":"1","mod_revision":")" + r + R"(","value":")" +
         std::string(length, 'A') + R"("}})";
}

// Other people's keys are forgotten, and their revisions count.
void unwanted_keys_take_no_room() {
  const Wanted wanted = [](std::string_view key) { return key == "c"; };
  WatchStream stream(tracing(), wanted, 8192);
  stream.feed(kCreated);
  std::string foreign = foreign_at(2, 1U << 20);
  for (int i = 3; i < 40; ++i) foreign += "," + foreign_at(i, 1U << 20);
  stream.feed(line_of(foreign));
  stream.feed(line_of(foreign_at(40, 4) + "," + put_at(41) + "," + foreign_at(42, 4)));
  TEST_ASSERT_EQUAL_STRING("created@1 progress@39 put c=a@41 ", trace);
  stream.feed(line_of(put_at(42)));
  TEST_ASSERT_EQUAL_STRING(
      "created@1 progress@39 put c=a@41 ended -2 the watch shows revision 42 after 42", trace);
}

void wanted_keys_have_a_bound() {
  WatchStream stream(tracing(), {}, 4 * (kKeyCost + 2));
  std::string events = put_at(2);
  for (int i = 3; i < 6; ++i) events += "," + put_at(i);
  stream.feed(kCreated + line_of(events));
  trace.clear();
  events = put_at(6);
  for (int i = 7; i < 11; ++i) events += "," + put_at(i);
  stream.feed(line_of(events));
  TEST_ASSERT_EQUAL_STRING(
      "ended -2 more keys than fit into 1 KiB, a limit that grows with the number of VIPs "
      "configured here",
      trace);
}

void a_line_has_a_bound() {
  WatchStream stream(tracing());
  stream.feed(kCreated);
  stream.feed(std::string(16384, 'x'));
  TEST_ASSERT_EQUAL_STRING("created@1 ", trace);
  stream.feed("x");
  TEST_ASSERT_EQUAL_STRING("created@1 ended -2 unexpected message: " + std::string(100, 'x'),
                           trace);
}

std::string finished(const std::string& bytes) {
  setUp();
  WatchStream stream(tracing());
  stream.feed(bytes);
  stream.finish(cut());
  stream.finish(cut());
  return trace;
}

void the_end_of_the_connection_ends_the_watch_once() {
  TEST_ASSERT_EQUAL_STRING("ended -1 cut", finished(""));
  TEST_ASSERT_EQUAL_STRING("created@1 ended -1 cut", finished(kCreated));
  // Half a message, or a whole one without its line break, was never confirmed as complete.
  for (size_t i = 1; i < kPut.size(); ++i) {
    TEST_ASSERT_EQUAL_STRING("created@1 ended -1 cut", finished(kCreated + kPut.substr(0, i)));
  }
}

void what_is_left_at_the_end_may_say_why() {
  TEST_ASSERT_EQUAL_STRING("ended -2 unexpected answer: 404 page not found",
                           finished("404 page not found"));
  TEST_ASSERT_EQUAL_STRING("created@1 ended 14 transport is closing",
                           finished(kCreated + R"({"error":{"grpc_code":14,"http_code":503,)"
                                               R"("message":"transport is closing"}})"));
  TEST_ASSERT_EQUAL_STRING("ended 3 etcdserver: user name is empty",
                           finished(R"({"code":3,"message":"etcdserver: user name is empty"})"));
}

void a_closed_stream_says_nothing_more() {
  WatchStream stream(tracing());
  stream.feed(kCreated);
  stream.close();
  stream.feed(kPut);
  stream.finish(cut());
  TEST_ASSERT_EQUAL_STRING("created@1 ", trace);
}

void a_handler_may_close_its_own_stream() {
  std::shared_ptr<WatchStream> stream;
  WatchHandlers handlers = tracing();
  handlers.events = [&](const Header&, const std::vector<WatchEvent>&) {
    trace += "events ";
    stream->close();
    stream.reset();
  };
  stream = std::make_shared<WatchStream>(handlers);
  const std::shared_ptr<WatchStream> kept = stream;
  kept->feed(kCreated + kPut + kDelete);
  kept->finish(cut());
  TEST_ASSERT_EQUAL_STRING("created@1 events ", trace);
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(the_header_names_the_last_revision_that_is_shown);
  RUN_TEST(lines_come_out_however_the_bytes_are_cut);
  RUN_TEST(empty_lines_are_passed_over);
  RUN_TEST(cancellations_end_the_watch);
  RUN_TEST(error_lines_end_the_watch);
  RUN_TEST(bad_bytes_end_the_watch);
  RUN_TEST(revisions_go_on);
  RUN_TEST(fragments_become_whole_revisions);
  RUN_TEST(unwanted_keys_take_no_room);
  RUN_TEST(wanted_keys_have_a_bound);
  RUN_TEST(a_line_has_a_bound);
  RUN_TEST(the_end_of_the_connection_ends_the_watch_once);
  RUN_TEST(what_is_left_at_the_end_may_say_why);
  RUN_TEST(a_closed_stream_says_nothing_more);
  RUN_TEST(a_handler_may_close_its_own_stream);
  return UNITY_END();
}
