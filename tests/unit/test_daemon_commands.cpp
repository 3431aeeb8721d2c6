#include "daemon/commands.hpp"

#include <unistd.h>

#include <algorithm>

#include "ctl/server.hpp"
#include "daemon/settings.hpp"
#include "daemon_bench.hpp"
#include "harness.hpp"
#include "logged.hpp"

using namespace vipd;

namespace {

const Address kVip = *Address::parse("192.0.2.1");

CandidateView candidate(const char* node, int64_t lease, bool has_session = true) {
  return {.node = node, .lease = static_cast<LeaseId>(lease), .has_session = has_session};
}

// The commands of a daemon that has one VIP, and a core that does nothing.
struct Bench : bench::OneVip, bench::StateFolder, bench::IdleCore {
  std::vector<VipView> views = std::vector<VipView>(1);
  std::vector<Event> fed;
  std::vector<std::string> noted;
  std::vector<std::string> overrides;
  Reread read;

  Bench() {
    views[0].address = kVip;
    logged::lines.clear();
    logged::level = log::Level::Info;
  }

  Commands commands{{.vips = vips,
                     .kept = kept,
                     .node = "a",
                     .core = [this]() -> const Core& { return core; },
                     .view = [this](const Address&) { return std::optional(views[0]); },
                     .feed = [this](const Event& event) { fed.push_back(event); },
                     .note = [this](const std::string& what) { noted.push_back(what); },
                     .transfer_asked = [](const Address&) {},
                     .override_check =
                         [this](const std::string& name, const std::string& word) {
                           overrides.push_back(name + "=" + word);
                           return name == "web";
                         },
                     .reload = [this] { return read; }}};

