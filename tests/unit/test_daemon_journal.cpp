#include "daemon/journal.hpp"

#include "ctl/history.hpp"
#include "daemon_bench.hpp"
#include "harness.hpp"

using namespace vipd;

namespace {

const Address kVip = *Address::parse("192.0.2.1");
const Address kOther = *Address::parse("192.0.2.9");

struct Bench : bench::OneVip {
  Loop loop;
  std::string owner;
  std::vector<std::string> published;

  Journal journal{loop,
                  vips,
                  {.owner = [this](const Address&) { return owner; },
                   .how = [](const Address&) { return "how it went"; },
                   .endpoint = [] { return "http://m:2379"; },
                   .is_heard = [] { return true; },
                   .publish = [this](std::string_view line) { published.emplace_back(line); }}};
};

event::WatchAdvanced candidate_of(const Address& vip) {
  Change change;
  change.entry.key = {.kind = KeyKind::Candidate, .lease = static_cast<LeaseId>(7), .vip = vip};
  return {.header = {}, .changes = {change}};
}

void a_change_has_the_figures_of_just_before() {
  Bench b;
  b.owner = "node-b";
  b.journal.before_step({.session = static_cast<LeaseId>(0x2a),
                         .deadline = b.loop.now() + Duration::milliseconds(900),
                         .confirmed = b.loop.now() - Duration::milliseconds(1000),
                         .revision = 77});
  b.journal.note(action::ReportState{
      .address = kVip, .from = VipState::Owner, .to = VipState::Standby, .reason = "so"});
  TEST_ASSERT_EQUAL_INT(1, b.journal.entries().size());
  const HistoryEntry& entry = b.journal.entries().front();
  TEST_ASSERT_EQUAL_STRING("state", entry.kind);
  TEST_ASSERT_EQUAL_STRING("api", entry.vip);
  TEST_ASSERT_EQUAL_STRING("owner", entry.from);
  TEST_ASSERT_EQUAL_STRING("standby", entry.to);
  TEST_ASSERT_EQUAL_STRING("node-b", entry.owner);
  TEST_ASSERT_EQUAL_STRING("2a", entry.session);
  TEST_ASSERT_EQUAL_STRING("http://m:2379", entry.endpoint);
  TEST_ASSERT_EQUAL_INT(77, entry.revision);
  TEST_ASSERT_TRUE(entry.authority_ms >= 0 && entry.authority_ms <= 900);
  TEST_ASSERT_TRUE(entry.heartbeat_ms >= 1000 && entry.heartbeat_ms < 2000);
}

void without_authority_there_is_no_heartbeat_to_speak_of() {
  Bench b;
  b.journal.note("reload asked by vipctl");
  TEST_ASSERT_EQUAL_INT(-1, b.journal.entries().front().heartbeat_ms);
  TEST_ASSERT_EQUAL_STRING("", b.journal.entries().front().session);
  TEST_ASSERT_EQUAL_STRING("event", b.journal.entries().front().kind);
}

// Each note is written to all who listen.
void owners_of_thousands_are_noted_over_several_turns() {
  constexpr uint32_t kVips = 100;
  std::vector<VipConfig> configured(kVips);
  event::WatchAdvanced shown;
  for (uint32_t i = 0; i < kVips; i++) {
    configured[i].name = "v" + std::to_string(i);
    configured[i].address = Address::v4(0x0a000001 + i);
    shown.changes.push_back(candidate_of(configured[i].address).changes[0]);
  }
  Vips vips(configured);
  vips.changed();
  Loop loop;
  size_t published = 0;
  Journal journal(loop, vips,
                  {.owner = [](const Address&) { return "node-b"; },
                   .how = [](const Address&) { return ""; },
                   .endpoint = [] { return ""; },
                   .is_heard = [] { return true; },
                   .publish =
                       [&](std::string_view) {
                         published++;
                         const MonoTime until = loop.now() + Duration::milliseconds(1);
                         while (loop.now() < until) continue;
                       }});
  (void)loop.add_timer(loop.now(), [&] { journal.after(shown); });
  for (size_t before = 0; published < kVips; before = published) {
    loop.run_once(Duration::milliseconds(10));
    TEST_ASSERT_TRUE(published > before && published - before < kVips / 2);
  }
}

void an_owner_elsewhere_is_noted_once() {
  Bench b;
  b.owner = "node-b";
  b.journal.after(candidate_of(kVip));
  b.journal.after(candidate_of(kVip));
  TEST_ASSERT_EQUAL_INT(1, b.journal.entries().size());
  b.owner = "node-c";
  b.journal.after(event::PrefixRead{});
  TEST_ASSERT_EQUAL_INT(2, b.journal.entries().size());
  const HistoryEntry& entry = b.journal.entries().back();
  TEST_ASSERT_EQUAL_STRING("owner", entry.kind);
  TEST_ASSERT_EQUAL_STRING("node-b", entry.from);
  TEST_ASSERT_EQUAL_STRING("node-c", entry.to);
  TEST_ASSERT_EQUAL_STRING("how it went", entry.reason);
}

// Its own change says who owns it; the watch that shows the same is no news.
void what_a_state_has_said_is_not_said_again() {
  Bench b;
  b.owner = "node-b";
  b.journal.note(action::ReportState{
      .address = kVip, .from = VipState::Owner, .to = VipState::Standby, .reason = "so"});
  b.journal.after(candidate_of(kVip));
  TEST_ASSERT_EQUAL_INT(1, b.journal.entries().size());
}

void a_vip_that_is_not_configured_has_no_owner() {
  Bench b;
  b.owner = "node-b";
  b.journal.after(candidate_of(kOther));
  TEST_ASSERT_TRUE(b.journal.entries().empty());
}

void a_report_names_the_vip_that_it_is_about() {
  Bench b;
  b.journal.note(action::Report{.kind = ReportKind::ConflictSeen, .text = "who", .address = kVip});
  b.journal.note(action::Report{.kind = ReportKind::Fenced, .text = "lost"});
  TEST_ASSERT_EQUAL_STRING("api", b.journal.entries()[0].vip);
  TEST_ASSERT_EQUAL_STRING("192.0.2.1", b.journal.entries()[0].address);
  TEST_ASSERT_EQUAL_STRING("", b.journal.entries()[1].vip);
  TEST_ASSERT_EQUAL_STRING("", b.journal.entries()[1].address);
}

void every_entry_is_published_and_only_the_last_are_kept() {
  Bench b;
  for (size_t i = 0; i < ctl::kMostHistory + 3; i++) b.journal.note(std::to_string(i));
  TEST_ASSERT_EQUAL_INT(ctl::kMostHistory, b.journal.entries().size());
  TEST_ASSERT_EQUAL_STRING("3", b.journal.entries().front().reason);
  TEST_ASSERT_EQUAL_INT(ctl::kMostHistory + 3, b.published.size());
  TEST_ASSERT_TRUE(b.published[0].find(R"("reason":"0")") != std::string::npos);
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(a_change_has_the_figures_of_just_before);
  RUN_TEST(without_authority_there_is_no_heartbeat_to_speak_of);
  RUN_TEST(owners_of_thousands_are_noted_over_several_turns);
  RUN_TEST(an_owner_elsewhere_is_noted_once);
  RUN_TEST(what_a_state_has_said_is_not_said_again);
  RUN_TEST(a_vip_that_is_not_configured_has_no_owner);
  RUN_TEST(a_report_names_the_vip_that_it_is_about);
  RUN_TEST(every_entry_is_published_and_only_the_last_are_kept);
  return UNITY_END();
}
