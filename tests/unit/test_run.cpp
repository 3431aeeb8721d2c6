#include "run/runner.hpp"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "fixture.hpp"
#include "harness.hpp"
#include "vipd/log.hpp"

using namespace vipd;
using namespace vipd::run;

namespace {

constexpr Duration kLong = Duration::seconds(20);

bool wait_for(Loop& loop, const std::function<bool()>& done) {
  const MonoTime end = loop.now() + kLong;
  while (!done() && loop.now() < end) loop.run_once(Duration::milliseconds(20));
  return done();
}

struct Bench {
  Loop loop;
  std::string reason;
  std::unique_ptr<Runner> runner = Runner::start(loop, nullptr, &reason);

  Ended run(const std::string& script, Duration timeout = kLong,
            std::vector<std::string> environment = {}) {
    std::optional<Ended> result;
    (void)runner->run({{"/bin/sh", "-c", script, "sh", "one word"}, environment, timeout},
                      [&](const Ended& ended) { result = ended; });
    (void)wait_for(loop, [&] { return result.has_value(); });
    return result.value_or(Ended{});
  }
};

bool is_gone(pid_t pid) {
  // Orphans may wait for init to reap them; a zombie runs no more.
  const std::string stat = fixture::read("/proc/" + std::to_string(pid) + "/stat");
  return kill(pid, 0) < 0 || stat.find(") Z ") != std::string::npos;
}

void output_and_status_come_back() {
  Bench b;
  const Ended good = b.run("echo out; echo err >&2; echo \"$1\"");
  TEST_ASSERT_TRUE(good.is_good());
  TEST_ASSERT_EQUAL_STRING("out\nerr\none word\n", good.output);
  TEST_ASSERT_EQUAL_STRING("", good.text());
  TEST_ASSERT_EQUAL_STRING("exit status 3", b.run("exit 3").text());
  TEST_ASSERT_EQUAL_STRING("killed by signal 15", b.run("kill -TERM $$").text());
}

void environment_is_clean_and_signals_are_default() {
  setenv("VIPD_SECRET", "1", 1);
  signal(SIGPIPE, SIG_IGN);
  Bench b;
  const Ended ended = b.run(
      "env | grep -v ^PWD= | grep -v ^_= | grep -v ^SHLVL= | sort; cat; "
      "ls /proc/self/fd | wc -l; grep SigIgn /proc/self/status | sed "
      "s/000[01]80000000/000000000000/",
      kLong, {"VIPD_NODE=n1"});
  // ls has the folder open besides 0 to 2. Signals 32 and 33 are the C library's, which lets
  // nobody set them: who started this test may have ignored them.
  TEST_ASSERT_EQUAL_STRING(
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nVIPD_NODE=n1\n4\n"
      "SigIgn:\t0000000000000000\n",
      ended.output);
}

void what_cannot_be_run_is_said() {
  Bench b;
  std::optional<Ended> result;
  (void)b.runner->run({{"/no/such/program"}, {}, kLong}, [&](const Ended& e) { result = e; });
  TEST_ASSERT_TRUE(wait_for(b.loop, [&] { return result.has_value(); }));
  TEST_ASSERT_EQUAL_STRING("exit status 127", result->text());
  TEST_ASSERT_EQUAL_STRING("cannot be run: No such file or directory\n", result->output);
}

void too_slow_means_the_whole_group_is_killed() {
  Bench b;
  const Ended ended =
      b.run("sleep 60 & echo $!; trap '' TERM INT; wait", Duration::milliseconds(300));
  TEST_ASSERT_EQUAL_INT(static_cast<int>(End::TimedOut), static_cast<int>(ended.how));
  const pid_t child = atoi(ended.output.c_str());
  TEST_ASSERT_TRUE(child > 1);
  TEST_ASSERT_TRUE(wait_for(b.loop, [&] { return is_gone(child); }));
}

void what_a_program_leaves_behind_is_killed() {
  Bench b;
  const Ended ended = b.run("sleep 60 & echo $!");
  TEST_ASSERT_TRUE(ended.is_good());
  const pid_t child = atoi(ended.output.c_str());
  TEST_ASSERT_TRUE(child > 1);
  TEST_ASSERT_TRUE(wait_for(b.loop, [&] { return is_gone(child); }));
}

void output_is_bounded_and_does_not_hold_the_program_up() {
  Bench b;
  const Ended ended = b.run("head -c 1000000 /dev/zero | tr '\\0' x");
  TEST_ASSERT_TRUE(ended.is_good());
  TEST_ASSERT_TRUE(ended.is_cut);
  TEST_ASSERT_EQUAL_INT(kMostOutput, ended.output.size());
}

void many_run_at_once() {
  Bench b;
  size_t done = 0;
  for (int i = 0; i < 40; ++i) {
    (void)b.runner->run({{"/bin/sh", "-c", "sleep 0.2"}, {}, kLong},
                        [&](const Ended& ended) { done += ended.is_good() ? 1 : 0; });
  }
  TEST_ASSERT_EQUAL_INT(0, done);
  TEST_ASSERT_TRUE(wait_for(b.loop, [&] { return done == 40; }));
}

Ended run_until(Bench* b, MonoTime until, MonoTime then) {
  std::optional<Ended> result;
  const Job job = {
      .words = {"/bin/sleep", "60"}, .environment = {}, .timeout = kLong, .until = until};
  const Runner::Id id = b->runner->run(job, [&](const Ended& ended) { result = ended; });
  if (!then.is_never()) b->runner->end_at(id, then);
  (void)wait_for(b->loop, [&] { return result.has_value(); });
  return result.value_or(Ended{});
}

// However late the helper reads of it: an instant of the clock that both have.
void one_with_an_end_is_killed_then() {
  Bench b;
  const MonoTime now = b.loop.now();
  TEST_ASSERT_TRUE(run_until(&b, now + Duration::milliseconds(200), MonoTime::never()).how ==
                   End::TimedOut);
  const Duration took = b.loop.now() - now;
  TEST_ASSERT_TRUE(took >= Duration::milliseconds(200) && took < Duration::seconds(10));
  TEST_ASSERT_TRUE(run_until(&b, now, MonoTime::never()).how == End::TimedOut);  // never began
}

void an_end_is_moved() {
  Bench b;
  const MonoTime begin = b.loop.now();
  (void)run_until(&b, begin + Duration::milliseconds(50), begin + Duration::milliseconds(400));
  TEST_ASSERT_TRUE(b.loop.now() - begin >= Duration::milliseconds(400));
  (void)run_until(&b, b.loop.now() + kLong, b.loop.now());
  TEST_ASSERT_TRUE(b.loop.now() - begin < Duration::seconds(15));
}

void a_cancelled_one_is_killed_without_a_word() {
  Bench b;
  fixture::Folder folder;
  const std::string pid_file = folder.file("pid", "");
  bool told = false;
  const Runner::Id id =
      b.runner->run({{"/bin/sh", "-c", "echo $$ > " + pid_file + "; exec sleep 60"}, {}, kLong},
                    [&](const Ended&) { told = true; });
  TEST_ASSERT_TRUE(wait_for(b.loop, [&] { return fixture::read(pid_file).size() > 1; }));
  b.runner->cancel(id);
  const pid_t pid = atoi(fixture::read(pid_file).c_str());
  TEST_ASSERT_TRUE(wait_for(b.loop, [&] { return is_gone(pid); }));
  TEST_ASSERT_TRUE(b.run("true").is_good());
  TEST_ASSERT_FALSE(told);
}

void when_the_daemon_ends_everything_ends() {
  fixture::Folder folder;
  const std::string pid_file = folder.file("pid", "");
  const pid_t daemon = fork();
  if (daemon == 0) {  // killed without a chance to say goodbye
    Bench b;
    (void)b.runner->run(
        {{"/bin/sh", "-c",
          "trap '' TERM; echo $$ $PPID > " + pid_file + "; while :; do sleep 1; done"},
         {},
         kLong},
        [](const Ended&) {});
    (void)wait_for(b.loop, [] { return false; });
    _exit(0);
  }
  Loop loop;
  TEST_ASSERT_TRUE(wait_for(loop, [&] { return fixture::read(pid_file).size() > 3; }));
  int program = 0;
  int helper = 0;
  TEST_ASSERT_EQUAL_INT(2, sscanf(fixture::read(pid_file).c_str(), "%d %d", &program, &helper));
  TEST_ASSERT_FALSE(is_gone(program) || is_gone(helper));
  kill(helper, SIGTERM);  // as supervisors do that signal everybody
  kill(daemon, SIGKILL);
  TEST_ASSERT_EQUAL_INT(daemon, waitpid(daemon, nullptr, 0));
  TEST_ASSERT_TRUE(wait_for(loop, [&] { return is_gone(program) && is_gone(helper); }));
}

void when_the_helper_dies_everybody_is_told() {
  Bench b;
  const pid_t helper = atoi(b.run("echo $PPID").output.c_str());
  TEST_ASSERT_TRUE(helper > 1);
  std::optional<Ended> result;
  std::string output;
  (void)b.runner->run({{"/bin/sh", "-c", "sleep 60"}, {}, kLong},
                      [&](const Ended& ended) { result = ended; });
  kill(helper, SIGKILL);
  TEST_ASSERT_TRUE(wait_for(b.loop, [&] { return result.has_value(); }));
  TEST_ASSERT_FALSE(b.runner->is_alive());
  TEST_ASSERT_EQUAL_INT(static_cast<int>(End::NotStarted), static_cast<int>(result->how));
  TEST_ASSERT_EQUAL_STRING(std::string("not started: ") + strerror(ECHILD), b.run("true").text());
}

void a_helper_that_stands_still_holds_nobody_up() {
  Bench b;
  const pid_t helper = atoi(b.run("echo $PPID").output.c_str());
  TEST_ASSERT_TRUE(helper > 1);
  kill(helper, SIGSTOP);
  TEST_ASSERT_EQUAL_STRING("the helper process that runs programs does not answer",
                           b.run("true", Duration::milliseconds(100)).text());
  kill(helper, SIGCONT);
  TEST_ASSERT_TRUE(b.run("true").is_good());
}

void bytes_are_read_back_or_refused() {
  const Order order{7, Job{{"/bin/x", "", "a b"}, {"A=1"}, Duration::milliseconds(1500)}};
  const std::string bytes = encode(order);
  const auto read = read_order(bytes);
  TEST_ASSERT_TRUE(read.has_value() && read->job.has_value());
  TEST_ASSERT_EQUAL_STRING(bytes, encode(*read));
  for (size_t size = 0; size < bytes.size(); ++size) {
    TEST_ASSERT_FALSE(read_order(std::string_view(bytes).substr(0, size)).has_value());
  }
  TEST_ASSERT_FALSE(read_order(bytes + "x").has_value());
  TEST_ASSERT_FALSE(read_order(encode(Order{1, Job{{"sh"}, {}, kLong}})).has_value());
  TEST_ASSERT_FALSE(read_order(std::string(64, '\xff')).has_value());
  for (const Order& timed :
       {Order{.id = 7, .job = Job{{"/bin/x"}, {}, kLong, MonoTime::from_ns(5)}},
        Order{.id = 7, .job = std::nullopt, .until = MonoTime::from_ns(5)}}) {
    const auto back = read_order(encode(timed));
    TEST_ASSERT_TRUE(back.has_value());
    TEST_ASSERT_EQUAL_STRING(encode(timed), encode(*back));
    TEST_ASSERT_TRUE((back->job ? back->job->until : back->until).ns() == 5);
  }
  const Order large{1, Job{{"/x", std::string(kMostBytes, 'x')}, {}, kLong}};
  TEST_ASSERT_EQUAL_STRING("", encode(large));
  const Ended ended{9, End::Killed, 11, "text", true};
  const auto back = read_ended(encode(ended));
  TEST_ASSERT_TRUE(back.has_value());
  TEST_ASSERT_EQUAL_STRING(encode(ended), encode(*back));
  TEST_ASSERT_FALSE(read_ended(std::string(64, '\x04')).has_value());
}

void what_is_too_large_is_refused_later() {
  Bench b;
  std::optional<Ended> result;
  (void)b.runner->run({{"/bin/true", std::string(kMostBytes, 'x')}, {}, kLong},
                      [&](const Ended& ended) { result = ended; });
  TEST_ASSERT_FALSE(result.has_value());
  TEST_ASSERT_TRUE(wait_for(b.loop, [&] { return result.has_value(); }));
  TEST_ASSERT_EQUAL_STRING("not started: Argument list too long", result->text());
}

}  // namespace

int main() {
  vipd::log::open(vipd::log::Target::Stderr, vipd::log::Level::Error);
  UNITY_BEGIN();
  RUN_TEST(output_and_status_come_back);
  RUN_TEST(environment_is_clean_and_signals_are_default);
  RUN_TEST(what_cannot_be_run_is_said);
  RUN_TEST(too_slow_means_the_whole_group_is_killed);
  RUN_TEST(what_a_program_leaves_behind_is_killed);
  RUN_TEST(output_is_bounded_and_does_not_hold_the_program_up);
  RUN_TEST(many_run_at_once);
  RUN_TEST(one_with_an_end_is_killed_then);
  RUN_TEST(an_end_is_moved);
  RUN_TEST(a_cancelled_one_is_killed_without_a_word);
  RUN_TEST(when_the_daemon_ends_everything_ends);
  RUN_TEST(when_the_helper_dies_everybody_is_told);
  RUN_TEST(a_helper_that_stands_still_holds_nobody_up);
  RUN_TEST(bytes_are_read_back_or_refused);
  RUN_TEST(what_is_too_large_is_refused_later);
  return UNITY_END();
}