  template <typename T>
  [[nodiscard]] const T* only() const {
    return fed.size() == 1 ? std::get_if<T>(&fed[0]) : nullptr;
  }
};

bool refused(const ctl::Response& response, int status, const char* text) {
  return response.status == status && response.body.find(text) != std::string::npos;
}

void resign_without_names_means_all() {
  Bench b;
  TEST_ASSERT_EQUAL_INT(200, b.commands.resign("").status);
  TEST_ASSERT_NOT_NULL(b.only<event::ResignAsked>());
  TEST_ASSERT_TRUE(b.only<event::ResignAsked>()->vips == std::vector<Address>{kVip});
}

void resign_takes_names_and_addresses() {
  Bench b;
  TEST_ASSERT_EQUAL_INT(200, b.commands.resign(R"({"vips":["192.0.2.1"]})").status);
  TEST_ASSERT_TRUE(b.only<event::ResignAsked>()->vips == std::vector<Address>{kVip});
  TEST_ASSERT_TRUE(refused(b.commands.resign(R"({"vips":["db"]})"), 404, "no VIP is called db"));
  TEST_ASSERT_TRUE(refused(b.commands.resign(R"({"vips":"api"})"), 400, "list of names"));
  TEST_ASSERT_TRUE(refused(b.commands.resign(R"({"vips":[1]})"), 400, "list of names"));
  for (const char* body : {"[]", "{", "\"api\"", "{} {}"}) {
    TEST_ASSERT_MESSAGE(refused(b.commands.resign(body), 400, "must be a JSON object"), body);
  }
  TEST_ASSERT_EQUAL_INT(1, b.fed.size());
}

void a_vip_that_is_not_there_is_answered_with_those_that_are() {
  Bench b;
  const std::string body = R"({"vip":"ap"})";
  TEST_ASSERT_TRUE(refused(b.commands.take(body), 404, "no VIP is called ap; there are: api\""));
  for (int i = 2; i <= 10; i++) {
    b.configured.push_back(b.configured[0]);
    b.configured.back().name = "v" + std::to_string(i);
    b.configured.back().address = *Address::parse("192.0.2." + std::to_string(i));
  }
  b.vips.changed();
  TEST_ASSERT_TRUE(refused(b.commands.take(body), 404,
                           "there are: api, v2, v3, v4, v5, v6, v7, v8 and 2 more\""));
  b.configured.clear();
  b.vips.changed();
  TEST_ASSERT_TRUE(refused(b.commands.take(body), 404, "no VIP is called ap; there is none\""));
}

void a_pause_that_persists_is_written_before_it_is_answered() {
  Bench b;
  TEST_ASSERT_EQUAL_INT(200, b.commands.pause(R"({"persist":true})").status);
  TEST_ASSERT_NOT_NULL(b.only<event::PauseAsked>());
  TEST_ASSERT_EQUAL_INT(0, access((b.folder.path() + "/paused").c_str(), F_OK));
  TEST_ASSERT_EQUAL_INT(200, b.commands.resume("").status);
  TEST_ASSERT_TRUE(std::holds_alternative<event::ResumeAsked>(b.fed[1]));
  TEST_ASSERT_TRUE(access((b.folder.path() + "/paused").c_str(), F_OK) < 0);
}

void a_pause_that_cannot_persist_is_none() {
  Bench b;
  const std::string away = b.folder.path() + "-away";
  TEST_ASSERT_EQUAL_INT(0, rename(b.folder.path().c_str(), away.c_str()));
  const ctl::Response response = b.commands.pause(R"({"persist":true})");
  TEST_ASSERT_EQUAL_INT(0, rename(away.c_str(), b.folder.path().c_str()));
  TEST_ASSERT_TRUE(refused(response, 500, "not paused, since a restart would not know of it"));
  TEST_ASSERT_TRUE(b.fed.empty());
  TEST_ASSERT_TRUE(refused(b.commands.pause(R"({"persist":1})"), 400, "must be true or false"));
  TEST_ASSERT_EQUAL_INT(200, b.commands.pause("").status);
}

constexpr int64_t kOwn = 0;  // the core of these tests has no session
const char kToB[] = R"({"vip":"api","node":"b"})";

void take_frees_what_may_be_held_and_nothing_else() {
  Bench b;
  TEST_ASSERT_TRUE(refused(b.commands.take(R"({"vip":"api"})"), 409, "no node is known"));
  TEST_ASSERT_TRUE(refused(b.commands.take(R"({"vip":"db"})"), 404, "no VIP is called db"));
  TEST_ASSERT_TRUE(refused(b.commands.take("{}"), 400, "the body must be"));
  TEST_ASSERT_TRUE(b.fed.empty());
  b.views[0].may_be_held = true;
  TEST_ASSERT_EQUAL_INT(200, b.commands.take(R"({"vip":"api"})").status);
  const auto* taken = b.only<event::TakeAsked>();
  TEST_ASSERT_TRUE(taken != nullptr && taken->vip == kVip);
}

void a_transfer_names_the_session_of_the_heir() {
  Bench b;
  b.views[0].state = VipState::Owner;
  b.views[0].queue = {candidate("a", kOwn), candidate("b", 2)};
  TEST_ASSERT_EQUAL_INT(200, b.commands.transfer(kToB).status);
  TEST_ASSERT_NOT_NULL(b.only<event::TransferAsked>());
  TEST_ASSERT_TRUE(b.only<event::TransferAsked>()->to == static_cast<LeaseId>(2));
  TEST_ASSERT_EQUAL_INT(200, b.commands.transfer(R"({"vip":"api","node":"2"})").status);
}

void a_transfer_that_cannot_be_says_why() {
  Bench b;
  b.views[0].owner = "c";
  TEST_ASSERT_TRUE(refused(b.commands.transfer(kToB), 409, "this node does not own VIP 'api'; c"));
  b.views[0].state = VipState::Owner;
  b.views[0].queue = {candidate("a", kOwn), candidate("c", 3)};
  TEST_ASSERT_TRUE(refused(b.commands.transfer(kToB), 409, "in it: c\""));
  TEST_ASSERT_TRUE(refused(b.commands.transfer(R"({"vip":"api","node":"a"})"), 409, "already"));
  b.views[0].queue.push_back(candidate("b", 2, false));
  TEST_ASSERT_TRUE(refused(b.commands.transfer(kToB), 409, "b is not ready"));
  b.views[0].queue.push_back(candidate("b", 4));
  TEST_ASSERT_TRUE(refused(b.commands.transfer(kToB), 409, "name its session, one of 2, 4"));
  TEST_ASSERT_TRUE(
      refused(b.commands.transfer(R"({"vip":"db","node":"b"})"), 404, "no VIP is called db"));
  TEST_ASSERT_TRUE(refused(b.commands.transfer(R"({"vip":"api"})"), 400, "the body must be"));
  TEST_ASSERT_TRUE(b.fed.empty());
}

void a_check_is_set_by_word() {
  Bench b;
  TEST_ASSERT_EQUAL_INT(200, b.commands.set_check(R"({"name":"web","state":"down"})").status);
  TEST_ASSERT_TRUE(b.overrides == std::vector<std::string>{"web=down"});
  TEST_ASSERT_TRUE(
      refused(b.commands.set_check(R"({"name":"web","state":"x"})"), 400, "the body must be"));
  TEST_ASSERT_TRUE(
      refused(b.commands.set_check(R"({"name":"db","state":"up"})"), 404, "no check is called db"));
}

void the_log_level_is_one_of_the_configuration() {
  Bench b;
  TEST_ASSERT_EQUAL_INT(200, b.commands.set_log_level(R"({"level":"debug"})").status);
  TEST_ASSERT_TRUE(logged::level == log::Level::Debug);
  TEST_ASSERT_EQUAL_INT(400, b.commands.set_log_level(R"({"level":"loud"})").status);
  TEST_ASSERT_EQUAL_INT(400, b.commands.set_log_level("").status);
  TEST_ASSERT_TRUE(logged::level == log::Level::Debug);
}

void a_faulty_configuration_is_refused_with_every_fault() {
  Bench b;
  TEST_ASSERT_EQUAL_INT(200, b.commands.reload("").status);
  b.read.errors = {"a.conf:1: no", "a.conf:2: no"};
  TEST_ASSERT_TRUE(refused(b.commands.reload(""), 422, R"(a.conf:1: no\na.conf:2: no)"));
}

// A person reads the history line by line, and a file may have a hundred faults.
void the_history_has_the_first_fault_and_their_number() {
  const auto rows = Commands::all();
  const auto reload =
      std::find_if(rows.begin(), rows.end(), [](const auto& row) { return row.name == "reload"; });
  Bench b;
  b.read.errors = {"a.conf:1: no"};
  TEST_ASSERT_EQUAL_INT(422, b.commands.run(*reload, "").status);
  TEST_ASSERT_EQUAL_STRING("reload refused: a.conf:1: no", b.noted.back());
  b.read.errors = {"a.conf:1: no", "a.conf:2: no", "a.conf:3: no"};
  TEST_ASSERT_EQUAL_INT(422, b.commands.run(*reload, "").status);
  TEST_ASSERT_EQUAL_STRING("reload refused: a.conf:1: no (and 2 more)", b.noted.back());
}

// Whoever looks for the reason of a move reads what was asked for, as it was typed.
void the_history_has_the_words_of_a_command() {
  const auto rows = Commands::all();
  const auto noted = [&](std::string_view name, const std::string& body) {
    Bench b;
    const auto row =
        std::find_if(rows.begin(), rows.end(), [&](const auto& each) { return each.name == name; });
    (void)b.commands.run(*row, body);
    return b.noted.front();
  };
  TEST_ASSERT_EQUAL_STRING("check web down asked by vipctl",
                           noted("check", R"({"name":"web","state":"down"})"));
  TEST_ASSERT_EQUAL_STRING("transfer api b asked by vipctl", noted("transfer", kToB));
  TEST_ASSERT_EQUAL_STRING("resign api db asked by vipctl",
                           noted("resign", R"({"vips":["api","db"]})"));
  TEST_ASSERT_EQUAL_STRING("pause asked by vipctl", noted("pause", R"({"persist":false})"));
  TEST_ASSERT_EQUAL_STRING("resign ?[2J?? asked by vipctl",
                           noted("resign", "{\"vips\":[\"\\u001b[2J\xc3\xa4\"]}"));
  std::string body = R"({"vips":["a")";
  for (int i = 0; i < 1000; i++) body += R"(,"thirty-letters-are-quite-a-lot")";
  TEST_ASSERT_EQUAL_STRING(
      "resign a thirty-letters-are-quite-a-lot thirty-letters-are-quite-a-lot "
      "thirty-letters-are-quite-a-lot and 997 more asked by vipctl",
      noted("resign", body + "]}"));
}

void a_reload_answers_with_its_warnings() {
  Bench b;
  TEST_ASSERT_EQUAL_STRING("{}", b.commands.reload("").body);
  b.read.warnings = {"a.conf:1: \"odd\"", "not changed until the daemon is restarted: user"};
  const ctl::Response answer = b.commands.reload("");
  TEST_ASSERT_EQUAL_INT(200, answer.status);
  TEST_ASSERT_EQUAL_STRING(
      R"({"warning":["a.conf:1: \"odd\"","not changed until the daemon is restarted: user"]})",
      answer.body);
}

