// VIPs that a node owns all of, or none: what the core writes to etcd for them, in which order they
// come up, and what it says of one that another one keeps away.
#include <string>
#include <vector>

#include "core_group_rig.hpp"

using namespace vipd;

namespace {

using rig::Group;
using rig::kAll;
using rig::kFirst;
using rig::kNone;
using rig::kOwn;
using rig::kSecond;
using rig::kThird;

// So all its queues have one order.
void all_places_are_taken_by_one_txn() {
  Group group;
  group.start_three();
  group.run(1'000);
  TEST_ASSERT_EQUAL_INT(1, group.txns.size());
  TEST_ASSERT_TRUE(Group::places(group.txns[0], Op::Kind::Put) == kAll);
}

void members_come_up_in_the_order_of_the_configuration() {
  Group group;
  group.start_three();
  group.run(10'000);
  TEST_ASSERT_TRUE(group.adds == std::vector<Address>({kFirst, kSecond, kThird}));
  for (size_t i = 0; i < 3; i++) TEST_ASSERT_TRUE(group.view(i).state == VipState::Owner);
}

void all_go_and_leave_together() {
  Group group;
  group.start_three();
  group.run(10'000);
  group.txns.clear();
  group.tell(event::ResignAsked{{kSecond}});
  group.run(20);
  TEST_ASSERT_TRUE(group.txns.size() >= 2);
  TEST_ASSERT_TRUE(Group::places(group.txns.front(), Op::Kind::Delete) == kAll);
  TEST_ASSERT_TRUE(Group::places(group.txns.back(), Op::Kind::Put) == kAll);
}

void what_keeps_one_away_is_named_by_the_others() {
  struct Case {
    Event event;
    std::string words;
  };
  const Case cases[] = {
      {event::LinkChanged{"eth1", false, false}, "there is no link eth1"},
      {event::AddressBlocked{kSecond, "check web is down", true}, "check web is down"},
  };
  for (const Case& each : cases) {
    Group group;
    group.start_three();
    group.run(10'000);
    TEST_ASSERT_TRUE(group.up == kAll);
    group.tell(each.event);
    group.run(20);
    TEST_ASSERT_TRUE(group.up == kNone);
    for (size_t i = 0; i < 3; i++) {
      const std::string words = i == 1 ? each.words : "v1: " + each.words;
      TEST_ASSERT_TRUE(group.view(i).state == VipState::Fault);
      TEST_ASSERT_EQUAL_STRING(words.c_str(), group.view(i).reason.c_str());
    }
  }
}

void one_that_somebody_removes_is_put_back_and_the_others_stay() {
  Group group;
  group.start_three();
  group.run(10'000);
  group.adds.clear();
  group.txns.clear();
  group.up.erase(kFirst);
  group.tell(event::AddressLost{kFirst, false});
  group.run(1'000);
  TEST_ASSERT_TRUE(group.up == kAll);
  TEST_ASSERT_TRUE(group.adds == std::vector<Address>({kFirst}));
  TEST_ASSERT_TRUE(group.txns.empty());
}

void one_that_the_kernel_refuses_takes_the_others_down() {
  Group group;
  group.refused = {kThird};
  group.start_three();
  group.run(5'100);
  TEST_ASSERT_TRUE(group.adds == std::vector<Address>({kFirst, kSecond, kThird}));
  TEST_ASSERT_TRUE(group.up == kNone);
  TEST_ASSERT_TRUE(group.view(0).reason.starts_with("v2: the kernel refused the address"));
  group.refused.clear();
  group.run(12'000);
  TEST_ASSERT_TRUE(group.up == kAll);
}

// Head in two queues and second in the third: none is set.
void a_node_that_is_not_first_for_one_sets_none() {
  Group group;
  group.other_queues({kSecond});
  group.start_three();
  for (int i = 0; i < 3; i++) group.run(1'000);
  TEST_ASSERT_TRUE(group.adds.empty());
}

// By the name of the group: every node weighs all members alike.
void an_automatic_priority_is_that_of_the_group() {
  Group group;
  for (const Address& address : {kFirst, kSecond}) group.add_vip(address, "g");
  group.add_vip(kThird, "");
  for (VipSettings& vip : group.settings.vips) vip.priority = std::nullopt;
  group.start();
  group.run(1'000);
  std::vector<int> priorities;
  for (const Address& address : {kFirst, kSecond, kThird}) {
    const sim::Store::Stored* key = group.store.find({KeyKind::Candidate, kOwn, address});
    TEST_ASSERT_TRUE(key != nullptr);
    priorities.push_back(key->entry.value.priority);
  }
  TEST_ASSERT_EQUAL_INT(priorities[0], priorities[1]);
  TEST_ASSERT_TRUE(priorities[0] != priorities[2]);
}

// A reload makes groups of what is owned, or takes one out of its group: nothing goes.
void a_reload_of_groups_costs_an_owner_nothing() {
  Group group;
  for (const Address& address : {kFirst, kSecond, kThird}) group.add_vip(address, "");
  group.start();
  group.run(10'000);
  TEST_ASSERT_TRUE(group.up == kAll);
  group.adds.clear();
  group.txns.clear();
  for (const char* name : {"g", "h", ""}) {
    for (VipSettings& vip : group.settings.vips) vip.group = name;
    group.settings.vips[2].group = "";
    group.reconfigure();
    group.run(5'000);
  }
  TEST_ASSERT_TRUE(group.up == kAll);
  TEST_ASSERT_TRUE(group.adds.empty());
  TEST_ASSERT_TRUE(group.txns.empty());
}

void a_member_that_a_reload_takes_away_goes_alone() {
  Group group;
  group.start_three();
  group.run(10'000);
  group.settings.vips.erase(group.settings.vips.begin());
  group.reconfigure();
  group.run(1'000);
  TEST_ASSERT_TRUE(group.up == std::set<Address>({kSecond, kThird}));
  TEST_ASSERT_TRUE(group.view(0).state == VipState::Owner);
}

// The last group that would not fit waits for the next txn, whole.
void a_group_is_not_split_over_two_txns() {
  constexpr uint32_t kMembers = 16;  // at most
  constexpr uint32_t kGroups = 9;    // more than one txn holds
  Group group;
  for (uint32_t i = 0; i < kMembers * kGroups; i++) {
    group.add_vip(Address::v4(0x0a000001 + i), "g" + std::to_string(i / kMembers));
    group.settings.vips.back().link = "eth0";
  }
  group.start();
  group.run(1'000);
  size_t joined = 0;
  for (const Txn& txn : group.txns) {
    const size_t size = Group::places(txn, Op::Kind::Put).size();
    TEST_ASSERT_EQUAL_INT(0, size % kMembers);
    joined += size;
  }
  TEST_ASSERT_EQUAL_INT(kMembers * kGroups, joined);
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(all_places_are_taken_by_one_txn);
  RUN_TEST(members_come_up_in_the_order_of_the_configuration);
  RUN_TEST(all_go_and_leave_together);
  RUN_TEST(what_keeps_one_away_is_named_by_the_others);
  RUN_TEST(one_that_somebody_removes_is_put_back_and_the_others_stay);
  RUN_TEST(one_that_the_kernel_refuses_takes_the_others_down);
  RUN_TEST(a_node_that_is_not_first_for_one_sets_none);
  RUN_TEST(an_automatic_priority_is_that_of_the_group);
  RUN_TEST(a_reload_of_groups_costs_an_owner_nothing);
  RUN_TEST(a_member_that_a_reload_takes_away_goes_alone);
  RUN_TEST(a_group_is_not_split_over_two_txns);
  return UNITY_END();
}
