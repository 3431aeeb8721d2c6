#include "core/view.hpp"

#include <cstdint>
#include <set>

#include "core/timing.hpp"
#include "harness.hpp"

using namespace vipd;

namespace {

const Address kVip = *Address::parse("10.0.0.9");
const Duration kTimeout = Duration::seconds(5);
const MonoTime kStart = MonoTime::from_ns(1'000'000'000'000);

View view;
Revision revision;

LeaseId lease(int n) {
  return static_cast<LeaseId>(n);
}
MonoTime at_ms(int64_t n) {
  return kStart + Duration::milliseconds(n);
}

Change session(int n, bool released = false, Duration timeout = kTimeout) {
  Change change;
  change.entry.key = {KeyKind::Session, lease(n), {}};
  change.entry.value.valid = true;
  change.entry.value.node = "n" + std::to_string(n);
  change.entry.value.timeout = timeout;
  change.entry.value.released = released;
  return change;
}

// It let go, and had held whatever goes in the same revision.
Change handed_on(int n) {
  Change change = session(n, true);
  change.entry.value.held = true;
  return change;
}

Change writes(int n) {
  Change change;
  change.entry.key = {KeyKind::Writes, lease(n), {}};
  return change;
}

Change candidate(int n, bool ours = true) {
  Change change;
  change.entry.key = {KeyKind::Candidate, lease(n), kVip};
  change.entry.value.valid = ours;
  return change;
}

Change mark(int n) {
  Change change;
  change.entry.key = {KeyKind::Hold, lease(n), {}};
  change.entry.value.valid = true;
  change.entry.value.peers = {.number = 7, .timeout = kTimeout, .grantors = {{1, 2}}};
  return change;
}

// A heartbeat of a session that has acted on what it was shown up to there.
Change seen(int n, Revision up_to) {
  Change change = session(n);
  change.entry.value.seen = up_to;
  return change;
}

Change gone(Change change) {
  change.deleted = true;
  change.entry.value = {};
  return change;
}

// All of it at one revision.
void apply(MonoTime now, std::vector<Change> changes) {
  revision++;
  for (Change& change : changes) {
    change.entry.modified = revision;
    if (!change.deleted) change.entry.created = revision;
  }
  view.apply(now, changes, kTimeout);
}

MonoTime not_before() {
  return view.queue(kVip).not_before;
}

size_t suspects() {
  return view.queue(kVip).suspects.size();
}

void load(MonoTime now, Revision revision, const std::vector<Entry>& entries) {
  View gathered;
  gathered.gather(entries);
  view.load(now, revision, std::move(gathered), kTimeout);
}

}  // namespace

// Two in the queue, session 1 at its head, last seen at `kStart`; the first snapshot is waited out.
void setUp() {
  view = View();
  revision = 100;
  load(kStart - Duration::seconds(3600), revision, {});
  apply(kStart, {session(1), writes(1), candidate(1)});
  apply(kStart, {session(2), writes(2), candidate(2)});
}

static void the_lowest_create_revision_is_the_head() {
  TEST_ASSERT_TRUE(view.queue(kVip).head()->lease == lease(1));
  TEST_ASSERT_EQUAL_INT(1, view.queue(kVip).position(lease(2)));
  TEST_ASSERT_EQUAL_INT(-1, view.queue(kVip).position(lease(3)));
}

static void after_a_snapshot_every_vip_waits_for_the_longest_timeout_in_sight() {
  Entry other = session(7, false, Duration::seconds(9)).entry;
  load(kStart, 200, {other});
  TEST_ASSERT_TRUE(not_before() == kStart + timing::with_drift(Duration::seconds(9)));
  TEST_ASSERT_TRUE(view.queue(*Address::parse("10.0.0.1")).not_before == not_before());
}

static void a_clean_release_is_not_waited_for() {
  apply(at_ms(100), {session(1, true), gone(candidate(1))});
  TEST_ASSERT_TRUE(view.queue(kVip).head()->lease == lease(2));
  TEST_ASSERT_TRUE(not_before() <= at_ms(100));
}

static void a_release_said_at_another_revision_counts_for_nothing() {
  apply(at_ms(100), {session(1, true)});
  apply(at_ms(200), {gone(candidate(1))});
  TEST_ASSERT_TRUE(not_before() == at_ms(100) + timing::with_drift(kTimeout));
}

static void a_release_of_another_session_counts_for_nothing() {
  apply(at_ms(100), {session(2, true), gone(candidate(1))});
  TEST_ASSERT_TRUE(not_before() == kStart + timing::with_drift(kTimeout));
}

