#include "ctl/http_parse.hpp"

#include <random>

#include "harness.hpp"

using vipd::ctl::HttpParser;
using State = HttpParser::State;

namespace {

const std::string kGet = "GET /v1/status?x=1 HTTP/1.1\r\nHost: vipd\r\nAccept: */*\r\n\r\n";
const std::string kPost =
    "POST /v1/resign HTTP/1.1\r\nHost: vipd\r\nContent-Type: application/json\r\n"
    "Content-Length: 16\r\n\r\n{\"vips\":[\"api\"]}";

HttpParser parsed(const std::string& text) {
  HttpParser parser;
  parser.feed(text);
  return parser;
}

// The status that a request gets which is not even handed on; 0 when it is complete, -1 when not.
int status_of(const std::string& text) {
  const HttpParser parser = parsed(text);
  if (parser.state() == State::Bad) return parser.status();
  return parser.state() == State::Done ? 0 : -1;
}

std::string with_field(const std::string& field) {
  return "POST / HTTP/1.1\r\nHost: a\r\n" + field + "\r\n\r\n";
}

void get_is_parsed() {
  const HttpParser parser = parsed(kGet);
  TEST_ASSERT_TRUE(parser.state() == State::Done);
  TEST_ASSERT_EQUAL_STRING("GET", parser.method());
  TEST_ASSERT_EQUAL_STRING("/v1/status", parser.path());
  TEST_ASSERT_EQUAL_STRING("", parser.body());
  TEST_ASSERT_TRUE(parser.keeps_alive());
}

void post_is_parsed() {
  const HttpParser parser = parsed(kPost);
  TEST_ASSERT_TRUE(parser.state() == State::Done);
  TEST_ASSERT_EQUAL_STRING("POST", parser.method());
  TEST_ASSERT_EQUAL_STRING("{\"vips\":[\"api\"]}", parser.body());
}

void cuts_at_every_byte_change_nothing() {
  for (size_t first = 0; first <= kPost.size(); ++first) {
    for (size_t second = first; second <= kPost.size(); ++second) {
      HttpParser parser;
      size_t taken = parser.feed(kPost.substr(0, first));
      taken += parser.feed(kPost.substr(first, second - first));
      TEST_ASSERT_TRUE((parser.state() == State::Done) == (second == kPost.size()));
      taken += parser.feed(kPost.substr(second));
      TEST_ASSERT_TRUE(parser.state() == State::Done);
      TEST_ASSERT_EQUAL_INT(kPost.size(), taken);
      TEST_ASSERT_EQUAL_STRING("{\"vips\":[\"api\"]}", parser.body());
    }
  }
}

void next_request_is_left_alone() {
  HttpParser parser;
  TEST_ASSERT_EQUAL_INT(kPost.size(), parser.feed(kPost + kGet));
  TEST_ASSERT_EQUAL_INT(0, parser.feed(kGet));
  TEST_ASSERT_TRUE(parser.state() == State::Done);
}

void part_of_a_request_is_neither_done_nor_bad() {
  for (size_t size = 0; size < kPost.size(); ++size) {
    TEST_ASSERT_EQUAL_INT(-1, status_of(kPost.substr(0, size)));
    TEST_ASSERT_TRUE(parsed(kPost.substr(0, size)).has_begun() == (size > 0));
  }
}

void other_forms_that_are_allowed() {
  TEST_ASSERT_EQUAL_INT(0, status_of("\r\n\r\nGET / HTTP/1.1\r\nHost:\r\n\r\n"));
  TEST_ASSERT_EQUAL_INT(0, status_of("GET / HTTP/1.0\r\n\r\n"));
  TEST_ASSERT_EQUAL_INT(0, status_of("PROPFIND / HTTP/1.1\r\nHOST: \t a \t\r\n\r\n"));
  TEST_ASSERT_EQUAL_INT(0, status_of(with_field("X:")));
  TEST_ASSERT_EQUAL_INT(0, status_of(with_field("X: \xc3\xa4")));
  TEST_ASSERT_EQUAL_INT(0, status_of(with_field("Content-Length: 0")));
  TEST_ASSERT_EQUAL_STRING("/a", parsed("GET http://h:1/a?b HTTP/1.1\r\nHost: h\r\n\r\n").path());
  TEST_ASSERT_EQUAL_STRING("/", parsed("GET http://h HTTP/1.1\r\nHost: h\r\n\r\n").path());
}

void bad_requests_are_refused() {
  for (const char* text : {
           "GET / HTTP/1.1\n",
           "GET /\r\n",
           "GET\r\n",
           " GET / HTTP/1.1\r\n",
           "G(T / HTTP/1.1\r\n",
           "G\xffT / HTTP/1.1\r\n",
           "GETGETGETGETGETGET / HTTP/1.1\r\n",
           "GET  / HTTP/1.1\r\n",
           "GET a HTTP/1.1\r\n",
           "GET * HTTP/1.1\r\n",
           "GET https://h/ HTTP/1.1\r\n",
           "GET /a b HTTP/1.1\r\n",
           "GET /a\tb HTTP/1.1\r\n",
           "GET /a#b HTTP/1.1\r\n",
           "GET /\x01 HTTP/1.1\r\n",
           "GET /\xc3\xa4 HTTP/1.1\r\n",
           "GET / FTP/1.1\r\n",
           "GET / \r\n",
           "GET / HTTP/1.1\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n",
           "GET / HTTP/1.1\r\nHost : a\r\n",
           "GET / HTTP/1.1\r\n folded\r\n",
           "GET / HTTP/1.1\r\nno colon\r\n",
           "GET / HTTP/1.1\r\n: a\r\n",
           "GET / HTTP/1.1\r\nX: a\x01\r\n",
           "GET / HTTP/1.1\r\nX: a\rb\r\n",
           "\x16\x03\x01\n",
       }) {
    TEST_ASSERT_MESSAGE(status_of(text) == 400, text);
  }
  TEST_ASSERT_EQUAL_INT(400, status_of(std::string("GET /\0 HTTP/1.1\r\n", 17)));
}

void bad_lengths_are_refused() {
  for (const char* field :
       {"Content-Length:", "Content-Length: -1", "Content-Length: +1", "Content-Length: 1 ,1",
        "Content-Length: 0x1", "Content-Length: 1\r\nContent-Length: 1", "Content-Length: a"}) {
    TEST_ASSERT_MESSAGE(status_of(with_field(field)) == 400, field);
  }
  TEST_ASSERT_EQUAL_INT(-1, status_of(with_field("Content-Length: 65536")));
  TEST_ASSERT_EQUAL_INT(413, status_of(with_field("Content-Length: 65537")));
  TEST_ASSERT_EQUAL_INT(413, status_of(with_field("Content-Length: 99999999999999999999999")));
}

void other_refusals_have_their_own_status() {
  TEST_ASSERT_EQUAL_INT(411, status_of(with_field("Transfer-Encoding: Chunked")));
  TEST_ASSERT_EQUAL_INT(501, status_of(with_field("Transfer-Encoding: gzip, chunked")));
  TEST_ASSERT_EQUAL_INT(417, status_of(with_field("Expect: tea")));
  TEST_ASSERT_EQUAL_INT(505, status_of("GET / HTTP/2.0\r\n"));
  TEST_ASSERT_EQUAL_INT(505, status_of("GET / HTTP/1.1a\r\n"));
}

void head_is_bounded() {
  const std::string line = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
  const std::string fill(vipd::ctl::kMaxHead - line.size() - 4, 'x');
  TEST_ASSERT_EQUAL_INT(0, status_of(line + fill + "\r\n\r\n"));
  TEST_ASSERT_EQUAL_INT(431, status_of(line + fill + "x\r\n\r\n"));
  TEST_ASSERT_EQUAL_INT(431, status_of(std::string(1 << 20, 'x')));
  std::string empty_lines;
  for (size_t i = 0; i < vipd::ctl::kMaxHead; ++i) empty_lines += "\r\n";
  TEST_ASSERT_EQUAL_INT(431, status_of(empty_lines));
}

void connection_is_kept_as_the_client_wants() {
  const auto keeps = [](const std::string& version, const std::string& field) {
    return parsed("GET / HTTP/1." + version + "\r\nHost: a\r\n" + field + "\r\n").keeps_alive();
  };
  TEST_ASSERT_TRUE(keeps("1", ""));
  TEST_ASSERT_FALSE(keeps("1", "Connection: close\r\n"));
  TEST_ASSERT_FALSE(keeps("1", "Connection: Foo ,\tCLOSE\r\nConnection: keep-alive\r\n"));
  TEST_ASSERT_TRUE(keeps("1", "Connection: closed\r\n"));
  TEST_ASSERT_FALSE(keeps("0", ""));
  TEST_ASSERT_TRUE(keeps("0", "Connection: Keep-Alive\r\n"));
}

void continue_is_wanted_only_before_a_body() {
  TEST_ASSERT_TRUE(
      parsed(with_field("Expect: 100-Continue\r\nContent-Length: 1")).wants_continue());
  TEST_ASSERT_FALSE(parsed(with_field("Expect: 100-continue")).wants_continue());
  TEST_ASSERT_FALSE(parsed("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
                        .wants_continue());
}

void changed_bytes_never_crash() {
  std::mt19937 source(7);
  for (int i = 0; i < 20'000; ++i) {
    std::string text = (source() & 1) != 0 ? kPost : kGet + kPost;
    for (unsigned n = source() % 6; n > 0; --n)
      text[source() % text.size()] = static_cast<char>(source());
    HttpParser parser;
    for (size_t at = 0; at < text.size();) {
      const size_t size = 1 + source() % 40;
      at += parser.feed(text.substr(at, size));
      if (parser.state() == State::Bad || parser.state() == State::Done) break;
    }
    TEST_ASSERT_TRUE(parser.body().size() <= vipd::ctl::kMaxBody);
    TEST_ASSERT_TRUE(parser.state() != State::Bad || *parser.reason() != '\0');
    TEST_ASSERT_TRUE(parser.state() != State::Done || parser.path().starts_with('/'));
  }
}

void every_status_that_is_sent_has_words() {
  for (const int status :
       {100, 200, 400, 404, 405, 408, 409, 411, 413, 417, 422, 431, 500, 501, 503, 505}) {
    TEST_ASSERT_TRUE(std::string(vipd::ctl::status_words(status)) != "Unknown");
  }
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(get_is_parsed);
  RUN_TEST(post_is_parsed);
  RUN_TEST(cuts_at_every_byte_change_nothing);
  RUN_TEST(next_request_is_left_alone);
  RUN_TEST(part_of_a_request_is_neither_done_nor_bad);
  RUN_TEST(other_forms_that_are_allowed);
  RUN_TEST(bad_requests_are_refused);
  RUN_TEST(bad_lengths_are_refused);
  RUN_TEST(other_refusals_have_their_own_status);
  RUN_TEST(head_is_bounded);
  RUN_TEST(connection_is_kept_as_the_client_wants);
  RUN_TEST(continue_is_wanted_only_before_a_body);
  RUN_TEST(changed_bytes_never_crash);
  RUN_TEST(every_status_that_is_sent_has_words);
  return UNITY_END();
}
