#include "core/watch.hpp"

#include "harness.hpp"

using namespace vipd;

namespace {

constexpr LeaseId kA{0xa};
constexpr LeaseId kB{0xb};
constexpr Revision kRead = 10;

Entry entry(KeyKind kind, LeaseId lease, Revision modified, uint64_t nonce = 0) {
  Entry entry;
  entry.key = {kind, lease, {}};
  entry.value.nonce = nonce;
  entry.modified = modified;
  return entry;
}

Change put(KeyKind kind, LeaseId lease, Revision modified, uint64_t nonce = 0) {
  return {.deleted = false, .entry = entry(kind, lease, modified, nonce)};
}

Change gone(KeyKind kind, LeaseId lease, Revision modified) {
  return {.deleted = true, .entry = entry(kind, lease, modified)};
}

// Read at 10: a session put at 6, its candidate at 7, another candidate at 3.
Replay snapshot() {
  Replay replay;
  replay.load(10, {entry(KeyKind::Session, kA, 6, 66), entry(KeyKind::Candidate, kA, 7),
                   entry(KeyKind::Candidate, kB, 3)});
  replay.restart();
  return replay;
}

Replay proven() {
  Replay replay = snapshot();
  const std::vector<Change> all = {put(KeyKind::Session, kA, 6, 66), put(KeyKind::Candidate, kA, 7),
                                   put(KeyKind::Session, kB, 11, 77)};
  (void)replay.matches(all, kRead);
  replay.add(all);
  return replay;
}

}  // namespace

static void a_snapshot_is_held_by_its_last_session_put() {
  TEST_ASSERT_EQUAL_INT(6, snapshot().begin());
}

static void a_snapshot_without_a_session_cannot_be_held() {
  Replay replay;
  replay.load(10, {entry(KeyKind::Candidate, kA, 7)});
  TEST_ASSERT_EQUAL_INT(0, replay.begin());
  TEST_ASSERT_FALSE(replay.proven());
}

static void what_leads_to_the_snapshot_proves_it_once_the_watch_goes_past_it() {
  Replay replay = snapshot();
  TEST_ASSERT_TRUE(
      replay.matches({put(KeyKind::Session, kA, 6, 66), put(KeyKind::Candidate, kA, 7)}, kRead));
  TEST_ASSERT_FALSE(replay.proven());
  TEST_ASSERT_TRUE(replay.matches({put(KeyKind::Session, kB, 11, 77)}, kRead));
  TEST_ASSERT_TRUE(replay.proven());
}

static void a_key_that_is_gone_but_in_the_snapshot_is_another_history() {
  Replay replay = snapshot();
  TEST_ASSERT_FALSE(
      replay.matches({put(KeyKind::Session, kA, 6, 66), put(KeyKind::Candidate, kA, 7),
                      gone(KeyKind::Candidate, kB, 9), put(KeyKind::Session, kB, 11, 77)},
                     kRead));
}

static void keys_that_came_and_went_before_the_snapshot_are_no_contradiction() {
  Replay replay = snapshot();
  TEST_ASSERT_TRUE(replay.matches({put(KeyKind::Session, kA, 6, 66), put(KeyKind::Candidate, kA, 7),
                                   put(KeyKind::Writes, kB, 8), gone(KeyKind::Writes, kB, 9),
                                   put(KeyKind::Session, kB, 11, 77)},
                                  kRead));
}

static void a_key_that_the_snapshot_does_not_have_is_another_history() {
  Replay replay = snapshot();
  TEST_ASSERT_FALSE(
      replay.matches({put(KeyKind::Session, kA, 6, 66), put(KeyKind::Candidate, kA, 7),
                      put(KeyKind::Session, kB, 8, 88), put(KeyKind::Session, kB, 11, 77)},
                     kRead));
}

static void a_key_that_the_watch_does_not_show_is_another_history() {
  Replay replay = snapshot();
  TEST_ASSERT_FALSE(
      replay.matches({put(KeyKind::Session, kA, 6, 66), put(KeyKind::Session, kB, 11, 77)}, kRead));
}

static void another_nonce_at_the_same_revision_is_another_history() {
  Replay replay = snapshot();
  TEST_ASSERT_FALSE(
      replay.matches({put(KeyKind::Session, kA, 6, 67), put(KeyKind::Candidate, kA, 7),
                      put(KeyKind::Session, kB, 11, 77)},
                     kRead));
}

static void revisions_that_go_back_are_another_history() {
  Replay replay = snapshot();
  TEST_ASSERT_FALSE(
      replay.matches({put(KeyKind::Candidate, kA, 7), put(KeyKind::Session, kA, 6, 66)}, kRead));
}

static void a_watch_that_is_opened_anew_must_show_the_same_again() {
  Replay replay = proven();
  TEST_ASSERT_EQUAL_INT(11, replay.begin());
  replay.restart();
  TEST_ASSERT_TRUE(replay.proven());
  TEST_ASSERT_FALSE(replay.complete());
  TEST_ASSERT_TRUE(
      replay.matches({put(KeyKind::Session, kB, 11, 77), put(KeyKind::Candidate, kB, 12)}, kRead));
  TEST_ASSERT_TRUE(replay.complete());
  replay.restart();
  TEST_ASSERT_FALSE(replay.matches({put(KeyKind::Candidate, kB, 12)}, kRead));
}

static void what_was_passed_over_by_a_progress_notice_cannot_come_later() {
  Replay replay = proven();
  TEST_ASSERT_TRUE(replay.matches({put(KeyKind::Candidate, kA, 16)}, 15));
  TEST_ASSERT_FALSE(replay.matches({put(KeyKind::Candidate, kA, 15)}, 15));
}

static void a_watch_that_breaks_off_before_the_proof_begins_it_anew() {
  Replay replay = snapshot();
  TEST_ASSERT_TRUE(replay.matches({put(KeyKind::Session, kA, 6, 66)}, kRead));
  replay.restart();
  TEST_ASSERT_TRUE(replay.matches({put(KeyKind::Session, kA, 6, 66), put(KeyKind::Candidate, kA, 7),
                                   put(KeyKind::Session, kB, 11, 77)},
                                  kRead));
  TEST_ASSERT_TRUE(replay.proven());
}

int main() {
  UNITY_BEGIN();
  RUN_TEST(a_snapshot_is_held_by_its_last_session_put);
  RUN_TEST(a_snapshot_without_a_session_cannot_be_held);
  RUN_TEST(what_leads_to_the_snapshot_proves_it_once_the_watch_goes_past_it);
  RUN_TEST(keys_that_came_and_went_before_the_snapshot_are_no_contradiction);
  RUN_TEST(a_key_that_is_gone_but_in_the_snapshot_is_another_history);
  RUN_TEST(a_key_that_the_snapshot_does_not_have_is_another_history);
  RUN_TEST(a_key_that_the_watch_does_not_show_is_another_history);
  RUN_TEST(another_nonce_at_the_same_revision_is_another_history);
  RUN_TEST(revisions_that_go_back_are_another_history);
  RUN_TEST(a_watch_that_is_opened_anew_must_show_the_same_again);
  RUN_TEST(what_was_passed_over_by_a_progress_notice_cannot_come_later);
  RUN_TEST(a_watch_that_breaks_off_before_the_proof_begins_it_anew);
  return UNITY_END();
}
