// Up to the moment at which the program would be run: the test's state directory is away then, so
// that the last thing before it fails.
#include "daemon/replacement.hpp"

#include <unistd.h>

#include "conf/conf.hpp"
#include "daemon/kept.hpp"
#include "daemon/programs.hpp"
#include "fixture.hpp"
#include "harness.hpp"
#include "logged.hpp"
#include "sys/notify.hpp"
#include "sys/program.hpp"

using namespace vipd;

namespace {

// With a second word, this program as tried with -n: it fails where there is a file of that name.
char* arguments[] = {const_cast<char*>("/proc/self/exe"), nullptr, nullptr};

std::string more_keys;

std::string configuration(const std::string& folder, const std::string& timeout) {
  return more_keys + "node.name = a\nsession.timeout = " + timeout + "\nstate.dir = " + folder +
         "\ncontrol.socket = " + folder + "/vipd.sock" +
         "\nvip.api.address = 192.0.2.1\nvip.api.link = lo\n";
}

struct Bench {
  fixture::Folder folder;
  std::string path;
  conf::Sources sources;
  std::string pidfile;
  Config config;
  Loop loop;
  Programs programs{loop};
  Kept kept{"/vipd"};
  sys::Notify notify = sys::Notify::from_environment();
  sys::Program program = sys::Program::started(arguments);
  Replacement::Situation situation{
      .node = NodeState::Running, .timeout = Duration::seconds(5), .peers = {}};
  bool uses_peers = true;
  std::string reason;

  Bench() {
    path = folder.file("vipd.conf", configuration(folder.path(), "5s"));
    sources.paths = {path};
    const conf::Result loaded = conf::load(sources);
    config = loaded.config;
    if (!loaded.errors.empty() || !programs.start(config, -1, &reason) ||
        !kept.open(folder.path(), &reason))
      abort();
    logged::lines.clear();
  }

  Replacement replacement{loop,
                          {.config = config,
                           .sources = sources,
                           .pidfile = pidfile,
                           .program = program,
                           .programs = programs,
                           .kept = kept,
                           .notify = notify,
                           .fence = [] { return FenceSide::kNone; },
                           .situation = [this] { return situation; },
                           .use_peers = [this](bool wanted) { uses_peers = wanted; }}};

