#include "ctl/server.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "ctl/shared_answers.hpp"
#include "fixture.hpp"
#include "harness.hpp"
#include "sys/fd.hpp"

using vipd::Duration;
using vipd::Loop;
using vipd::ctl::Request;
using vipd::ctl::Response;
using vipd::ctl::Server;
using vipd::sys::Fd;

namespace {

const std::string kGet = "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n";
const std::string kEvents = "GET /events HTTP/1.1\r\nHost: a\r\n\r\n";
const std::string kHead = "Content-Type: application/json\r\nCache-Control: no-store\r\n";

std::string ok(const std::string& body) {
  return "HTTP/1.1 200 OK\r\n" + kHead + "Content-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

Response answer(const Request& request) {
  if (request.path == "/events") return {.body = "", .stream = true};
  if (request.path == "/large") return {.body = std::string(4 << 20, 'x')};
  if (request.path != "/echo") return {.status = 404, .body = "{}"};
  return {.body = request.method + " " + request.path + " " + request.body};
}

// A TCP port of the loopback at which nobody listens: "127.0.0.1:PORT".
std::string free_place() {
  const Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size);
  getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size);
  return "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
}

int connect_tcp(const std::string& place) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int port = std::stoi(place.substr(place.rfind(':') + 1));
  address.sin_port = htons(static_cast<uint16_t>(port));
  static_cast<void>(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address));
  return fd;
}

int connect_to(const std::string& path) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return fd;
  close(fd);
  return -1;
}

// A server in a folder of its own and the loop that drives it.
struct House {
  fixture::Folder folder;
  std::string path = folder.path() + "/vipd.sock";
  Loop loop;
  std::string reason;
  std::unique_ptr<Server> server = Server::open(loop, path, answer, &reason);

  void turns(int count) {
    for (int i = 0; i < count; ++i) loop.run_once(Duration::milliseconds(2));
  }
};

struct Client {
  explicit Client(House& house) : house_(house), fd(connect_to(house.path)) {}
  Client(House& house, const std::string& place) : house_(house), fd(connect_tcp(place)) {}

