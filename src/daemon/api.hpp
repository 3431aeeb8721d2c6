// What can be asked for over HTTP: one table of routes (api.cpp) for the control socket and for
// http.listen, and the commands (commands.cpp) for the control socket. Over http.listen nothing can
// be changed, whatever is sent.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ctl/shared_answers.hpp"
#include "vipd/in_turns.hpp"
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
    std::function<Status()> status;    // all but the VIPs
    std::function<Metrics()> metrics;  // likewise
    // Of `most` VIPs, beginning with number `first` (from 0); empty: there are no more.
    std::function<std::vector<VipStatus>(size_t first, size_t most)> vips;
    std::function<std::vector<VipMetrics>(size_t first, size_t most)> counts;
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

  // Opens the control socket. False and a reason when that fails.
  [[nodiscard]] bool open(const std::string& socket, std::string* reason);
  // Follows http.listen; empty: off. The VIPs may have changed too, so answers that are being made
  // begin anew. A port that is taken is tried again every 5 s, and costs no address.
  void listen(const std::string& where);
  // Status and history as lines of the log, for SIGUSR1.
  void log_status();
  // Whether anybody reads GET /v1/events; and one line to all who do.
  [[nodiscard]] bool is_heard() const;
  void publish(std::string_view line);

  // As the servers ask; for tests.
  enum class Access { Socket, Public };
  [[nodiscard]] ctl::Response answer(Access access, const ctl::Request& request);

 private:
  struct Route;
  static const Route kRoutes[];

  [[nodiscard]] ctl::Response events(const ctl::Request& request);
  [[nodiscard]] ctl::Response history(const ctl::Request& request);
  [[nodiscard]] ctl::Response health(const ctl::Request& request);

  // What tells of every VIP is rendered bit by bit.
  using Render = ctl::SharedAnswers::Render;
  [[nodiscard]] Render status();
  [[nodiscard]] Render status_with_moves();
  [[nodiscard]] Render metrics();
  [[nodiscard]] Render page();
  [[nodiscard]] Render status_json(Status head);

  [[nodiscard]] ctl::Response answer(const Route& route, const ctl::Request& request);
  [[nodiscard]] Status public_status() const;
  [[nodiscard]] bool log_some(size_t* next) const;
  void try_to_listen(bool is_new);

  Loop& loop_;
  Sources sources_;
  ctl::SharedAnswers shared_;
  InTurns log_work_;
  std::unique_ptr<ctl::Server> socket_;
  std::unique_ptr<ctl::Server> public_;
  std::string public_at_;
  Loop::Timer retry_ = Loop::Timer::None;
};

}  // namespace vipd
