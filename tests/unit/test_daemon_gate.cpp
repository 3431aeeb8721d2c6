#include "daemon/gate.hpp"

#include <unistd.h>

#include "check/checks.hpp"
#include "daemon_bench.hpp"
#include "harness.hpp"
#include "logged.hpp"

using namespace vipd;

namespace {

const Address kVip = *Address::parse("192.0.2.1");

CheckConfig file_check(const std::string& path) {
  CheckConfig config;
  config.name = "ready";
  config.kind = CheckKind::File;
  config.target = path;
  config.interval = Duration::milliseconds(20);
  config.timeout = Duration::milliseconds(20);
  config.rise = config.fall = 1;
  return config;
}

// A gate for one VIP, with one check of a file.
struct Bench : bench::OneVip {
  fixture::Folder folder;
  std::string path = folder.file("ready", "");
  Loop loop;
  std::vector<event::AddressBlocked> told;
  std::vector<VipView> queues = std::vector<VipView>(1);
  bool is_connected = true;
  int weight = 0;  // of the check

  Bench() {
    queues[0].address = kVip;
    logged::lines.clear();
  }

  Gate gate{loop,
            vips,
            {.feed =
                 [this](const Event& event) {
                   if (const auto* blocked = std::get_if<event::AddressBlocked>(&event)) {
                     told.push_back(*blocked);
                   }
                 },
             .queues = [this] { return queues; },
             .is_connected = [this] { return is_connected; }}};