  void send(const std::string& text) {
    for (size_t sent = 0; sent < text.size();) {
      const ssize_t size = ::send(fd.get(), text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
      if (size < 0 && errno != EAGAIN) return;
      if (size > 0) sent += static_cast<size_t>(size);
      house_.turns(1);
    }
  }
  // What comes until nothing has come for a few turns; is_closed tells whether that was the end.
  std::string receive() {
    std::string text;
    char buffer[65536];
    for (int quiet = 0; quiet < 5 && !is_closed;) {
      house_.turns(1);
      const ssize_t size = recv(fd.get(), buffer, sizeof buffer, 0);
      if (size > 0) text.append(buffer, static_cast<size_t>(size));
      quiet = size > 0 ? 0 : quiet + 1;
      is_closed = size == 0 || (size < 0 && errno != EAGAIN);
    }
    return text;
  }
  std::string ask(const std::string& text) {
    send(text);
    return receive();
  }

  House& house_;
  Fd fd;
  bool is_closed = false;
};

void request_is_answered() {
  House house;
  TEST_ASSERT_NOT_NULL(house.server);
  Client client(house);
  TEST_ASSERT_EQUAL_STRING(ok("GET /echo "), client.ask(kGet));
  TEST_ASSERT_FALSE(client.is_closed);
}

void connection_serves_many_requests_and_bodies() {
  House house;
  Client client(house);
  const std::string post = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";
  for (int i = 0; i < 10; ++i) TEST_ASSERT_EQUAL_STRING(ok("POST /echo hi"), client.ask(post));
  TEST_ASSERT_TRUE(
      client.ask("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").starts_with("HTTP/1.1 404 Not"));
  TEST_ASSERT_FALSE(client.is_closed);
}

void request_may_come_byte_by_byte() {
  House house;
  Client client(house);
  for (const char c : kGet) client.send(std::string(1, c));
  TEST_ASSERT_EQUAL_STRING(ok("GET /echo "), client.receive());
}

void pipelined_requests_are_answered_in_order() {
  House house;
  Client client(house);
  std::string requests;
  std::string answers;
  for (int i = 0; i < 50; ++i) {
    const std::string body = std::to_string(i);
    requests += "PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) +
                "\r\n\r\n" + body;
    answers += ok("PUT /echo " + body);
  }
  TEST_ASSERT_EQUAL_STRING(answers, client.ask(requests));
}

size_t answers_in(const std::string& text) {
  size_t count = 0;
  for (size_t at = text.find("HTTP/1.1"); at != std::string::npos; ++count) {
    at = text.find("HTTP/1.1", at + 1);
  }
  return count;
}

void pipelined_requests_wait_for_their_turn() {
  House house;
  Client client(house);
  house.turns(2);
  std::string requests;
  for (int i = 0; i < 400; ++i) requests += kGet;
  client.send(requests);  // and one turn
  char buffer[65536];
  const ssize_t size = recv(client.fd.get(), buffer, sizeof buffer, 0);
  const std::string first(buffer, static_cast<size_t>(std::max<ssize_t>(size, 0)));
  TEST_ASSERT_EQUAL_INT(1, answers_in(first));
  TEST_ASSERT_EQUAL_INT(399, answers_in(client.receive()));
  TEST_ASSERT_FALSE(client.is_closed);
}

// Sixty that ask at once cost two renderings: one for the first, and one for all who came after it
// had begun. Renderings are counted, not time.
void what_is_costly_is_rendered_once_for_all_who_wait() {
  constexpr int kClients = 60;
  const std::string text(300 << 10, 'x');
  fixture::Folder folder;
  Loop loop;
  int rendered = 0;
  size_t answered = 0;
  vipd::ctl::SharedAnswers shared(loop);
  const auto render = [&](Response* response) {
    rendered++;
    usleep(20'000);
    response->body = text;
    return false;
  };
  std::string reason;
  const auto server = Server::open(
      loop, folder.path() + "/vipd.sock",
      [&](const Request& request) {
        return shared.answer("all", "it", request, [&] { return render; });
      },
      &reason);
  std::vector<Fd> clients;
  std::vector<size_t> received(kClients, 0);
  for (int i = 0; i < kClients; i++) {
    clients.emplace_back(connect_to(folder.path() + "/vipd.sock"));
    static_cast<void>(send(clients.back().get(), kGet.data(), kGet.size(), MSG_NOSIGNAL));
  }
  std::vector<char> buffer(1 << 20);
  for (int turn = 0; turn < 2'000 && answered < kClients; turn++) {
    loop.run_once(Duration::milliseconds(5));
    answered = 0;
    for (size_t i = 0; i < clients.size(); i++) {
      const ssize_t size = recv(clients[i].get(), buffer.data(), buffer.size(), 0);
      if (size > 0) received[i] += static_cast<size_t>(size);
      answered += received[i] > text.size() ? 1 : 0;
    }
  }
  TEST_ASSERT_EQUAL_INT(kClients, answered);
  TEST_ASSERT_TRUE(rendered >= 2 && rendered <= 6);  // they are accepted in four turns
}

// Whoever asks after something was done is told of it.
void what_was_rendered_before_a_request_is_no_answer_to_it() {
  Loop loop;
  vipd::ctl::SharedAnswers shared(loop);
  std::string text(100 << 10, 'a');
  const auto ask = [&](vipd::MonoTime since) {
    Request request;
    request.since = since;
    return shared.answer("all", "it", request, [&] {
      return [&](Response* response) {
        response->body = text;
        return false;
      };
    });
  };
  const vipd::MonoTime before = loop.now();
  TEST_ASSERT_EQUAL_INT('a', ask(before).shared->front());
  text.assign(100 << 10, 'b');
  TEST_ASSERT_EQUAL_INT('a', ask(before).shared->front());
  for (;;) {
    const Response response = ask(loop.now());
    if (response.not_before) continue;
    TEST_ASSERT_EQUAL_INT('b', response.shared->front());
    break;
  }
}

struct Cut {
  Loop loop;
  vipd::ctl::SharedAnswers shared{loop};
  int begun = 0;
  int parts = 0;

  // 20 parts, of which each takes half of a turn's budget.
  Response ask() {
    Request request;
    request.since = loop.now();
    return shared.answer("all", "it", request, [this] {
      begun++;
      return [this, left = 20](Response* response) mutable {
        parts++;
        usleep(6'000);
        response->body += "a part";
        return --left > 0;
      };
    });
  }
};

// Parts are counted, not time.
void what_takes_long_is_rendered_over_several_turns() {
  Cut cut;
  cut.loop.run_once(Duration());
  std::optional<Response> response;
  int most = 0;
  const auto timer = [&] { response = cut.ask(); };
  static_cast<void>(cut.loop.add_timer(cut.loop.now(), timer));
  for (int turns = 0; cut.parts < 20 && turns < 100; turns++) {
    const int before = cut.parts;
    cut.loop.run_once(Duration::milliseconds(10));
    most = std::max(most, cut.parts - before);
  }
  TEST_ASSERT_TRUE(response->not_before.has_value());
  TEST_ASSERT_TRUE(most >= 1 && most <= 3);
  TEST_ASSERT_EQUAL_INT(1, cut.begun);
}

void what_changed_meanwhile_is_rendered_anew() {
  Cut cut;
  static_cast<void>(cut.loop.add_timer(cut.loop.now(), [&] { static_cast<void>(cut.ask()); }));
  cut.loop.run_once(Duration::milliseconds(10));
  TEST_ASSERT_TRUE(cut.parts < 20);
  cut.shared.begin_anew();
  const int before = cut.parts;
  cut.loop.run_once(Duration());
  TEST_ASSERT_EQUAL_INT(before, cut.parts);
  const Response response = cut.ask();  // outside of a turn: nothing is cut
  TEST_ASSERT_FALSE(response.not_before.has_value());
  TEST_ASSERT_EQUAL_INT(20 * 6, response.body.size());
  TEST_ASSERT_EQUAL_INT(2, cut.begun);
}

void head_gets_no_body() {
  House house;
  Client client(house);
  TEST_ASSERT_EQUAL_STRING("HTTP/1.1 200 OK\r\n" + kHead + "Content-Length: 10\r\n\r\n",
                           client.ask("HEAD /echo HTTP/1.1\r\nHost: a\r\n\r\n"));
  TEST_ASSERT_EQUAL_STRING(ok("GET /echo "), client.ask(kGet));
}

void close_is_honoured() {
  House house;
  Client client(house);
  const std::string text = client.ask("GET /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  TEST_ASSERT_TRUE(text.find("Connection: close\r\n") != std::string::npos);
  TEST_ASSERT_TRUE(client.is_closed);
}

void half_closed_client_gets_its_answer() {
  House house;
  Client client(house);
  client.send(kGet);
  shutdown(client.fd.get(), SHUT_WR);
  TEST_ASSERT_EQUAL_STRING(ok("GET /echo "), client.receive());
  TEST_ASSERT_TRUE(client.is_closed);
}

void bad_request_is_told_and_ends_the_connection() {
  House house;
  Client client(house);
  const std::string text = client.ask("nonsense\r\n\r\n");
  TEST_ASSERT_TRUE(text.starts_with("HTTP/1.1 400 Bad Request\r\n"));
  TEST_ASSERT_TRUE(text.ends_with("{\"error\":\"the request line is not METHOD PATH VERSION\"}"));
  TEST_ASSERT_TRUE(client.is_closed);
}

void client_that_waits_for_continue_gets_it() {
  House house;
  Client client(house);
  const std::string head =
      "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
  TEST_ASSERT_EQUAL_STRING("HTTP/1.1 100 Continue\r\n\r\n", client.ask(head));
  TEST_ASSERT_EQUAL_STRING(ok("POST /echo hi"), client.ask("hi"));
  TEST_ASSERT_EQUAL_STRING(ok("POST /echo hi"), client.ask(head + "hi"));
}

void large_answer_is_written_in_parts() {
  House house;
  Client client(house);
  client.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n" + kGet);
  house.turns(20);  // nobody reads; the second request has to wait
  const std::string text = client.receive();
  TEST_ASSERT_TRUE(text.size() > (4 << 20));
  TEST_ASSERT_TRUE(text.ends_with(ok("GET /echo ")));
}

void client_that_only_sends_is_not_read_without_end() {
  House house;
  Client client(house);
  const std::string request = "GET /large HTTP/1.1\r\nHost: a\r\n\r\n";
  size_t sent = 0;
  for (int i = 0; i < 5000; ++i) {
    const ssize_t size = send(client.fd.get(), request.data(), request.size(), MSG_NOSIGNAL);
    if (size > 0) sent += static_cast<size_t>(size);
    if (i % 100 == 0) house.turns(1);
  }
  TEST_ASSERT_TRUE(sent > 0);
  house.turns(5);
  const ssize_t size = send(client.fd.get(), request.data(), request.size(), MSG_NOSIGNAL);
  TEST_ASSERT_TRUE(size < 0 && errno == EAGAIN);
}

void stream_gets_each_line_as_a_chunk() {
  House house;
  Client client(house);
  const std::string head = client.ask(kEvents);
  TEST_ASSERT_EQUAL_STRING("HTTP/1.1 200 OK\r\n" + kHead + "Transfer-Encoding: chunked\r\n\r\n",
                           head);
  Client other(house);
  other.ask(kGet);
  house.server->publish("{\"a\":1}");
  house.server->publish("{}");
  TEST_ASSERT_EQUAL_STRING("8\r\n{\"a\":1}\n\r\n3\r\n{}\n\r\n", client.receive());
  TEST_ASSERT_EQUAL_STRING("", other.receive());
}

// A system call for each line and reader would make a hand-over of thousands a long turn.
void lines_of_a_turn_are_sent_together() {
  House house;
  std::vector<std::unique_ptr<Client>> readers;
  for (int i = 0; i < 20; ++i) {
    readers.push_back(std::make_unique<Client>(house));
    readers.back()->ask(kEvents);
  }
  const std::string line(200, 'x');
  for (int i = 0; i < 1000; ++i) house.server->publish(line);
  char byte = 0;
  TEST_ASSERT_EQUAL_INT(-1, recv(readers[0]->fd.get(), &byte, 1, 0));  // not from the middle of it
  for (const auto& reader : readers) {
    const std::string text = reader->receive();
    TEST_ASSERT_EQUAL_INT(1000 * 207, text.size());
    TEST_ASSERT_TRUE(text.starts_with("c9\r\nxx") && text.ends_with("x\n\r\n"));
    TEST_ASSERT_FALSE(reader->is_closed);
  }
}

void what_was_told_last_is_sent_at_the_end() {
  House house;
  Client client(house);
  client.ask(kEvents);
  house.server->publish("{}");
  house.server.reset();
  TEST_ASSERT_EQUAL_STRING("3\r\n{}\n\r\n", client.receive());
  TEST_ASSERT_TRUE(client.is_closed);
}

// Who reads is not held up by who does not, and what the latter is not sent takes no more than its
// limit.
void who_does_not_read_costs_the_others_nothing() {
  House house;
  Client slow(house);
  slow.ask(kEvents);
  Client reader(house);
  reader.ask(kEvents);
  const std::string line(1000, 'x');
  size_t size = 0;
  for (int i = 0; i < 3000; ++i) {
    house.server->publish(line);
    if (i % 100 == 99) size += reader.receive().size();
  }
  TEST_ASSERT_EQUAL_INT(3000 * 1008, size);
  TEST_ASSERT_FALSE(reader.is_closed);
  slow.receive();
  TEST_ASSERT_TRUE(slow.is_closed);
}

void stream_of_an_old_client_has_no_chunks() {
  House house;
  Client client(house);
  TEST_ASSERT_EQUAL_STRING("HTTP/1.1 200 OK\r\n" + kHead + "Connection: close\r\n\r\n",
                           client.ask("GET /events HTTP/1.0\r\n\r\n"));
  house.server->publish("{}");
  TEST_ASSERT_EQUAL_STRING("{}\n", client.receive());
  TEST_ASSERT_FALSE(client.is_closed);
}

void stream_that_nobody_reads_is_dropped() {
  House house;
  Client slow(house);
  slow.ask(kEvents);
  const std::string line(1000, 'x');
  for (int i = 0; i < 3000; ++i) house.server->publish(line);
  const std::string text = slow.receive();
  TEST_ASSERT_TRUE(slow.is_closed);
  TEST_ASSERT_TRUE(text.size() < 2'000'000);
}

void stream_outlives_a_pause_of_its_reader() {
  House house;
  Client client(house);
  client.ask(kEvents);
  const std::string line(1000, 'x');
  for (int i = 0; i < 600; ++i) house.server->publish(line);
  TEST_ASSERT_EQUAL_INT(600 * 1008, client.receive().size());
  TEST_ASSERT_FALSE(client.is_closed);
}

void clients_that_go_away_are_forgotten() {
  House house;
  for (int i = 0; i < 300; ++i) {
    Client client(house);
    client.send(i % 2 == 0 ? kEvents : "GET /ec");
    if (i % 3 == 0) client.receive();
  }
  house.turns(5);
  house.server->publish("{}");
  Client client(house);
  TEST_ASSERT_EQUAL_STRING(ok("GET /echo "), client.ask(kGet));
}

void connections_are_bounded() {
  House house;
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 64; ++i) {
    clients.push_back(std::make_unique<Client>(house));
    house.turns(1);
  }
  Client one_more(house);
  TEST_ASSERT_TRUE(one_more.receive().starts_with("HTTP/1.1 503 Service Unavailable\r\n"));
  TEST_ASSERT_TRUE(one_more.is_closed);
  TEST_ASSERT_EQUAL_STRING(ok("GET /echo "), clients.back()->ask(kGet));
  clients.pop_back();
  house.turns(2);
  Client next(house);
  TEST_ASSERT_EQUAL_STRING(ok("GET /echo "), next.ask(kGet));
}

void time_is_bounded() {
  House house;
  Client slow(house);
  Client idle(house);
  Client steady(house);  // begins its second request when the first one ends
  Client stream(house);
  stream.ask(kEvents);
  const vipd::MonoTime begin = house.loop.now();
  slow.send("GET /echo HTTP/1.1\r\n");
  steady.send("GET /echo HTTP/1.1\r\n");
  std::string text;
  std::string steady_text;
  while (!slow.is_closed && house.loop.now() - begin < Duration::seconds(8)) {
    house.loop.run_once(Duration::milliseconds(200));
    text += slow.receive();
    const bool is_time = house.loop.now() - begin > Duration::seconds(3);
    if (is_time && steady_text.empty()) steady_text = steady.ask("Host: a\r\n\r\nGET /ec");
  }
  const Duration slow_time = house.loop.now() - begin;
  TEST_ASSERT_TRUE(text.starts_with("HTTP/1.1 408 Request Timeout\r\n"));
  TEST_ASSERT_TRUE(slow_time > Duration::milliseconds(4900) && slow_time < Duration::seconds(7));
  TEST_ASSERT_EQUAL_STRING(ok("GET /echo "), steady_text + steady.receive());
  TEST_ASSERT_FALSE(steady.is_closed);
  TEST_ASSERT_EQUAL_STRING("", idle.receive());
  TEST_ASSERT_FALSE(idle.is_closed);
  while (!idle.is_closed && house.loop.now() - begin < Duration::seconds(14)) {
    house.loop.run_once(Duration::milliseconds(200));
    idle.receive();
  }
  TEST_ASSERT_TRUE(idle.is_closed);
  TEST_ASSERT_TRUE(steady.receive().starts_with("HTTP/1.1 408 Request Timeout\r\n"));
  house.server->publish("{}");
  TEST_ASSERT_EQUAL_STRING("3\r\n{}\n\r\n", stream.receive());
}

void out_of_descriptors_is_not_the_end() {
  House house;
  Client first(house);
  first.ask(kGet);
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  const int waiting = connect_to(house.path);
  const int next_free = dup(0);
  close(next_free);
  const rlimit few = {static_cast<rlim_t>(next_free), before.rlim_max};
  setrlimit(RLIMIT_NOFILE, &few);
  house.turns(5);
  const vipd::MonoTime begin = house.loop.now();
  house.loop.run_once(Duration::milliseconds(200));
  const Duration rest = house.loop.now() - begin;
  const std::string meanwhile = first.ask(kGet);
  setrlimit(RLIMIT_NOFILE, &before);
  TEST_ASSERT_TRUE(rest > Duration::milliseconds(150));  // the loop does not spin meanwhile
  TEST_ASSERT_EQUAL_STRING(ok("GET /echo "), meanwhile);
  house.turns(5);
  house.loop.run_once(Duration::milliseconds(1200));
  house.turns(2);
  TEST_ASSERT_EQUAL_INT(kGet.size(), send(waiting, kGet.data(), kGet.size(), MSG_NOSIGNAL));
  house.turns(2);
  char buffer[16];
  TEST_ASSERT_EQUAL_INT(16, recv(waiting, buffer, sizeof buffer, 0));
  close(waiting);
}

void socket_has_its_mode_and_goes_with_the_server() {
  House house;
  const mode_t umask_before = umask(0);
  umask(umask_before);
  struct stat info {};
  TEST_ASSERT_EQUAL_INT(0, stat(house.path.c_str(), &info));
  TEST_ASSERT_EQUAL_INT(0660, info.st_mode & 0777);
  TEST_ASSERT_TRUE(umask_before != 0117);
  house.server.reset();
  TEST_ASSERT_EQUAL_INT(-1, stat(house.path.c_str(), &info));
}

void folder_is_made() {
  House house;
  const std::string path = house.folder.path() + "/a/vipd.sock";
  auto server = Server::open(house.loop, path, answer, &house.reason);
  TEST_ASSERT_NOT_NULL(server);
  server.reset();
  rmdir((house.folder.path() + "/a").c_str());
}

void stale_socket_is_replaced() {
  House house;
  const std::string path = house.folder.path() + "/stale";
  {
    const Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    TEST_ASSERT_EQUAL_INT(0, bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address));
  }
  const auto server = Server::open(house.loop, path, answer, &house.reason);
  TEST_ASSERT_NOT_NULL(server);
}

void live_socket_is_refused() {
  House house;
  const auto second = Server::open(house.loop, house.path, answer, &house.reason);
  TEST_ASSERT_NULL(second);
  TEST_ASSERT_EQUAL_STRING(house.path + ": another process listens there", house.reason);
  Client client(house);
  TEST_ASSERT_EQUAL_STRING(ok("GET /echo "), client.ask(kGet));
}

void file_that_is_no_socket_is_left_alone() {
  House house;
  const std::string path = house.folder.file("precious", "data");
  const auto second = Server::open(house.loop, path, answer, &house.reason);
  TEST_ASSERT_NULL(second);
  TEST_ASSERT_EQUAL_STRING(path + ": it exists and is not a socket", house.reason);
  TEST_ASSERT_EQUAL_STRING("data", fixture::read(path));
}

void socket_of_a_successor_is_left_alone() {
  House house;
  unlink(house.path.c_str());
  auto successor = Server::open(house.loop, house.path, answer, &house.reason);
  TEST_ASSERT_NOT_NULL(successor);
  house.server.reset();
  Client client(house);
  TEST_ASSERT_EQUAL_STRING(ok("GET /echo "), client.ask(kGet));
}

void bad_paths_are_refused() {
  House house;
  TEST_ASSERT_NULL(Server::open(house.loop, "/" + std::string(107, 'x'), answer, &house.reason));
  TEST_ASSERT_TRUE(house.reason.find("too long") != std::string::npos);
  TEST_ASSERT_NULL(Server::open(house.loop, "/proc/none/vipd.sock", answer, &house.reason));
}

// The same code serves TCP; here is what differs.
void tcp_is_served_likewise() {
  House house;
  const std::string place = free_place();
  auto server = Server::open_tcp(house.loop, place, answer, &house.reason);
  TEST_ASSERT_MESSAGE(server != nullptr, house.reason);
  Client client(house, place);
  TEST_ASSERT_EQUAL_STRING(ok("GET /echo ") + ok("GET /echo "), client.ask(kGet + kGet));
  TEST_ASSERT_TRUE(client.ask("GET /large HTTP/1.1\r\nHost: a\r\n\r\n").size() > (4 << 20));
  Client wrong(house, place);
  const std::string long_head(9000, 'x');
  TEST_ASSERT_TRUE(wrong.ask("GET /" + long_head).starts_with("HTTP/1.1 431 "));
  TEST_ASSERT_TRUE(wrong.is_closed);
  Client without_host(house, place);
  TEST_ASSERT_TRUE(without_host.ask("GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 400 "));
}

void tcp_place_that_is_taken_is_refused_and_free_again_at_once() {
  House house;
  const std::string place = free_place();
  auto first = Server::open_tcp(house.loop, place, answer, &house.reason);
  TEST_ASSERT_NOT_NULL(first);
  TEST_ASSERT_NULL(Server::open_tcp(house.loop, place, answer, &house.reason));
  TEST_ASSERT_EQUAL_STRING(place + ": " + strerror(EADDRINUSE), house.reason);
  Client client(house, place);
  TEST_ASSERT_EQUAL_STRING(ok("GET /echo "), client.ask(kGet));
  first.reset();  // with a connection that lingers
  TEST_ASSERT_NOT_NULL(Server::open_tcp(house.loop, place, answer, &house.reason));
}

void tcp_places_are_addresses_with_a_port() {
  House house;
  for (const char* place : {"", "9300", "localhost:9300", "127.0.0.1", "127.0.0.1:", ":9300"}) {
    TEST_ASSERT_MESSAGE(Server::open_tcp(house.loop, place, answer, &house.reason) == nullptr,
                        place);
    TEST_ASSERT_EQUAL_STRING(std::string(place) + ": no ADDRESS:PORT", house.reason);
  }
}

// The handler may publish: what it changes is told to those who follow.
void handler_may_publish() {
  House house;
  house.server.reset();
  std::unique_ptr<Server> server;
  server = Server::open(
      house.loop, house.path,
      [&server](const Request& request) {
        if (request.path == "/events") return Response{.body = "", .stream = true};
        server->publish(std::string(300'000, 'x'));
        return Response{.body = "{}"};
      },
      &house.reason);
  Client stream(house);
  stream.ask(kEvents);
  Client client(house);
  for (int i = 0; i < 10; ++i) TEST_ASSERT_EQUAL_STRING(ok("{}"), client.ask(kGet));
  stream.receive();
  TEST_ASSERT_TRUE(stream.is_closed);
}

}  // namespace

int main() {
  UNITY_BEGIN();
  RUN_TEST(request_is_answered);
  RUN_TEST(connection_serves_many_requests_and_bodies);
  RUN_TEST(request_may_come_byte_by_byte);
  RUN_TEST(pipelined_requests_are_answered_in_order);
  RUN_TEST(pipelined_requests_wait_for_their_turn);
  RUN_TEST(what_is_costly_is_rendered_once_for_all_who_wait);
  RUN_TEST(what_takes_long_is_rendered_over_several_turns);
  RUN_TEST(what_changed_meanwhile_is_rendered_anew);
  RUN_TEST(what_was_rendered_before_a_request_is_no_answer_to_it);
  RUN_TEST(head_gets_no_body);
  RUN_TEST(close_is_honoured);
  RUN_TEST(half_closed_client_gets_its_answer);
  RUN_TEST(bad_request_is_told_and_ends_the_connection);
  RUN_TEST(client_that_waits_for_continue_gets_it);
  RUN_TEST(large_answer_is_written_in_parts);
  RUN_TEST(client_that_only_sends_is_not_read_without_end);
  RUN_TEST(stream_gets_each_line_as_a_chunk);
  RUN_TEST(lines_of_a_turn_are_sent_together);
  RUN_TEST(what_was_told_last_is_sent_at_the_end);
  RUN_TEST(who_does_not_read_costs_the_others_nothing);
  RUN_TEST(stream_of_an_old_client_has_no_chunks);
  RUN_TEST(stream_that_nobody_reads_is_dropped);
  RUN_TEST(stream_outlives_a_pause_of_its_reader);
  RUN_TEST(clients_that_go_away_are_forgotten);
  RUN_TEST(connections_are_bounded);
  RUN_TEST(time_is_bounded);
  RUN_TEST(out_of_descriptors_is_not_the_end);
  RUN_TEST(socket_has_its_mode_and_goes_with_the_server);
  RUN_TEST(folder_is_made);
  RUN_TEST(stale_socket_is_replaced);
  RUN_TEST(live_socket_is_refused);
  RUN_TEST(file_that_is_no_socket_is_left_alone);
  RUN_TEST(socket_of_a_successor_is_left_alone);
  RUN_TEST(bad_paths_are_refused);
  RUN_TEST(tcp_is_served_likewise);
  RUN_TEST(tcp_place_that_is_taken_is_refused_and_free_again_at_once);
  RUN_TEST(tcp_places_are_addresses_with_a_port);
  RUN_TEST(handler_may_publish);
  return UNITY_END();
}