static void however_the_head_vanishes_its_last_heartbeat_is_waited_out() {
  apply(at_ms(300), {session(1)});
  apply(at_ms(900), {gone(session(1)), gone(writes(1)), gone(candidate(1))});
  TEST_ASSERT_TRUE(not_before() == at_ms(300) + timing::with_drift(kTimeout));
}

static void it_is_remembered_until_the_key_is_gone_too() {
  apply(at_ms(300), {gone(session(1))});
  apply(at_ms(4000), {gone(writes(1)), gone(candidate(1))});
  TEST_ASSERT_TRUE(not_before() == kStart + timing::with_drift(kTimeout));
  TEST_ASSERT_NULL(view.session(lease(1)));
}

static void a_session_without_its_writes_key_is_waited_for_from_its_end() {
  apply(at_ms(300), {gone(writes(1))});
  apply(at_ms(4000), {gone(session(1)), gone(candidate(1))});
  TEST_ASSERT_TRUE(not_before() == at_ms(4000) + timing::with_drift(kTimeout));
}

static void a_foreign_head_is_waited_for_from_its_end() {
  setUp();
  apply(at_ms(10), {gone(session(1)), gone(writes(1)), gone(candidate(1))});
  apply(at_ms(20), {gone(session(2)), gone(writes(2)), gone(candidate(2))});
  apply(at_ms(30), {candidate(3, false)});
  apply(at_ms(9000), {gone(candidate(3))});
  TEST_ASSERT_TRUE(not_before() == at_ms(9000) + timing::with_drift(kTimeout));
}

static void somebody_behind_the_head_may_go_unnoticed() {
  apply(at_ms(300), {gone(session(2)), gone(writes(2)), gone(candidate(2))});
  TEST_ASSERT_TRUE(not_before() <= kStart);
}

static void a_longer_wait_is_never_shortened() {
  apply(at_ms(0), {session(1, false, Duration::seconds(30))});
  apply(at_ms(10), {gone(candidate(1))});
  const MonoTime first = not_before();
  apply(at_ms(20), {gone(candidate(2))});
  TEST_ASSERT_TRUE(first == kStart + timing::with_drift(Duration::seconds(30)));
  TEST_ASSERT_TRUE(not_before() == first);
}

// Somebody vanished, and nobody of ours knows the one before the snapshot.
static void a_wait_that_is_not_over_ends_with_a_release_of_what_was_held() {
  load(at_ms(0), 200, {session(1).entry, writes(1).entry, candidate(1).entry});
  revision = 200;
  apply(at_ms(10), {session(2), writes(2), candidate(2)});
  TEST_ASSERT_TRUE(not_before() > at_ms(1000));
  apply(at_ms(500), {handed_on(1), gone(candidate(1))});
  TEST_ASSERT_TRUE(not_before() == at_ms(500));
  TEST_ASSERT_TRUE(view.queue(kVip).handed_on);
}

static void a_place_that_is_given_up_ends_no_wait() {
  apply(at_ms(10), {gone(session(1)), gone(writes(1)), gone(candidate(1))});
  apply(at_ms(500), {session(2, true), gone(candidate(2))});
  TEST_ASSERT_TRUE(not_before() == kStart + timing::with_drift(kTimeout));
  TEST_ASSERT_FALSE(view.queue(kVip).handed_on);
}

// Whoever ends a silent session says that it let go, and never that it held anything.
static void what_somebody_else_says_was_held_ends_no_wait() {
  load(at_ms(0), 200, {session(1).entry, writes(1).entry, candidate(1).entry});
  revision = 200;
  Change ended = handed_on(1);
  ended.entry.value.instance = "somebody else";
  apply(at_ms(500), {ended, gone(candidate(1))});
  TEST_ASSERT_TRUE(not_before() == at_ms(0) + timing::with_drift(kTimeout));
}

static void what_another_session_held_ends_no_wait() {
  apply(at_ms(500), {handed_on(2), gone(candidate(1))});
  TEST_ASSERT_TRUE(not_before() == kStart + timing::with_drift(kTimeout));
}

static void whoever_comes_after_a_hand_over_is_waited_for() {
  apply(at_ms(500), {handed_on(1), gone(candidate(1))});
  apply(at_ms(600), {gone(session(2)), gone(writes(2)), gone(candidate(2))});
  TEST_ASSERT_TRUE(not_before() == kStart + timing::with_drift(kTimeout));
  TEST_ASSERT_FALSE(view.queue(kVip).handed_on);
}

static void revisions_that_come_again_change_nothing() {
  const Change again = [] {
    Change change = gone(candidate(1));
    change.entry.modified = 101;
    return change;
  }();
  view.apply(at_ms(5), {again}, kTimeout);
  TEST_ASSERT_TRUE(view.queue(kVip).head()->lease == lease(1));
  TEST_ASSERT_EQUAL_INT(102, view.applied());
}

