#include "core/chain.hpp"

#include "harness.hpp"

using namespace vipd;
using Kind = Chain::Outcome::Kind;

namespace {

const LeaseId kLease = static_cast<LeaseId>(0x1234);
const Address kVip = *Address::parse("10.0.0.9");
const Duration kTimeout = Duration::seconds(5);

Chain chain;
RequestId last_request;

MonoTime at_ms(int64_t n) {
  return MonoTime::from_ns(0) + Duration::milliseconds(n);
}

// An attempt whose nonce is its request's number; returns that number.
RequestId attempt(int64_t ms, Link link = {}) {
  last_request++;
  (void)chain.attempt(at_ms(ms), last_request, last_request, std::move(link));
  return last_request;
}

Entry session(uint64_t nonce, Revision modified) {
  Entry entry;
  entry.key = {KeyKind::Session, kLease, {}};
  entry.value.valid = true;
  entry.value.nonce = nonce;
  entry.modified = modified;
  return entry;
}

Chain::Outcome succeed(RequestId request, Revision revision, int64_t ms) {
  return chain.answered(at_ms(ms), {request, {1, revision}, true, {}});
}

Chain::Outcome refuse(RequestId request, std::vector<Entry> there) {
  return chain.answered(at_ms(0), {request, {1, 1000}, false, std::move(there)});
}

Chain::Outcome watch(uint64_t nonce, Revision modified, bool* echoed) {
  return chain.seen(at_ms(0), Change{.deleted = false, .entry = session(nonce, modified)}, echoed);
}

}  // namespace

// The session is open: its end is revision 10, not echoed yet.
void setUp() {
  last_request = 0;
  chain.open(kLease, {.node = "n1", .instance = "i", .timeout = kTimeout});
  (void)succeed(attempt(1000), 10, 1005);
}

static void the_first_link_demands_that_no_session_key_is_there() {
  chain.open(kLease, {.node = "n1", .instance = "i", .timeout = kTimeout});
  const Txn txn =
      chain.attempt(at_ms(0), 1, 1, {.put_writes = true, .join = {{kVip, 100}}, .leave = {}});
  TEST_ASSERT_TRUE(txn.compares[0].kind == Compare::Kind::Absent);
  TEST_ASSERT_EQUAL_INT(3, txn.success.size());
  TEST_ASSERT_TRUE(txn.failure[0].kind ==
                   Op::Kind::Range);  // else it would be answered from stale state
}

static void each_link_compares_with_the_end_of_the_chain() {
  const Txn txn = chain.attempt(at_ms(0), 7, 7, {});
  TEST_ASSERT_TRUE(txn.compares[0].kind == Compare::Kind::ModifiedIs);
  TEST_ASSERT_EQUAL_INT(10, txn.compares[0].revision);
}

static void a_release_says_so_in_the_same_txn() {
  const Txn txn = chain.attempt(at_ms(0), 7, 7, {.put_writes = false, .join = {}, .leave = {kVip}});
  TEST_ASSERT_TRUE(txn.success[0].value.released);
  TEST_ASSERT_TRUE(txn.success[1].kind == Op::Kind::Delete);
}

static void an_answer_gives_no_authority() {
  TEST_ASSERT_TRUE(chain.live());
  TEST_ASSERT_TRUE(chain.deadline() == MonoTime::long_ago());
}

static void an_echo_counts_from_before_the_send() {
  bool echoed = false;
  (void)watch(1, 10, &echoed);
  TEST_ASSERT_TRUE(echoed);
  TEST_ASSERT_TRUE(chain.deadline() == at_ms(1000) + kTimeout);
  TEST_ASSERT_TRUE(chain.echo_missing_since().is_never());
}

static void an_echo_may_overtake_the_answer() {
  bool echoed = false;
  const RequestId beat = attempt(2000);
  const Chain::Outcome outcome = watch(beat, 11, &echoed);
  TEST_ASSERT_TRUE(outcome.kind == Kind::Committed && echoed);
  TEST_ASSERT_EQUAL_INT(11, chain.end());
  TEST_ASSERT_TRUE(chain.deadline() == at_ms(2000) + kTimeout);
  TEST_ASSERT_TRUE(succeed(beat, 11, 2300).kind == Kind::Nothing);
}

static void a_late_twin_that_won_counts_from_its_own_send() {
  const RequestId first = attempt(2000);
  const RequestId second = attempt(2300);
  const Chain::Outcome outcome = refuse(second, {session(first, 11)});
  TEST_ASSERT_TRUE(outcome.kind == Kind::Committed);
  TEST_ASSERT_EQUAL_INT(11, chain.end());
  bool echoed = false;
  (void)watch(first, 11, &echoed);
  TEST_ASSERT_TRUE(chain.deadline() == at_ms(2000) + kTimeout);
}

