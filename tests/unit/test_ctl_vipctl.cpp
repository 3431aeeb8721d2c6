#include "ctl/vipctl.hpp"

#include <fcntl.h>
#include <getopt.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "ctl/json_text.hpp"
#include "ctl/server.hpp"
#include "ctl/status_text.hpp"
#include "fixture.hpp"
#include "harness.hpp"

using namespace vipd;
using vipd::ctl::Request;
using vipd::ctl::Response;

namespace {

// A daemon that owns one VIP, lets go of it 150 ms after it was asked to, and takes the names
// stuck (never lets go), alone (owns again at once) and refuse (says no).
class Daemon {
 public:
  void serve(const std::string& path) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    std::string reason;
    server_ = ctl::Server::open(
        loop_, path, [this](const Request& request) { return answer(request); }, &reason);
    loop_.run();
  }

 private:
  Response answer(const Request& request) {
    if (request.path == "/v1/status") return {.body = ctl::StatusJson(status_).text()};
    if (request.path == "/v1/events") return {.body = "", .stream = true};
    if (request.path == "/metrics") return {.body = "vipd_fenced_total 0\n"};
    if (request.path == "/v1/history") {
      return {.body =
                  "{\"history\":[{\"time\":\"t1\",\"kind\":\"state\",\"vip\":\"api\","
                  "\"from\":\"standby\",\"to\":\"owner\",\"revision\":7,"
                  "\"reason\":\"n\\u001b[31m fell silent\"}]}"};
    }
    if (request.path == "/v1/resign") return resign(request.body);
    if (request.path == "/v1/pause") return pause(request.body);
    if (request.path == "/v1/transfer") return transfer(request.body);
    if (request.path == "/v1/take" && request.body == R"({"vip":"api"})") return {.body = "{}"};
    if (request.path == "/v1/take") {
      return {.status = 409, .body = "{\"error\":\"nobody is known\"}"};
    }
    if (request.path == "/v1/reload") {
      return {.body =
                  ctl::list_json("warning", std::vector<std::string>{"a.conf:1: odd", "\033[31m"})};
    }
    if (request.path == "/v1/quit") loop_.stop(0);
    return {.status = 404, .body = "no JSON"};
  }

  Response resign(const std::string& body) {
    if (body.find("refuse") != std::string::npos) {
      return {.status = 422, .body = "{\"error\":\"first\\nsecond\\u001b[31m\"}"};
    }
    if (body.find("stuck") != std::string::npos) return {.body = "{}"};
    const bool is_alone = body.find("alone") != std::string::npos;
    later([this, is_alone] { change(is_alone ? "owner" : "standby"); });
    return {.body = "{}"};
  }

  // To n2; what else can become of it goes by the name of the node.
  Response transfer(const std::string& body) {
    const std::string node = fixture::replaced(body, R"({"vip":"api","node":)", "");
    VipStatus& vip = status_.vips[0];
    vip.state = "owner";
    if (node == "\"n2\"}") {
      later([&vip] { vip.queue = {{.node = "n2", .priority = 100, .session = "b"}}; });
    } else if (node == "\"silent\"}") {
      later([&vip] { vip.transfer_failed = "silent does not beat"; });
    } else if (node == "\"overtaken\"}") {
      later([&vip] {
        vip.state = "standby";
        vip.owner = "n3";
      });
    } else {
      return {.status = 409,
              .body = R"({"error":"refused: )" + fixture::replaced(body, "\"", "'") + "\"}"};
    }
    return {.body = "{}"};
  }

  Response pause(const std::string& body) {
    if (body == R"({"persist":true})") return {.status = 500, .body = R"({"error":"disk full"})"};
    if (body != "{}") return {.status = 400, .body = ""};
    later([this] {
      change("paused");
      later([this] { status_.state = "paused"; });
    });
    return {.body = "{}"};
  }

  void later(Loop::Handler handler) {
    static_cast<void>(
        loop_.add_timer(loop_.now() + Duration::milliseconds(150), std::move(handler)));
  }

  void change(const std::string& state) {
    for (VipStatus& vip : status_.vips) {
      if (vip.name == "stuck") continue;
      vip.state = state;
      ++vip.transitions;
    }
    server_->publish("{}");
  }

  static VipStatus vip(const std::string& name, const std::string& address) {
    VipStatus vip;
    vip.name = name;
    vip.address = address;
    vip.state = "owner";
    vip.transitions = 1;
    return vip;
  }

  Loop loop_;
  std::unique_ptr<ctl::Server> server_;
  Status status_ = [] {
    Status status;
    status.version = "1.2.3";
    status.state = "running";
    status.vips = {vip("api", "10.0.0.1"), vip("alone", "10.0.0.2"), vip("stuck", "10.0.0.3")};
    return status;
  }();
};

