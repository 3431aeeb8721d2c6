// Members of etcd, played on the test's own loop and on loopback, and a client's calls to them.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "etcd/client.hpp"
#include "logged.hpp"

using vipd::Duration;
using vipd::Loop;
using vipd::MonoTime;
using namespace vipd::etcd;

inline const std::string kHeader =
    R"("header":{"cluster_id":"11","member_id":"22","revision":"33"})";
inline const std::string kGranted = "{" + kHeader + R"(,"ID":"7","TTL":"10"})";
inline const std::string kTxnDone = "{" + kHeader + R"(,"succeeded":true})";
inline const std::string kCreated = R"({"result":{)" + kHeader + R"(,"created":true}})" + "\n";
inline std::string put_at(const char* revision) {
  return R"({"result":{)" + kHeader + R"(,"events":[{"kv":{"key":"Yw==","create_revision":"34",)" +
         R"("mod_revision":")" + revision + R"("}}]}})" + "\n";
}
inline const std::string kPut = put_at("34");

inline std::string reply(const std::string& body, const std::string& status = "200 OK") {
  return "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         body;
}

inline std::string chunk(const std::string& text) {
  char size[20];
  snprintf(size, sizeof size, "%zx\r\n", text.size());
  return size + text + "\r\n";
}

inline std::string open_stream(const std::string& first) {
  return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(first);
}

// One played member. `answer` says what to send for a request: "" is silence, "close" closes.
class Member {
 public:
  using Answer = std::function<std::string(const std::string& path, const std::string& text)>;

  Member(Loop& loop, Answer answer) : loop_(loop), answer_(std::move(answer)) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    sockaddr_in sa{};
    sa.sin_family = AF_INET;
    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof sa;
    if (bind(listener_, reinterpret_cast<sockaddr*>(&sa), length) != 0) abort();
    if (listen(listener_, 8) != 0) abort();
    getsockname(listener_, reinterpret_cast<sockaddr*>(&sa), &length);
    port = ntohs(sa.sin_port);
    watch_ = loop_.add_fd(listener_, EPOLLIN, [this](uint32_t) { take(); });
  }
  ~Member() {
    loop_.remove_fd(watch_);
    close(listener_);
    while (!connections_.empty()) drop(connections_.begin()->first);
  }
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;

  [[nodiscard]] std::string url(const std::string& host = "127.0.0.1") const {
    return "http://" + host + ":" + std::to_string(port);
  }
  [[nodiscard]] size_t open() const { return connections_.size(); }
  [[nodiscard]] size_t count(const std::string& path) const {
    size_t n = 0;
    for (const std::string& r : requests) n += r.find(" " + path + " ") != std::string::npos;
    return n;
  }
  void send_all(const std::string& bytes) {
    for (const auto& [fd, c] : connections_) (void)!write(fd, bytes.data(), bytes.size());
  }
  void drop_all() {
    while (!connections_.empty()) drop(connections_.begin()->first);
  }

  int port = 0;
  size_t accepted = 0;
  std::vector<std::string> requests;  // head and body

 private:
  struct Connection {
    Loop::FdWatch watch;
    std::string text;
  };

  void take() {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK);
    if (fd < 0) return;
    ++accepted;
    connections_[fd].watch = loop_.add_fd(fd, EPOLLIN, [this, fd](uint32_t) { hear(fd); });
  }
  void hear(int fd) {
    char buffer[65536];
    const ssize_t n = read(fd, buffer, sizeof buffer);
    if (n <= 0) return drop(fd);
    std::string& text = connections_[fd].text;
    text.append(buffer, static_cast<size_t>(n));
    const size_t head = text.find("\r\n\r\n");
    if (head == std::string::npos) return;
    const size_t at = text.find("Content-Length: ");
    const size_t body = at == std::string::npos ? 0 : strtoul(text.c_str() + at + 16, nullptr, 10);
    if (text.size() < head + 4 + body) return;
    requests.push_back(text);
    const size_t path = text.find(' ') + 1;
    const std::string out = answer_(text.substr(path, text.find(' ', path) - path), text);
    text.clear();
    if (out == "close") return drop(fd);
    (void)!write(fd, out.data(), out.size());
  }
  void drop(int fd) {
    loop_.remove_fd(connections_[fd].watch);
    connections_.erase(fd);
    close(fd);
  }

  Loop& loop_;
  Answer answer_;
  int listener_ = -1;
  Loop::FdWatch watch_ = Loop::FdWatch::None;
  std::map<int, Connection> connections_;
};

inline std::string good(const std::string& path, const std::string&) {
  if (path == "/version") return reply(R"({"etcdserver":"3.4.23"})");
  if (path == "/v3/watch") return open_stream(kCreated);
  if (path == "/v3/kv/range") return reply("{" + kHeader + "}");
  return reply(path == "/v3/kv/txn" ? kTxnDone : kGranted);
}
inline std::string silent(const std::string&, const std::string&) {
  return "";
}
inline std::string leaderless(const std::string&, const std::string&) {
  return reply(R"({"code":14,"message":"etcdserver: no leader"})", "503 Service Unavailable");
}

inline Options options(const std::vector<std::string>& endpoints, int64_t timeout_ms = 2000) {
  Options o;
  o.endpoints = endpoints;
  o.cluster = 11;  // kHeader's
  o.key = "a";
  o.request_timeout = Duration::milliseconds(timeout_ms);
  return o;
}

template <typename Condition>
inline bool run_until(Loop& loop, Condition condition) {
  const MonoTime end = loop.now() + Duration::seconds(10);
  while (!condition()) {
    if (loop.now() > end) return false;
    loop.run_once(Duration::milliseconds(50));
  }
  return true;
}

inline void run_for(Loop& loop, int64_t ms) {
  const MonoTime end = loop.now() + Duration::milliseconds(ms);
  while (loop.now() < end) loop.run_once(end - loop.now());
}

struct Result {  // of any call
  int calls = 0;
  bool good = false;
  Error error;
  template <typename T>
  Done<T> done() {
    return [this](const T* answer, const Error* e) {
      ++calls;
      good = answer != nullptr;
      if (e != nullptr) error = *e;
    };
  }
};

inline Result granted(Loop& loop, Client& client) {
  Result result;
  client.grant(10, result.done<Granted>());
  run_until(loop, [&] { return result.calls > 0; });
  return result;
}
