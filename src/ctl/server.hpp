// HTTP/1.1 on the loop, over a Unix socket (the control socket) or TCP (http.listen). Parses
// requests, bounds them (size, number, time), and hands them to one handler; never interprets them.
// A slow, broken or hostile client is answered with a status code or dropped; it never stalls the
// loop.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "vipd/loop.hpp"

namespace vipd::ctl {

struct Request {
  std::string method;
  std::string path;  // without the query
  std::string body;
  MonoTime since = MonoTime::never();  // when it was complete; never: what is asked is news
};

struct Response {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";
  std::string fields{};  // further header fields, each with its CR LF
  // Keep the connection and write each publish()ed line to it as it comes (GET /v1/events).
  bool stream = false;
  // In place of `body`: what several connections are given at once, and none copies.
  std::shared_ptr<const std::string> shared{};
  // No answer yet: the handler is asked again then, or a little later.
  std::optional<MonoTime> not_before{};
};

class Server {
 public:
  using Handler = std::function<Response(const Request&)>;

  // Binds the socket (mode 0660, folder made if missing, a stale socket of a dead daemon replaced).
  // nullptr and a reason on failure. The handler may publish(); it must not destroy the server.
  static std::unique_ptr<Server> open(Loop& loop, const std::string& socket_path, Handler handler,
                                      std::string* reason);
  // The same over TCP, at "ADDRESS:PORT" or "[ADDRESS]:PORT".
  static std::unique_ptr<Server> open_tcp(Loop& loop, const std::string& where, Handler handler,
                                          std::string* reason);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // One JSON line, without the line break, to every connection that streams: rendered and kept once
  // for all, and sent in the turns that follow. A client of which 1 MB waits unread is dropped.
  void publish(std::string_view line);
  [[nodiscard]] bool has_streams() const;

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace vipd::ctl
