// To which cluster a process is bound, as its endpoints speak.
#include "core/binding.hpp"

#include "core/timing.hpp"
#include "harness.hpp"

using namespace vipd;

namespace {

constexpr uint64_t kX = 0xabc;
constexpr uint64_t kY = 0xdef;
const Duration kTimeout = Duration::seconds(5);

MonoTime at(int64_t ms) {
  return MonoTime::from_ns(ms * 1'000'000);
}

ClusterSettings of(size_t endpoints, uint64_t fixed = 0) {
  return {.fixed = fixed, .endpoints = std::vector<std::string>(endpoints, "http://e")};
}

Memory bound_to(uint64_t cluster) {
  Memory memory;
  memory.cluster_id = cluster;
  return memory;
}

struct Rig : Binding {
  explicit Rig(size_t endpoints, uint64_t remembered = 0, uint64_t fixed = 0)
      : Binding(of(endpoints, fixed), bound_to(remembered), kTimeout, at(0)) {}
  // True when it is another cluster by that.
  bool name(int64_t ms, size_t endpoint, uint64_t cluster, uint64_t member = 0) {
    named(at(ms), {.endpoint = endpoint, .cluster = cluster, .member = member});
    return judge(at(ms));
  }
};

void one_endpoint_decides_alone() {
  Rig b(1);
  TEST_ASSERT_EQUAL_UINT64(0, b.cluster());
  TEST_ASSERT_EQUAL_STRING("", b.objection());
  TEST_ASSERT_TRUE(b.name(1, 0, kX));
  TEST_ASSERT_EQUAL_UINT64(kX, b.cluster());
  TEST_ASSERT_EQUAL_STRING("", b.objection());
}

void two_must_agree() {
  Rig b(2);
  TEST_ASSERT_FALSE(b.name(1, 0, kX));
  TEST_ASSERT_EQUAL_STRING("1 of 2 endpoints belongs to cluster abc: waiting for one more",
                           b.objection());
  TEST_ASSERT_FALSE(b.name(2, 1, kY));
  TEST_ASSERT_EQUAL_STRING(
      "1 of 2 endpoints belongs to cluster abc, 1 to cluster def: no majority; correct the "
      "endpoints, or set etcd.cluster",
      b.objection());
  TEST_ASSERT_TRUE(b.name(3, 1, kX));
}

void of_three_two_are_enough_whichever_they_are() {
  Rig b(3);
  TEST_ASSERT_FALSE(b.name(1, 0, kY));
  TEST_ASSERT_FALSE(b.name(2, 1, kX));
  TEST_ASSERT_TRUE(b.name(3, 2, kX));
  TEST_ASSERT_TRUE(b.disputed());
  TEST_ASSERT_FALSE(b.outvoted());
  TEST_ASSERT_EQUAL_STRING("", b.objection());
}

// http://localhost:2379 and http://127.0.0.1:2379 are one.
void a_member_has_one_vote_however_often_it_is_named() {
  Rig b(3);
  TEST_ASSERT_FALSE(b.name(1, 0, kY, 7));
  TEST_ASSERT_FALSE(b.name(2, 1, kY, 7));
  TEST_ASSERT_EQUAL_STRING("1 of 2 endpoints belongs to cluster def: waiting for one more",
                           b.objection());
  TEST_ASSERT_FALSE(b.name(3, 2, kX, 8));
  TEST_ASSERT_TRUE(b.name(4, 2, kY, 8));
  Rig alone(2);
  (void)alone.name(1, 0, kX, 7);
  TEST_ASSERT_TRUE(alone.name(2, 1, kX, 7));
}

void a_lone_stranger_changes_nothing() {
  Rig b(3);
  for (size_t i = 0; i < 3; i++) (void)b.name(1, i, kX);
  TEST_ASSERT_FALSE(b.name(10, 0, kY));
  TEST_ASSERT_TRUE(b.disputed());
  TEST_ASSERT_TRUE(b.changes_at().is_never());
  TEST_ASSERT_FALSE(b.judge(at(1'000'000)));
  TEST_ASSERT_EQUAL_UINT64(kX, b.cluster());
  (void)b.name(20, 0, kX);
  TEST_ASSERT_FALSE(b.disputed());
}

void it_changes_once_the_old_one_has_been_silent_for_a_timeout() {
  Rig b(3);
  for (size_t i = 0; i < 3; i++) (void)b.name(1, i, kX);
  TEST_ASSERT_FALSE(b.name(1000, 0, kY));
  TEST_ASSERT_FALSE(b.name(2000, 1, kY));
  TEST_ASSERT_TRUE(b.outvoted());
  TEST_ASSERT_EQUAL_STRING(
      "2 of 3 endpoints belong to cluster def, not to abc, which this node has used so far",
      b.objection());
  TEST_ASSERT_TRUE(b.changes_at() == at(5001));
  TEST_ASSERT_FALSE(b.name(3000, 2, kX));  // one still serves the old data
  TEST_ASSERT_TRUE(b.changes_at() == at(8000));
  TEST_ASSERT_FALSE(b.judge(at(7999)));
  TEST_ASSERT_FALSE(b.judge(at(8000)));  // who spoke for it may have been mended since
  TEST_ASSERT_FALSE(b.name(8010, 0, kY));
  TEST_ASSERT_TRUE(b.name(8020, 1, kY));
  TEST_ASSERT_EQUAL_UINT64(kY, b.cluster());
  TEST_ASSERT_TRUE(b.disputed());  // by the one that is left
  TEST_ASSERT_FALSE(b.outvoted());
}

void what_the_former_process_was_bound_to_binds_the_next() {
  Rig b(1, kX);
  TEST_ASSERT_EQUAL_UINT64(kX, b.cluster());
  TEST_ASSERT_FALSE(b.name(10, 0, kY));  // not at once, though it is the only one
  TEST_ASSERT_TRUE(b.outvoted());
  TEST_ASSERT_FALSE(b.name(4999, 0, kY));
  TEST_ASSERT_TRUE(b.judge(at(5000)));
  TEST_ASSERT_EQUAL_UINT64(kY, b.cluster());
}

void a_fixed_id_is_the_only_one() {
  Rig b(1, kX, kY);
  TEST_ASSERT_EQUAL_UINT64(kY, b.cluster());
  TEST_ASSERT_FALSE(b.name(1, 0, kX));
  TEST_ASSERT_FALSE(b.judge(at(1'000'000)));
  TEST_ASSERT_FALSE(b.outvoted());
  TEST_ASSERT_TRUE(b.disputed());
  b.configure(of(1, kX), at(2'000'000));
  TEST_ASSERT_TRUE(b.judge(at(2'000'000)));
  TEST_ASSERT_EQUAL_UINT64(kX, b.cluster());
}

void addresses_that_disagree_have_no_vote() {
  Rig b(1);
  b.named(at(1), {.endpoint = 0, .cluster = kX, .agreed = false});
  TEST_ASSERT_FALSE(b.judge(at(1)));
  TEST_ASSERT_TRUE(b.disputed());
  TEST_ASSERT_EQUAL_STRING("the addresses of one name lead to two clusters", b.objection());
}

void other_endpoints_speak_anew() {
  Rig b(1);
  (void)b.name(1, 0, kX);
  b.configure(of(3), at(100));
  TEST_ASSERT_EQUAL_UINT64(kX, b.cluster());
  TEST_ASSERT_FALSE(b.name(200, 0, kY));
  TEST_ASSERT_FALSE(b.name(300, 2, kY));
  TEST_ASSERT_FALSE(b.name(400, 3, kY));  // there is none
  TEST_ASSERT_FALSE(b.name(4000, 0, kY));
  TEST_ASSERT_FALSE(b.name(5000, 2, kY));
  TEST_ASSERT_TRUE(b.judge(at(5100)));
}

const Duration kOthersGone = timing::others_gone_within(kTimeout);
const Duration kAsked = timing::request_timeout(kTimeout);

// An owner by another cluster is told later than we are, and may be stopped just then.
void others_are_waited_for_after_it_was_bound() {
  Rig b(3);
  (void)b.name(1, 0, kX);
  TEST_ASSERT_TRUE(b.name(2, 1, kX));
  TEST_ASSERT_TRUE(b.may_take_at(false) == at(2) + kOthersGone);
  TEST_ASSERT_TRUE(b.may_take_at(true) <= at(2));  // somebody bound to ours has had it since
  TEST_ASSERT_FALSE(b.name(3, 2, kX));             // nobody reaches another one any more
  TEST_ASSERT_TRUE(b.may_take_at(false) == at(3) + timing::with_drift(kTimeout));
}

void others_are_waited_for_when_it_is_outvoted_no_longer() {
  Rig b(3);
  for (size_t i = 0; i < 3; i++) (void)b.name(1, i, kX);
  for (size_t i = 0; i < 3; i++) (void)b.name(8000, i, kX);
  (void)b.name(9000, 0, kY);
  TEST_ASSERT_TRUE(b.may_take_at(false) <= at(9000));
  (void)b.name(9000, 1, kY);
  TEST_ASSERT_TRUE(b.may_take_at(true).is_never());
  (void)b.name(10'000, 1, kX);
  (void)b.name(10'001, 2, kX);
  (void)b.name(11'000, 0, kY);
  TEST_ASSERT_FALSE(b.outvoted());
  TEST_ASSERT_TRUE(b.may_take_at(false) == at(10'001) + kOthersGone);
}

// The owner by the other one is not told to let go either.
void half_of_the_endpoints_do_not_bring_it_back() {
  Rig b(2);
  for (size_t i = 0; i < 2; i++) (void)b.name(1, i, kX);
  for (size_t i = 0; i < 2; i++) (void)b.name(2000, i, kY);
  (void)b.name(3000, 0, kX);
  (void)b.name(4000, 1, kY);
  TEST_ASSERT_TRUE(b.outvoted());
  TEST_ASSERT_EQUAL_STRING(
      "1 of 2 endpoints belongs to cluster abc, 1 to cluster def: no majority; correct the "
      "endpoints, or set etcd.cluster",
      b.objection());
  (void)b.name(5000, 1, kX);
  TEST_ASSERT_FALSE(b.outvoted());
}

void who_was_away_hears_all_endpoints_first() {
  Rig b(3, kX);
  TEST_ASSERT_TRUE(b.may_take_at(false) == at(0) + kAsked);
  for (size_t i = 0; i < 3; i++) (void)b.name(10, i, kX);
  TEST_ASSERT_TRUE(b.may_take_at(false) <= at(10));
  b.interrupted(at(20'000));
  TEST_ASSERT_TRUE(b.may_take_at(false) == at(20'000) + kAsked);
  for (size_t i = 0; i < 2; i++) (void)b.name(20'010, i, kX);
  TEST_ASSERT_FALSE(b.judge(at(20'000) + kAsked));  // a silent one is not waited for
  TEST_ASSERT_TRUE(b.may_take_at(false) <= at(20'000) + kAsked);
}

// The other cluster may be ahead by those that are silent, while it elects a leader.
void who_was_away_takes_nothing_while_most_endpoints_are_silent() {
  Rig b(3, kX);
  for (size_t i = 0; i < 3; i++) (void)b.name(10, i, kX);
  b.interrupted(at(20'000));
  (void)b.name(20'010, 0, kX);
  TEST_ASSERT_FALSE(b.judge(at(20'000) + kAsked));
  TEST_ASSERT_TRUE(b.may_take_at(false).is_never());
  TEST_ASSERT_FALSE(b.outvoted());  // what is owned is kept
  (void)b.name(30'000, 1, kX);
  TEST_ASSERT_TRUE(b.may_take_at(false) <= at(30'000));
}

void who_was_away_waits_for_others_where_one_endpoint_is_elsewhere() {
  Rig b(3, kX);
  (void)b.name(10, 0, kX);
  (void)b.name(10, 1, kX);
  (void)b.name(10, 2, kY);
  TEST_ASSERT_TRUE(b.may_take_at(false) == at(0) + kAsked);
  TEST_ASSERT_FALSE(b.judge(at(0) + kAsked));
  TEST_ASSERT_TRUE(b.may_take_at(false) == at(0) + kAsked + kOthersGone);
  Rig half(2, kX);
  (void)half.name(10, 0, kX);
  (void)half.name(10, 1, kY);
  TEST_ASSERT_FALSE(half.outvoted());
  TEST_ASSERT_FALSE(half.judge(at(0) + kAsked));
  TEST_ASSERT_TRUE(half.outvoted());
}

// It has waited in the socket while the process stood still.
void an_answer_counts_from_when_it_was_asked() {
  Rig b(1, kX);
  b.interrupted(at(20'000));
  b.named(at(20'001), {.endpoint = 0, .cluster = kX, .asked = at(19'999)});
  TEST_ASSERT_FALSE(b.judge(at(20'001)));
  TEST_ASSERT_TRUE(b.may_take_at(false) > at(20'001));
  b.named(at(20'002), {.endpoint = 0, .cluster = kX, .asked = at(20'000)});
  TEST_ASSERT_FALSE(b.judge(at(20'002)));
  TEST_ASSERT_TRUE(b.may_take_at(false) <= at(20'002));
}

// The former process had not waited for them to the end.
void others_are_waited_for_by_the_next_process_too() {
  Memory former = bound_to(kX);
  former.others = true;
  const Binding b(of(3), former, kTimeout, at(0));
  TEST_ASSERT_TRUE(b.may_take_at(false) == at(0) + kOthersGone);
}

void ids_are_written_as_etcd_does() {
  TEST_ASSERT_EQUAL_STRING("cdf818194e3a8c32", cluster_hex(0xcdf818194e3a8c32));
  TEST_ASSERT_TRUE(cluster_from_hex("cdf818194e3a8c32") == uint64_t{0xcdf818194e3a8c32});
  TEST_ASSERT_TRUE(cluster_from_hex("00AbC") == uint64_t{0xabc});
  for (const char* text : {"", "auto", "0", "0x12", "cdf818194e3a8c32f", "-1", "12 "}) {
    TEST_ASSERT_MESSAGE(!cluster_from_hex(text), text);
  }
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(one_endpoint_decides_alone);
  RUN_TEST(two_must_agree);
  RUN_TEST(of_three_two_are_enough_whichever_they_are);
  RUN_TEST(a_member_has_one_vote_however_often_it_is_named);
  RUN_TEST(a_lone_stranger_changes_nothing);
  RUN_TEST(it_changes_once_the_old_one_has_been_silent_for_a_timeout);
  RUN_TEST(what_the_former_process_was_bound_to_binds_the_next);
  RUN_TEST(a_fixed_id_is_the_only_one);
  RUN_TEST(addresses_that_disagree_have_no_vote);
  RUN_TEST(other_endpoints_speak_anew);
  RUN_TEST(others_are_waited_for_after_it_was_bound);
  RUN_TEST(others_are_waited_for_when_it_is_outvoted_no_longer);
  RUN_TEST(half_of_the_endpoints_do_not_bring_it_back);
  RUN_TEST(who_was_away_hears_all_endpoints_first);
  RUN_TEST(who_was_away_waits_for_others_where_one_endpoint_is_elsewhere);
  RUN_TEST(who_was_away_takes_nothing_while_most_endpoints_are_silent);
  RUN_TEST(an_answer_counts_from_when_it_was_asked);
  RUN_TEST(others_are_waited_for_by_the_next_process_too);
  RUN_TEST(ids_are_written_as_etcd_does);
  return UNITY_END();
}