  void start(bool with_check) {
    if (with_check) configured[0].checks = {"ready"};
    std::vector<CheckConfig> checks;
    if (with_check) checks.push_back(file_check(path));
    if (with_check) checks[0].weight = weight;
    gate.start(check::Tools{.loop = loop, .environment = {}, .link_of = nullptr}, checks);
  }
  bool wait_for(const std::function<bool()>& done) {
    const MonoTime end = loop.now() + Duration::seconds(20);
    while (!done() && loop.now() < end) loop.run_once(Duration::milliseconds(20));
    return done();
  }
};

void what_stands_on_this_host_is_told_once_and_not_minded_by_an_owner() {
  Bench b;
  b.start(false);
  b.gate.obstructed(b.configured[0], "it is on eth9");
  b.gate.obstructed(b.configured[0], "it is on eth9");
  TEST_ASSERT_EQUAL_INT(1, b.told.size());
  TEST_ASSERT_EQUAL_STRING("it is on eth9", b.told[0].reason);
  TEST_ASSERT_FALSE(b.told[0].for_owner);
  TEST_ASSERT_EQUAL_STRING("it is on eth9", b.gate.reason(b.configured[0]));
  b.gate.obstructed(b.configured[0], "");
  TEST_ASSERT_EQUAL_INT(2, b.told.size());
  TEST_ASSERT_EQUAL_STRING("", b.told[1].reason);
  TEST_ASSERT_EQUAL_INT(1, logged::count("warn: vip api: it is on eth9"));
}

// Unknown it says nothing, and down it keeps nobody away.
void a_check_with_a_weight_lowers_the_priority() {
  Bench b;
  b.weight = 60;
  b.start(true);
  TEST_ASSERT_TRUE(b.told.empty());
  TEST_ASSERT_TRUE(b.wait_for([&] { return b.gate.check("ready").state == "up"; }));
  TEST_ASSERT_TRUE(b.told.empty());
  unlink(b.path.c_str());
  TEST_ASSERT_TRUE(b.wait_for([&] { return !b.told.empty(); }));
  TEST_ASSERT_EQUAL_STRING("", b.told[0].reason);
  TEST_ASSERT_FALSE(b.told[0].for_owner);
  TEST_ASSERT_EQUAL_INT(60, b.told[0].lowered);
  TEST_ASSERT_EQUAL_STRING("", b.gate.reason(b.configured[0]));
  TEST_ASSERT_EQUAL_INT(1, logged::count("info: vip api: priority lowered by 60: checks are down"));
  fixture::write(b.path, "");
  TEST_ASSERT_TRUE(b.wait_for([&] { return b.told.size() == 2; }));
  TEST_ASSERT_EQUAL_INT(0, b.told[1].lowered);
}

// Before it has a result a check keeps the node out, but takes nothing from an owner.
void a_check_is_unknown_then_up_then_down() {
  Bench b;
  b.start(true);
  TEST_ASSERT_EQUAL_INT(1, b.told.size());
  TEST_ASSERT_FALSE(b.told[0].for_owner);
  TEST_ASSERT_EQUAL_STRING("check ready has not been good yet: no result yet", b.told[0].reason);
  TEST_ASSERT_TRUE(b.wait_for([&] { return b.told.size() == 2; }));
  TEST_ASSERT_EQUAL_STRING("", b.told[1].reason);
  unlink(b.path.c_str());
  TEST_ASSERT_TRUE(b.wait_for([&] { return b.told.size() == 3; }));
  TEST_ASSERT_TRUE(b.told[2].for_owner);
  TEST_ASSERT_TRUE(b.told[2].reason.starts_with("check ready is down: "));
}

// Whatever else stands in the way: an owner has to be told of a check.
void a_check_that_is_down_comes_before_an_obstacle() {
  Bench b;
  b.start(true);
  TEST_ASSERT_TRUE(b.wait_for([&] { return b.told.size() == 2; }));
  b.gate.obstructed(b.configured[0], "it is on eth9");
  TEST_ASSERT_TRUE(b.gate.override_check("ready", "down"));
  TEST_ASSERT_TRUE(b.told.back().for_owner);
  TEST_ASSERT_TRUE(b.gate.override_check("ready", "up"));
  TEST_ASSERT_EQUAL_STRING("it is on eth9", b.told.back().reason);
  TEST_ASSERT_FALSE(b.told.back().for_owner);
  TEST_ASSERT_FALSE(b.gate.override_check("other", "up"));
}

// The core has forgotten a VIP that was away, and what it was told of it.
void a_vip_that_comes_back_is_told_of_again() {
  Bench b;
  b.start(false);
  b.gate.obstructed(b.configured[0], "it is on eth9");
  b.gate.reconfigured(b.configured);
  TEST_ASSERT_EQUAL_INT(1, b.told.size());
  b.gate.reconfigured({});
  TEST_ASSERT_EQUAL_INT(2, b.told.size());
  TEST_ASSERT_EQUAL_STRING("it is on eth9", b.told[1].reason);
}

void where_nobody_is_fit_it_is_said_once() {
  Bench b;
  b.start(true);
  TEST_ASSERT_TRUE(b.gate.override_check("ready", "down"));
  TEST_ASSERT_FALSE(b.gate.has_no_candidate(kVip));
  TEST_ASSERT_TRUE(b.wait_for([&] { return b.gate.has_no_candidate(kVip); }));
  b.queues[0].queue.resize(1);
  TEST_ASSERT_TRUE(b.wait_for([&] { return !b.gate.has_no_candidate(kVip); }));
  TEST_ASSERT_EQUAL_INT(1, logged::count("vip api: no node can own it"));
}

// What is known of the queues may be out of date then.
void without_etcd_nobody_is_said_to_be_unfit() {
  Bench b;
  b.is_connected = false;
  b.start(true);
  TEST_ASSERT_TRUE(b.gate.override_check("ready", "down"));
  const MonoTime end = b.loop.now() + Duration::milliseconds(1300);
  while (b.loop.now() < end) b.loop.run_once(Duration::milliseconds(20));
  TEST_ASSERT_FALSE(b.gate.has_no_candidate(kVip));
  TEST_ASSERT_EQUAL_INT(0, logged::count("no node can own it"));
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(a_check_with_a_weight_lowers_the_priority);
  RUN_TEST(what_stands_on_this_host_is_told_once_and_not_minded_by_an_owner);
  RUN_TEST(a_check_is_unknown_then_up_then_down);
  RUN_TEST(a_check_that_is_down_comes_before_an_obstacle);
  RUN_TEST(a_vip_that_comes_back_is_told_of_again);
  RUN_TEST(where_nobody_is_fit_it_is_said_once);
  RUN_TEST(without_etcd_nobody_is_said_to_be_unfit);
  return UNITY_END();
}