void while_the_daemon_stops_nothing_is_done() {
  Bench b;
  const Commands::Row& resign = Commands::all().front();
  TEST_ASSERT_EQUAL_INT(200, b.commands.run(resign, "").status);
  TEST_ASSERT_TRUE(b.noted == std::vector<std::string>{"resign asked by vipctl"});
  TEST_ASSERT_TRUE(refused(b.commands.run(resign, "no"), 400, "the body must be a JSON object"));
  TEST_ASSERT_EQUAL_STRING("resign refused: the body must be a JSON object", b.noted.back());
  b.core.step({.now = MonoTime()}, event::StopAsked{}, &b.actions);
  TEST_ASSERT_TRUE(refused(b.commands.run(resign, ""), 409, "the daemon is stopping"));
  TEST_ASSERT_EQUAL_INT(3, b.noted.size());
  TEST_ASSERT_EQUAL_INT(1, b.fed.size());
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(resign_without_names_means_all);
  RUN_TEST(resign_takes_names_and_addresses);
  RUN_TEST(a_vip_that_is_not_there_is_answered_with_those_that_are);
  RUN_TEST(a_pause_that_persists_is_written_before_it_is_answered);
  RUN_TEST(a_pause_that_cannot_persist_is_none);
  RUN_TEST(take_frees_what_may_be_held_and_nothing_else);
  RUN_TEST(a_transfer_names_the_session_of_the_heir);
  RUN_TEST(a_transfer_that_cannot_be_says_why);
  RUN_TEST(a_check_is_set_by_word);
  RUN_TEST(the_log_level_is_one_of_the_configuration);
  RUN_TEST(a_faulty_configuration_is_refused_with_every_fault);
  RUN_TEST(the_history_has_the_first_fault_and_their_number);
  RUN_TEST(the_history_has_the_words_of_a_command);
  RUN_TEST(a_reload_answers_with_its_warnings);
  RUN_TEST(while_the_daemon_stops_nothing_is_done);
  return UNITY_END();
}
