// Deadlines of requests: when an answer is too late, and when it is not although time is over.
#include <unistd.h>

#include <csignal>

#include "harness.hpp"
#include "played_member.hpp"

namespace {

void a_silent_member_costs_one_timeout_and_its_connection() {
  Loop loop;
  Member mute(loop, silent);
  Member member(loop, good);
  Client client(loop, options({mute.url(), member.url()}, 100));
  Result result;
  client.grant(10, result.done<Granted>());
  TEST_ASSERT_TRUE(run_until(loop, [&] { return result.calls > 0; }));
  TEST_ASSERT_EQUAL_STRING("no answer within 100 ms", result.error.text);
  mute.send_all(reply(kGranted));  // too late
  TEST_ASSERT_TRUE(run_until(loop, [&] { return mute.open() == 0; }));
  TEST_ASSERT_EQUAL_INT(1, result.calls);
  TEST_ASSERT_TRUE(granted(loop, client).good);
  TEST_ASSERT_EQUAL_INT(1, mute.accepted);
}

// As after a SIGSTOP: the answer is there, and the time for it is over.
Result answered_during_a_stall(const std::string& answer, int* calls_before) {
  Loop loop;
  Member member(loop, [&](const std::string&, const std::string&) { return reply(answer); });
  Client client(loop, options({member.url()}, 100));
  Result result;
  client.snapshot({{"a", "b"}}, result.done<RangeAnswer>());
  run_until(loop, [&] { return !member.requests.empty(); });
  *calls_before = result.calls;
  usleep(150'000);
  run_until(loop, [&] { return result.calls > 0; });
  return result;
}

void an_answer_that_waits_after_a_stall_counts() {
  const std::string kv = R"({"key":"YQ==","create_revision":"1","mod_revision":"2","value":")";
  // More than libcurl reads at once.
  for (const size_t size : {4U, 150'000U}) {
    const std::string range =
        "{" + kHeader + R"(,"kvs":[)" + kv + std::string(size, 'A') + R"("}],"count":"1"})";
    const std::string body =
        "{" + kHeader + R"(,"succeeded":true,"responses":[{"response_range":)" + range + "}]}";
    int calls = 1;
    const Result result = answered_during_a_stall(body, &calls);
    TEST_ASSERT_EQUAL_INT(0, calls);
    TEST_ASSERT_EQUAL_STRING("", result.error.text);
    TEST_ASSERT_TRUE(result.good);
  }
}

// A part of an answer is none, however much of it comes.
void an_answer_that_drips_is_too_late() {
  Loop loop;
  Member member(loop, [](const std::string&, const std::string&) {
    return "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{";
  });
  Client client(loop, options({member.url()}, 100));
  Result result;
  client.grant(10, result.done<Granted>());
  run_until(loop, [&] { return !member.requests.empty() || result.calls > 0; });
  while (result.calls == 0) {
    run_for(loop, 5);
    member.send_all(" ");
  }
  TEST_ASSERT_EQUAL_STRING("no answer within 100 ms", result.error.text);
}

}  // namespace

int main() {
  signal(SIGPIPE, SIG_IGN);
  UNITY_BEGIN();
  RUN_TEST(a_silent_member_costs_one_timeout_and_its_connection);
  RUN_TEST(an_answer_that_waits_after_a_stall_counts);
  RUN_TEST(an_answer_that_drips_is_too_late);
  return UNITY_END();
}