static void a_strangers_nonce_fences() {
  const Chain::Outcome outcome = refuse(attempt(2000), {session(99, 11)});
  TEST_ASSERT_TRUE(outcome.kind == Kind::Fenced);
  TEST_ASSERT_FALSE(outcome.key_gone);
}

static void a_missing_key_fences() {
  const Chain::Outcome outcome = refuse(attempt(2000), {});
  TEST_ASSERT_TRUE(outcome.kind == Kind::Fenced && outcome.key_gone);
}

// A snapshot that was put back shows an older nonce of our own: that is no twin.
static void an_older_nonce_of_ours_fences_too() {
  (void)succeed(attempt(2000), 20, 2005);
  TEST_ASSERT_TRUE(refuse(attempt(3000), {session(1, 10)}).kind == Kind::Fenced);
}

static void the_watch_fences_on_a_deletion_and_on_a_stranger() {
  bool echoed = false;
  TEST_ASSERT_TRUE(watch(99, 12, &echoed).kind == Kind::Fenced);
  setUp();
  const Change gone{.deleted = true, .entry = session(0, 12)};
  TEST_ASSERT_TRUE(chain.seen(at_ms(0), gone, &echoed).key_gone);
  TEST_ASSERT_FALSE(echoed);
}

static void a_release_that_lost_to_a_heartbeat_is_told_by_what_the_heartbeat_did() {
  const RequestId beat = attempt(2000);
  const RequestId release = attempt(2010, {.put_writes = false, .join = {}, .leave = {kVip}});
  const Chain::Outcome outcome = refuse(release, {session(beat, 11)});
  TEST_ASSERT_TRUE(outcome.kind == Kind::Committed && outcome.link.leave.empty());
}

static void a_release_that_won_is_told_by_its_own_link() {
  attempt(2000);
  const RequestId release = attempt(2300, {.put_writes = false, .join = {}, .leave = {kVip}});
  const Chain::Outcome outcome = succeed(release, 11, 2305);
  TEST_ASSERT_EQUAL_INT(1, outcome.link.leave.size());
}

static void a_failed_attempt_may_still_commit() {
  const RequestId beat = attempt(2000);
  chain.failed(at_ms(2800), beat);
  TEST_ASSERT_TRUE(chain.newest_failed());
  bool echoed = false;
  TEST_ASSERT_TRUE(watch(beat, 11, &echoed).kind == Kind::Committed);
}

static void an_answer_at_an_older_end_is_ignored() {
  const RequestId first = attempt(2000);
  (void)succeed(attempt(2300), 11, 2305);
  TEST_ASSERT_TRUE(refuse(first, {session(99, 11)}).kind == Kind::Nothing);
}

static void a_snapshot_is_no_echo() {
  const Entry same = session(1, 10);
  TEST_ASSERT_TRUE(chain.found(at_ms(0), &same, 50).kind == Kind::Nothing);
  TEST_ASSERT_TRUE(chain.deadline() == MonoTime::long_ago());
  TEST_ASSERT_TRUE(chain.echo_missing_since().is_never());  // it will never come
}

static void a_snapshot_from_before_our_last_link_says_nothing() {
  (void)succeed(attempt(2000), 20, 2005);
  const Entry older = session(1, 10);
  TEST_ASSERT_TRUE(chain.found(at_ms(0), &older, 15).kind == Kind::Nothing);
  TEST_ASSERT_FALSE(chain.echo_missing_since().is_never());
  TEST_ASSERT_TRUE(chain.found(at_ms(0), nullptr, 25).kind == Kind::Fenced);
}

// As many attempts at the end of setUp() as may differ.
std::vector<RequestId> fill() {
  std::vector<RequestId> all;
  while (!chain.full()) all.push_back(attempt(2000 + 100 * static_cast<int64_t>(all.size())));
  return all;
}

uint64_t nonce_of(const Txn& txn) {
  return txn.success.front().value.nonce;
}

static void the_first_of_many_attempts_is_known_however_late_it_commits() {
  const std::vector<RequestId> all = fill();
  TEST_ASSERT_EQUAL_INT(32, all.size());
  for (RequestId request = 1000; request < 2000; request++) {
    chain.failed(at_ms(6000), request - 1);
    (void)chain.again(at_ms(6000), request);
  }
  bool echoed = false;
  TEST_ASSERT_TRUE(watch(all.front(), 11, &echoed).kind == Kind::Committed);
  TEST_ASSERT_TRUE(chain.deadline() == at_ms(2000) + kTimeout);
}

static void the_last_attempt_is_sent_again_as_it_was() {
  const std::vector<RequestId> all = fill();
  const Txn again = chain.again(at_ms(60000), 1000);
  TEST_ASSERT_EQUAL_INT(all.back(), nonce_of(again));
  TEST_ASSERT_EQUAL_INT(10, again.compares[0].revision);
  TEST_ASSERT_TRUE(chain.owns(1000));
  TEST_ASSERT_TRUE(chain.last_tried() == at_ms(60000));
}

