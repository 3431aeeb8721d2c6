#include "daemon/engine.hpp"

#include <string>

#include "core_rig.hpp"
#include "harness.hpp"

using namespace vipd;

namespace {

// An engine that performs nothing: it remembers what was wanted, and may answer the first.
struct Bench {
  Loop loop;
  int steps = 0;
  int depth = 0;
  int deepest = 0;
  std::vector<Action> wanted;
  std::function<void(const Action&)> also;
  event::WatchAdvanced last_shown;
  Engine engine{loop,
                {[this] { ++steps; },
                 [this](const Action& action) {
                   deepest = std::max(deepest, ++depth);
                   wanted.push_back(action);
                   if (also) also(action);
                   --depth;
                 },
                 [this](const Event& event) {
                   const auto* shown = std::get_if<event::WatchAdvanced>(&event);
                   if (shown != nullptr) last_shown = *shown;
                 }}};

  template <typename T>
  [[nodiscard]] size_t count() const {
    size_t found = 0;
    for (const Action& action : wanted) found += std::holds_alternative<T>(action) ? 1 : 0;
    return found;
  }
};

void what_the_core_wants_first_is_performed_at_the_start() {
  Bench b;
  b.engine.start(rig::settings());
  TEST_ASSERT_TRUE(!b.wanted.empty());
  TEST_ASSERT_FALSE(b.engine.is_behind());
  TEST_ASSERT_EQUAL_INT(0, b.steps);
}

void every_step_is_announced_before_it_is_made() {
  Bench b;
  b.engine.start(rig::settings());
  b.engine.feed(event::Ticked{});
  TEST_ASSERT_EQUAL_INT(1, b.steps);
}

// Three VIPs, so that there is more than one thing to be performed.
Settings three_vips() {
  Settings several = rig::settings();
  for (const char* address : {"192.0.2.1", "192.0.2.2", "192.0.2.3"}) {
    VipSettings vip;
    vip.name = address;
    vip.address = *Address::parse(address);
    vip.link = "eth0";
    several.vips.push_back(vip);
  }
  return several;
}

// A completion may be fed while another action is being performed: it makes its step at once, and
// what follows from it is performed once that one is done.
void what_follows_from_a_completion_is_never_performed_from_inside() {
  Bench b;
  b.engine.start(three_vips());
  bool was_behind = false;
  b.also = [&](const Action&) {
    if (b.steps != 1) return;
    was_behind = b.engine.is_behind();
    b.engine.feed(event::StopAsked{});
  };
  b.engine.feed(event::PauseAsked{});
  TEST_ASSERT_EQUAL_INT(1, b.deepest);
  TEST_ASSERT_TRUE(was_behind);
  TEST_ASSERT_EQUAL_INT(1, b.count<action::Finish>());
  TEST_ASSERT_FALSE(b.engine.is_behind());
}

// Operations are counted, not time: a step for each VIP would be a look at all of them for each.
void what_the_host_shows_in_a_turn_is_one_step() {
  constexpr uint32_t kMany = 3'000;
  Bench b;
  b.engine.start(three_vips());
  for (uint32_t i = 0; i < kMany; i++) {
    b.engine.feed(event::AddressBlocked{.address = Address::v4(i), .reason = "a check is down"});
    b.engine.feed(event::AddressLost{.address = Address::v4(i), .expired = false});
    b.engine.feed(event::LinkChanged{.link = "eth0", .present = true, .up = true, .mac = {}});
  }
  TEST_ASSERT_EQUAL_INT(0, b.steps);
  b.engine.end_turn();
  TEST_ASSERT_EQUAL_INT(1, b.steps);
}

void what_the_host_showed_comes_before_what_happened_after_it() {
  Bench b;
  b.engine.start(three_vips());
  b.engine.feed(event::LinkChanged{.link = "eth0", .present = true, .up = true, .mac = {}});
  b.engine.feed(event::AddressBlocked{.address = *Address::parse("192.0.2.1"), .reason = "down"});
  b.engine.feed(event::Ticked{});
  TEST_ASSERT_EQUAL_INT(2, b.steps);
  TEST_ASSERT_EQUAL_STRING("down", b.engine.core().vips(b.loop.now())[0].reason.c_str());
  b.engine.end_turn();
  TEST_ASSERT_EQUAL_INT(2, b.steps);
}

event::WatchAdvanced shown_at(Revision revision) {
  const Key key{KeyKind::Session, rig::kOwn, {}};
  Change change{.deleted = false, .entry = {.key = key, .created = 1, .modified = revision}};
  return {.header = {.cluster_id = 1, .revision = revision}, .changes = {std::move(change)}};
}

// As it does for the host: a message for each link of another owner's chain comes in one turn.
void what_the_watch_shows_in_a_turn_is_one_step() {
  Bench b;
  b.engine.start(three_vips());
  for (Revision revision = 1; revision <= 100; revision++) b.engine.feed(shown_at(revision));
  TEST_ASSERT_EQUAL_INT(0, b.steps);
  b.engine.end_turn();
  TEST_ASSERT_EQUAL_INT(1, b.steps);
  TEST_ASSERT_EQUAL_INT(100, b.last_shown.changes.size());
  TEST_ASSERT_EQUAL_UINT64(100, b.last_shown.header.revision);
}

// A progress notice says that nothing else comes before it.
void what_the_watch_shows_keeps_its_place_among_other_events() {
  Bench b;
  b.engine.start(three_vips());
  b.engine.feed(shown_at(1));
  b.engine.feed(event::WatchAdvanced{.header = {.cluster_id = 1, .revision = 5}, .changes = {}});
  TEST_ASSERT_EQUAL_INT(1, b.steps);
  b.engine.feed(shown_at(6));
  TEST_ASSERT_EQUAL_INT(2, b.steps);
  b.engine.feed(event::AddressBlocked{.address = *Address::parse("192.0.2.1"), .reason = "down"});
  TEST_ASSERT_EQUAL_INT(3, b.steps);
  b.engine.feed(shown_at(7));
  TEST_ASSERT_EQUAL_INT(4, b.steps);
  b.engine.feed(event::Ticked{});
  TEST_ASSERT_EQUAL_INT(6, b.steps);
  TEST_ASSERT_EQUAL_UINT64(7, b.last_shown.header.revision);
  b.engine.end_turn();
  TEST_ASSERT_EQUAL_INT(6, b.steps);
}

// One for each VIP, and nothing waits for them.
void words_for_people_wait_for_a_turn_that_has_time() {
  Bench b;
  b.loop.on_turn_start([&] { b.engine.begin_turn(); });
  b.loop.on_turn_end([&] { b.engine.end_turn(); });
  b.engine.start(three_vips());
  size_t said = 99;
  (void)b.loop.add_timer(b.loop.now(), [&] {
    while (!b.loop.budget_is_spent()) {
    }
    b.engine.feed(event::PauseAsked{});
    said = b.count<action::ReportState>();
  });
  while (said == 99) b.loop.run_once(Duration::seconds(1));
  TEST_ASSERT_EQUAL_INT(0, said);
  TEST_ASSERT_TRUE(b.engine.is_behind());
  for (int i = 0; i < 5 && b.engine.is_behind(); i++) b.loop.run_once(Duration::seconds(1));
  TEST_ASSERT_EQUAL_INT(3, b.count<action::ReportState>());
}

void after_the_finish_nothing_happens_any_more() {
  Bench b;
  b.engine.start(rig::settings());
  b.engine.finish();
  const size_t before = b.wanted.size();
  b.engine.feed(event::StopAsked{});
  TEST_ASSERT_EQUAL_INT(before, b.wanted.size());
  TEST_ASSERT_EQUAL_INT(0, b.steps);
}

// The core's deadline is a turn of the loop, and that turn a step.
void a_deadline_of_the_core_makes_a_step() {
  Bench b;
  b.loop.on_turn_start([&] { b.engine.begin_turn(); });
  b.loop.on_turn_end([&] { b.engine.end_turn(); });
  b.engine.start(rig::settings());
  for (const Action& action : std::vector<Action>(b.wanted)) {
    if (const auto* read = std::get_if<action::ReadPrefix>(&action)) {
      b.engine.feed(event::RequestFailed{.request = read->request, .reason = "no"});
    }
    if (const auto* grant = std::get_if<action::GrantLease>(&action)) {
      b.engine.feed(event::RequestFailed{.request = grant->request, .reason = "no"});
    }
  }
  b.engine.end_turn();
  const MonoTime deadline = b.engine.core().next_deadline();
  TEST_ASSERT_FALSE(deadline.is_never());
  const int before = b.steps;
  const MonoTime end = b.loop.now() + Duration::seconds(20);
  while (b.steps == before && b.loop.now() < end) b.loop.run_once(Duration::seconds(10));
  TEST_ASSERT_EQUAL_INT(before + 1, b.steps);
  TEST_ASSERT_TRUE(b.loop.now() >= deadline);
  TEST_ASSERT_TRUE(b.loop.now() < deadline + Duration::seconds(5));  // not when run_once() ended
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(what_the_core_wants_first_is_performed_at_the_start);
  RUN_TEST(every_step_is_announced_before_it_is_made);
  RUN_TEST(what_follows_from_a_completion_is_never_performed_from_inside);
  RUN_TEST(what_the_host_shows_in_a_turn_is_one_step);
  RUN_TEST(what_the_host_showed_comes_before_what_happened_after_it);
  RUN_TEST(what_the_watch_shows_in_a_turn_is_one_step);
  RUN_TEST(what_the_watch_shows_keeps_its_place_among_other_events);
  RUN_TEST(words_for_people_wait_for_a_turn_that_has_time);
  RUN_TEST(after_the_finish_nothing_happens_any_more);
  RUN_TEST(a_deadline_of_the_core_makes_a_step);
  return UNITY_END();
}
