// Groups of which a part is up: a reload has changed them, somebody removed one, another node has a
// part, or other nodes have other groups.
#include <algorithm>
#include <functional>
#include <string>

#include "core_group_rig.hpp"

using namespace vipd;

namespace {

using rig::Group;
using rig::kAll;
using rig::kFirst;
using rig::kForeign;
using rig::kNone;
using rig::kOther;
using rig::kSecond;
using rig::kThird;
using rig::kTwo;

// Nobody has looked at the link yet, so nothing is known against it.
void a_reload_that_names_a_new_link_keeps_the_others() {
  const Address fourth = *Address::parse("10.0.0.10");
  for (const bool adds_one : {true, false}) {
    Group group;
    group.start_three();
    group.run(10'000);
    if (adds_one) group.add_vip(fourth, "g");
    group.settings.vips.back().link = "eth7";
    group.reconfigure();
    group.run(100);
    group.tell(event::LinkChanged{"eth7", true, true});
    group.run(10'000);
    for (const Address& address : {kFirst, kSecond}) {
      TEST_ASSERT_EQUAL_INT(0, std::count(group.removes.begin(), group.removes.end(), address));
    }
    TEST_ASSERT_EQUAL_INT(adds_one ? 4 : 3, group.up.size());
  }
}

void one_is_put_back_although_another_is_missing() {
  const std::function<void(Group*)> hindrances[] = {
      [](Group* group) { group->foreigner_queues(kThird); },
      [](Group* group) { group->full = true; },
  };
  for (const auto& hinder : hindrances) {
    Group group;
    group.start_two();
    hinder(&group);
    group.reload_with(kThird);
    group.run(1'000);
    group.somebody_removes(kSecond);
    group.run(2'000);
    TEST_ASSERT_TRUE(group.up == kTwo);
    TEST_ASSERT_TRUE(group.removes.empty());
  }
}

void one_does_not_wait_until_another_may_come_back() {
  Group group;
  group.start_three();
  group.run(10'000);
  for (int i = 0; i < 7; i++) {
    group.somebody_removes(kSecond);
    group.run(i < 6 ? 4'000 : 100);
  }
  group.somebody_removes(kThird);
  group.run(200);
  TEST_ASSERT_TRUE(group.up == std::set<Address>({kFirst, kThird}));
}

// The head of the lowest address is to have the whole, if it can.
void a_part_is_given_up_only_to_who_can_have_all() {
  struct Case {
    std::function<void(Group*)> queue;
    bool is_given_up;
  };
  const Case cases[] = {
      {[](Group* group) { group->foreigner_queues(kThird); }, false},
      {[](Group* group) { group->other_queues({kThird}); }, false},
      {[](Group* group) {
         group->other_queues({kFirst, kSecond, kThird});
       },
       true},
  };
  for (const Case& each : cases) {
    Group group;
    group.start_two();
    each.queue(&group);
    group.reload_with(kThird);
    group.run(2'800);
    TEST_ASSERT_TRUE(group.up == kTwo);
    group.run(1'500);
    TEST_ASSERT_TRUE(group.up == (each.is_given_up ? kNone : kTwo));
  }
}

// Whose session cannot be ended, either.
void a_part_is_not_given_up_to_who_is_silent() {
  Group group;
  group.start_two();
  group.other_queues({kFirst, kSecond, kThird});
  group.loses_ends = true;
  group.run(9'000);
  group.reload_with(kThird);
  group.run(10'000);
  TEST_ASSERT_TRUE(group.removes.empty());
  TEST_ASSERT_TRUE(group.up == kTwo);
}

// Its release was lost while etcd had no space; then a reload makes it a member.
void a_spent_key_is_left_while_another_is_up() {
  Group group;
  for (const Address& address : {kFirst, kSecond}) group.add_vip(address, "");
  group.start();
  group.run(10'000);
  group.full = group.loses_deletes = true;
  group.run(8'000);
  group.tell(event::AddressBlocked{.address = kSecond, .reason = "check", .for_owner = true});
  group.run(3'000);
  TEST_ASSERT_TRUE(group.up == std::set<Address>({kFirst}));
  group.tell(event::AddressBlocked{.address = kSecond, .reason = ""});
  for (VipSettings& vip : group.settings.vips) vip.group = "g";
  group.reconfigure();
  group.run(100);
  group.full = group.loses_deletes = false;
  group.run(30'000);
  TEST_ASSERT_TRUE(group.up == kTwo);
  TEST_ASSERT_EQUAL_INT(1, group.removes.size());
}

// Of three that a process took over from the one before it, at every step from its start.
void after_a_restart_one_that_is_removed_does_not_take_the_others() {
  for (int steps = 0; steps < 30; steps++) {
    Group group;
    group.start_three();
    group.run(10'000);
    group.restart();
    for (int i = 0; i < steps; i++) group.go_on();
    group.somebody_removes(kSecond);
    group.run(6'000);
    TEST_ASSERT_TRUE(group.up == kAll);
    TEST_ASSERT_TRUE(group.removes.empty());
  }
}

// Another standby has the VIPs as single ones, and takes its place in one queue anew whenever we
// do: we cross each other again and again.
void nodes_of_unlike_groups_queue_up_anew_ever_more_seldom() {
  Group group;
  group.foreigner_queues(kFirst);
  group.other_queues({kFirst, kSecond});
  for (const Address& address : {kFirst, kSecond}) group.add_vip(address, "g");
  group.start();
  size_t seen = 0;
  for (int i = 0; i < 3'000; i++) {
    group.run(100);
    if (group.txns.size() == seen) continue;
    seen = group.txns.size();
    group.store.erase({{KeyKind::Candidate, kOther, kFirst}});
    group.other_queues({kFirst});
  }
  TEST_ASSERT_TRUE(seen >= 9);  // of 300 s: after 1, 2, 4, ... 60 s
  TEST_ASSERT_TRUE(seen <= 24);
}

void only_the_head_of_all_queues_probes() {
  Group group;
  group.settings.conflict_probe = true;
  group.foreigner_queues(kFirst);
  group.start_three();
  group.run(60'000);
  TEST_ASSERT_EQUAL_INT(0, group.probes);
  group.store.erase({{KeyKind::Candidate, kForeign, kFirst}});
  group.run(10'000);
  TEST_ASSERT_TRUE(group.probes > 0);
  TEST_ASSERT_TRUE(group.up == kAll);
}

void what_is_owned_shows_no_other_ones_reason() {
  Group group;
  group.start_two();
  const std::string reason = group.view(0).reason;
  group.other_queues({kThird});
  group.reload_with(kThird);
  group.run(1'000);
  for (size_t i = 0; i < 2; i++) {
    TEST_ASSERT_TRUE(group.view(i).state == VipState::Owner);
    TEST_ASSERT_EQUAL_STRING(reason.c_str(), group.view(i).reason.c_str());
  }
  TEST_ASSERT_TRUE(!group.view(2).reason.empty());
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(a_reload_that_names_a_new_link_keeps_the_others);
  RUN_TEST(one_is_put_back_although_another_is_missing);
  RUN_TEST(one_does_not_wait_until_another_may_come_back);
  RUN_TEST(a_part_is_given_up_only_to_who_can_have_all);
  RUN_TEST(a_part_is_not_given_up_to_who_is_silent);
  RUN_TEST(a_spent_key_is_left_while_another_is_up);
  RUN_TEST(after_a_restart_one_that_is_removed_does_not_take_the_others);
  RUN_TEST(nodes_of_unlike_groups_queue_up_anew_ever_more_seldom);
  RUN_TEST(only_the_head_of_all_queues_probes);
  RUN_TEST(what_is_owned_shows_no_other_ones_reason);
  return UNITY_END();
}
