// The refusals of real servers, recorded: bodies and statuses differ between versions, what is
// understood must not.
#include <algorithm>
#include <cstdlib>
#include <string>

#include "etcd/failure.hpp"
#include "etcd/json.hpp"
#include "fixture.hpp"
#include "harness.hpp"

using namespace vipd::etcd;

namespace {

constexpr size_t npos = std::string::npos;

struct Case {
  std::string version;
  HttpAnswer answer;
  bool blames = false;
  int code = 0;
  std::string text;
};

std::string cut_word(std::string* text) {
  const size_t end = std::min(text->find(' '), text->size());
  const std::string word = text->substr(0, end);
  text->erase(0, std::min(text->find_first_not_of(' ', end), text->size()));
  return word;
}

std::vector<Case> recorded() {
  const std::string source = __FILE__;
  const std::string path = source.substr(0, source.rfind('/')) + "/data/etcd/errors.txt";
  std::vector<Case> all;
  for (const std::string& line : fixture::lines(fixture::read(path))) {
    if (line.starts_with("> ")) {
      Case& c = all.emplace_back();
      std::string rest = line.substr(2);
      c.version = cut_word(&rest);
      c.answer.status = atoi(cut_word(&rest).c_str());
      c.blames = cut_word(&rest) == "yes";
      c.code = atoi(cut_word(&rest).c_str());
      c.text = rest;
    } else if (line.starts_with("< ")) {
      all.back().answer.body = line.substr(2);
      all.back().answer.complete = true;
    }
  }
  return all;
}

template <typename T>
Error refused(const Case& c, bool (*read)(std::string&, T&, Error&)) {
  HttpAnswer answer = c.answer;
  T out{};
  Error error = transport_error(answer, {});
  if (read(answer.body, out, error)) return {0, "taken for an answer", ""};
  complete_text(error, answer, "http://h:1");
  return error;
}

void check(const Case& c, const Error& error) {
  const std::string where = c.version + " " + c.answer.body;
  TEST_ASSERT_MESSAGE(error.code == c.code, where + ": code " + std::to_string(error.code));
  TEST_ASSERT_EQUAL_STRING(c.text, error.text);
  TEST_ASSERT_EQUAL_STRING("http://h:1", error.endpoint);
  TEST_ASSERT_MESSAGE(blames_member(error.code) == c.blames, where + ": whose fault?");
}

void every_recorded_refusal_is_understood() {
  const std::vector<Case> all = recorded();
  TEST_ASSERT_TRUE(all.size() > 30);
  for (const Case& c : all) {
    check(c, refused(c, read_granted));
    check(c, refused(c, read_header));
    check(c, refused(c, read_txn));
    check(c, refused(c, read_range));
    if (harness::run.failed) return;
  }
}

void alarms_are_named() {
  Error error{15, "etcdserver: corrupt cluster", ""};
  explain(error, Options());
  TEST_ASSERT_TRUE(error.text.starts_with("etcdserver: corrupt cluster (alarm CORRUPT: "));
  TEST_ASSERT_TRUE(blames_member(error.code));
}

// Code 8 is "too many requests" as well, which passes.
void only_a_full_etcd_has_no_space() {
  const Error full{8, "etcdserver: mvcc: database space exceeded", ""};
  const Error busy{8, "etcdserver: too many requests", ""};
  const Error other{14, "etcdserver: mvcc: database space exceeded", ""};
  TEST_ASSERT_TRUE(full.no_space());
  TEST_ASSERT_FALSE(busy.no_space());
  TEST_ASSERT_FALSE(other.no_space());
}

void what_was_compacted_is_out_of_range() {
  TEST_ASSERT_TRUE(
      (Error{11, "etcdserver: mvcc: required revision has been compacted", ""}.compacted()));
  TEST_ASSERT_FALSE((Error{14, "etcdserver: no leader", ""}.compacted()));
}

// As recorded of 3.4.23, 3.5.16 and 3.5.30.
void each_port_that_is_no_gateway_is_named() {
  const std::string settings("\0\0\x06\x04\0\0\0\0\0\0\x05\0\0\x40\0", 15);
  const std::string none = "404 page not found\n";
  const std::pair<Seen, const char*> ports[] = {
      {{0, settings, 0, 0, ""}, "this port serves only gRPC; "},
      {{0, "\x15\x03\x01\x00\x02\x02\x50", 0, 0, ""}, "this port speaks TLS: "},
      {{421, "etcd received your", 0, 0, ""}, "etcd's --host-whitelist "},
      {{404, none, 200, 200, "3.4.23"}, "etcd's JSON gateway is off: "},
      {{404, none, 200, 503, "3.5.16"}, "etcd's JSON gateway is off: "},
      {{404, none, 200, 200, "3.3.25"}, "this etcd is too old: "},
      {{404, none, 200, 404, "3.5.30"}, "this is etcd's peer port: "},
      {{404, none, 404, 200, ""}, "this is etcd's metrics port, or an etcd grpc-proxy; "},
      {{404, none, 404, 404, ""}, "this is not a port of etcd: "},
      {{}, ""},
      {{404, none, 0, 0, ""}, ""},
      {{404, "<html>", 200, 200, ""}, ""},
      {{0, settings.substr(0, 8), 0, 0, ""}, ""},
      {{502, settings, 0, 0, ""}, ""},
  };
  for (const auto& [seen, text] : ports) {
    const std::string said(what_it_is(seen));
    TEST_ASSERT_MESSAGE(said.starts_with(text), text + (" was: " + said));
    TEST_ASSERT_TRUE(said.empty() == std::string(text).empty());
    TEST_ASSERT_TRUE(needs_a_look(seen) == (seen.body == none));
  }
}

void a_hang_up_after_the_handshake_may_be_grpc() {
  HttpAnswer answer;
  answer.trouble = TlsTrouble::WeAreRefused;
  answer.problem = "Empty reply from server";
  const std::string text = transport_error(answer, {}).text;
  TEST_ASSERT_TRUE(text.find("(etcd.cert, etcd.key)? Or: this port serves only gRPC") != npos);
  TEST_ASSERT_TRUE(text.ends_with(" (libcurl: Empty reply from server)"));
  answer.problem =
      "OpenSSL SSL_read: error:0A00045C:SSL routines::tlsv13 alert certificate required";
  TEST_ASSERT_TRUE(transport_error(answer, {}).text.find("gRPC") == npos);
  answer.problem =
      "ssl_read returned: (-0x7780) SSL - A fatal alert message was received from our peer";
  const std::string refused = transport_error(answer, {}).text;
  TEST_ASSERT_TRUE(refused.starts_with(
      "the server ended the connection after the TLS handshake: does it want a client"));
  TEST_ASSERT_TRUE(refused.find("gRPC") == npos);
}

// GET /version, the one answer that is no answer of gRPC.
void every_version_says_which_it_is() {
  const std::pair<const char*, const char*> answers[] = {
      {R"({"etcdserver":"3.4.23","etcdcluster":"3.4.0"})", "3.4.23"},
      {R"({"etcdserver":"3.5.16","etcdcluster":"3.5.0"})", "3.5.16"},
      {R"({"etcdserver":"3.6.14","etcdcluster":"3.6.0","storage":"3.6.0"})", "3.6.14"},
      {R"({"etcdserver":"3.7.1","etcdcluster":"3.7.0","storage":"3.7.0"})", "3.7.1"},
  };
  for (const auto& [text, expected] : answers) {
    std::string body = text;
    std::string version;
    Error error;
    TEST_ASSERT_TRUE(read_version(body, version, error));
    TEST_ASSERT_EQUAL_STRING(expected, version);
  }
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(every_recorded_refusal_is_understood);
  RUN_TEST(alarms_are_named);
  RUN_TEST(only_a_full_etcd_has_no_space);
  RUN_TEST(what_was_compacted_is_out_of_range);
  RUN_TEST(each_port_that_is_no_gateway_is_named);
  RUN_TEST(a_hang_up_after_the_handshake_may_be_grpc);
  RUN_TEST(every_version_says_which_it_is);
  return UNITY_END();
}
