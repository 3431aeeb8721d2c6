#include "daemon/ledger.hpp"

#include "harness.hpp"

using namespace vipd;

namespace {

const Address kVip = *Address::parse("192.0.2.1");

action::ReportState change(VipState from, VipState to, TakeoverCause cause = TakeoverCause::First) {
  return {.address = kVip, .from = from, .to = to, .reason = "so", .cause = cause};
}

action::Report report(ReportKind kind, const char* text = "") {
  return {.kind = kind, .text = text, .address = kVip};
}

void changes_are_counted_by_the_state_they_lead_to() {
  Ledger ledger;
  ledger.take(change(VipState::Standby, VipState::Owner, TakeoverCause::Silent));
  ledger.take(change(VipState::Owner, VipState::Standby));
  ledger.take(change(VipState::Standby, VipState::Owner, TakeoverCause::Released));
  const Ledger::OfVip& vip = ledger.of(kVip);
  TEST_ASSERT_EQUAL_UINT64(3, vip.transitions);
  TEST_ASSERT_EQUAL_UINT64(2, vip.counts.to[static_cast<size_t>(VipState::Owner)]);
  TEST_ASSERT_EQUAL_UINT64(1, vip.counts.to[static_cast<size_t>(VipState::Standby)]);
  TEST_ASSERT_EQUAL_STRING("so", vip.last_change);
  TEST_ASSERT_FALSE(vip.since.empty());
  TEST_ASSERT_EQUAL_UINT64(1, ledger.node().takeovers.at("silent"));
  TEST_ASSERT_EQUAL_UINT64(1, ledger.node().takeovers.at("released"));
  TEST_ASSERT_FALSE(ledger.node().takeovers.contains("first"));
}

void a_vip_that_is_added_is_there_since_then() {
  Ledger ledger;
  ledger.take(change(VipState::Standby, VipState::Owner));
  TEST_ASSERT_TRUE(ledger.of(*Address::parse("192.0.2.2")).since.empty());
  for (const char* text : {"192.0.2.1", "192.0.2.2"}) {
    const Address address = *Address::parse(text);
    ledger.added(address);
    TEST_ASSERT_FALSE(ledger.of(address).since.empty());
    TEST_ASSERT_EQUAL_STRING("", ledger.of(address).last_change);
  }
  TEST_ASSERT_EQUAL_UINT64(1, ledger.of(kVip).transitions);
}

void reports_are_counted_where_they_belong() {
  Ledger ledger;
  ledger.take(report(ReportKind::ConflictSeen));
  ledger.take(report(ReportKind::AddressRestored));
  ledger.take(report(ReportKind::AuthorityLost));
  ledger.take(report(ReportKind::Fenced));
  ledger.take(report(ReportKind::Connected));
  ledger.announced(kVip);
  TEST_ASSERT_EQUAL_UINT64(1, ledger.of(kVip).counts.conflicts);
  TEST_ASSERT_EQUAL_UINT64(1, ledger.of(kVip).counts.restored);
  TEST_ASSERT_EQUAL_UINT64(1, ledger.of(kVip).counts.announcements);
  TEST_ASSERT_EQUAL_UINT64(1, ledger.node().authority_lost);
  TEST_ASSERT_EQUAL_UINT64(1, ledger.node().fenced);
}

// With its session the core forgets that there was no space.
void no_space_is_over_when_the_core_has_forgotten_it() {
  for (const ReportKind end :
       {ReportKind::SpaceAgain, ReportKind::Fenced, ReportKind::ClusterChanged}) {
    Ledger ledger;
    ledger.take(report(ReportKind::NoSpace));
    TEST_ASSERT_TRUE(ledger.node().no_space);
    ledger.take(report(ReportKind::HistoryLost));
    TEST_ASSERT_TRUE(ledger.node().no_space);
    ledger.take(report(end));
    TEST_ASSERT_FALSE(ledger.node().no_space);
  }
}

void why_a_transfer_failed_is_kept_until_the_next_one() {
  Ledger ledger;
  ledger.take(report(ReportKind::TransferGivenUp, "it is not ready"));
  TEST_ASSERT_EQUAL_STRING("it is not ready", ledger.of(kVip).transfer_failed);
  ledger.transfer_asked(kVip);
  TEST_ASSERT_EQUAL_STRING("", ledger.of(kVip).transfer_failed);
}

void of_a_vip_never_heard_of_there_is_nothing() {
  const Ledger ledger;
  TEST_ASSERT_EQUAL_UINT64(0, ledger.of(kVip).transitions);
  TEST_ASSERT_EQUAL_STRING("", ledger.of(kVip).since);
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(changes_are_counted_by_the_state_they_lead_to);
  RUN_TEST(a_vip_that_is_added_is_there_since_then);
  RUN_TEST(reports_are_counted_where_they_belong);
  RUN_TEST(no_space_is_over_when_the_core_has_forgotten_it);
  RUN_TEST(why_a_transfer_failed_is_kept_until_the_next_one);
  RUN_TEST(of_a_vip_never_heard_of_there_is_nothing);
  return UNITY_END();
}
