#include "check/checks.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "fixture.hpp"
#include "harness.hpp"
#include "net/netlink.hpp"
#include "run/runner.hpp"
#include "sys/fd.hpp"
#include "vipd/log.hpp"

using namespace vipd;
using check::Checks;
using check::State;

namespace {

constexpr Duration kStep = Duration::milliseconds(10);

// Listens on 127.0.0.1 and gives whoever connects the same answer; "" is none at all.
struct Server {
  explicit Server(Loop& l, std::string text) : loop(l), answer(std::move(text)) {
    fd.reset(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    if (bind(fd.get(), reinterpret_cast<sockaddr*>(&at), size) < 0) abort();
    if (listen(fd.get(), 16) < 0) abort();
    getsockname(fd.get(), reinterpret_cast<sockaddr*>(&at), &size);
    port = std::to_string(ntohs(at.sin_port));
    watch = loop.add_fd(fd.get(), EPOLLIN, [this](uint32_t) { serve(); });
  }
  ~Server() { loop.remove_fd(watch); }
  void serve() {
    clients.emplace_back(accept4(fd.get(), nullptr, nullptr, SOCK_CLOEXEC));
    ++count;
    if (!answer.empty()) {
      [[maybe_unused]] const ssize_t size =
          send(clients.back().get(), answer.data(), answer.size(), MSG_NOSIGNAL);
      shutdown(clients.back().get(), SHUT_WR);
    }
  }
  Loop& loop;
  std::string answer;
  std::string port;
  sys::Fd fd;
  Loop::FdWatch watch;
  std::vector<sys::Fd> clients;
  int count = 0;
};

std::string http(const std::string& status, const std::string& body = "") {
  return "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         body;
}

struct Bench {
  Loop loop;
  std::string reason;
  std::unique_ptr<run::Runner> runner;
  int changes = 0;
  const net::Link* link = nullptr;  // what any name stands for
  int looks = 0;                    // at that
  // Of etcd as it is played: what it has, and whether it answers.
  std::optional<std::string> key = "n1";
  std::string key_asked;
  bool answers = true;
  int reads = 0;
  std::unique_ptr<Checks> checks;

