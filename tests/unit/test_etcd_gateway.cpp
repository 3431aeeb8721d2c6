// What the client makes of a port that is not etcd's gateway.
#include <csignal>

#include "harness.hpp"
#include "played_member.hpp"

namespace {

void bytes_of_another_protocol_are_named() {
  Loop loop;
  Member grpc(loop, [](const std::string&, const std::string&) {
    return std::string("\0\0\x06\x04\0\0\0\0\0\0\x05\0\0\x40\0", 15);
  });
  Client client(loop, options({grpc.url()}));
  TEST_ASSERT_FALSE(client.last_error().has_value());
  const Result result = granted(loop, client);
  TEST_ASSERT_EQUAL_INT(Error::kSetup, result.error.code);
  TEST_ASSERT_TRUE(result.error.text.starts_with("this port serves only gRPC"));
  TEST_ASSERT_EQUAL_STRING(result.error.text, client.last_error()->error.text);
  TEST_ASSERT_EQUAL_STRING(grpc.url(), client.last_error()->error.endpoint);
  TEST_ASSERT_TRUE(client.last_error()->matters);
}

// Two requests more, once, tell which port it is.
void a_port_without_a_gateway_is_looked_at() {
  Loop loop;
  Member peer(loop, [](const std::string& path, const std::string&) {
    if (path == "/version") return reply(R"({"etcdserver":"3.4.23"})");
    return reply("404 page not found\n", "404 Not Found");
  });
  Client client(loop, options({peer.url()}));
  TEST_ASSERT_EQUAL_INT(Error::kBadAnswer, granted(loop, client).error.code);
  const auto known = [&] { return client.last_error()->error.code == Error::kSetup; };
  TEST_ASSERT_TRUE(run_until(loop, known));
  for (int i = 0; i < 3; i++) {
    TEST_ASSERT_TRUE(granted(loop, client).error.text.starts_with("this is etcd's peer port"));
  }
  TEST_ASSERT_EQUAL_INT(1, peer.count("/version"));
  TEST_ASSERT_EQUAL_INT(1, peer.count("/health"));
}

}  // namespace

int main() {
  signal(SIGPIPE, SIG_IGN);
  UNITY_BEGIN();
  RUN_TEST(bytes_of_another_protocol_are_named);
  RUN_TEST(a_port_without_a_gateway_is_looked_at);
  return UNITY_END();
}
