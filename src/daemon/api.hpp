// What can be asked for over HTTP: one table of routes (api.cpp) for the control socket and for
// http.listen, and the commands (commands.cpp) for the control socket. Over http.listen nothing can
// be changed, whatever is sent.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "ctl/shared_answers.hpp"
#include "vipd/loop.hpp"
#include "vipd/metrics.hpp"
#include "vipd/status.hpp"

namespace vipd::ctl {
struct Request;
struct Response;
class Server;
}  // namespace vipd::ctl

namespace vipd {

class Commands;

class Api {
 public:
  struct Sources {
    std::function<Status()> status;
    std::function<Metrics()> metrics;
    std::function<std::string_view()> state;  // of the node
    std::function<std::string()> unhealthy;   // why; empty: all is well
    std::function<std::vector<HistoryEntry>()> moves;
    const std::deque<HistoryEntry>& history;
    Commands& commands;
  };

  Api(Loop& loop, Sources sources);
  ~Api();
  Api(const Api&) = delete;
  Api& operator=(const Api&) = delete;

  // The control socket. False and a reason when it cannot be had.
  [[nodiscard]] bool open(const std::string& socket, std::string* reason);
  // http.listen; empty: off. A port for people must not cost an address: one that is taken is tried
  // again every 5 s.
  void listen(const std::string& where);
  // Status and history as lines of the log, for SIGUSR1.
  void log_status() const;
  // Whether anybody reads GET /v1/events; and one line to all who do.
  [[nodiscard]] bool is_heard() const;
  void publish(std::string_view line);

  // As the servers ask; for tests.
  enum class Access { Socket, Public };
  [[nodiscard]] ctl::Response answer(Access access, const ctl::Request& request);

 private:
  struct Route;
  static const Route kRoutes[];

  [[nodiscard]] ctl::Response status(const ctl::Request& request);
  [[nodiscard]] ctl::Response status_with_moves(const ctl::Request& request);
  [[nodiscard]] ctl::Response page(const ctl::Request& request);
  [[nodiscard]] ctl::Response events(const ctl::Request& request);
  [[nodiscard]] ctl::Response history(const ctl::Request& request);
  [[nodiscard]] ctl::Response metrics(const ctl::Request& request);
  [[nodiscard]] ctl::Response health(const ctl::Request& request);

  [[nodiscard]] ctl::Response answer(const Route& route, const ctl::Request& request);
  [[nodiscard]] Status public_status() const;
  void try_to_listen(bool is_new);

  Loop& loop_;
  Sources sources_;
  ctl::SharedAnswers shared_;
  std::unique_ptr<ctl::Server> socket_;
  std::unique_ptr<ctl::Server> public_;
  std::string public_at_;
  Loop::Timer retry_ = Loop::Timer::None;
};

}  // namespace vipd
