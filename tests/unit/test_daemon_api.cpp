#include "daemon/api.hpp"

#include <set>

#include "ctl/commands.hpp"
#include "ctl/server.hpp"
#include "daemon/commands.hpp"
#include "daemon/settings.hpp"
#include "daemon_bench.hpp"
#include "harness.hpp"
#include "logged.hpp"

using namespace vipd;
using Access = Api::Access;

namespace {

struct Bench : bench::StateFolder, bench::IdleCore {
  Loop loop;
  std::vector<VipConfig> configured;
  Vips vips{configured};
  std::deque<HistoryEntry> entries;
  std::vector<HistoryEntry> moves;
  std::string unhealthy;
  size_t fed = 0;
  size_t vips_there = 0;
  size_t most_at_once = 0;

  Commands commands{{.vips = vips,
                     .kept = kept,
                     .node = "a",
                     .core = [this]() -> const Core& { return core; },
                     .view = [](const Address&) { return std::optional<VipView>(); },
                     .feed = [this](const Event&) { ++fed; },
                     .note = [](const std::string&) {},
                     .transfer_asked = [](const Address&) {},
                     .override_check = [](const std::string&, const std::string&) { return true; },
                     .reload = [] { return Reread(); }}};
  Api api{loop,
          {.status = [] { return Status(); },
           .metrics = [] { return Metrics(); },
           .vips = [this](size_t first, size_t most) { return some<VipStatus>(first, most); },
           .counts = [this](size_t first, size_t most) { return some<VipMetrics>(first, most); },
           .state = [] { return std::string_view("running"); },
           .unhealthy = [this] { return unhealthy; },
           .moves = [this] { return moves; },
           .history = entries,
           .commands = commands}};

  template <typename T>
  std::vector<T> some(size_t first, size_t most) {
    std::vector<T> vips(std::min(vips_there - std::min(first, vips_there), most));
    most_at_once = std::max(most_at_once, vips.size());
    for (T& vip : vips) vip.name = "v" + std::to_string(first++);
    return vips;
  }

  ctl::Response ask(Access access, const char* method, const std::string& path) {
    return api.answer(access, {.method = method, .path = path, .body = ""});
  }
};

constexpr const char* kRead[] = {"/v1/status", "/v1/history", "/v1/events", "/metrics", "/healthz"};

std::vector<std::string> commands() {
  std::vector<std::string> paths;
  for (const Commands::Row& row : Commands::all()) paths.push_back("/v1/" + std::string(row.name));
  return paths;
}

bool has(const ctl::Response& response, const char* text) {
  return response.body.find(text) != std::string::npos;
}

void what_is_read_is_read_with_get() {
  Bench b;
  for (const char* path : kRead) {
    TEST_ASSERT_MESSAGE(b.ask(Access::Socket, "GET", path).status == 200, path);
    const ctl::Response other = b.ask(Access::Socket, "POST", path);
    TEST_ASSERT_MESSAGE(other.status == 405 && has(other, "use GET"), path);
    TEST_ASSERT_EQUAL_STRING("Allow: GET\r\n", other.fields);
  }
  TEST_ASSERT_TRUE(b.ask(Access::Socket, "GET", "/v1/events").stream);
}

void what_changes_something_is_posted() {
  Bench b;
  for (const std::string& path : commands()) {
    const ctl::Response other = b.ask(Access::Socket, "GET", path);
    TEST_ASSERT_MESSAGE(other.status == 405 && has(other, "use POST"), path);
    const int status = b.ask(Access::Socket, "POST", path).status;
    TEST_ASSERT_MESSAGE(status == 200 || status == 400, path);
  }
  TEST_ASSERT_TRUE(b.fed > 0);
}

// Whatever is sent: over TCP nothing can be changed, and the history is nobody's business there.
void over_tcp_nothing_can_be_changed() {
  Bench b;
  for (const std::string& path : commands()) {
    TEST_ASSERT_MESSAGE(b.ask(Access::Public, "POST", path).status == 404, path);
    TEST_ASSERT_MESSAGE(b.ask(Access::Public, "GET", path).status == 404, path);
  }
  for (const char* path : {"/v1/history", "/v1/events", "/v1/", "", "/x"}) {
    TEST_ASSERT_MESSAGE(b.ask(Access::Public, "GET", path).status == 404, path);
  }
  for (const char* path : {"/", "/v1/status", "/metrics", "/healthz"}) {
    TEST_ASSERT_MESSAGE(b.ask(Access::Public, "GET", path).status == 200, path);
    const ctl::Response other = b.ask(Access::Public, "POST", path);
    TEST_ASSERT_MESSAGE(other.status == 405, path);
    TEST_ASSERT_EQUAL_STRING("Allow: GET, HEAD\r\n", other.fields);
  }
  TEST_ASSERT_EQUAL_INT(0, b.fed);
}

void the_control_socket_has_no_page() {
  Bench b;
  for (const char* path : {"/", "/v1/", "/v1/none", "/v2/status", "", "/v1/status/"}) {
    TEST_ASSERT_MESSAGE(b.ask(Access::Socket, "GET", path).status == 404, path);
  }
}

void only_the_page_is_given_the_moves() {
  Bench b;
  b.moves.resize(1);
  TEST_ASSERT_TRUE(has(b.ask(Access::Public, "GET", "/v1/status"), "\"moves\""));
  TEST_ASSERT_FALSE(has(b.ask(Access::Socket, "GET", "/v1/status"), "\"moves\""));
}

void health_says_why_it_is_none() {
  Bench b;
  TEST_ASSERT_EQUAL_STRING(R"({"state":"running"})", b.ask(Access::Public, "GET", "/healthz").body);
  b.unhealthy = "etcd does not answer";
  const ctl::Response bad = b.ask(Access::Socket, "GET", "/healthz");
  TEST_ASSERT_EQUAL_INT(503, bad.status);
  TEST_ASSERT_EQUAL_STRING(R"({"state":"running","error":"etcd does not answer"})", bad.body);
}

void while_the_daemon_stops_commands_are_refused() {
  Bench b;
  b.core.step({.now = MonoTime()}, event::StopAsked{}, &b.actions);
  for (const std::string& path : commands()) {
    TEST_ASSERT_MESSAGE(b.ask(Access::Socket, "POST", path).status == 409, path);
  }
  TEST_ASSERT_EQUAL_INT(200, b.ask(Access::Socket, "GET", "/v1/status").status);
  TEST_ASSERT_EQUAL_INT(0, b.fed);
}

void a_port_that_is_taken_is_said_once() {
  Bench b;
  Bench other;
  logged::lines.clear();
  b.api.listen("127.0.0.1:0");
  TEST_ASSERT_EQUAL_INT(1, logged::count("http.listen: serving at 127.0.0.1:0"));
  other.api.listen("192.0.2.77:80");  // no address of this host
  other.api.listen("192.0.2.77:80");
  TEST_ASSERT_EQUAL_INT(1, logged::count("trying again every 5 s"));
  other.api.listen("");
  b.api.listen("127.0.0.1:0");
  TEST_ASSERT_EQUAL_INT(1, logged::count("serving at"));
}

// A command that only one of the two knows is refused. Those of vipctl that ask for nothing read.
void vipctl_has_the_same_commands() {
  const std::set<std::string_view> read = {"status", "history", "metrics", "version"};
  std::set<std::string> asked;
  for (const ctl::Command& command : ctl::commands()) {
    if (!read.contains(command.name)) asked.insert("/v1/" + std::string(command.name));
  }
  const std::vector<std::string> known = commands();
  TEST_ASSERT_TRUE(asked == std::set<std::string>(known.begin(), known.end()));
}

// Asked as often as it is told to.
std::string text_of_thousands(Bench* b, Access access, const std::string& path) {
  for (;;) {
    b->loop.run_once(Duration());
    const ctl::Response response =
        b->api.answer(access, {.method = "GET", .path = path, .body = "", .since = MonoTime()});
    if (response.not_before) continue;
    return response.shared == nullptr ? response.body : *response.shared;
  }
}

size_t count(const std::string& text, const std::string& what) {
  size_t found = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) found++;
  return found;
}

