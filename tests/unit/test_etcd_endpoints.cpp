#include "etcd/endpoints.hpp"

#include "harness.hpp"

using vipd::Duration;
using vipd::MonoTime;
using namespace vipd::etcd;

namespace {

constexpr MonoTime at(int64_t ms) {
  return MonoTime::from_ns(0) + Duration::milliseconds(ms);
}

std::vector<Endpoint> parsed(const std::vector<std::string>& texts) {
  std::vector<Endpoint> out;
  for (const std::string& text : texts) {
    Endpoint endpoint;
    std::string reason;
    if (parse_endpoint(text, &endpoint, &reason)) out.push_back(endpoint);
  }
  return out;
}

struct Three : Endpoints {
  MemberId a, b, c;
  Three() {
    use_cluster(11);
    set(parsed({"http://10.0.0.1:1", "http://10.0.0.2:1", "http://10.0.0.3:1"}), 3);
    a = members()[0].id;
    b = members()[1].id;
    c = members()[2].id;
  }
  void fail(MemberId id, int64_t ms) {
    sent(id, 0);
    failed(id, 0, at(ms), at(ms));
  }
};

#define ASSERT_PICKS(member, endpoints, ms, group) \
  TEST_ASSERT_TRUE((endpoints).pick(at(ms), group) == (member))

void the_order_of_preference_holds() {
  Three m;
  ASSERT_PICKS(m.a, m, 0, 0);
  m.fail(m.a, 0);
  ASSERT_PICKS(m.b, m, 0, 0);
  m.fail(m.b, 0);
  ASSERT_PICKS(m.c, m, 0, 0);
}

// With the others failing as well, each request is a try.
void a_member_that_failed_is_tried_again_later_and_later() {
  Endpoints m;
  m.set(parsed({"http://10.0.0.1:1", "http://10.0.0.2:1"}), 2);
  m.use_cluster(11);
  const MemberId a = m.members()[0].id;
  const MemberId b = m.members()[1].id;
  int64_t now = 0;
  for (const int64_t pause_ms : {1000, 2000, 4000, 8000, 8000}) {
    m.failed(a, 0, at(now), at(now));
    m.failed(b, 0, at(now + 1), at(now + 1));
    m.failed(b, 0, at(now + 2), at(now + 2));  // always a longer time than the other's
    ASSERT_PICKS(a, m, now + pause_ms - 1, 0);
    ASSERT_PICKS(a, m, now + pause_ms, 0);
    now += pause_ms;
  }
}

void what_failed_is_probed_until_it_has_been_well_for_a_while() {
  Three m;
  TEST_ASSERT_TRUE(m.next_probe().is_never());
  m.fail(m.a, 0);
  TEST_ASSERT_TRUE(m.next_probe() == at(1000));
  TEST_ASSERT_TRUE(m.due_probes(at(999)).empty());
  TEST_ASSERT_TRUE(m.due_probes(at(1000)) == std::vector<MemberId>{m.a});
  TEST_ASSERT_TRUE(m.next_probe().is_never());  // it is under way
  m.failed(m.a, 0, at(1000), at(1500));
  TEST_ASSERT_TRUE(m.next_probe() == at(3500));  // 2 s now
  for (int64_t ms = 4000; ms < 9000; ms += 1000) {
    TEST_ASSERT_TRUE(m.due_probes(at(ms)).size() == 1);
    m.answered(m.a, 0, at(ms));
    ASSERT_PICKS(m.b, m, ms, 0);
    TEST_ASSERT_FALSE(m.preferred(m.a, m.b, 7, at(0)));
  }
  m.answered(m.a, 0, at(9000));
  ASSERT_PICKS(m.a, m, 9000, 0);
  const auto preferred = [&m](MemberId a, MemberId b) { return m.preferred(a, b, 7, at(0)); };
  TEST_ASSERT_TRUE(preferred(m.a, m.b) && !preferred(m.b, m.a) && !preferred(m.a, m.a));
  TEST_ASSERT_TRUE(m.next_probe().is_never());
}

void one_that_fails_on_trial_begins_anew() {
  Three m;
  m.fail(m.a, 0);
  m.answered(m.a, 0, at(1000));
  m.fail(m.a, 5900);
  m.answered(m.a, 0, at(8000));
  m.answered(m.a, 0, at(12000));
  ASSERT_PICKS(m.b, m, 12000, 0);
  m.answered(m.a, 0, at(13000));
  ASSERT_PICKS(m.a, m, 13000, 0);
}

void where_none_is_well_one_that_answered_is_taken_and_nobody_probed() {
  Three m;
  m.fail(m.a, 0);
  m.fail(m.b, 0);
  m.fail(m.c, 0);
  TEST_ASSERT_TRUE(m.next_probe().is_never());
  m.answered(m.b, 0, at(100));
  ASSERT_PICKS(m.b, m, 100, 0);
  ASSERT_PICKS(m.b, m, 1100, 0);
  m.answered(m.b, 0, at(5100));
  TEST_ASSERT_TRUE(m.next_probe() == at(1000));
}

void failures_of_one_moment_are_one_failure() {
  Three m;
  m.failed(m.a, 0, at(0), at(800));
  m.failed(m.a, 0, at(100), at(900));
  m.failed(m.a, 0, at(799), at(1500));
  TEST_ASSERT_TRUE(m.next_probe() == at(1800));
}

void when_all_failed_the_one_whose_time_ends_first_is_taken() {
  Three m;
  m.fail(m.b, 0);
  m.fail(m.a, 10);
  m.fail(m.c, 20);
  ASSERT_PICKS(m.b, m, 30, 0);
  m.fail(m.b, 40);  // 2 s now
  ASSERT_PICKS(m.a, m, 50, 0);
}

// While etcd elects a leader, those that live say so at once, and the dead say nothing.
void when_all_failed_those_that_say_so_are_taken_in_turn() {
  Three e;
  e.fail(e.b, 0);
  MemberId last = MemberId::None;
  for (int64_t ms = 0; ms < 3000; ms += 100) {
    const MemberId taken = e.pick(at(ms), 7);
    TEST_ASSERT_FALSE(taken == last || taken == e.b);
    e.sent(taken, 7);
    e.failed(taken, 7, at(ms), at(ms), false);
    last = taken;
  }
}

// A watch that no member serves is no reason to open it at a dead one.
void a_silent_member_comes_after_those_that_are_avoided() {
  Three m;
  m.fail(m.a, 0);
  m.avoid(m.b, 7, at(8000));
  m.avoid(m.c, 7, at(8000));
  ASSERT_PICKS(m.b, m, 100, 7);
  m.answered(m.a, 0, at(1000));
  ASSERT_PICKS(m.a, m, 1000, 7);
}

void many_requests_are_shared_out() {
  Three m;
  int to_a = 0;
  for (int i = 0; i < 9; i++) {
    const MemberId taken = m.pick(at(50 * i), 7);
    to_a += taken == m.a;
    m.sent(taken, 7);
  }
  TEST_ASSERT_EQUAL_INT(3, to_a);
}

void the_one_that_just_answered_is_taken_where_that_is_asked_for() {
  Three m;
  TEST_ASSERT_TRUE(m.pick(at(0), 7, m.c) == m.c);
  TEST_ASSERT_TRUE(m.pick(at(0), 7, MemberId{99}) == m.a);
  m.avoid(m.c, 7, at(5000));
  TEST_ASSERT_TRUE(m.pick(at(0), 7, m.c) == m.a);
}

void a_group_goes_to_different_members() {
  Three m;
  ASSERT_PICKS(m.a, m, 0, 7);
  m.sent(m.a, 7);
  ASSERT_PICKS(m.b, m, 1, 7);
  ASSERT_PICKS(m.a, m, 1, 8);
  ASSERT_PICKS(m.a, m, 1, 0);
  m.sent(m.b, 7);
  ASSERT_PICKS(m.c, m, 2, 7);
  m.sent(m.c, 7);
  ASSERT_PICKS(m.a, m, 3, 7);  // as far as there are any
  m.answered(m.c, 7, at(4));
  ASSERT_PICKS(m.c, m, 4, 7);
}

// Rather one that failed some time ago than one that this group waits for right now.
void a_group_prefers_a_failed_member_to_one_that_owes_an_answer() {
  Three m;
  m.fail(m.b, 0);
  m.fail(m.c, 1);
  m.sent(m.a, 7);
  ASSERT_PICKS(m.b, m, 2, 7);
}

void a_group_avoids_what_just_failed_it() {
  Three m;
  m.fail(m.c, 0);
  m.fail(m.c, 1000);  // until 3000
  m.sent(m.a, 7);
  m.failed(m.a, 7, at(1100), at(1100));  // until 2100
  m.sent(m.b, 7);
  m.failed(m.b, 7, at(1100), at(1200));
  ASSERT_PICKS(m.c, m, 1300, 7);
  ASSERT_PICKS(m.a, m, 1300, 0);
  ASSERT_PICKS(m.a, m, 2100, 7);
}

void each_answer_ends_one_request() {
  Three m;
  m.sent(m.a, 7);
  m.sent(m.a, 7);
  m.answered(m.a, 7, at(0));
  ASSERT_PICKS(m.b, m, 0, 7);
  m.answered(m.a, 7, at(0));
  ASSERT_PICKS(m.a, m, 0, 7);
}

void a_member_can_be_avoided_for_a_while() {
  Three m;
  m.avoid(m.a, 7, at(5000));
  ASSERT_PICKS(m.b, m, 4999, 7);
  ASSERT_PICKS(m.a, m, 4999, 0);
  TEST_ASSERT_FALSE(m.preferred(m.a, m.b, 7, at(4999)));
  TEST_ASSERT_TRUE(m.preferred(m.a, m.b, 8, at(4999)));
  TEST_ASSERT_TRUE(m.preferred(m.a, m.b, 7, at(5000)));
  ASSERT_PICKS(m.a, m, 5000, 7);
}

void a_name_without_an_address_is_never_taken() {
  Endpoints m;
  m.set(parsed({"http://a:1", "http://10.0.0.2:1"}), 2);
  m.use_cluster(11);
  const MemberId b = m.members()[1].id;
  m.failed(b, 0, at(0), at(0));
  ASSERT_PICKS(b, m, 0, 0);
  TEST_ASSERT_TRUE(m.next_probe().is_never());
  Endpoint named = m.members()[0].endpoint;
  m.set({named}, 1);
  ASSERT_PICKS(MemberId::None, m, 0, 0);
  named.address = "10.0.0.3";
  m.set({named}, 1);
  ASSERT_PICKS(m.members()[0].id, m, 0, 0);
}

void members_that_stay_keep_their_record() {
  Three m;
  m.fail(m.a, 0);
  m.set(parsed({"http://10.0.0.9:1", "http://10.0.0.1:1", "http://10.0.0.9:1"}), 3);
  TEST_ASSERT_EQUAL_INT(2, m.members().size());
  TEST_ASSERT_TRUE(m.members()[1].id == m.a);
  TEST_ASSERT_TRUE(m.members()[0].id != m.a && m.members()[0].id != m.b);
  TEST_ASSERT_TRUE(m.find(m.b) == nullptr);
  m.failed(m.b, 7, at(0), at(0));  // a late answer of one that is gone
  m.failed(m.members()[0].id, 0, at(500), at(500));
  ASSERT_PICKS(m.a, m, 600, 0);
}

void without_members_there_is_none() {
  Endpoints none;
  ASSERT_PICKS(MemberId::None, none, 0, 7);
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(the_order_of_preference_holds);
  RUN_TEST(a_member_that_failed_is_tried_again_later_and_later);
  RUN_TEST(what_failed_is_probed_until_it_has_been_well_for_a_while);
  RUN_TEST(one_that_fails_on_trial_begins_anew);
  RUN_TEST(where_none_is_well_one_that_answered_is_taken_and_nobody_probed);
  RUN_TEST(failures_of_one_moment_are_one_failure);
  RUN_TEST(when_all_failed_the_one_whose_time_ends_first_is_taken);
  RUN_TEST(when_all_failed_those_that_say_so_are_taken_in_turn);
  RUN_TEST(a_silent_member_comes_after_those_that_are_avoided);
  RUN_TEST(many_requests_are_shared_out);
  RUN_TEST(the_one_that_just_answered_is_taken_where_that_is_asked_for);
  RUN_TEST(a_group_goes_to_different_members);
  RUN_TEST(a_group_prefers_a_failed_member_to_one_that_owes_an_answer);
  RUN_TEST(a_group_avoids_what_just_failed_it);
  RUN_TEST(each_answer_ends_one_request);
  RUN_TEST(a_member_can_be_avoided_for_a_while);
  RUN_TEST(a_name_without_an_address_is_never_taken);
  RUN_TEST(members_that_stay_keep_their_record);
  RUN_TEST(without_members_there_is_none);
  return UNITY_END();
}
