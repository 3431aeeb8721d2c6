// One core with many VIPs, on a machine so slow that a look at all of them takes longer than a
// burst of kernel calls: they come up all the same, a few frames at a time.
#include <algorithm>
#include <chrono>
#include <map>
#include <utility>

#include "core/vip.hpp"
#include "core_rig.hpp"
#include "harness.hpp"

using namespace vipd;

namespace {

using rig::kMs;
using rig::kUs;

constexpr int kVips = 300;
constexpr int64_t kLook = 12 * kMs;
constexpr int64_t kCall = 100 * kUs;

class World : public rig::AnsweredRig {
 public:
  int64_t first_up = 0;
  int64_t last_up = 0;
  std::map<Address, int> probed;
  std::map<Address, bool> up;
  std::map<Address, bool> left;  // whether the release said that it was held
  size_t pending = 0;            // removals, when the first release was sent
  ptrdiff_t most_frames = 0;     // that one step sent

  int64_t call = kCall;
  bool asks = false;    // somebody asks for the last VIP after each step
  bool silent = false;  // etcd answers nothing
  int renewals = 0;
  int tellings = 0;  // steps that told people that VIPs are owned
  int remembered = 0;
  Duration least_left = Duration::seconds(100);  // of a lifetime, at its renewal
  int64_t most_at_once = 0;                      // addresses set, with nothing in between
  size_t at_once = SIZE_MAX;                     // of an answer, in one part
  size_t parts = 0;
  bool breaks = false;  // the next answer, in its middle

  void start(uint32_t vips = kVips, Duration timeout = Duration::seconds(5)) {
    Settings settings = settings_of(vips);
    settings.timeout = timeout;
    begin(settings);
  }

  // The process is another one, with another configuration.
  void restart(Settings settings) {
    settings.memory = memory;
    settings.instance = "next";
    completions.clear();
    answers.clear();
    begin(settings);
    for (const auto& [address, is] : up) answers.emplace_back(event::AddressFound{address});
  }

  static Settings settings_of(uint32_t vips) {
    Settings settings = rig::settings();
    settings.conflict_probe = true;
    for (uint32_t i = 0; i < vips; i++) {
      settings.vips.push_back(
          {.name = "v", .address = Address::v4(0x0a000001 + i), .link = "eth0"});
    }
    return settings;
  }

  void tell(const Event& event) override {
    set_at_once_ = std::holds_alternative<event::AddressAdded>(event) ? set_at_once_ + 1 : 0;
    most_at_once = std::max(most_at_once, set_at_once_);
    AnsweredRig::tell(event);
  }

  // How many lifetimes go on.
  [[nodiscard]] int64_t not_ended() const {
    return std::count_if(ends_.begin(), ends_.end(),
                         [this](const auto& item) { return item.second > now(); });
  }

  void run(int64_t span) {
    for (const int64_t end = now_ns + span; now_ns < end;) {
      go_on();
      if (asks) TEST_ASSERT_TRUE(core->vip(last, now()).has_value());
      most_frames = std::max(most_frames, std::count_if(actions.begin(), actions.end(), is_frame));
      tellings += std::any_of(actions.begin(), actions.end(), tells_owner) ? 1 : 0;
      remembered += std::any_of(actions.begin(), actions.end(), is_memory) ? 1 : 0;
    }
  }

 private:
  Address last;

  void begin(const Settings& settings) {
    last = settings.vips.back().address;
    AnsweredRig::start(settings);
    answers.emplace_back(event::LinkChanged{"eth0", true, true});
  }

  static bool tells_owner(const Action& action) {
    const auto* told = std::get_if<action::ReportState>(&action);
    return told != nullptr && told->to == VipState::Owner;
  }
  static bool is_memory(const Action& action) {
    return std::holds_alternative<action::Remember>(action);
  }
  static bool is_frame(const Action& action) {
    return std::holds_alternative<action::SendProbe>(action) ||
           std::holds_alternative<action::SendAnnouncement>(action);
  }

  [[nodiscard]] int64_t cost(const Event& event) const override {
    return std::holds_alternative<event::AddressAdded>(event) ||
                   std::holds_alternative<event::AddressRemoved>(event)
               ? call
               : kLook;
  }

