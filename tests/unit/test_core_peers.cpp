// The two sides of the peer lease by themselves: what an owner may, and what a grantor promises.
#include "core/grantors.hpp"
#include "core/peer_lease.hpp"
#include "core/timing.hpp"
#include "harness.hpp"

using namespace vipd;

namespace {

const Duration kF = Duration::milliseconds(1000);
const LinkNames kOne = {"eth0"};
const LinkNames kBoth = {"eth0", "eth1"};

MonoTime at(int64_t ms) {
  return MonoTime::from_ns(ms * 1'000'000);
}

PeerTerm term_of(uint64_t number, uint64_t grantors) {
  PeerTerm term{.number = number, .timeout = kF};
  for (uint64_t i = 1; i <= grantors; i++) term.grantors.push_back({.incarnation = i, .secret = i});
  return term;
}

void any_two_quorums_share_a_grantor() {
  for (size_t m = 1; m <= kMostGrantors; m++) {
    const PeerTerm term = term_of(1, m);
    TEST_ASSERT_EQUAL_INT(m + 1, term.needed_to_own() + term.needed_to_end());
    TEST_ASSERT_TRUE(term.needed_to_own() >= 1);
  }
  TEST_ASSERT_EQUAL_INT(1, term_of(1, 2).needed_to_own());
  TEST_ASSERT_EQUAL_INT(2, term_of(1, 3).needed_to_own());
}

void a_grant_counts_from_before_its_request_was_sent() {
  Term term(term_of(1, 1), at(0));
  TEST_ASSERT_TRUE(term.deadline(kOne) == MonoTime::long_ago());
  term.asked(1, 77, at(100));
  const auto took = term.granted(1, 77, "eth0", at(900));
  TEST_ASSERT_TRUE(took == Duration::milliseconds(800));
  TEST_ASSERT_TRUE(term.deadline(kOne) == at(1100));
  // One that comes late extends a deadline that has passed.
  term.asked(1, 78, at(1000));
  TEST_ASSERT_TRUE(term.granted(1, 78, "eth0", at(1500)).has_value());
  TEST_ASSERT_TRUE(term.deadline(kOne) == at(2000));
}

void what_was_not_asked_is_no_grant() {
  Term term(term_of(1, 2), at(0));
  term.asked(1, 77, at(100));
  TEST_ASSERT_FALSE(term.granted(1, 78, "eth0", at(101)).has_value());
  TEST_ASSERT_FALSE(term.granted(2, 77, "eth0", at(101)).has_value());
  TEST_ASSERT_FALSE(term.granted(3, 77, "eth0", at(101)).has_value());
  // Nor what was asked so long ago that it has run out.
  term.asked(1, 79, at(1100));
  TEST_ASSERT_FALSE(term.granted(1, 77, "eth0", at(1101)).has_value());
}

void the_grants_that_are_needed_end_together() {
  Term term(term_of(1, 3), at(0));
  for (uint64_t who = 1; who <= 3; who++) {
    term.asked(who, who, at(static_cast<int64_t>(who) * 100));
    TEST_ASSERT_TRUE(term.granted(who, who, "eth0", at(400)).has_value());
  }
  TEST_ASSERT_TRUE(term.deadline(kOne) == at(1200));  // of the second newest
}

void a_grant_counts_once_it_came_on_every_link() {
  Term term(term_of(1, 1), at(0));
  term.asked(1, 77, at(100));
  TEST_ASSERT_TRUE(term.granted(1, 77, "eth0", at(101)).has_value());
  TEST_ASSERT_TRUE(term.deadline(kOne) == at(1100));
  TEST_ASSERT_TRUE(term.deadline(kBoth) == MonoTime::long_ago());
  TEST_ASSERT_TRUE(term.ignores_us(1, "eth1"));
  term.asked(1, 78, at(350));
  TEST_ASSERT_TRUE(term.granted(1, 78, "eth1", at(351)).has_value());
  TEST_ASSERT_TRUE(term.deadline(kBoth) == at(1100));
  TEST_ASSERT_FALSE(term.ignores_us(1, "eth1"));
}

void a_term_is_obeyed_from_the_sending_until_the_chain_has_spoken() {
  PeerLease lease;
  lease.try_term(term_of(1, 1), at(0));
  lease.find(1)->asked(1, 5, at(10));
  (void)lease.find(1)->granted(1, 5, "eth0", at(11));
  TEST_ASSERT_FALSE(lease.obeys());
  TEST_ASSERT_TRUE(lease.deadline(kOne).is_never());
  lease.entering(term_of(1, 1));
  TEST_ASSERT_TRUE(lease.obeys());
  TEST_ASSERT_TRUE(lease.deadline(kOne) == at(1010));
  lease.settled(nullptr, false, 7);  // something else was done at that end
  TEST_ASSERT_FALSE(lease.obeys());
}

void two_terms_are_obeyed_until_one_is_in_force() {
  PeerLease lease;
  lease.take_up(term_of(1, 1), 5, at(0));
  TEST_ASSERT_TRUE(lease.deadline(kOne) == MonoTime::long_ago());
  lease.find(1)->asked(1, 5, at(10));
  (void)lease.find(1)->granted(1, 5, "eth0", at(11));
  const PeerTerm second = term_of(2, 2);
  lease.try_term(second, at(100));
  lease.find(2)->asked(2, 6, at(200));
  (void)lease.find(2)->granted(2, 6, "eth0", at(201));
  lease.entering(second);
  TEST_ASSERT_TRUE(lease.deadline(kOne) == at(1010));
  lease.settled(&second, false, 9);
  TEST_ASSERT_TRUE(lease.deadline(kOne) == at(1200));
  TEST_ASSERT_EQUAL_INT(9, lease.revision());
  lease.settled(nullptr, true, 10);
  TEST_ASSERT_FALSE(lease.obeys());
}

void a_deletion_ends_the_term_of_its_revision_and_no_other() {
  PeerLease lease;
  lease.take_up(term_of(1, 1), 5, at(0));
  lease.try_term(term_of(2, 1), at(100));
  lease.entering(term_of(2, 1));
  lease.deleted(4);
  TEST_ASSERT_TRUE(lease.in_force().has_value());
  lease.deleted(5);
  TEST_ASSERT_FALSE(lease.in_force().has_value());
  TEST_ASSERT_TRUE(lease.obeys());
}

void nothing_counts_after_a_suspend() {
  PeerLease lease;
  lease.take_up(term_of(1, 1), 5, at(0));
  lease.find(1)->asked(1, 5, at(10));
  (void)lease.find(1)->granted(1, 5, "eth0", at(11));
  lease.find(1)->asked(1, 6, at(20));
  lease.forget_grants();
  TEST_ASSERT_FALSE(lease.find(1)->granted(1, 6, "eth0", at(30)).has_value());
  TEST_ASSERT_TRUE(lease.deadline(kOne) == MonoTime::long_ago());
}

void a_promise_ends_after_the_later_of_grant_and_sight() {
  Promises promises;
  TEST_ASSERT_TRUE(promises.grant(1, at(100)));
  promises.show(1, kF, at(500));
  TEST_ASSERT_TRUE(promises.silent_at(1) == at(500) + timing::with_drift(kF));
  TEST_ASSERT_TRUE(promises.grant(1, at(700)));
  promises.show(1, kF, at(800));  // as before
  TEST_ASSERT_TRUE(promises.silent_at(1) == at(700) + timing::with_drift(kF));
  promises.restart(at(900));
  TEST_ASSERT_TRUE(promises.silent_at(1) == at(900) + timing::with_drift(kF));
}

void what_has_expired_is_never_granted_again() {
  Promises promises;
  promises.show(1, kF, at(0));
  promises.expire(1, promises.silent_at(1));
  TEST_ASSERT_FALSE(promises.grant(1, at(5000)));
  promises.keep_only({});
  TEST_ASSERT_FALSE(promises.grant(1, at(6000)));
  promises.show(1, kF, at(7000));
  TEST_ASSERT_TRUE(promises.expired(1));
  TEST_ASSERT_TRUE(promises.grant(2, at(7000)));
}

void what_was_stopped_is_granted_no_more_and_expires_in_its_time() {
  Promises promises;
  promises.show(1, kF, at(0));
  TEST_ASSERT_TRUE(promises.grant(1, at(400)));
  promises.stop(1);
  TEST_ASSERT_FALSE(promises.grant(1, at(500)));
  TEST_ASSERT_TRUE(promises.stopped(1) && !promises.expired(1));
  TEST_ASSERT_TRUE(promises.silent_at(1) == at(400) + timing::with_drift(kF));
  promises.keep_only({});
  TEST_ASSERT_FALSE(promises.grant(1, at(9000)));
}

void all_grants_end_with_the_first() {
  Term term({.number = 1, .timeout = kF, .grantors = {{1, 1}, {2, 2}}}, at(0));
  const LinkNames eth0 = {"eth0"};
  TEST_ASSERT_TRUE(term.first_end(eth0) == MonoTime::long_ago());
  term.asked(1, 11, at(100));
  term.asked(2, 22, at(300));
  (void)term.granted(1, 11, "eth0", at(310));
  TEST_ASSERT_TRUE(term.first_end(eth0) == MonoTime::long_ago());
  (void)term.granted(2, 22, "eth0", at(320));
  TEST_ASSERT_TRUE(term.first_end(eth0) == at(100) + kF);
  TEST_ASSERT_TRUE(term.first_end({"eth0", "eth1"}) == MonoTime::long_ago());
  TEST_ASSERT_TRUE(term.first_end({}) == MonoTime::long_ago());
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(any_two_quorums_share_a_grantor);
  RUN_TEST(a_grant_counts_from_before_its_request_was_sent);
  RUN_TEST(what_was_not_asked_is_no_grant);
  RUN_TEST(the_grants_that_are_needed_end_together);
  RUN_TEST(a_grant_counts_once_it_came_on_every_link);
  RUN_TEST(a_term_is_obeyed_from_the_sending_until_the_chain_has_spoken);
  RUN_TEST(two_terms_are_obeyed_until_one_is_in_force);
  RUN_TEST(a_deletion_ends_the_term_of_its_revision_and_no_other);
  RUN_TEST(nothing_counts_after_a_suspend);
  RUN_TEST(a_promise_ends_after_the_later_of_grant_and_sight);
  RUN_TEST(what_has_expired_is_never_granted_again);
  RUN_TEST(what_was_stopped_is_granted_no_more_and_expires_in_its_time);
  RUN_TEST(all_grants_end_with_the_first);
  return UNITY_END();
}