static void a_value_that_somebody_wrote_over_keeps_the_timeout() {
  apply(at_ms(0), {session(1, false, Duration::seconds(30))});
  Change scribbled = session(1);
  scribbled.entry.value = {};
  apply(at_ms(100), {scribbled});
  apply(at_ms(200), {gone(session(1)), gone(writes(1)), gone(candidate(1))});
  TEST_ASSERT_TRUE(not_before() == at_ms(100) + timing::with_drift(Duration::seconds(30)));
}

static void the_first_two_are_timed_from_when_they_got_their_places() {
  apply(at_ms(50), {session(3), writes(3), candidate(3)});
  TEST_ASSERT_TRUE(view.queue(kVip).since[0] == kStart && view.queue(kVip).since[1] == kStart);
  apply(at_ms(70), {session(1, true), gone(candidate(1))});
  TEST_ASSERT_TRUE(view.queue(kVip).since[0] == at_ms(70));
  TEST_ASSERT_TRUE(view.queue(kVip).since[1] == at_ms(70));
}

// They are found by the order in which they were asked for last, which those that went must leave.
static void queues_are_found_in_any_order_and_after_some_were_forgotten() {
  const auto vip = [](int n) { return Address::v4(0x0a000000 + static_cast<uint32_t>(n)); };
  const auto of = [&](int n) {
    Change change = candidate(1);
    change.entry.key.vip = vip(n);
    change.entry.value.node = "n" + std::to_string(n);
    return change;
  };
  const auto is_there = [&](int n) {
    const View::Candidate* found = view.candidate(vip(n), lease(1));
    return found != nullptr && found->node == "n" + std::to_string(n);
  };
  for (int n = 0; n < 100; n++) apply(at_ms(0), {of(n)});
  for (int round = 0; round < 2; round++) {
    for (int n = 0; n < 100; n++) TEST_ASSERT_TRUE(is_there(n));
    for (int n = 99; n >= 0; n -= 3) TEST_ASSERT_TRUE(is_there(n));
  }
  for (int n = 0; n < 100; n += 2) apply(at_ms(60'000), {gone(of(n))});
  apply(at_ms(120'000), {gone(session(2))});
  for (int n = 0; n < 100; n++) TEST_ASSERT_TRUE(is_there(n) == (n % 2 == 1));
}

static void who_has_a_mark_may_have_what_it_did_not_release() {
  apply(at_ms(50), {mark(1)});
  apply(at_ms(100), {gone(candidate(1))});
  TEST_ASSERT_EQUAL_INT(1, suspects());
  TEST_ASSERT_TRUE(view.queue(kVip).suspects[0].lease == lease(1));
  TEST_ASSERT_EQUAL_INT(revision, view.queue(kVip).suspects[0].since);
}

static void without_a_mark_or_with_a_release_nobody_is_suspected() {
  apply(at_ms(100), {gone(candidate(1))});
  TEST_ASSERT_EQUAL_INT(0, suspects());
  apply(at_ms(200), {mark(2)});
  apply(at_ms(300), {session(2, true), gone(candidate(2))});
  TEST_ASSERT_EQUAL_INT(0, suspects());
}

static void a_suspect_shows_that_it_has_acted_or_its_mark_goes() {
  apply(at_ms(50), {mark(1)});
  apply(at_ms(100), {gone(candidate(1))});
  apply(at_ms(200), {seen(1, revision - 1)});
  TEST_ASSERT_EQUAL_INT(1, suspects());
  apply(at_ms(300), {seen(1, revision - 1)});
  TEST_ASSERT_EQUAL_INT(0, suspects());
  apply(at_ms(400), {mark(2)});
  apply(at_ms(500), {gone(candidate(2))});
  TEST_ASSERT_EQUAL_INT(1, suspects());
  apply(at_ms(600), {gone(mark(2))});
  TEST_ASSERT_EQUAL_INT(0, suspects());
}

// An owner that was shown by an early part of a long answer has not been silent since then.
static void a_snapshot_in_parts_is_of_the_moment_of_its_last() {
  View gathered;
  gathered.gather({session(7).entry, writes(7).entry, candidate(7).entry});
  TEST_ASSERT_TRUE(view.session(lease(7)) == nullptr);
  gathered.gather({writes(8).entry, candidate(8).entry});
  view.load(at_ms(900), 200, std::move(gathered), kTimeout);
  TEST_ASSERT_TRUE(view.session(lease(1)) == nullptr);
  TEST_ASSERT_TRUE(view.session(lease(7))->last_seen == at_ms(900));
  TEST_ASSERT_TRUE(view.session(lease(8))->gone_since == at_ms(900));
  TEST_ASSERT_EQUAL_INT(2, view.queue(kVip).candidates.size());
  TEST_ASSERT_TRUE(not_before() == at_ms(900) + timing::with_drift(kTimeout));
}

// [safety] Who was the head is remembered by it: a number that came again would be a head of
// before.
static void no_state_of_the_queues_has_the_number_of_another() {
  std::set<uint64_t> seen;
  const auto is_new = [&seen] { return seen.insert(view.queues_as_of()).second; };
  TEST_ASSERT_TRUE(is_new());
  apply(at_ms(1), {session(1), session(2)});
  TEST_ASSERT_FALSE(is_new());
  apply(at_ms(2), {candidate(3)});
  TEST_ASSERT_TRUE(is_new());
  Change gone = candidate(3);
  gone.deleted = true;
  apply(at_ms(3), {gone});
  TEST_ASSERT_TRUE(is_new());
  load(at_ms(4), 200, {});
  TEST_ASSERT_TRUE(is_new());
  view = View();
  TEST_ASSERT_TRUE(is_new());
  view = View(view);
  TEST_ASSERT_TRUE(is_new());
}

static void after_a_snapshot_marks_are_suspected_where_they_are_not_queued() {
  load(kStart, 200, {session(7).entry, mark(7).entry, mark(8).entry, candidate(8).entry});
  TEST_ASSERT_EQUAL_INT(1, suspects());
  TEST_ASSERT_TRUE(view.queue(kVip).suspects[0].lease == lease(7));
  TEST_ASSERT_EQUAL_INT(2, view.queue(*Address::parse("10.0.0.1")).suspects.size());
}

static void all_honour_marks_but_old_daemons_and_foreign_candidates() {
  TEST_ASSERT_FALSE(view.all_honour_marks());
  for (const int n : {1, 2}) {
    Change one = session(n);
    one.entry.value.honours = true;
    apply(at_ms(100), {one});
  }
  TEST_ASSERT_TRUE(view.all_honour_marks());
  apply(at_ms(200), {candidate(3, false)});
  TEST_ASSERT_FALSE(view.all_honour_marks());
  apply(at_ms(300), {gone(candidate(3, false))});
  TEST_ASSERT_TRUE(view.all_honour_marks());
}

int main() {
  UNITY_BEGIN();
  RUN_TEST(the_lowest_create_revision_is_the_head);
  RUN_TEST(after_a_snapshot_every_vip_waits_for_the_longest_timeout_in_sight);
  RUN_TEST(a_clean_release_is_not_waited_for);
  RUN_TEST(a_release_said_at_another_revision_counts_for_nothing);
  RUN_TEST(a_release_of_another_session_counts_for_nothing);
  RUN_TEST(however_the_head_vanishes_its_last_heartbeat_is_waited_out);
  RUN_TEST(it_is_remembered_until_the_key_is_gone_too);
  RUN_TEST(a_session_without_its_writes_key_is_waited_for_from_its_end);
  RUN_TEST(a_foreign_head_is_waited_for_from_its_end);
  RUN_TEST(somebody_behind_the_head_may_go_unnoticed);
  RUN_TEST(a_longer_wait_is_never_shortened);
  RUN_TEST(a_wait_that_is_not_over_ends_with_a_release_of_what_was_held);
  RUN_TEST(a_place_that_is_given_up_ends_no_wait);
  RUN_TEST(what_somebody_else_says_was_held_ends_no_wait);
  RUN_TEST(what_another_session_held_ends_no_wait);
  RUN_TEST(whoever_comes_after_a_hand_over_is_waited_for);
  RUN_TEST(revisions_that_come_again_change_nothing);
  RUN_TEST(a_value_that_somebody_wrote_over_keeps_the_timeout);
  RUN_TEST(the_first_two_are_timed_from_when_they_got_their_places);
  RUN_TEST(queues_are_found_in_any_order_and_after_some_were_forgotten);
  RUN_TEST(who_has_a_mark_may_have_what_it_did_not_release);
  RUN_TEST(without_a_mark_or_with_a_release_nobody_is_suspected);
  RUN_TEST(a_suspect_shows_that_it_has_acted_or_its_mark_goes);
  RUN_TEST(a_snapshot_in_parts_is_of_the_moment_of_its_last);
  RUN_TEST(no_state_of_the_queues_has_the_number_of_another);
  RUN_TEST(after_a_snapshot_marks_are_suspected_where_they_are_not_queued);
  RUN_TEST(all_honour_marks_but_old_daemons_and_foreign_candidates);
  return UNITY_END();
}