  void act(const action::AddAddress& a) override {
    first_up = first_up == 0 ? now_ns : first_up;
    last_up = up[a.address] ? last_up : now_ns;
    if (up[a.address]) {
      renewals++;
      least_left = std::min(least_left, ends_[a.address] - now());
    }
    ends_[a.address] = now() + Duration::seconds(a.lifetime_s);
    up[a.address] = true;
    AnsweredRig::act(a);
  }
  void act(const action::RemoveAddress& a) override {
    up.erase(a.address);
    AnsweredRig::act(a);
  }
  void act(const action::SendProbe& a) override { probed[a.address]++; }
  void act(const action::ReadPrefix& a) override {
    AnsweredRig::act(a);
    event::PrefixRead rest = std::get<event::PrefixRead>(answers.back());
    answers.pop_back();
    while (rest.entries.size() > at_once) {
      const auto end = rest.entries.begin() + static_cast<ptrdiff_t>(at_once);
      answers.emplace_back(
          event::PrefixRead{a.request, rest.header, {rest.entries.begin(), end}, true});
      rest.entries.erase(rest.entries.begin(), end);
      parts++;
    }
    if (std::exchange(breaks, false)) {
      answers.emplace_back(event::RequestFailed{a.request, "cut"});
    } else {
      answers.emplace_back(rest);
    }
  }
  void act(const action::SendTxn& a) override {
    const Value& value = a.txn.success.front().value;
    if (value.released && left.empty()) pending = completions.size();
    for (const Op& op : a.txn.success) {
      if (op.kind != Op::Kind::Delete || !value.released) continue;
      TEST_ASSERT_FALSE(is_pending(op.key.vip));
      TEST_ASSERT_FALSE(memory.waited_out.contains(op.key.vip));
      left[op.key.vip] = value.held;
    }
    if (!silent) AnsweredRig::act(a);
  }

  [[nodiscard]] bool is_pending(const Address& address) const {
    return std::any_of(completions.begin(), completions.end(), [&](const Event& e) {
      const auto* removed = std::get_if<event::AddressRemoved>(&e);
      return removed != nullptr && removed->address == address;
    });
  }