// Work is counted, not time: nothing is made of all VIPs at once, and each is told of once.
void thousands_are_told_of_bit_by_bit() {
  Bench b;
  b.vips_there = 10'000;
  TEST_ASSERT_EQUAL_INT(
      10'000, count(text_of_thousands(&b, Access::Socket, "/v1/status"), "\"last_change\""));
  TEST_ASSERT_EQUAL_INT(10'000,
                        count(text_of_thousands(&b, Access::Public, "/metrics"), "\nvipd_owner{"));
  TEST_ASSERT_TRUE(b.most_at_once <= 64);
  const std::string page = text_of_thousands(&b, Access::Public, "/");
  TEST_ASSERT_TRUE(page.find("... and more") != std::string::npos && page.size() < 100'000);
}

// The rows of the table, as they stand in the source: `{"GET", "/v1/status", Access::Socket, ...`.
void the_manual_has_every_route() {
  const std::string page = fixture::read("contrib/man/vipd.8");
  int rows = 0;
  for (const std::string& line : fixture::lines(fixture::read("src/daemon/api.cpp"))) {
    const std::vector<std::string> words = fixture::lines(fixture::replaced(line, "\"", "\n"));
    if (words.size() < 5 || words[0] != "    {" || words[2] != ", ") continue;
    const std::string item =
        words[3] == "/" ? "\n.Pa /\n" : "\n.It Cm " + words[1] + " " + words[3] + "\n";
    TEST_ASSERT_MESSAGE(page.find(item) != std::string::npos, words[1] + " " + words[3]);
    ++rows;
  }
  TEST_ASSERT_EQUAL_INT(9, rows);
  for (const std::string& path : commands()) {
    TEST_ASSERT_MESSAGE(page.find("\n.It Cm POST " + path + "\n") != std::string::npos, path);
  }
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(the_manual_has_every_route);
  RUN_TEST(vipctl_has_the_same_commands);
  RUN_TEST(what_is_read_is_read_with_get);
  RUN_TEST(what_changes_something_is_posted);
  RUN_TEST(over_tcp_nothing_can_be_changed);
  RUN_TEST(the_control_socket_has_no_page);
  RUN_TEST(only_the_page_is_given_the_moves);
  RUN_TEST(health_says_why_it_is_none);
  RUN_TEST(while_the_daemon_stops_commands_are_refused);
  RUN_TEST(thousands_are_told_of_bit_by_bit);
  RUN_TEST(a_port_that_is_taken_is_said_once);
  return UNITY_END();
}
