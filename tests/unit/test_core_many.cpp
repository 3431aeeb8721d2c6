// One core with many VIPs, on a machine so slow that a look at all of them takes longer than a
// burst of kernel calls: they come up all the same, a few frames at a time.
#include <deque>
#include <map>
#include <memory>

#include "harness.hpp"
#include "sim/store.hpp"
#include "vipd/core.hpp"

using namespace vipd;

namespace {

constexpr int kVips = 300;
constexpr int64_t kUs = 1000;
constexpr int64_t kMs = 1000 * kUs;
constexpr int64_t kLook = 12 * kMs;
constexpr int64_t kCall = 100 * kUs;
const LeaseId kLease = static_cast<LeaseId>(0x77);

struct World {
  std::unique_ptr<Core> core;
  sim::Store store;
  std::deque<Event> inbox;
  Revision shown = 1;  // by the watch
  int64_t now = 1'000'000 * kMs;
  int64_t first_up = 0;
  int64_t last_up = 0;
  std::map<Address, int> probed;
  std::map<Address, bool> up;
  std::map<Address, bool> left;  // whether the release said that it was held
  int most_frames = 0;           // that one step sent

  Input input() { return {.now = MonoTime::from_ns(now), .random = static_cast<uint64_t>(now)}; }

  void perform(const Actions& actions) {
    int frames = 0;
    for (const Action& action : actions) {
      std::visit([this](const auto& a) { act(a); }, action);
      frames += std::holds_alternative<action::SendProbe>(action) ||
                std::holds_alternative<action::SendAnnouncement>(action);
    }
    most_frames = std::max(most_frames, frames);
  }

  void tell(const Event& event, int64_t cost) {
    Actions actions;
    core->step(input(), event, &actions);
    now += cost;
    perform(actions);
  }

  void act(const action::AddAddress& a) {
    first_up = first_up == 0 ? now : first_up;
    last_up = up[a.address] ? last_up : now;
    up[a.address] = true;
    tell(event::AddressAdded{a.address, a.lifetime_s, 0}, kCall);
  }
  void act(const action::RemoveAddress& a) {
    up.erase(a.address);
    tell(event::AddressRemoved{a.address, 0}, kCall);
  }
  void act(const action::SendProbe& a) { probed[a.address]++; }
  void act(const action::GrantLease& a) {
    store.grant(kLease, a.ttl.ns(), now);
    inbox.emplace_back(event::LeaseGranted{a.request, store.header(), kLease});
  }
  void act(const action::ReadPrefix& a) {
    inbox.emplace_back(event::PrefixRead{a.request, store.header(), store.everything()});
  }
  void act(const action::OpenWatch& a) {
    shown = a.from - 1;
    inbox.emplace_back(event::WatchCreated{store.header()});
  }
  void act(const action::SendTxn& a) {
    bool succeeded = false;
    std::vector<Entry> entries;
    const Value& value = a.txn.success.front().value;
    for (const Op& op : a.txn.success) {
      if (op.kind == Op::Kind::Delete && value.released) left[op.key.vip] = value.held;
    }
    (void)store.txn(a.txn, &succeeded, &entries);
    inbox.emplace_back(event::TxnAnswered{a.request, store.header(), succeeded, entries});
  }
  template <typename T>
  void act(const T&) {}

  // What the watch has to show, then the answers, then time.
  void run(int64_t span) {
    for (const int64_t end = now + span; now < end;) {
      event::WatchAdvanced advanced{.header = store.header(), .changes = {}};
      for (const sim::Store::Commit& commit : store.history) {
        if (commit.revision <= shown) continue;
        advanced.changes.insert(advanced.changes.end(), commit.changes.begin(),
                                commit.changes.end());
      }
      shown = store.revision;
      if (!advanced.changes.empty()) inbox.push_front(advanced);
      if (!inbox.empty()) {
        const Event event = inbox.front();
        inbox.pop_front();
        tell(event, kLook);
        continue;
      }
      now = std::max(now + kUs, core->next_deadline().ns());
      tell(event::Ticked{}, kLook);
    }
  }

  void start() {
    Settings settings;
    settings.node = "me";
    settings.instance = "i";
    settings.timeout = Duration::seconds(5);
    settings.cluster.fixed = store.cluster_id;
    settings.heartbeat = Duration::milliseconds(625);
    settings.conflict_probe = true;
    for (uint32_t i = 0; i < kVips; i++) {
      settings.vips.push_back(
          {.name = "v", .address = Address::v4(0x0a000001 + i), .link = "eth0"});
    }
    Actions actions;
    core = std::make_unique<Core>(settings, input(), &actions);
    perform(actions);
    inbox.emplace_back(event::LinkChanged{"eth0", true, true});
  }
};

void a_slow_machine_still_adds_many_addresses_at_once() {
  World world;
  world.start();
  world.run(10'000 * kMs);
  TEST_ASSERT_EQUAL_INT(kVips, world.up.size());
  TEST_ASSERT_TRUE(world.last_up - world.first_up < 500 * kMs);  // 12 s with one a look
  TEST_ASSERT_TRUE(world.core->vips(MonoTime::from_ns(world.now))[0].state == VipState::Owner);
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
  world.inbox.emplace_back(event::StopAsked{});
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

void who_waits_for_his_turn_says_so() {
  World world;
  world.start();
  int said = 0;
  for (int i = 0; i < 1000 && said == 0; i++) {
    world.run(kMs);
    for (const VipView& vip : world.core->vips(MonoTime::from_ns(world.now))) {
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
  RUN_TEST(what_was_held_goes_apart_from_places_in_queues);
  RUN_TEST(frames_go_a_few_at_a_time);
  RUN_TEST(who_waits_for_his_turn_says_so);
  return UNITY_END();
}