  std::map<Address, MonoTime> ends_;
  int64_t set_at_once_ = 0;
};

void a_slow_machine_still_adds_many_addresses_at_once() {
  World world;
  world.start();
  world.run(10'000 * kMs);
  TEST_ASSERT_EQUAL_INT(kVips, world.up.size());
  TEST_ASSERT_TRUE(world.last_up - world.first_up < 500 * kMs);  // 12 s with one a look
  TEST_ASSERT_TRUE(world.core->vips(world.now())[0].state == VipState::Owner);
}

// A look at all of thousands, or a file of them, for each burst would be most of what it costs.
void bursts_follow_each_other_without_a_look_at_all() {
  World world;
  world.call = 1 * kMs;
  world.start(1200, Duration::seconds(15));
  world.run(22'000 * kMs);
  TEST_ASSERT_EQUAL_INT(1200, world.up.size());
  const int64_t took = world.last_up - world.first_up;
  TEST_ASSERT_TRUE(took < 4'000 * kMs);
  TEST_ASSERT_TRUE(world.tellings >= 1200 / 100);                  // at most 50 ms late
  TEST_ASSERT_TRUE(world.tellings <= took / (50 * kMs) + 5);       // 120, one for each burst
  TEST_ASSERT_TRUE(world.remembered <= took / (1'000 * kMs) + 5);  // 120 likewise
}

// Several events of one turn of the loop may each ask for a burst.
void a_turn_that_is_spent_begins_no_burst() {
  World world;
  world.start();
  while (world.up.empty()) world.run(kMs);
  world.turn_is_spent = true;
  world.run(30 * kMs);  // what has begun goes on
  const size_t begun = world.up.size();
  TEST_ASSERT_TRUE(begun > 1 && begun < kVips);
  world.run(500 * kMs);
  TEST_ASSERT_EQUAL_INT(begun, world.up.size());
  world.turn_is_spent = false;
  world.run(500 * kMs);
  TEST_ASSERT_EQUAL_INT(kVips, world.up.size());
}

// A burst goes on where the one before ended, whoever reads a status meanwhile.
void who_asks_steers_nothing() {
  int64_t took[2] = {};
  for (const bool asks : {false, true}) {
    World world;
    world.asks = asks;
    world.call = 1 * kMs;
    world.start(1200, Duration::seconds(15));
    world.run(22'000 * kMs);
    TEST_ASSERT_EQUAL_INT(1200, world.up.size());
    took[asks] = world.last_up - world.first_up;
  }
  TEST_ASSERT_TRUE(took[false] == took[true]);
}

// Whoever is next takes the first of thousands while the last are being removed.
void what_fills_a_link_is_released_at_once() {
  World world;
  world.start(1200);
  world.run(12'000 * kMs);
  TEST_ASSERT_EQUAL_INT(1200, world.up.size());
  world.answers.emplace_back(event::StopAsked{});
  world.run(1'000 * kMs);
  TEST_ASSERT_EQUAL_INT(1200, world.left.size());
  TEST_ASSERT_EQUAL_INT(1200 - 120, world.pending);
}

// A release says for all that it leaves whether they were held; those that were go first.
void what_was_held_goes_apart_from_places_in_queues() {
  World world;
  const LeaseId foreign = static_cast<LeaseId>(0x55);
  world.store.grant(foreign, 0, 0);
  for (uint32_t i = 0; i < kVips; i += 2) {
    world.store.put({KeyKind::Candidate, foreign, Address::v4(0x0a000001 + i)}, {}, foreign);
  }
  world.start();
  world.run(10'000 * kMs);
  const std::map<Address, bool> held = world.up;
  TEST_ASSERT_EQUAL_INT(kVips / 2, held.size());
  world.answers.emplace_back(event::StopAsked{});
  world.run(1'000 * kMs);
  TEST_ASSERT_EQUAL_INT(kVips, world.left.size());
  for (const auto& [address, was_held] : world.left) {
    TEST_ASSERT_TRUE(was_held == held.contains(address));
  }
}

void frames_go_a_few_at_a_time() {
  World world;
  world.start();
  world.run(8'000 * kMs);
  TEST_ASSERT_EQUAL_INT(64, world.most_frames);
  TEST_ASSERT_EQUAL_INT(kVips, world.probed.size());
  for (const auto& [address, times] : world.probed) TEST_ASSERT_EQUAL_INT(3, times);
}

// Each call takes as long as it does among 10,000 addresses. With each heartbeat, these would be
// renewed 30 times in 20 s.
void lifetimes_of_many_are_renewed_as_often_as_they_need() {
  World world;
  world.call = 1 * kMs;
  world.start(600, Duration::seconds(15));
  world.run(30'000 * kMs);
  TEST_ASSERT_EQUAL_INT(600, world.up.size());
  world.renewals = 0;
  world.run(20'000 * kMs);
  TEST_ASSERT_EQUAL_INT(600, world.up.size());
  TEST_ASSERT_TRUE(world.renewals >= 600 * 2 && world.renewals <= 600 * 4);
  TEST_ASSERT_TRUE(world.least_left >= Duration::seconds(3));
}

// What was set while etcd did not answer has less left than what was set since.
void short_lifetimes_are_renewed_sooner() {
  for (int64_t offset = 0; offset < 10'000; offset += 1'000) {
    World world;
    world.call = 2 * kMs;
    world.start(600, Duration::seconds(15));
    world.run((30'000 + offset) * kMs);
    TEST_ASSERT_EQUAL_INT(600, world.up.size());
    world.silent = true;
    world.run(5'000 * kMs);
    world.silent = false;
    world.run(15'000 * kMs);
    TEST_ASSERT_TRUE(world.least_left >= Duration::seconds(1));
  }
}

// By what comes before, again and again: requests, what etcd shows, a processor that others use.
void lifetimes_are_renewed_where_each_turn_is_spent() {
  for (const auto& [timeout, rounds] : {std::pair{15, 2}, std::pair{5, 5}}) {
    World world;
    world.call = timeout == 5 ? kMs / 5 : kMs;
    world.start(600, Duration::seconds(timeout));
    world.run(30'000 * kMs);
    TEST_ASSERT_EQUAL_INT(600, world.up.size());
    world.renewals = 0;
    world.turn_is_spent = true;
    world.run(20'000 * kMs);
    TEST_ASSERT_TRUE(world.renewals >= 600 * rounds);
    TEST_ASSERT_TRUE(world.least_left > Duration());
    TEST_ASSERT_EQUAL_INT(600, world.not_ended());
  }
}

// Where the kernel holds up each of them, too, the others have their turns: heartbeats above all.
void late_renewals_leave_turns_for_others() {
  for (const int64_t call : {1, 20, 30, 50, 80}) {
    World world;
    world.call = 1 * kMs;
    world.start(600, Duration::seconds(15));
    world.run(30'000 * kMs);
    world.call = call * kMs;
    world.turn_is_spent = true;
    world.most_at_once = 0;
    world.run(20'000 * kMs);
    TEST_ASSERT_TRUE(world.most_at_once > 1);
    TEST_ASSERT_TRUE(world.most_at_once * call <= 20 + 3 * call);
  }
}

// Thousands of keys at once are a long turn.
void a_long_answer_is_taken_in_part_by_part() {
  World world;
  world.start(kVips, Duration::seconds(15));
  world.run(22'000 * kMs);
  TEST_ASSERT_EQUAL_INT(kVips, world.up.size());
  world.at_once = 64;
  for (const bool breaks : {true, false}) {
    Settings settings = World::settings_of(kVips);
    settings.timeout = Duration::seconds(15);
    world.breaks = breaks;
    world.parts = 0;
    world.restart(settings);
    while (world.parts == 0) world.go_on();
    while (!world.answers.empty() && std::holds_alternative<event::PrefixRead>(world.answers[0]) &&
           std::get<event::PrefixRead>(world.answers[0]).goes_on) {
      world.go_on();
      TEST_ASSERT_TRUE(world.actions.empty());
      TEST_ASSERT_EQUAL_INT(0, world.core->revision());
    }
    world.run(5'000 * kMs);
    TEST_ASSERT_EQUAL_INT(kVips, world.up.size());
    const std::vector<VipView> vips = world.core->vips(world.now());
    TEST_ASSERT_TRUE(std::all_of(vips.begin(), vips.end(), [](const VipView& vip) {
      return vip.state == VipState::Owner && vip.queue.size() == 1;
    }));
  }
}

// Its key is in the queue that the former process was in.
void a_vip_that_a_restart_finds_no_more_is_left() {
  World world;
  world.start(10);
  world.run(12'000 * kMs);
  TEST_ASSERT_EQUAL_INT(10, world.up.size());
  world.restart(World::settings_of(9));
  world.run(15'000 * kMs);  // the address may be there that long
  TEST_ASSERT_EQUAL_INT(0, world.left.size());
  (void)world.core->owner(Address::v4(0x0a00000a), world.now());
  world.run(1000 * kMs);
  TEST_ASSERT_EQUAL_INT(1, world.left.size());
  TEST_ASSERT_EQUAL_INT(9, world.up.size());
}

// Where a configuration's order is not that of the addresses, each would be looked for among all.
void many_vips_are_found_in_any_order() {
  constexpr uint32_t kCount = 50'000;
  VipTable table;
  std::vector<VipSettings> settings;
  for (uint32_t i = 0; i < kCount; i++) {
    settings.push_back(
        {.name = "v", .address = Address::v4(0x0a000000 + kCount - i), .link = "eth0"});
    table.add()->settings = settings.back();
  }
  table.group(settings);
  const auto begin = std::chrono::steady_clock::now();
  for (uint32_t i = 1; i <= kCount; i++) {
    TEST_ASSERT_NOT_NULL(table.find(Address::v4(0x0a000000 + i)));
  }
  TEST_ASSERT_NULL(table.find(Address::v4(1)));
  TEST_ASSERT_TRUE(std::chrono::steady_clock::now() - begin < std::chrono::seconds(1));  // was 20 s
}

void who_waits_for_his_turn_says_so() {
  World world;
  world.start();
  int said = 0;
  for (int i = 0; i < 1000 && said == 0; i++) {
    world.run(kMs);
    for (const VipView& vip : world.core->vips(world.now())) {
      TEST_ASSERT_TRUE(vip.state == VipState::Owner || !vip.reason.empty());
      said += vip.state == VipState::Waiting && vip.reason == "adding the address";
    }
  }
  TEST_ASSERT_TRUE(said > 0);
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(a_slow_machine_still_adds_many_addresses_at_once);
  RUN_TEST(bursts_follow_each_other_without_a_look_at_all);
  RUN_TEST(a_turn_that_is_spent_begins_no_burst);
  RUN_TEST(who_asks_steers_nothing);
  RUN_TEST(what_fills_a_link_is_released_at_once);
  RUN_TEST(what_was_held_goes_apart_from_places_in_queues);
  RUN_TEST(frames_go_a_few_at_a_time);
  RUN_TEST(lifetimes_of_many_are_renewed_as_often_as_they_need);
  RUN_TEST(short_lifetimes_are_renewed_sooner);
  RUN_TEST(lifetimes_are_renewed_where_each_turn_is_spent);
  RUN_TEST(late_renewals_leave_turns_for_others);
  RUN_TEST(a_long_answer_is_taken_in_part_by_part);
  RUN_TEST(a_vip_that_a_restart_finds_no_more_is_left);
  RUN_TEST(many_vips_are_found_in_any_order);
  RUN_TEST(who_waits_for_his_turn_says_so);
  return UNITY_END();
}
