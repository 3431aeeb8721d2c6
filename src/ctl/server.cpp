#include "ctl/server.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <map>
#include <utility>

#include "ctl/connection.hpp"
#include "ctl/feed.hpp"
#include "ctl/json_text.hpp"
#include "ctl/listen.hpp"
#include "sys/fd.hpp"

namespace vipd::ctl {
namespace {

constexpr size_t kMostConnections = 64;
constexpr int kMostAcceptsPerTurn = 16;
constexpr Duration kOutOfDescriptorsPause = Duration::seconds(1);

}  // namespace

struct Server::Impl {
  Impl(Loop& on_loop, std::string at, sys::Fd fd, Handler answer);
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void accept_some();
  void accept_one(sys::Fd fd);
  void pause_accepting();
  void handle(uint64_t id, uint32_t epoll_events);
  void publish(std::string_view line);
  void forget_what_all_heard();

  Loop& loop;
  std::string path;  // empty: TCP
  sys::Fd listener;
  struct stat identity {};  // of the socket's file
  Handler handler;
  Loop::FdWatch watch = Loop::FdWatch::None;
  Loop::Timer pause = Loop::Timer::None;
  uint64_t next_id = 0;
  Feed feed;
  std::map<uint64_t, std::unique_ptr<Connection>> connections;
};

Server::Impl::Impl(Loop& on_loop, std::string at, sys::Fd fd, Handler answer)
    : loop(on_loop), path(std::move(at)), listener(std::move(fd)), handler(std::move(answer)) {
  lstat(path.c_str(), &identity);
  watch = loop.add_fd(listener.get(), EPOLLIN, [this](uint32_t) { accept_some(); });
}

Server::Impl::~Impl() {
  connections.clear();
  loop.cancel_timer(pause);
  loop.remove_fd(watch);
  struct stat now {};
  const bool is_ours = !path.empty() && lstat(path.c_str(), &now) == 0 &&
                       now.st_ino == identity.st_ino && now.st_dev == identity.st_dev;
  if (is_ours) unlink(path.c_str());
}

void Server::Impl::accept_some() {
  for (int i = 0; i < kMostAcceptsPerTurn; ++i) {
    sys::Fd fd(accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd.is_open()) {
      // The listener stays readable: without a pause the loop would spin.
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        pause_accepting();
      }
      return;
    }
    accept_one(std::move(fd));
  }
}

void Server::Impl::accept_one(sys::Fd fd) {
  if (connections.size() >= kMostConnections) {
    const std::string body = error_json("too many connections");
    const std::string text =
        "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n"
        "Content-Type: application/json\r\nContent-Length: " +
        std::to_string(body.size()) + "\r\n\r\n" + body;
    // Closed whether or not it fits: this client has no place to wait in.
    static_cast<void>(send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
    return;
  }
  const uint64_t id = next_id++;
  connections[id] = std::make_unique<Connection>(
      loop, std::move(fd), handler, feed, [this, id](uint32_t events) { handle(id, events); });
}

void Server::Impl::pause_accepting() {
  loop.modify_fd(watch, 0);
  loop.cancel_timer(pause);
  pause = loop.add_timer(loop.now() + kOutOfDescriptorsPause,
                         [this] { loop.modify_fd(watch, EPOLLIN); });
}

void Server::Impl::handle(uint64_t id, uint32_t epoll_events) {
  const auto found = connections.find(id);
  if (found == connections.end()) return;
  const bool is_stream = found->second->is_stream();
  if (!found->second->handle(epoll_events)) connections.erase(id);
  if (is_stream) forget_what_all_heard();
}

void Server::Impl::publish(std::string_view line) {
  char size[20];
  snprintf(size, sizeof size, "%zx\r\n", line.size() + 1);
  feed.add(std::string(size).append(line).append("\n\r\n"));
  std::erase_if(connections, [line](const auto& entry) { return !entry.second->told(line); });
  forget_what_all_heard();
}

void Server::Impl::forget_what_all_heard() {
  uint64_t heard = feed.end();
  for (const auto& [id, connection] : connections) heard = std::min(heard, connection->heard());
  feed.forget_before(heard);
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() = default;

std::unique_ptr<Server> Server::open(Loop& loop, const std::string& socket_path, Handler handler,
                                     std::string* reason) {
  sys::Fd fd = listen_at_path(socket_path, reason);
  if (!fd.is_open()) return nullptr;
  auto impl = std::make_unique<Impl>(loop, socket_path, std::move(fd), std::move(handler));
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

std::unique_ptr<Server> Server::open_tcp(Loop& loop, const std::string& where, Handler handler,
                                         std::string* reason) {
  sys::Fd fd = listen_at_address(where, reason);
  if (!fd.is_open()) return nullptr;
  auto impl = std::make_unique<Impl>(loop, "", std::move(fd), std::move(handler));
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

void Server::publish(std::string_view line) {
  impl_->publish(line);
}

bool Server::has_streams() const {
  return std::any_of(impl_->connections.begin(), impl_->connections.end(),
                     [](const auto& entry) { return entry.second->is_stream(); });
}

}  // namespace vipd::ctl