// Which of the two requests committed, nobody can tell.
static void what_is_sent_again_counts_from_its_first_send() {
  const RequestId last = fill().back();
  (void)chain.again(at_ms(60000), 1000);
  TEST_ASSERT_TRUE(succeed(1000, 11, 60005).kind == Kind::Committed);
  bool echoed = false;
  (void)watch(last, 11, &echoed);
  TEST_ASSERT_TRUE(echoed);
  TEST_ASSERT_TRUE(chain.deadline() == at_ms(2000 + 31 * 100) + kTimeout);
  TEST_ASSERT_TRUE(chain.last_sent() == at_ms(2000 + 31 * 100));
}

// While etcd takes no writes, reads bring the authority and tries to write pile up.
static void what_is_sent_again_takes_no_authority_away() {
  const RequestId last = fill().back();
  const Entry own = session(1, 10);
  (void)chain.read(at_ms(60000), at_ms(59990), &own, 20, false);
  TEST_ASSERT_TRUE(chain.deadline() == at_ms(59990) + kTimeout);
  (void)chain.again(at_ms(60000), 1000);
  TEST_ASSERT_TRUE(succeed(1000, 21, 60005).kind == Kind::Committed);
  bool echoed = false;
  (void)watch(last, 21, &echoed);
  TEST_ASSERT_TRUE(echoed);
  TEST_ASSERT_TRUE(chain.deadline() == at_ms(59990) + kTimeout);
}

static void what_is_sent_again_does_what_it_did() {
  for (int i = 0; i < 31; i++) attempt(2000);
  attempt(2000, {.put_writes = true, .join = {}, .leave = {kVip}});
  const Txn again = chain.again(at_ms(9000), 1000);
  TEST_ASSERT_TRUE(again.success[0].value.released);
  TEST_ASSERT_EQUAL_INT(3, again.success.size());
  TEST_ASSERT_EQUAL_INT(1, succeed(1000, 11, 9005).link.leave.size());
}

static void a_new_end_has_room_for_new_attempts() {
  (void)fill();
  (void)succeed(last_request, 11, 6000);
  TEST_ASSERT_FALSE(chain.full());
  TEST_ASSERT_FALSE(chain.busy());
}

// The key stands where it was read, by a former process.
static void a_session_that_is_taken_up_is_not_fenced_by_another_snapshot() {
  const Entry former = session(77, 40);
  chain.adopt(former, {.node = "n1", .instance = "i", .timeout = kTimeout});
  attempt(2000);
  TEST_ASSERT_TRUE(chain.found(at_ms(2010), &former, 45).kind == Kind::Nothing);
  const Entry written = session(78, 46);
  TEST_ASSERT_TRUE(chain.found(at_ms(2020), &written, 46).kind == Kind::Fenced);
}

int main() {
  UNITY_BEGIN();
  RUN_TEST(the_first_link_demands_that_no_session_key_is_there);
  RUN_TEST(each_link_compares_with_the_end_of_the_chain);
  RUN_TEST(a_release_says_so_in_the_same_txn);
  RUN_TEST(an_answer_gives_no_authority);
  RUN_TEST(an_echo_counts_from_before_the_send);
  RUN_TEST(an_echo_may_overtake_the_answer);
  RUN_TEST(a_late_twin_that_won_counts_from_its_own_send);
  RUN_TEST(a_strangers_nonce_fences);
  RUN_TEST(a_missing_key_fences);
  RUN_TEST(an_older_nonce_of_ours_fences_too);
  RUN_TEST(the_watch_fences_on_a_deletion_and_on_a_stranger);
  RUN_TEST(a_release_that_lost_to_a_heartbeat_is_told_by_what_the_heartbeat_did);
  RUN_TEST(a_release_that_won_is_told_by_its_own_link);
  RUN_TEST(a_failed_attempt_may_still_commit);
  RUN_TEST(an_answer_at_an_older_end_is_ignored);
  RUN_TEST(a_snapshot_is_no_echo);
  RUN_TEST(a_snapshot_from_before_our_last_link_says_nothing);
  RUN_TEST(the_first_of_many_attempts_is_known_however_late_it_commits);
  RUN_TEST(the_last_attempt_is_sent_again_as_it_was);
  RUN_TEST(what_is_sent_again_counts_from_its_first_send);
  RUN_TEST(what_is_sent_again_takes_no_authority_away);
  RUN_TEST(what_is_sent_again_does_what_it_did);
  RUN_TEST(a_new_end_has_room_for_new_attempts);
  RUN_TEST(a_session_that_is_taken_up_is_not_fenced_by_another_snapshot);
  return UNITY_END();
}
