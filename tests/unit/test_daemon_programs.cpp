#include "daemon/programs.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include "fixture.hpp"
#include "harness.hpp"
#include "logged.hpp"

using namespace vipd;

namespace {

const Address kVip = *Address::parse("192.0.2.1");

struct Bench {
  fixture::Folder folder;
  std::string out = folder.file("out", "");
  std::string script =
      folder.file("script", "#!/bin/sh\necho \"$* $VIPD_NODE $VIPD_FROM\" >> " + out + "\n");
  Loop loop;
  Programs programs{loop};
  Config config;
  std::string reason;

  Bench() {
    chmod(script.c_str(), 0755);
    config.node_name = "a";
    config.control_socket = "/run/vipd.sock";
    config.vips.resize(1);
    config.vips[0].name = "api";
    config.vips[0].address = kVip;
    logged::lines.clear();
  }
  bool wait_for(const std::function<bool()>& done) {
    const MonoTime end = loop.now() + Duration::seconds(20);
    while (!done() && loop.now() < end) loop.run_once(Duration::milliseconds(20));
    return done();
  }
  void tell(VipState to) {
    programs.told({.address = kVip, .from = VipState::Standby, .to = to, .reason = "so"});
  }
};

void without_a_program_there_is_no_helper() {
  Bench b;
  TEST_ASSERT_EQUAL_STRING("", Programs::first_of(b.config));
  TEST_ASSERT_TRUE(b.programs.start(b.config, -1, &b.reason));
  TEST_ASSERT_NULL(b.programs.runner());
  TEST_ASSERT_FALSE(b.programs.can_run());
  TEST_ASSERT_EQUAL_INT(-1, b.programs.socket());
  bool idle = false;
  b.programs.when_idle([&] { idle = true; });
  TEST_ASSERT_TRUE(idle);
}

void a_change_is_told_with_its_environment() {
  Bench b;
  b.config.vips[0].notify = b.script;
  TEST_ASSERT_EQUAL_STRING("vip.api.notify", Programs::first_of(b.config));
  TEST_ASSERT_TRUE(b.programs.start(b.config, -1, &b.reason));
  b.tell(VipState::Owner);
  bool idle = false;
  b.programs.when_idle([&] { idle = true; });
  TEST_ASSERT_FALSE(idle);
  TEST_ASSERT_TRUE(b.wait_for([&] { return idle; }));
  TEST_ASSERT_EQUAL_STRING("api 192.0.2.1 owner so a standby\n", fixture::read(b.out));
}

void what_acquires_is_told_of_its_end() {
  Bench b;
  b.config.vips[0].acquire =
      b.folder.file("acquire", "#!/bin/sh\necho \"$* $VIPD_NODE\"\n[ ! -e " + b.out + " ]\n");
  chmod(b.config.vips[0].acquire.c_str(), 0755);
  TEST_ASSERT_EQUAL_STRING("vip.api.acquire", Programs::first_of(b.config));
  TEST_ASSERT_TRUE(b.programs.start(b.config, -1, &b.reason));
  std::vector<event::AcquireEnded> ended;
  b.programs.on_acquired([&](const event::AcquireEnded& e) { ended.push_back(e); });
  const MonoTime until = b.loop.now() + Duration::seconds(20);
  b.programs.perform(action::Acquire{kVip, 5, until});
  TEST_ASSERT_TRUE(b.programs.is_acquiring());
  TEST_ASSERT_TRUE(b.wait_for([&] { return ended.size() == 1; }));
  TEST_ASSERT_EQUAL_STRING("exit status 1: api 192.0.2.1 a", ended[0].fault);
  TEST_ASSERT_TRUE(ended[0].run == 5 && !b.programs.is_acquiring());
  unlink(b.out.c_str());
  b.programs.perform(action::Acquire{kVip, 6, until});
  TEST_ASSERT_TRUE(b.wait_for([&] { return ended.size() == 2; }));
  TEST_ASSERT_EQUAL_STRING("", ended[1].fault);
}

void what_acquires_is_ended_and_its_end_is_moved() {
  Bench b;
  b.config.vips[0].acquire = b.folder.file("acquire", "#!/bin/sh\nsleep 60\n");
  chmod(b.config.vips[0].acquire.c_str(), 0755);
  TEST_ASSERT_TRUE(b.programs.start(b.config, -1, &b.reason));
  std::vector<event::AcquireEnded> ended;
  b.programs.on_acquired([&](const event::AcquireEnded& e) { ended.push_back(e); });
  const MonoTime begin = b.loop.now();
  b.programs.perform(action::Acquire{kVip, 5, begin + Duration::milliseconds(100)});
  b.programs.perform(action::Acquire{kVip, 5, begin + Duration::milliseconds(400), true});
  TEST_ASSERT_TRUE(b.wait_for([&] { return ended.size() == 1; }));
  TEST_ASSERT_TRUE(b.loop.now() - begin >= Duration::milliseconds(400));
  TEST_ASSERT_EQUAL_STRING("killed because it took too long", ended[0].fault);
  b.programs.perform(action::Acquire{kVip, 5, begin + Duration::seconds(50), true});
  TEST_ASSERT_FALSE(b.programs.is_acquiring());  // it has ended
  b.programs.perform(action::Acquire{kVip, 6, b.loop.now() + Duration::seconds(50)});
  b.programs.perform(action::EndAcquire{kVip, 6});
  TEST_ASSERT_TRUE(b.wait_for([&] { return ended.size() == 2; }));
  TEST_ASSERT_FALSE(ended[1].fault.empty());
}

// So that checks are run as well; each has its turn, and one that waits can be ended.
void only_some_acquire_at_once() {
  Bench b;
  b.config.vips[0].acquire = b.folder.file(
      "acquire", "#!/bin/sh\necho x >> " + b.out + "\nsleep 0.3\necho y >> " + b.out + "\n");
  chmod(b.config.vips[0].acquire.c_str(), 0755);
  TEST_ASSERT_TRUE(b.programs.start(b.config, -1, &b.reason));
  size_t good = 0;
  size_t bad = 0;
  b.programs.on_acquired(
      [&](const event::AcquireEnded& e) { (e.fault.empty() ? good : bad) += 1; });
  const MonoTime until = b.loop.now() + Duration::seconds(50);
  for (uint64_t run = 1; run <= 40; run++) b.programs.perform(action::Acquire{kVip, run, until});
  b.programs.perform(action::EndAcquire{kVip, 40});
  TEST_ASSERT_EQUAL_INT(0, bad);
  TEST_ASSERT_TRUE(b.wait_for([&] { return good == 39 && bad == 1; }));
  TEST_ASSERT_FALSE(b.programs.is_acquiring());
  const std::vector<std::string> lines = fixture::lines(fixture::read(b.out));
  size_t running = 0;
  for (const std::string& line : lines) {
    running += line == "x" ? 1 : static_cast<size_t>(-1);
    TEST_ASSERT_TRUE(running <= 32);
  }
  TEST_ASSERT_EQUAL_INT(78, lines.size());
}

void nothing_is_acquired_for_a_vip_that_names_no_program() {
  Bench b;
  TEST_ASSERT_TRUE(b.programs.start(b.config, -1, &b.reason));
  std::vector<event::AcquireEnded> ended;
  b.programs.on_acquired([&](const event::AcquireEnded& e) { ended.push_back(e); });
  b.programs.perform(action::Acquire{kVip, 5, b.loop.now() + Duration::seconds(9)});
  TEST_ASSERT_TRUE(ended.empty());
  TEST_ASSERT_TRUE(b.wait_for([&] { return ended.size() == 1; }));
  TEST_ASSERT_EQUAL_STRING("no longer configured", ended[0].fault);
}

// Its last changes are still of interest to the program that it had.
void a_vip_that_is_configured_away_keeps_its_program() {
  Bench b;
  b.config.vips[0].notify = b.script;
  TEST_ASSERT_TRUE(b.programs.start(b.config, -1, &b.reason));
  b.config.vips.clear();
  b.programs.configure(b.config);
  b.tell(VipState::Fault);
  TEST_ASSERT_TRUE(b.wait_for([&] { return !fixture::read(b.out).empty(); }));
  TEST_ASSERT_EQUAL_STRING("api 192.0.2.1 fault so a standby\n", fixture::read(b.out));
}

void a_trial_says_why_it_failed_and_logs_what_it_said() {
  Bench b;
  b.config.vips[0].notify = b.script;
  TEST_ASSERT_TRUE(b.programs.start(b.config, -1, &b.reason));
  std::string fault = "not ended";
  b.programs.try_out({"/bin/sh", "-c", "echo no such key; exit 2"},
                     [&](const std::string& text) { fault = text; });
  TEST_ASSERT_TRUE(b.wait_for([&] { return fault != "not ended"; }));
  TEST_ASSERT_EQUAL_STRING("exit status 2", fault);
  TEST_ASSERT_EQUAL_INT(1, logged::count("info: /bin/sh -n: no such key"));
  b.programs.try_out({"/bin/sh", "-c", "exit 0"}, [&](const std::string& text) { fault = text; });
  TEST_ASSERT_TRUE(b.wait_for([&] { return fault.empty(); }));
}

void a_trial_takes_the_place_of_the_one_before() {
  Bench b;
  b.config.vips[0].notify = b.script;
  TEST_ASSERT_TRUE(b.programs.start(b.config, -1, &b.reason));
  int first = 0;
  int second = 0;
  b.programs.try_out({"/bin/sh", "-c", "sleep 0.2; exit 3"}, [&](const std::string&) { ++first; });
  b.programs.try_out({"/bin/sh", "-c", "sleep 1"}, [&](const std::string&) { ++second; });
  TEST_ASSERT_TRUE(b.wait_for([&] { return second == 1; }));
  TEST_ASSERT_EQUAL_INT(0, first);
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(what_acquires_is_told_of_its_end);
  RUN_TEST(what_acquires_is_ended_and_its_end_is_moved);
  RUN_TEST(only_some_acquire_at_once);
  RUN_TEST(nothing_is_acquired_for_a_vip_that_names_no_program);
  RUN_TEST(without_a_program_there_is_no_helper);
  RUN_TEST(a_change_is_told_with_its_environment);
  RUN_TEST(a_vip_that_is_configured_away_keeps_its_program);
  RUN_TEST(a_trial_says_why_it_failed_and_logs_what_it_said);
  RUN_TEST(a_trial_takes_the_place_of_the_one_before);
  return UNITY_END();
}