  // Whether it came so far as to run the program.
  bool tries() {
    Memory memory;
    memory.cluster_id = 42;
    memory.lease = static_cast<LeaseId>(7);
    logged::lines.clear();
    const std::string away = folder.path() + "-away";
    if (rename(folder.path().c_str(), away.c_str()) != 0) abort();
    kept.remember(memory);
    const size_t before = logged::count("not replaced: ");
    replacement.end_turn();
    if (rename(away.c_str(), folder.path().c_str()) != 0) abort();
    return logged::count("not replaced: ") > before && logged::count("not confirm") == 0;
  }
};

void what_nobody_asked_for_is_not_done() {
  Bench b;
  TEST_ASSERT_FALSE(b.tries());
}

void a_quiet_daemon_is_replaced_at_once_and_once() {
  Bench b;
  b.replacement.asked();
  TEST_ASSERT_EQUAL_INT(1, logged::count("is about to replace this process"));
  TEST_ASSERT_TRUE(b.tries());
  TEST_ASSERT_FALSE(b.tries());
}

// A txn that commits behind the new program's back would fence it.
void what_is_under_way_is_waited_for() {
  Bench b;
  b.situation.is_busy = true;
  b.replacement.asked();
  TEST_ASSERT_FALSE(b.tries());
  b.situation.is_busy = false;
  TEST_ASSERT_TRUE(b.tries());
}

// The addresses must have as much of their lifetimes left as possible.
void an_owner_waits_for_an_echo_after_its_last_txn() {
  Bench b;
  b.situation.owns_anything = true;
  b.situation.echoed = 5;
  b.replacement.txn_sent(b.situation.echoed);
  b.replacement.asked();
  TEST_ASSERT_FALSE(b.tries());
  b.situation.echoed = 6;
  TEST_ASSERT_TRUE(b.tries());
}

// Without the grants of this process an owner could not hold on without etcd.
void whoever_lets_another_hold_on_waits_for_etcd() {
  Bench b;
  b.situation.peers.others_may_hold = true;
  b.situation.has_etcd = false;
  b.replacement.asked();
  TEST_ASSERT_FALSE(b.tries());
  b.situation.has_etcd = true;
  TEST_ASSERT_TRUE(b.tries());
  b.situation.has_etcd = false;
  b.situation.timeout = Duration::milliseconds(20);
  b.replacement.asked();
  const MonoTime end = b.loop.now() + Duration::milliseconds(40);
  while (b.loop.now() < end) b.loop.run_once(Duration::milliseconds(20));
  logged::lines.clear();
  b.replacement.end_turn();
  TEST_ASSERT_EQUAL_INT(1, logged::count("not replaced: etcd is away, and another node"));
}

// The others must not take an owner for dead while the next program asks etcd.
void a_short_peer_lease_is_left_first() {
  Bench b;
  b.situation.peers.state = TermState::InForce;
  b.situation.peers.timeout = Duration::seconds(1);
  b.replacement.asked();
  TEST_ASSERT_TRUE(b.uses_peers && b.tries());
  b.situation.peers.timeout = Duration::milliseconds(250);
  b.replacement.asked();
  TEST_ASSERT_FALSE(b.uses_peers || b.tries());
  b.situation.peers.state = TermState::None;
  TEST_ASSERT_TRUE(b.tries());
  TEST_ASSERT_TRUE(b.uses_peers);  // we go on
}

// Someone asks twice, and the second program is worse: the peer lease that was left for the first
// is taken up again.
void a_trial_that_fails_ends_what_was_asked_before() {
  const fixture::Folder folder;
  std::string fails = folder.path() + "/fails";
  arguments[1] = fails.data();
  more_keys = "vip.api.notify = /bin/true\n";  // so that there is a helper, and trials
  {
    Bench b;
    const auto turns_until = [&b](auto is_there) {
      const MonoTime end = b.loop.now() + Duration::seconds(10);
      while (!is_there() && b.loop.now() < end) b.loop.run_once(Duration::milliseconds(50));
      return is_there();
    };
    b.situation.peers.state = TermState::InForce;
    b.situation.peers.timeout = Duration::milliseconds(250);
    b.replacement.asked();
    TEST_ASSERT_TRUE(turns_until([&] { return !b.uses_peers; }));
    fixture::write(fails, "");
    b.replacement.asked();
    TEST_ASSERT_TRUE(turns_until([] { return logged::count("-n failed on the config") == 1; }));
    TEST_ASSERT_TRUE(b.uses_peers);
    TEST_ASSERT_FALSE(b.tries());
  }
  arguments[1] = nullptr;
  more_keys.clear();
}

void it_is_given_up_after_the_timeout() {
  Bench b;
  b.situation.is_busy = true;
  b.situation.timeout = Duration::milliseconds(20);
  b.replacement.asked();
  const MonoTime end = b.loop.now() + Duration::milliseconds(40);
  while (b.loop.now() < end) b.loop.run_once(Duration::milliseconds(20));
  TEST_ASSERT_FALSE(b.tries());
  TEST_ASSERT_EQUAL_INT(1, logged::count("etcd did not confirm a heartbeat in time"));
  b.situation.is_busy = false;
  TEST_ASSERT_FALSE(b.tries());
}

void a_configuration_that_would_cost_the_session_is_refused() {
  Bench b;
  fixture::write(b.path, configuration(b.folder.path(), "9s"));
  b.replacement.asked();
  TEST_ASSERT_EQUAL_INT(1, logged::count("would cost the session"));
  fixture::write(b.path, "nonsense\n");
  b.replacement.asked();
  TEST_ASSERT_EQUAL_INT(2, logged::count("not replaced: "));
  TEST_ASSERT_FALSE(b.tries());
}

// By then it may be another user's process, which cannot make its socket anew.
void a_program_that_could_not_listen_is_not_run() {
  Bench b;
  b.config.control_socket = "/nonexistent/vipd.sock";
  b.replacement.asked();
  TEST_ASSERT_EQUAL_INT(1, logged::count("where the next program has to make its socket"));
  b.config.control_socket = b.folder.path() + "/vipd.sock";
  b.pidfile = "/nonexistent/vipd.pid";
  b.replacement.asked();
  TEST_ASSERT_EQUAL_INT(2, logged::count("where the next program has to make its socket"));
  TEST_ASSERT_FALSE(b.tries());
}

void a_daemon_that_stops_is_not_replaced() {
  Bench b;
  b.replacement.asked();
  b.situation.node = NodeState::Releasing;
  TEST_ASSERT_FALSE(b.tries());
  b.replacement.asked();
  TEST_ASSERT_FALSE(b.tries());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) return access(argv[argc - 1], F_OK) == 0 ? 1 : 0;
  UNITY_BEGIN();
  RUN_TEST(what_nobody_asked_for_is_not_done);
  RUN_TEST(a_quiet_daemon_is_replaced_at_once_and_once);
  RUN_TEST(what_is_under_way_is_waited_for);
  RUN_TEST(an_owner_waits_for_an_echo_after_its_last_txn);
  RUN_TEST(whoever_lets_another_hold_on_waits_for_etcd);
  RUN_TEST(a_short_peer_lease_is_left_first);
  RUN_TEST(a_trial_that_fails_ends_what_was_asked_before);
  RUN_TEST(it_is_given_up_after_the_timeout);
  RUN_TEST(a_configuration_that_would_cost_the_session_is_refused);
  RUN_TEST(a_program_that_could_not_listen_is_not_run);
  RUN_TEST(a_daemon_that_stops_is_not_replaced);
  return UNITY_END();
}