struct Result {
  int status = -1;
  std::string out;
  std::string err;
};

class House {
 public:
  House() : daemon_(fork()) {
    if (daemon_ == 0) {
      Daemon().serve(path);
      _exit(0);
    }
    for (int i = 0; i < 500 && access(path.c_str(), F_OK) != 0; ++i) usleep(10'000);
  }
  ~House() { stop(); }
  House(const House&) = delete;
  House& operator=(const House&) = delete;

  void stop() {
    if (daemon_ <= 0) return;
    kill(daemon_, SIGKILL);
    waitpid(daemon_, nullptr, 0);
    daemon_ = 0;
    unlink(path.c_str());
  }

  // In a process of its own: options and signals of one run do not reach the next.
  pid_t start(std::vector<std::string> words, const std::string& to = "out") {
    const std::string out = folder_.path() + "/" + to;
    words.insert(words.begin(), {"vipctl", "-s", path});
    const pid_t pid = fork();
    if (pid != 0) return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 1);
    dup2(open(err_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 2);
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    exit(ctl::vipctl_main(static_cast<int>(words.size()), argv.data()));
  }
  Result end(pid_t pid, const std::string& to = "out") {
    int status = 0;
    waitpid(pid, &status, 0);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, fixture::read(folder_.path() + "/" + to),
            fixture::read(err_)};
  }
  Result run(const std::vector<std::string>& words) { return end(start(words)); }
  // Until so many lines have been written, or five seconds have gone. How many there are then.
  size_t await_lines(const std::string& to, size_t count) {
    size_t lines = 0;
    for (int i = 0; i < 500 && lines < std::max<size_t>(count, 1); ++i) {
      usleep(10'000);
      lines = fixture::lines(fixture::read(folder_.path() + "/" + to)).size();
    }
    return lines;
  }

 private:
  fixture::Folder folder_;
  std::string out_ = folder_.file("out", "");
  std::string watch_ = folder_.file("watch", "");
  std::string err_ = folder_.file("err", "");

 public:
  const std::string path = folder_.path() + "/vipd.sock";

 private:
  pid_t daemon_;
};

void status_is_shown() {
  House house;
  const Result table = house.run({"status"});
  TEST_ASSERT_EQUAL_INT(0, table.status);
  TEST_ASSERT_TRUE(table.out.find("\nVIP    ADDRESS   LINK  STATE  OWNER") != std::string::npos);
  TEST_ASSERT_TRUE(table.out.find('\033') == std::string::npos);
  const Result json = house.run({"status", "--json"});
  TEST_ASSERT_EQUAL_INT(0, json.status);
  TEST_ASSERT_TRUE(json.out.starts_with("{\"version\":\"1.2.3\",") &&
                   json.out.ends_with("\"nodes_differ\":\"\"}\n"));
}

void usage_errors_end_with_2() {
  House house;
  for (const std::vector<std::string>& words : {std::vector<std::string>{},
                                                {"stat"},
                                                {"status", "x"},
                                                {"pause", "api"},
                                                {"--bogus"},
                                                {"-s"},
                                                {"reload", "--json"},
                                                {"history", "--watch"},
                                                {"metrics", "--json"},
                                                {"resign", "--watch"}}) {
    const Result result = house.run(words);
    TEST_ASSERT_EQUAL_INT(2, result.status);
    TEST_ASSERT_EQUAL_STRING("", result.out);
    TEST_ASSERT_TRUE(result.err.ends_with("See vipctl --help.\n"));
  }
  TEST_ASSERT_EQUAL_INT(0, house.run({"--help"}).status);
}

void without_a_daemon_every_command_ends_with_3() {
  House house;
  house.stop();
  for (const std::vector<std::string>& words : {std::vector<std::string>{"status"},
                                                {"status", "--watch"},
                                                {"status", "--json"},
                                                {"resign"},
                                                {"pause"},
                                                {"resume"},
                                                {"reload"},
                                                {"history"},
                                                {"metrics"},
                                                {"version"}}) {
    const Result result = house.run(words);
    TEST_ASSERT_EQUAL_INT(3, result.status);
    TEST_ASSERT_EQUAL_STRING("vipctl: no daemon at " + house.path +
                                 ": No such file or directory; start vipd, or name its "
                                 "control.socket with -s\n",
                             result.err);
  }
}

void resign_waits_until_the_vip_is_gone() {
  House house;
  TEST_ASSERT_EQUAL_INT(0, house.run({"resign", "api"}).status);
  TEST_ASSERT_TRUE(house.run({"status", "--json"}).out.find("\"standby\"") != std::string::npos);
}

void resign_knows_vips_by_their_address() {
  House house;
  TEST_ASSERT_EQUAL_INT(0, house.run({"resign", "10.0.0.1"}).status);
  TEST_ASSERT_TRUE(house.run({"status", "--json"}).out.find("\"standby\"") != std::string::npos);
}

void resign_of_a_node_that_is_alone_ends_too() {
  House house;
  const Result result = house.run({"resign", "alone"});
  TEST_ASSERT_EQUAL_STRING("", result.err);
  TEST_ASSERT_EQUAL_INT(0, result.status);
}

void resign_that_does_not_happen_is_told() {
  House house;
  const Result result = house.run({"resign", "stuck"});
  TEST_ASSERT_EQUAL_INT(1, result.status);
  TEST_ASSERT_EQUAL_STRING("vipctl: accepted, but after 5 s this node still owns VIP 'stuck'\n",
                           result.err);
}

void refusal_is_told_line_by_line() {
  House house;
  const Result result = house.run({"resign", "refuse"});
  TEST_ASSERT_EQUAL_INT(1, result.status);
  TEST_ASSERT_EQUAL_STRING("vipctl: first\nvipctl: second?[31m\n", result.err);
  const Result other = house.run({"resume"});
  TEST_ASSERT_EQUAL_INT(1, other.status);
  TEST_ASSERT_EQUAL_STRING("vipctl: the daemon answered with status 404\n", other.err);
}

void reload_that_warns_is_done() {
  House house;
  const Result result = house.run({"reload"});
  TEST_ASSERT_EQUAL_INT(0, result.status);
  TEST_ASSERT_EQUAL_STRING("", result.out);
  TEST_ASSERT_EQUAL_STRING("warning: a.conf:1: odd\nwarning: ?[31m\n", result.err);
}

void pause_waits_for_the_daemon_and_for_the_vips() {
  House house;
  const Result result = house.run({"pause"});
  TEST_ASSERT_EQUAL_INT(1, result.status);  // "stuck" is still there
  TEST_ASSERT_EQUAL_STRING("vipctl: accepted, but after 5 s this node still owns VIP 'stuck'\n",
                           result.err);
}

void pause_that_persists_says_so() {
  House house;
  const Result result = house.run({"pause", "--persist"});
  TEST_ASSERT_EQUAL_INT(1, result.status);
  TEST_ASSERT_EQUAL_STRING("vipctl: disk full\n", result.err);
}

void transfer_waits_until_that_node_is_the_first() {
  House house;
  const Result done = house.run({"transfer", "api", "n2"});
  TEST_ASSERT_EQUAL_STRING("", done.err);
  TEST_ASSERT_EQUAL_INT(0, done.status);
  TEST_ASSERT_EQUAL_INT(2, house.run({"transfer", "api"}).status);
}

void take_asks_for_one_vip() {
  House house;
  TEST_ASSERT_EQUAL_INT(0, house.run({"take", "api"}).status);
  const Result refused = house.run({"take", "db"});
  TEST_ASSERT_EQUAL_INT(1, refused.status);
  TEST_ASSERT_TRUE(refused.err.find("nobody is known") != std::string::npos);
  TEST_ASSERT_EQUAL_INT(2, house.run({"take"}).status);
  TEST_ASSERT_EQUAL_INT(2, house.run({"take", "api", "db"}).status);
}

void transfer_that_comes_to_nothing_says_why() {
  House house;
  const Result refused = house.run({"transfer", "api", "n9"});
  TEST_ASSERT_EQUAL_INT(1, refused.status);
  TEST_ASSERT_EQUAL_STRING("vipctl: refused: {'vip':'api','node':'n9'}\n", refused.err);
  const Result overtaken = house.run({"transfer", "api", "overtaken"});
  TEST_ASSERT_EQUAL_INT(1, overtaken.status);
  TEST_ASSERT_EQUAL_STRING("vipctl: n3 has VIP 'api' now\n", overtaken.err);
  const Result given_up = house.run({"transfer", "api", "silent"});
  TEST_ASSERT_EQUAL_INT(1, given_up.status);
  TEST_ASSERT_EQUAL_STRING("vipctl: silent does not beat\n", given_up.err);
}

void history_and_metrics_are_shown() {
  House house;
  const Result history = house.run({"history"});
  TEST_ASSERT_EQUAL_INT(0, history.status);
  TEST_ASSERT_EQUAL_STRING(
      "t1  vip api: standby -> owner: n?[31m fell silent  [no session, no authority, revision 7]\n",
      history.out);
  const Result json = house.run({"history", "--json"});
  TEST_ASSERT_EQUAL_INT(0, json.status);
  TEST_ASSERT_TRUE(json.out.starts_with("{\"history\":[{") && json.out.ends_with("]}\n"));
  TEST_ASSERT_EQUAL_STRING("vipd_fenced_total 0\n", house.run({"metrics"}).out);
}

void version_names_both() {
  House house;
  const Result result = house.run({"version"});
  TEST_ASSERT_EQUAL_INT(0, result.status);
  TEST_ASSERT_TRUE(result.out.starts_with("vipctl ") && result.out.ends_with("\nvipd 1.2.3\n"));
}

void watch_prints_one_status_for_each_change() {
  House house;
  const pid_t watcher = house.start({"status", "--watch", "--json"}, "watch");
  TEST_ASSERT_EQUAL_INT(1, house.await_lines("watch", 1));
  usleep(1'500'000);
  TEST_ASSERT_EQUAL_INT(1, house.await_lines("watch", 0));  // nothing happened
  TEST_ASSERT_EQUAL_INT(0, house.run({"resign", "api"}).status);
  TEST_ASSERT_EQUAL_INT(2, house.await_lines("watch", 2));
  kill(watcher, SIGTERM);
  const std::vector<std::string> lines = fixture::lines(house.end(watcher, "watch").out);
  TEST_ASSERT_EQUAL_INT(2, lines.size());
  TEST_ASSERT_TRUE(lines[0].find("\"standby\"") == std::string::npos);
  TEST_ASSERT_TRUE(lines[1].find("\"standby\"") != std::string::npos);
}

void watch_ends_with_the_daemon() {
  House house;
  const pid_t watcher = house.start({"status", "--watch"});
  house.await_lines("out", 5);
  house.stop();
  const Result result = house.end(watcher);
  TEST_ASSERT_EQUAL_INT(3, result.status);
  TEST_ASSERT_EQUAL_STRING("vipctl: the daemon at " + house.path + " went away\n", result.err);
  TEST_ASSERT_TRUE(result.out.starts_with("node "));
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(status_is_shown);
  RUN_TEST(usage_errors_end_with_2);
  RUN_TEST(without_a_daemon_every_command_ends_with_3);
  RUN_TEST(resign_waits_until_the_vip_is_gone);
  RUN_TEST(resign_knows_vips_by_their_address);
  RUN_TEST(resign_of_a_node_that_is_alone_ends_too);
  RUN_TEST(resign_that_does_not_happen_is_told);
  RUN_TEST(refusal_is_told_line_by_line);
  RUN_TEST(reload_that_warns_is_done);
  RUN_TEST(pause_waits_for_the_daemon_and_for_the_vips);
  RUN_TEST(pause_that_persists_says_so);
  RUN_TEST(transfer_waits_until_that_node_is_the_first);
  RUN_TEST(take_asks_for_one_vip);
  RUN_TEST(transfer_that_comes_to_nothing_says_why);
  RUN_TEST(history_and_metrics_are_shown);
  RUN_TEST(version_names_both);
  RUN_TEST(watch_prints_one_status_for_each_change);
  RUN_TEST(watch_ends_with_the_daemon);
  return UNITY_END();
}
