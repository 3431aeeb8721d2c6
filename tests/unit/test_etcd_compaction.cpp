#include "etcd/compaction.hpp"

#include "etcd/tally.hpp"
#include "harness.hpp"

using namespace vipd;
using namespace vipd::etcd;

namespace {

MonoTime hours(int64_t n) {
  return MonoTime::from_ns(0) + Compaction::kInterval * n;
}

void a_compacted_history_is_well() {
  Compaction compaction;
  for (int64_t hour = 0; hour < 100; hour += 2) {
    TEST_ASSERT_EQUAL_INT(0, compaction.asks());
    TEST_ASSERT_EQUAL_STRING("", compaction.answered(hours(hour), 10'000 * (hour + 1)));
    TEST_ASSERT_EQUAL_INT(10'000 * (hour + 1), compaction.asks());
    compaction.compacted();
  }
}

void a_history_that_only_grows_is_told_once_a_day() {
  Compaction compaction;
  int warnings = 0;
  std::string last;
  for (int64_t hour = 0; hour < 24 * 3; ++hour) {
    const std::string said = compaction.answered(hours(hour), 1000 + hour * 7200);
    TEST_ASSERT_EQUAL_INT(1000, compaction.asks());
    if (said.empty()) continue;
    ++warnings;
    TEST_ASSERT_EQUAL_INT(0, hour % 24);
    last = said;
  }
  TEST_ASSERT_EQUAL_INT(2, warnings);
  TEST_ASSERT_TRUE(last.starts_with("etcd has kept all of its last 345600 revisions for 48 h: "));
  compaction.compacted();
  TEST_ASSERT_EQUAL_STRING("", compaction.answered(hours(99), 700'000));
}

void few_revisions_need_no_compaction() {
  Compaction compaction;
  for (int64_t hour = 0; hour < 100; ++hour) {
    TEST_ASSERT_EQUAL_STRING("", compaction.answered(hours(hour), 1 + hour * 100));
  }
}

// A cluster that was restored from a backup begins anew.
void a_history_that_went_back_begins_anew() {
  Compaction compaction;
  TEST_ASSERT_EQUAL_STRING("", compaction.answered(hours(0), 1'000'000));
  TEST_ASSERT_EQUAL_STRING("", compaction.answered(hours(30), 500));
  TEST_ASSERT_EQUAL_INT(500, compaction.asks());
  TEST_ASSERT_EQUAL_STRING("", compaction.answered(hours(53), 200'000));
}

void uncompacted_revisions_are_known() {
  Compaction compaction;
  TEST_ASSERT_EQUAL_INT(0, compaction.uncompacted());
  static_cast<void>(compaction.answered(hours(0), 1000));
  TEST_ASSERT_EQUAL_INT(0, compaction.uncompacted());
  static_cast<void>(compaction.answered(hours(1), 8200));
  TEST_ASSERT_EQUAL_INT(7200, compaction.uncompacted());
  compaction.compacted();
  TEST_ASSERT_EQUAL_INT(0, compaction.uncompacted());
}

void requests_are_counted_by_member_and_operation() {
  Tally tally;
  tally.add("http://a:2379", "txn", Tally::Result::Ok);
  tally.add("http://a:2379", "txn", Tally::Result::Failed);
  tally.add("http://a:2379", "version", Tally::Result::Ok);
  TEST_ASSERT_EQUAL_INT(2, tally.counts().size());
  const auto& txn = tally.counts().at({"http://a:2379", "txn"});
  TEST_ASSERT_EQUAL_INT(1, txn[0]);
  TEST_ASSERT_EQUAL_INT(0, txn[1]);
  TEST_ASSERT_EQUAL_INT(1, txn[2]);
}

// Names may resolve to other addresses without end.
void members_without_end_are_counted_as_one() {
  Tally tally;
  for (int i = 0; i < 2000; ++i) tally.add(std::to_string(i), "watch", Tally::Result::Ok);
  TEST_ASSERT_EQUAL_INT(Tally::kMost + 1, tally.counts().size());
  TEST_ASSERT_EQUAL_INT(2000 - Tally::kMost, tally.counts().at({"other", "watch"})[0]);
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(a_compacted_history_is_well);
  RUN_TEST(a_history_that_only_grows_is_told_once_a_day);
  RUN_TEST(few_revisions_need_no_compaction);
  RUN_TEST(a_history_that_went_back_begins_anew);
  RUN_TEST(uncompacted_revisions_are_known);
  RUN_TEST(requests_are_counted_by_member_and_operation);
  RUN_TEST(members_without_end_are_counted_as_one);
  return UNITY_END();
}
