// What people are told of a change: why a VIP was lost, how it was taken, and what they should know
// of other nodes.
#include <algorithm>
#include <string>
#include <vector>

#include "core_rig.hpp"
#include "harness.hpp"

using namespace vipd;

namespace {

using rig::kMs;

const Address kVip = Address::v4(0x0a000001);
constexpr auto kOther = static_cast<LeaseId>(0x88);
constexpr MacAddress kOwnMac = {{2, 0, 0, 0, 0, 1}};
constexpr MacAddress kOtherMac = {{2, 0, 0, 0, 0, 2}};

class World : public rig::AnsweredRig {
 public:
  World() {
    Settings settings = rig::settings();
    settings.vips.push_back({.name = "v", .address = kVip, .link = "eth0"});
    settings.boot = 1;
    start(settings);
    answers.emplace_back(event::LinkChanged{"eth0", true, true, kOwnMac});
  }

  void run(int64_t span) {
    for (const int64_t end = now_ns + span; now_ns < end;) go_on();
  }

  void tell(const Event& event) override {
    AnsweredRig::tell(event);
    for (const Action& action : actions) {
      if (const auto* state = std::get_if<action::ReportState>(&action)) changes.push_back(*state);
      if (const auto* report = std::get_if<action::Report>(&action)) reports.push_back(*report);
    }
  }

  [[nodiscard]] bool owns() const { return core->vips(now())[0].state == VipState::Owner; }

  [[nodiscard]] std::vector<std::string> said(ReportKind kind) const {
    std::vector<std::string> texts;
    for (const action::Report& report : reports) {
      if (report.kind == kind) texts.push_back(report.text);
    }
    return texts;
  }

  // Another node's session, as if it had just been opened.
  void shows(const std::string& node, Duration timeout, const MacAddress& mac) {
    Value value;
    value.valid = true;
    value.node = node;
    value.instance = "other";
    value.timeout = timeout;
    value.host = {.boot = 2, .mac = mac};
    store.grant(kOther, Duration::seconds(60).ns(), now_ns);
    store.put({.kind = KeyKind::Session, .lease = kOther, .vip = {}}, value, kOther);
  }

  bool silent = false;  // etcd answers nothing
  std::vector<action::ReportState> changes;
  std::vector<action::Report> reports;

