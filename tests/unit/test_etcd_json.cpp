// The recordings are of real servers: one file a version, the same requests in each. Five dialects
// must read as one.
#include <string>
#include <vector>

#include "etcd/json.hpp"
#include "etcd/splitter.hpp"
#include "fixture.hpp"
#include "harness.hpp"

using namespace vipd::etcd;

namespace {

constexpr const char* kVersions[] = {"3.4", "3.5", "3.5up", "3.6", "3.7"};

struct Exchange {
  std::string path;
  std::string request;
  std::string answer;
};

std::vector<Exchange> recording(const std::string& version) {
  const std::string source = __FILE__;
  const std::string path =
      source.substr(0, source.rfind('/')) + "/data/etcd/gateway-" + version + ".txt";
  std::vector<Exchange> all;
  for (const std::string& line : fixture::lines(fixture::read(path))) {
    if (line.starts_with("> /")) {
      const size_t blank = line.find(' ', 2);
      const bool body = blank != std::string::npos;
      all.push_back({line.substr(2, blank - 2), body ? line.substr(blank + 1) : "", ""});
    } else if (line.starts_with("< ") && !all.empty()) {
      all.back().answer += line.substr(2) + "\n";
    }
  }
  return all;
}

std::string error_text(const Error& error) {
  const bool by_etcd = error.text.starts_with("etcdserver: ");  // the parsers' words differ
  return "error " + std::to_string(error.code) + (by_etcd ? " " + error.text : "");
}

std::string kv_text(const KeyValue& kv) {
  return " " + kv.key + "=" + kv.value + "@" + std::to_string(kv.create_revision) + "/" +
         std::to_string(kv.mod_revision) + "/" + std::to_string(kv.lease);
}

std::string kvs_text(const std::vector<KeyValue>& kvs) {
  std::string text;
  for (const KeyValue& kv : kvs) text += kv_text(kv);
  return text;
}

std::string watch_text(const std::string& lines) {
  std::string text;
  for (const std::string& line : fixture::lines(lines)) {
    std::string events;
    WatchMessage message;
    Error error;
    Splitter splitter(1U << 16, [&](char* bytes, size_t length) {
      WatchEvent event;
      if (!read_watch_event(bytes, length, event, error)) return false;
      events += (event.deleted ? " del" : " put") + kv_text(event.kv);
      return true;
    });
    if (!splitter.feed(line)) return error_text(error);
    std::string& rest = splitter.rest();
    if (!read_watch_line(rest.data(), rest.size(), message, error)) return error_text(error);
    text += std::string(message.created ? "+created" : "") + (message.canceled ? "+canceled" : "");
    if (message.compact_revision != 0) text += "@" + std::to_string(message.compact_revision);
    text += events;
  }
  return text;
}

std::string summary(const Exchange& exchange) {
  std::string body = exchange.answer;
  Error error;
  Granted granted;
  KeptAlive kept;
  Header header;
  TxnAnswer txn;
  RangeAnswer range;
  if (exchange.path == "/v3/watch") return watch_text(body);
  if (exchange.path == "/v3/lease/grant" && read_granted(body, granted, error)) {
    const bool asked_for = granted.lease == 777;
    return (asked_for ? "granted 777 ttl " : "granted ttl ") + std::to_string(granted.ttl_s);
  }
  if (exchange.path == "/v3/lease/keepalive" && read_kept_alive(body, kept, error)) {
    return "kept " + std::to_string(kept.ttl_s);
  }
  if (exchange.path == "/v3/lease/revoke" && read_header(body, header, error)) {
    return "revoked at " + std::to_string(header.revision);
  }
  if (exchange.path == "/v3/kv/txn" && read_txn(body, txn, error)) {
    return (txn.succeeded ? "won at " : "lost at ") + std::to_string(txn.header.revision) +
           kvs_text(txn.kvs);
  }
  if (exchange.path == "/v3/kv/range" && read_range(body, range, error)) {
    return "range at " + std::to_string(range.header.revision) + kvs_text(range.kvs);
  }
  return error_text(error);
}

const std::vector<std::string> kExpected = {
    "granted ttl 10",
    "granted 777 ttl 10",
    "error 9 etcdserver: lease already exists",
    "granted ttl 2",
    "granted ttl 2",
    "granted ttl 2",
    "error 11 etcdserver: too large lease TTL",
    "error 3",
    "granted ttl 10",
    "error 3",
    "granted ttl 2",
    "kept 10",
    "kept 10",
    "kept 0",
    "kept 10",
    "won at 2",
    "lost at 2 /vip/777=node-a@2/2/777",
    "lost at 2",
    "lost at 2 /vip/777=node-a@2/2/777",
    "error 5 etcdserver: requested lease not found",
    "range at 3 /vip/777=node-a@2/2/777 /vip/888=node-b@3/3/0",
    "error -2",  // with a limit, only keys, only their number: never asked for, and never mistaken
    "error -2",
    "error -2",
    "range at 3",
    "error 11 etcdserver: mvcc: required revision is a future revision",
    "range at 5 c=@5/5/0",
    "error 11 etcdserver: mvcc: required revision has been compacted",
    "revoked at 7",
    "error 5 etcdserver: requested lease not found",
    "range at 7",
    "+created+canceled@4",
    "+created put c=@5/5/0 put c=2@5/6/0",
};

void check_recording(const std::string& version) {
  const std::vector<Exchange> all = recording(version);
  TEST_ASSERT_EQUAL_INT(kExpected.size(), all.size());
  for (size_t i = 0; i < all.size(); ++i) {
    TEST_ASSERT_EQUAL_STRING(kExpected[i], summary(all[i]));
  }
}

void all_versions_read_as_one() {
  for (const char* version : kVersions) {
    check_recording(version);
    if (harness::run.failed) return;
  }
}

// A cut answer is never taken for a whole one, and none of the cuts is read past its end.
void a_cut_answer_is_a_bad_answer() {
  for (const char* version : kVersions) {
    for (const Exchange& exchange : recording(version)) {
      const size_t whole = exchange.answer.find('\n');
      for (size_t length = 0; length < whole; ++length) {
        const Exchange cut{exchange.path, "", exchange.answer.substr(0, length)};
        TEST_ASSERT_EQUAL_STRING(exchange.path == "/v3/watch" && length == 0 ? "" : "error -2",
                                 summary(cut));
      }
    }
  }
}

// Any changed byte may be read as something else, but must not do harm (run under the sanitizers).
void a_changed_byte_does_no_harm() {
  for (const Exchange& exchange : recording("3.6")) {
    for (size_t i = 0; i < exchange.answer.size(); ++i) {
      for (const char c : {'\0', '"', '{', '}', '[', '\\', '-', '9', '\xff'}) {
        Exchange changed = exchange;
        changed.answer[i] = c;
        TEST_ASSERT_FALSE(summary(changed).empty() && exchange.path != "/v3/watch");
      }
    }
  }
}

void requests_read_like_the_recorded_ones() {
  Txn txn;
  txn.compares.push_back({"/vip/777", Compare::Target::Create, Compare::Result::Equal, 0});
  txn.success.push_back({Op::Kind::Put, "/vip/777", "", "node-a", 777});
  txn.failure.push_back({Op::Kind::Range, "/vip/777", "", "", 0});
  TEST_ASSERT_EQUAL_STRING(recording("3.4")[15].request, write_txn(txn));
  TEST_ASSERT_EQUAL_STRING(recording("3.4")[20].request, write_range("/vip/", "/vip0"));
  TEST_ASSERT_EQUAL_STRING(recording("3.4")[27].request, write_range("c", "", 2));
  std::string watch = write_watch("/vip/", "/vip0", 1);
  watch.erase(watch.rfind(R"(,"fragment":true)"), 16);
  TEST_ASSERT_EQUAL_STRING(recording("3.4")[31].request, watch);
  TEST_ASSERT_EQUAL_STRING(R"({"TTL":"10"})", write_grant(10));
  TEST_ASSERT_EQUAL_STRING(R"({"ID":"9223372036854775807"})", write_lease(INT64_MAX));
}

void a_txn_has_all_its_parts() {
  Txn txn;
  txn.compares.push_back({"a", Compare::Target::Mod, Compare::Result::Greater, 7});
  txn.success.push_back({Op::Kind::Delete, "a", "ignored", "ignored", 1});
  txn.success.push_back({Op::Kind::Put, "a", "ignored", std::string("\0\xff", 2), 0});
  txn.failure.push_back({Op::Kind::Range, "a", "b", "ignored", 1});
  TEST_ASSERT_EQUAL_STRING(
      R"({"compare":[{"key":"YQ==","target":"MOD","result":"GREATER","mod_revision":"7"}],)"
      R"("success":[{"request_delete_range":{"key":"YQ=="}},)"
      R"({"request_put":{"key":"YQ==","value":"AP8="}}],)"
      R"("failure":[{"request_range":{"key":"YQ==","range_end":"Yg=="}}]})",
      write_txn(txn));
}

struct ErrorCase {
  const char* body;
  int code;
  const char* text;
};

void every_shape_of_an_error_is_one_error() {
  const ErrorCase cases[] = {
      {R"({"error":"T","message":"T","code":9})", 9, "T"},
      {R"({"error":"T","code":9,"message":"T"})", 9, "T"},
      {R"({"code":9,"message":"T"})", 9, "T"},
      {R"({"code":9,"message":"T","details":[{"@type":"x","a":[[1]]}]})", 9, "T"},
      {R"({"error":{"grpc_code":14,"http_code":503,"message":"T","http_status":"S"}})", 14, "T"},
      {R"({"error":{"code":14,"message":"T"}})", 14, "T"},
      {R"({"error":"T","code":3})", 3, "T"},
      {R"({"code":"16","message":"T"})", 16, "T"},
      {R"({"error":"T"})", 2, "T"},
      {R"({"code":77,"message":"T"})", 2, "T"},
      {R"({"code":[],"message":"T"})", 2, "T"},
      {R"({"code":7})", 7, "error 7 without a text"},
      {R"({"error":{}})", 2, "error 2 without a text"},
      {R"({"code":7,"message":"a\nb\u0000c\u00e9"})", 7, "a b c"},
  };
  for (const ErrorCase& c : cases) {
    std::string body = c.body;
    TxnAnswer answer;
    Error error;
    TEST_ASSERT_FALSE(read_txn(body, answer, error));
    TEST_ASSERT_MESSAGE(error.code == c.code, c.body);
    TEST_ASSERT_EQUAL_STRING(c.text, error.text);
  }
}

void plain_text_is_quoted_and_cut() {
  std::string body = "404 page not found\n";
  RangeAnswer answer;
  Error error;
  TEST_ASSERT_FALSE(read_range(body, answer, error));
  TEST_ASSERT_EQUAL_INT(Error::kBadAnswer, error.code);
  TEST_ASSERT_EQUAL_STRING("unexpected answer: 404 page not found", error.text);
  body = "<html>\r\n\x1b[31m" + std::string(1000, 'x');
  TEST_ASSERT_FALSE(read_range(body, answer, error));
  TEST_ASSERT_TRUE(error.text.starts_with("unexpected answer: <html>   [31mxxx"));
  TEST_ASSERT_TRUE(error.text.size() < 130);
  body.clear();
  TEST_ASSERT_FALSE(read_range(body, answer, error));
  TEST_ASSERT_EQUAL_STRING("empty answer", error.text);
}

bool good_range(std::string body) {
  RangeAnswer answer;
  Error error;
  const bool good = read_range(body, answer, error);
  return good && error.code == Error::kTransport;  // untouched
}

// The rest of an answer after "revision", and what is wrong with it: nothing when it is good.
std::string fault(const std::string& rest) {
  std::string body = R"({"header":{"cluster_id":"9","revision":)" + rest;
  RangeAnswer answer;
  Error error;
  if (read_range(body, answer, error)) return "";
  if (error.code != Error::kBadAnswer) return "code " + std::to_string(error.code);
  return error.text.substr(0, error.text.find(" in {"));
}

std::string one_kv(const std::string& fields, const std::string& count = "1") {
  return R"(7},"count":)" + count + R"(,"kvs":[{)" + fields + "}]}";
}

void wrong_fields_are_named() {
  const std::pair<std::string, const char*> cases[] = {
      {R"("7"},"kvs":null})", ""},
      {one_kv(R"("key":"YQ==","create_revision":1,"mod_revision":1,"new":{})"), ""},
      {"true}}", "revision"},
      {"1.5}}", "revision"},
      {R"("1x"}})", "revision"},
      {R"(""}})", "revision"},
      {R"(" 1"}})", "revision"},
      {R"("0"}})", "revision"},
      {R"("-1"}})", "revision"},
      {R"("9223372036854775807"}})", "revision"},  // whoever adds one would overflow
      {R"("9223372036854775808"}})", "revision"},
      {"9223372036854775808}}", "revision"},
      {R"(7,"cluster_id":"-1"},"kvs":{}})", "kvs"},  // the first of two counts
      {R"(7},"kvs":{}})", "kvs"},
      {R"(7},"kvs":[7]})", "kvs"},
      {one_kv(R"("key":7)"), "key"},
      {one_kv(R"("key":"a")"), "key"},
      {one_kv(R"("create_revision":1,"mod_revision":1)"), "key"},
      {one_kv(R"("key":"YQ==","create_revision":1)"), "mod_revision"},
      {one_kv(R"("key":"YQ==","mod_revision":1)"), "create_revision"},
      {one_kv(R"("key":"YQ==","create_revision":2,"mod_revision":1)"), "create_revision"},
      {one_kv(R"("key":"YQ==","create_revision":1,"mod_revision":1)", "2"), "count"},
      {R"(7},"count":"1"})", "count"},
      {R"(7},"succeeded":true})", "succeeded"},
      {R"(7},"ID":"1","TTL":"1"})", "ID"},
  };
  for (const auto& [rest, wrong] : cases) {
    const std::string expected =
        *wrong == '\0' ? "" : "missing or wrong \"" + std::string(wrong) + '"';
    TEST_ASSERT_EQUAL_STRING(expected, fault(rest));
  }
}

void what_is_no_answer_is_a_bad_answer() {
  const std::string good = R"({"header":{"cluster_id":"9","revision":"7"}})";
  TEST_ASSERT_TRUE(good_range(good));
  TEST_ASSERT_FALSE(good_range(good + " {}"));
  TEST_ASSERT_FALSE(good_range(good + ","));
  TEST_ASSERT_FALSE(good_range(good + '\0' + "x"));
  for (const char* body :
       {"{}", "[]", "7", "null", R"({"header":7})", R"({"header":null})",
        R"({"header":{"revision":"7"}})", R"({"header":{"cluster_id":"0","revision":"7"}})",
        R"({"header":{"cluster_id":"-1","revision":"7"}})",
        R"({"header":{"cluster_id":-1,"revision":"7"}})",
        R"({"header":{"cluster_id":"18446744073709551616","revision":"7"}})"}) {
    TEST_ASSERT_MESSAGE(!good_range(body), body);
  }
}

void the_widest_numbers_fit() {
  std::string body =
      R"({"header":{"cluster_id":"18446744073709551615","revision":"9223372036854775806",)"
      R"("member_id":18446744073709551615,"raft_term":2}})";
  Header header;
  Error error;
  TEST_ASSERT_TRUE(read_header(body, header, error));
  TEST_ASSERT_EQUAL_UINT64(UINT64_MAX, header.cluster_id);
  TEST_ASSERT_EQUAL_UINT64(UINT64_MAX, header.member_id);
  TEST_ASSERT_EQUAL_INT(INT64_MAX - 1, header.revision);
  TEST_ASSERT_EQUAL_UINT64(2, header.raft_term);
}

void depth_and_number_of_values_are_bounded() {
  const auto nested = [](size_t depth) {
    return R"({"header":{"cluster_id":"9","revision":"7"},"x":)" + std::string(depth, '[') +
           std::string(depth, ']') + "}";
  };
  TEST_ASSERT_TRUE(good_range(nested(31)));
  TEST_ASSERT_FALSE(good_range(nested(32)));
  TEST_ASSERT_FALSE(good_range(R"({"header":{"cluster_id":"9","revision":"7"},"x":)" +
                               std::string(16U << 20, '[')));
  std::string many = R"({"header":{"cluster_id":"9","revision":"7"},"x":[0)";
  for (int i = 0; i < 1'000'000; ++i) many += ",0";
  TEST_ASSERT_FALSE(good_range(many + "]}"));
}

void a_grant_without_a_lease_is_a_bad_answer() {
  for (const char* text :
       {R"({"header":{"cluster_id":"9","revision":"7"},"TTL":"10"})",
        R"({"header":{"cluster_id":"9","revision":"7"},"ID":"7"})",
        R"({"header":{"cluster_id":"9","revision":"7"},"ID":"-7","TTL":"10"})"}) {
    std::string body = text;
    Granted granted;
    Error error;
    TEST_ASSERT_MESSAGE(!read_granted(body, granted, error), text);
    TEST_ASSERT_EQUAL_INT(Error::kBadAnswer, error.code);
  }
}

void a_stream_error_is_an_error_of_the_call() {
  std::string body = R"({"error":{"code":14,"message":"etcdserver: no leader"}})"
                     "\n";
  KeptAlive kept;
  Error error;
  TEST_ASSERT_FALSE(read_kept_alive(body, kept, error));
  TEST_ASSERT_EQUAL_INT(14, error.code);
}

void the_version_is_read() {
  std::string body = R"({"etcdserver":"3.4.23","etcdcluster":"3.4.0"})";
  std::string version;
  Error error;
  TEST_ASSERT_TRUE(read_version(body, version, error));
  TEST_ASSERT_EQUAL_STRING("3.4.23", version);
  body = R"({"etcdserver":7})";
  TEST_ASSERT_FALSE(read_version(body, version, error));
}

void deletions_have_a_key_and_a_revision() {
  std::string line =
      R"({"result":{"header":{"cluster_id":"9","revision":"5"},"watch_id":"6","events":[{"type":"DELETE",)"
      R"("kv":{"key":"Yg==","mod_revision":"5"},"prev_kv":{"key":"Yg=="}}]}})";
  TEST_ASSERT_EQUAL_STRING(" del b=@0/5/0", watch_text(line));
  TEST_ASSERT_EQUAL_STRING(
      "error -2",
      watch_text(
          R"({"result":{"header":{"cluster_id":"9","revision":"7"},"events":[{"type":"NEW"}]}})"));
  TEST_ASSERT_EQUAL_STRING(
      "error -2",
      watch_text(R"({"result":{"header":{"cluster_id":"9","revision":"7"},"events":[{}]}})"));
  TEST_ASSERT_EQUAL_STRING("error -2",
                           watch_text(R"({"header":{"cluster_id":"9","revision":"7"}})"));
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(all_versions_read_as_one);
  RUN_TEST(a_cut_answer_is_a_bad_answer);
  RUN_TEST(a_changed_byte_does_no_harm);
  RUN_TEST(requests_read_like_the_recorded_ones);
  RUN_TEST(a_txn_has_all_its_parts);
  RUN_TEST(every_shape_of_an_error_is_one_error);
  RUN_TEST(plain_text_is_quoted_and_cut);
  RUN_TEST(wrong_fields_are_named);
  RUN_TEST(what_is_no_answer_is_a_bad_answer);
  RUN_TEST(the_widest_numbers_fit);
  RUN_TEST(depth_and_number_of_values_are_bounded);
  RUN_TEST(a_grant_without_a_lease_is_a_bad_answer);
  RUN_TEST(a_stream_error_is_an_error_of_the_call);
  RUN_TEST(the_version_is_read);
  RUN_TEST(deletions_have_a_key_and_a_revision);
  return UNITY_END();
}