  explicit Bench(bool runs = false) {
    if (runs) runner = run::Runner::start(loop, nullptr, &reason);
    checks = std::make_unique<Checks>(
        check::Tools{.loop = loop,
                     .runner = runner.get(),
                     .environment = {},
                     .link_of = nullptr,
                     .link_named =
                         [this](const std::string&) {
                           ++looks;
                           return link;
                         },
                     .node = "n1",
                     .read_key =
                         [this](const std::string& name, auto read, auto failed) {
                           ++reads;
                           key_asked = name;
                           (void)loop.add_timer(loop.now(), [this, read, failed] {
                             if (!answers) return failed();
                             read(key ? &*key : nullptr);
                           });
                         }},
        [this] { ++changes; });
  }
  bool wait(const std::function<bool()>& done) {
    const MonoTime end = loop.now() + Duration::seconds(20);
    while (!done() && loop.now() < end) loop.run_once(kStep);
    return done();
  }
  bool wait(State state) {
    return wait([&] { return checks->state("c") == state; });
  }
};

CheckConfig config(CheckKind kind, const std::string& target) {
  CheckConfig c;
  c.name = "c";
  c.kind = kind;
  c.target = target;
  c.interval = Duration::milliseconds(100);
  c.timeout = Duration::milliseconds(300);
  c.rise = 1;
  c.fall = 2;
  return c;
}

void a_url_is_up_with_any_status_of_success() {
  Bench b;
  Server server(b.loop, http("204 No Content"));
  b.checks->configure({config(CheckKind::Http, "http://127.0.0.1:" + server.port + "/x")});
  TEST_ASSERT_TRUE(b.checks->state("c") == State::Unknown);
  TEST_ASSERT_TRUE(b.wait(State::Up));
  server.answer = http("200 OK", std::string(200'000, 'x'));  // more than is read
  const int before = server.count;
  TEST_ASSERT_TRUE(b.wait([&] { return server.count >= before + 4; }));
  TEST_ASSERT_TRUE(b.checks->state("c") == State::Up);
  server.answer = http("302 Found");
  TEST_ASSERT_TRUE(b.wait(State::Down));
  TEST_ASSERT_EQUAL_STRING("status 302", b.checks->reason("c"));
  TEST_ASSERT_EQUAL_STRING("down", b.checks->status("c").state);
}

void statuses_are_good_as_configured() {
  Bench b;
  Server server(b.loop, http("401 Unauthorized"));
  CheckConfig web = config(CheckKind::Http, "http://127.0.0.1:" + server.port + "/x");
  web.statuses = {{200, 204}, {401, 401}};
  b.checks->configure({web});
  TEST_ASSERT_TRUE(b.wait(State::Up));
  server.answer = http("205 Reset Content");
  TEST_ASSERT_TRUE(b.wait(State::Down));
  TEST_ASSERT_EQUAL_STRING("status 205", b.checks->reason("c"));
}

void a_header_file_that_cannot_be_read_stays_in_use() {
  Bench b;
  fixture::Folder folder;
  Server server(b.loop, http("200 OK"));
  CheckConfig web = config(CheckKind::Http, "http://127.0.0.1:" + server.port + "/x");
  web.header_file = folder.file("headers", "X-Token: 1\n");
  chmod(web.header_file.c_str(), 0644);
  b.checks->configure({web});
  TEST_ASSERT_TRUE(b.wait(State::Down));
  TEST_ASSERT_EQUAL_STRING(
      "header_file: " + web.header_file + ": others than its owner have access; chmod 600 it",
      b.checks->reason("c"));
  TEST_ASSERT_EQUAL_INT(0, server.count);
  chmod(web.header_file.c_str(), 0600);
  TEST_ASSERT_TRUE(b.wait(State::Up));
  remove(web.header_file.c_str());
  const int before = server.count;
  TEST_ASSERT_TRUE(b.wait([&] { return server.count >= before + 3; }));
  TEST_ASSERT_TRUE(b.checks->state("c") == State::Up);
}

net::Link link_with_carrier() {
  net::Link link;
  link.name = "eth7";
  link.up = link.carrier = true;
  return link;
}

// Once its verdict stands, a link is only looked at when the kernel tells of one.
void a_link_is_up_while_it_has_carrier() {
  Bench b;
  net::Link link = link_with_carrier();
  b.link = &link;
  b.checks->configure({config(CheckKind::Link, "eth7")});
  TEST_ASSERT_TRUE(b.wait(State::Up));
  const int before = b.looks;
  for (int i = 0; i < 30; ++i) b.loop.run_once(kStep);
  TEST_ASSERT_EQUAL_INT(before, b.looks);
  link.carrier = false;
  b.checks->links_changed();
  TEST_ASSERT_TRUE(b.wait(State::Down));
  TEST_ASSERT_EQUAL_STRING("eth7 has no carrier", b.checks->reason("c"));
  TEST_ASSERT_EQUAL_INT(before + 2, b.looks);  // fall
  b.link = nullptr;
  b.checks->links_changed();
  TEST_ASSERT_TRUE(b.wait([&] { return b.checks->reason("c") == "there is no link eth7"; }));
  b.link = &link;
  link.carrier = true;
  b.checks->links_changed();
  TEST_ASSERT_TRUE(b.wait(State::Up));
}

void a_key_of_etcd_has_this_nodes_name() {
  Bench b;
  b.checks->configure({config(CheckKind::Etcd, "/service/db/leader")});
  TEST_ASSERT_TRUE(b.wait(State::Up));
  TEST_ASSERT_EQUAL_STRING("/service/db/leader", b.key_asked);
  b.key = "n2\n";
  TEST_ASSERT_TRUE(b.wait(State::Down));
  TEST_ASSERT_EQUAL_STRING("/service/db/leader is n2?, not n1", b.checks->reason("c"));
  b.key.reset();
  TEST_ASSERT_TRUE(
      b.wait([&] { return b.checks->reason("c") == "there is no key /service/db/leader"; }));
  b.checks->configure({config(CheckKind::Etcd, "/service/db/leader = a = b")});
  b.key = "a = b";
  TEST_ASSERT_TRUE(b.wait(State::Up));
  TEST_ASSERT_EQUAL_STRING("/service/db/leader", b.key_asked);
}

// Neither good nor bad: the check stays as it is, and is looked at again as soon as etcd answers.
void an_etcd_that_does_not_answer_changes_no_check() {
  Bench b;
  b.checks->configure({config(CheckKind::Etcd, "/k")});
  TEST_ASSERT_TRUE(b.wait(State::Up));
  b.answers = false;
  b.key = "n2";
  const int before = b.reads;
  TEST_ASSERT_TRUE(b.wait([&] { return b.reads >= before + 3; }));
  TEST_ASSERT_TRUE(b.checks->state("c") == State::Up);
  b.answers = true;
  TEST_ASSERT_TRUE(b.wait(State::Down));
}

// The answer comes when nobody wants it any more.
void a_key_that_is_read_late_is_nobodys() {
  Bench b;
  b.checks->configure({config(CheckKind::Etcd, "/k")});
  TEST_ASSERT_TRUE(b.wait([&] { return b.reads > 0; }));
  b.checks->configure({});
  for (int i = 0; i < 5; ++i) b.loop.run_once(kStep);
}

// Many notices in a row are one look each interval.
void a_link_that_flaps_is_up() {
  Bench b;
  net::Link link = link_with_carrier();
  b.link = &link;
  b.checks->configure({config(CheckKind::Link, "eth7")});
  TEST_ASSERT_TRUE(b.wait(State::Up));
  link.carrier = false;
  for (int i = 0; i < 5; ++i) b.checks->links_changed();
  b.loop.run_once(kStep);
  link.carrier = true;
  for (int i = 0; i < 30; ++i) b.loop.run_once(kStep);
  TEST_ASSERT_TRUE(b.checks->state("c") == State::Up);
}

void a_url_that_does_not_answer_is_down() {
  Bench b;
  Server server(b.loop, "");
  b.checks->configure({config(CheckKind::Http, "http://127.0.0.1:" + server.port + "/")});
  TEST_ASSERT_TRUE(b.wait(State::Down));
  TEST_ASSERT_EQUAL_STRING("no answer within 300 ms", b.checks->reason("c"));
}

void a_port_is_up_while_it_accepts() {
  Bench b;
  auto server = std::make_unique<Server>(b.loop, "");
  b.checks->configure({config(CheckKind::Tcp, "localhost:" + server->port)});
  TEST_ASSERT_TRUE(b.wait(State::Up));
  server.reset();
  TEST_ASSERT_TRUE(b.wait(State::Down));
  TEST_ASSERT_EQUAL_STRING("Connection refused", b.checks->reason("c"));
}

void a_file_is_a_switch() {
  Bench b;
  fixture::Folder folder;
  const std::string path = folder.file("serve", "");
  b.checks->configure({config(CheckKind::File, path)});
  TEST_ASSERT_TRUE(b.wait(State::Up));
  remove(path.c_str());
  TEST_ASSERT_TRUE(b.wait(State::Down));
  TEST_ASSERT_EQUAL_STRING(path + ": No such file or directory", b.checks->reason("c"));
}

void a_program_that_fails_says_why() {
  Bench b(true);
  fixture::Folder folder;
  const std::string script = folder.file("s", "echo first\necho \"$1 is not well\"\nexit 3\n");
  b.checks->configure({config(CheckKind::Exec, "/bin/sh " + script + " db")});
  TEST_ASSERT_TRUE(b.wait(State::Down));
  TEST_ASSERT_EQUAL_STRING("exit status 3: db is not well", b.checks->reason("c"));
  fixture::write(script, "exit 0\n");
  TEST_ASSERT_TRUE(b.wait(State::Up));
}

void people_overrule_results() {
  Bench b;
  b.checks->configure({config(CheckKind::File, "/nonexistent")});
  TEST_ASSERT_TRUE(b.wait(State::Down));
  TEST_ASSERT_TRUE(b.checks->override_with("c", State::Up));
  TEST_ASSERT_TRUE(b.checks->state("c") == State::Up && b.checks->status("c").overridden);
  TEST_ASSERT_EQUAL_STRING("", b.checks->reason("c"));
  TEST_ASSERT_TRUE(b.checks->override_with("c", std::nullopt));
  TEST_ASSERT_TRUE(b.checks->state("c") == State::Down);
  TEST_ASSERT_FALSE(b.checks->override_with("d", State::Up));
}

void reconfiguring_touches_what_changed_alone() {
  Bench b;
  Server server(b.loop, http("200 OK"));
  CheckConfig web = config(CheckKind::Http, "http://127.0.0.1:" + server.port + "/");
  web.interval = Duration::seconds(60);
  CheckConfig other = config(CheckKind::File, "/nonexistent");
  other.name = "d";
  b.checks->configure({web, other});
  TEST_ASSERT_TRUE(b.wait(State::Up));
  b.checks->configure({web});
  TEST_ASSERT_TRUE(b.checks->state("d") == State::Unknown);
  for (int i = 0; i < 10; ++i) b.loop.run_once(kStep);
  TEST_ASSERT_EQUAL_INT(1, server.count);
  b.checks->configure({config(CheckKind::File, "/nonexistent")});
  TEST_ASSERT_TRUE(b.checks->state("c") == State::Up);  // until that has been looked at
  TEST_ASSERT_TRUE(b.wait(State::Down));
}

void targets_are_taken_apart() {
  TEST_ASSERT_EQUAL_STRING("a.b", check::place_of("https://a.b:443/x:y/[z").host);
  TEST_ASSERT_EQUAL_STRING("443", check::place_of("https://a.b:443/x:y/[z").port);
  TEST_ASSERT_EQUAL_STRING("::1", check::place_of("[::1]:22").host);
  TEST_ASSERT_FALSE(check::place_of("http://[::1]:22/").named);
  TEST_ASSERT_TRUE(check::place_of("localhost:22").named);
}

}  // namespace

int main() {
  vipd::log::open(vipd::log::Target::Stderr, vipd::log::Level::Error);
  UNITY_BEGIN();
  RUN_TEST(a_url_is_up_with_any_status_of_success);
  RUN_TEST(statuses_are_good_as_configured);
  RUN_TEST(a_header_file_that_cannot_be_read_stays_in_use);
  RUN_TEST(a_link_is_up_while_it_has_carrier);
  RUN_TEST(a_link_that_flaps_is_up);
  RUN_TEST(a_key_of_etcd_has_this_nodes_name);
  RUN_TEST(an_etcd_that_does_not_answer_changes_no_check);
  RUN_TEST(a_key_that_is_read_late_is_nobodys);
  RUN_TEST(a_url_that_does_not_answer_is_down);
  RUN_TEST(a_port_is_up_while_it_accepts);
  RUN_TEST(a_file_is_a_switch);
  RUN_TEST(a_program_that_fails_says_why);
  RUN_TEST(people_overrule_results);
  RUN_TEST(reconfiguring_touches_what_changed_alone);
  RUN_TEST(targets_are_taken_apart);
  return UNITY_END();
}
