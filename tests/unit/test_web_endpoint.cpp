#include "web/endpoint.hpp"

#include "harness.hpp"

using namespace vipd::web;

namespace {

Endpoint parsed(const std::string& text) {
  Endpoint endpoint;
  std::string reason;
  harness::check(parse_endpoint(text, &endpoint, &reason), __LINE__, text.c_str());
  return endpoint;
}

void endpoints_are_parsed() {
  Endpoint e = parsed("http://10.0.0.1:2379");
  TEST_ASSERT_EQUAL_STRING("http://10.0.0.1:2379", e.url);
  TEST_ASSERT_FALSE(e.named || e.tls);
  TEST_ASSERT_EQUAL_STRING("10.0.0.1", e.address);
  e = parsed("http://[fe80:0::1]:79");
  TEST_ASSERT_EQUAL_STRING("http://[fe80::1]:79", e.url);
  TEST_ASSERT_EQUAL_STRING("fe80::1", e.host);
  e = parsed("http://etcd-1.example");
  TEST_ASSERT_EQUAL_STRING("http://etcd-1.example:2379", e.url);
  TEST_ASSERT_EQUAL_STRING("2379", e.port);
  TEST_ASSERT_TRUE(e.named && e.address.empty());
  TEST_ASSERT_EQUAL_STRING(e.url, label(e));
  e.address = "10.0.0.7";
  TEST_ASSERT_EQUAL_STRING("http://etcd-1.example:2379 (10.0.0.7)", label(e));
  e = parsed("https://[::1]");
  TEST_ASSERT_TRUE(e.tls);
  TEST_ASSERT_EQUAL_STRING("https://[::1]:2379", e.url);
  TEST_ASSERT_EQUAL_STRING("https://etcd.example:2379", url_with_host(e, "etcd.example"));
  for (const char* text : {"unix:/run/etcd:1", "unix:///run/etcd:1"}) {
    e = parsed(text);
    TEST_ASSERT_TRUE(e.is_unix() && !e.named);
    TEST_ASSERT_EQUAL_STRING("unix:/run/etcd:1", e.url);
    TEST_ASSERT_EQUAL_STRING("/run/etcd:1", e.path);
  }
}

void what_is_no_endpoint_is_refused() {
  for (const char* text : {"",
                           "http://",
                           "https://",
                           "HTTPS://a",
                           "unix:",
                           "unix:run/etcd",
                           "unix://run/etcd",
                           "unix:/",
                           "unix:/run/",
                           "10.0.0.1:2379",
                           "http://:2379",
                           "http://a:",
                           "http://a:0",
                           "http://a:65536",
                           "http://a:x",
                           "http://a:99999999999",
                           "http://a/b",
                           "http://a:1/",
                           "http://10.1:1",
                           "http://a b",
                           "http://u@a",
                           "http://[::1",
                           "http://[::1]x",
                           "http://[::1]2379",
                           "http://::1:2379",
                           "http://[10.0.0.1]:1",
                           "http://[a]:1",
                           "http://a\r\nX: y"}) {
    Endpoint e;
    std::string reason;
    TEST_ASSERT_MESSAGE(!parse_endpoint(text, &e, &reason), text);
    TEST_ASSERT_MESSAGE(!reason.empty() && e.url.empty(), text);
  }
}

void what_every_host_calls_itself_is_known() {
  const std::pair<const char*, bool> hosts[] = {{"localhost", true},
                                                {"x.localhost", true},
                                                {"localhost.example", false},
                                                {"127.0.0.1", true},
                                                {"127.9.9.9", true},
                                                {"0.0.0.0", true},
                                                {"128.0.0.1", false},
                                                {"10.0.0.1", false},
                                                {"[::1]", true},
                                                {"[::]", true},
                                                {"[::2]", false},
                                                {"[::ffff:127.0.0.1]", true},
                                                {"[::ffff:10.0.0.1]", false},
                                                {"[2001:db8::1]", false}};
  for (const auto& [host, expected] : hosts) {
    const Endpoint e = parsed(std::string("http://") + host);
    TEST_ASSERT_MESSAGE(is_everyones_own(e) == expected, host);
  }
}

void an_endpoint_takes_the_port_of_another() {
  const Endpoint e = parsed("http://[2001:db8::1]:2379");
  const Endpoint like = parsed("https://127.0.0.1:2383");
  const Endpoint expected = parsed("https://[2001:db8::1]:2383");
  TEST_ASSERT_TRUE(on_port_of(e, like) == expected);
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(endpoints_are_parsed);
  RUN_TEST(what_is_no_endpoint_is_refused);
  RUN_TEST(what_every_host_calls_itself_is_known);
  RUN_TEST(an_endpoint_takes_the_port_of_another);
  return UNITY_END();
}