 protected:
  void act(const action::SendTxn& a) override {
    if (!silent) AnsweredRig::act(a);
  }
};

void what_etcd_took_is_taken_again() {
  World world;
  world.run(7000 * kMs);
  TEST_ASSERT_TRUE(world.owns());
  TEST_ASSERT_EQUAL_STRING("first in the queue", world.changes.back().reason);
  TEST_ASSERT_FALSE(world.changes.back().again);
  world.silent = true;
  world.run(6000 * kMs);
  TEST_ASSERT_FALSE(world.owns());
  const std::string why = "etcd has not confirmed a heartbeat in time";
  TEST_ASSERT_EQUAL_STRING(why, world.changes.back().reason);
  TEST_ASSERT_EQUAL_INT(1, world.said(ReportKind::AuthorityLost).size());
  TEST_ASSERT_EQUAL_STRING("letting go of all VIPs: " + why,
                           world.said(ReportKind::AuthorityLost)[0]);
  world.silent = false;
  world.run(6000 * kMs);
  TEST_ASSERT_TRUE(world.owns());
  TEST_ASSERT_EQUAL_STRING("taken again; nobody else had it meanwhile",
                           world.changes.back().reason);
  TEST_ASSERT_TRUE(world.changes.back().again);
}

// The kernel's lifetimes end well before the deadline.
void an_address_that_expired_is_lost_in_the_same_words() {
  World world;
  world.run(7000 * kMs);
  world.silent = true;
  world.run(4000 * kMs);
  TEST_ASSERT_TRUE(world.owns());
  world.tell(event::AddressLost{.address = kVip, .expired = true});
  world.run(2000 * kMs);
  TEST_ASSERT_EQUAL_STRING("etcd has not confirmed a heartbeat in time",
                           world.changes.back().reason);
  TEST_ASSERT_EQUAL_INT(1, world.said(ReportKind::AuthorityLost).size());
}

void a_process_that_stood_still_says_so() {
  World world;
  world.run(7000 * kMs);
  world.changes.clear();
  world.now_ns += 9000 * kMs;
  world.run(50 * kMs);
  TEST_ASSERT_EQUAL_INT(1, world.said(ReportKind::AuthorityLost).size());
  const std::string& why = world.changes.at(0).reason;
  TEST_ASSERT_TRUE(why.starts_with("this process stood still for ") && why.ends_with(" s"));
  TEST_ASSERT_TRUE(world.changes[0].from == VipState::Owner);
}

void a_hand_over_loses_no_authority() {
  World world;
  world.run(7000 * kMs);
  world.tell(event::ResignAsked{{kVip}});
  world.run(3000 * kMs);
  TEST_ASSERT_TRUE(world.owns());
  TEST_ASSERT_EQUAL_INT(0, world.said(ReportKind::AuthorityLost).size());
  TEST_ASSERT_FALSE(world.changes.back().again);
}

void a_standby_says_when_its_queue_is_old() {
  World world;
  world.shows("you", Duration::seconds(5), kOtherMac);
  Value place;
  place.valid = true;
  place.node = "you";
  place.priority = 100;
  world.store.put({.kind = KeyKind::Candidate, .lease = kOther, .vip = kVip}, place, kOther);
  world.run(500 * kMs);
  TEST_ASSERT_EQUAL_STRING("you is ahead in the queue", world.core->vips(world.now())[0].reason);
  world.silent = true;
  world.run(6000 * kMs);
  TEST_ASSERT_EQUAL_STRING("you was ahead in the queue when etcd last answered",
                           world.core->vips(world.now())[0].reason);
}

void when_the_last_heartbeat_was_confirmed() {
  World world;
  TEST_ASSERT_TRUE(world.core->confirmed() == MonoTime::long_ago());
  world.run(7000 * kMs);
  TEST_ASSERT_TRUE(world.now() - world.core->confirmed() <= Duration::seconds(1));
  const MonoTime before = world.core->confirmed();
  world.silent = true;
  world.run(3000 * kMs);
  TEST_ASSERT_TRUE(world.core->confirmed() - before <= Duration::seconds(1));
}

void settings_of_other_nodes_that_differ_are_told_once() {
  World world;
  world.run(1000 * kMs);
  world.shows("you", Duration::seconds(10), kOtherMac);
  world.run(3000 * kMs);
  const std::vector<std::string> said = world.said(ReportKind::NodesDiffer);
  TEST_ASSERT_EQUAL_INT(1, said.size());
  TEST_ASSERT_TRUE(said[0].starts_with("you has a session.timeout of 10.0 s"));
}

void two_nodes_of_one_name_are_told() {
  World world;
  world.run(1000 * kMs);
  world.shows("me", Duration::seconds(5), kOtherMac);
  world.run(3000 * kMs);
  TEST_ASSERT_EQUAL_INT(1, world.said(ReportKind::NodesDiffer).size());
}

void neither_equals_nor_a_former_process_of_this_host_differ() {
  World world;
  world.run(1000 * kMs);
  world.shows("you", Duration::seconds(5), kOtherMac);
  world.run(3000 * kMs);
  world.shows("me", Duration::seconds(10), kOwnMac);
  world.run(3000 * kMs);
  TEST_ASSERT_EQUAL_INT(0, world.said(ReportKind::NodesDiffer).size());
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(what_etcd_took_is_taken_again);
  RUN_TEST(an_address_that_expired_is_lost_in_the_same_words);
  RUN_TEST(a_process_that_stood_still_says_so);
  RUN_TEST(a_hand_over_loses_no_authority);
  RUN_TEST(a_standby_says_when_its_queue_is_old);
  RUN_TEST(when_the_last_heartbeat_was_confirmed);
  RUN_TEST(settings_of_other_nodes_that_differ_are_told_once);
  RUN_TEST(two_nodes_of_one_name_are_told);
  RUN_TEST(neither_equals_nor_a_former_process_of_this_host_differ);
  return UNITY_END();
}
