#include "daemon/api.hpp"

#include <utility>

#include "ctl/history.hpp"
#include "ctl/json_text.hpp"
#include "ctl/metrics.hpp"
#include "ctl/page.hpp"
#include "ctl/server.hpp"
#include "ctl/status_text.hpp"
#include "daemon/commands.hpp"
#include "sys/random.hpp"
#include "vipd/log.hpp"

namespace vipd {

namespace {

constexpr Duration kListenRetry = Duration::seconds(5);

ctl::Response refused(int status, std::string_view reason) {
  return {.status = status, .body = ctl::error_json(reason)};
}

// nullptr: there is no such command.
const Commands::Row* command_at(std::string_view path) {
  constexpr std::string_view kFolder = "/v1/";
  if (!path.starts_with(kFolder)) return nullptr;
  path.remove_prefix(kFolder.size());
  for (const Commands::Row& row : Commands::all()) {
    if (row.name == path) return &row;
  }
  return nullptr;
}

}  // namespace

struct Api::Route {
  std::string_view method;
  std::string_view path;
  Access access;
  ctl::Response (Api::*answer)(const ctl::Request& request);
  bool is_shared = false;  // it tells of every VIP, and asks for nothing
};

constexpr Api::Route Api::kRoutes[] = {
    {"GET", "/v1/status", Access::Socket, &Api::status, true},
    {"GET", "/v1/events", Access::Socket, &Api::events},
    {"GET", "/v1/history", Access::Socket, &Api::history},
    {"GET", "/metrics", Access::Socket, &Api::metrics, true},
    {"GET", "/healthz", Access::Socket, &Api::health},
    {"GET", "/", Access::Public, &Api::page, true},
    {"GET", "/v1/status", Access::Public, &Api::status_with_moves, true},
    {"GET", "/metrics", Access::Public, &Api::metrics, true},
    {"GET", "/healthz", Access::Public, &Api::health},
};

Api::Api(Loop& loop, Sources sources) : loop_(loop), sources_(std::move(sources)), shared_(loop) {}

Api::~Api() = default;

bool Api::open(const std::string& socket, std::string* reason) {
  socket_ = ctl::Server::open(
      loop_, socket, [this](const ctl::Request& r) { return answer(Access::Socket, r); }, reason);
  return socket_ != nullptr;
}

void Api::listen(const std::string& where) {
  loop_.cancel_timer(retry_);
  retry_ = Loop::Timer::None;
  if (public_at_ == where && public_ != nullptr) return;
  public_.reset();
  const bool is_new = public_at_ != where;
  public_at_ = where;
  if (!where.empty()) try_to_listen(is_new);
}

void Api::try_to_listen(bool is_new) {
  std::string reason;
  public_ = ctl::Server::open_tcp(
      loop_, public_at_, [this](const ctl::Request& r) { return answer(Access::Public, r); },
      &reason);
  if (public_ != nullptr) return log::info("http.listen: serving at %s", public_at_.c_str());
  if (is_new) log::warn("http.listen: %s; trying again every 5 s", reason.c_str());
  retry_ = loop_.add_timer(loop_.now() + kListenRetry, [this] { try_to_listen(false); });
}

bool Api::is_heard() const {
  return socket_->has_streams();
}

void Api::publish(std::string_view line) {
  socket_->publish(line);
}

void Api::log_status() const {
  for (const std::string& line : ctl::status_lines(sources_.status())) {
    log::info("%s", line.c_str());
  }
  for (const HistoryEntry& entry : sources_.history) {
    log::info("history: %s", ctl::history_line(entry).c_str());
  }
}

ctl::Response Api::answer(Access access, const ctl::Request& request) {
  std::string_view method;  // by which the path can be asked
  const Commands::Row* command = access == Access::Socket ? command_at(request.path) : nullptr;
  if (command != nullptr) {
    if (request.method == "POST") return sources_.commands.run(*command, request.body);
    method = "POST";
  }
  for (const Route& route : kRoutes) {
    if (route.path != request.path || route.access != access) continue;
    if (route.method == request.method) return answer(route, request);
    method = route.method;
  }
  if (method.empty()) return refused(404, "no such resource");
  ctl::Response response = refused(405, "use " + std::string(method));
  const std::string allowed = access == Access::Public ? "GET, HEAD" : std::string(method);
  response.fields = "Allow: " + allowed + "\r\n";
  return response;
}

ctl::Response Api::answer(const Route& route, const ctl::Request& request) {
  const auto render = [&] { return (this->*route.answer)(request); };
  if (!route.is_shared) return render();
  return shared_.answer(route.access == Access::Public ? "public" : "socket",
                        std::string(route.path), request, render);
}

// --- the answers

ctl::Response Api::status(const ctl::Request&) {
  return {.body = ctl::status_json(sources_.status())};
}

// With what the page's time line shows.
Status Api::public_status() const {
  Status shown = sources_.status();
  shown.moves = sources_.moves();
  return shown;
}

ctl::Response Api::status_with_moves(const ctl::Request&) {
  return {.body = ctl::status_json(public_status())};
}

ctl::Response Api::page(const ctl::Request&) {
  const std::string nonce = sys::random_text() + sys::random_text();
  return {.body = ctl::status_page(public_status(), nonce),
          .content_type = "text/html; charset=utf-8",
          .fields = ctl::page_fields(nonce)};
}

ctl::Response Api::events(const ctl::Request&) {
  return {.body = "", .content_type = "application/x-ndjson", .stream = true};
}

ctl::Response Api::history(const ctl::Request&) {
  return {.body = ctl::history_json(sources_.history)};
}

ctl::Response Api::metrics(const ctl::Request&) {
  return {.body = ctl::metrics_text(sources_.metrics()),
          .content_type = "text/plain; version=0.0.4"};
}

// For balancers and monitors. Whoever restarts what does not answer should look at whether it
// answers, not at the status.
ctl::Response Api::health(const ctl::Request&) {
  const std::string reason = sources_.unhealthy();
  const std::string_view state = sources_.state();
  if (reason.empty()) return {.body = ctl::object_json({{"state", state}})};
  return {.status = 503, .body = ctl::object_json({{"state", state}, {"error", reason}})};
}

}  // namespace vipd
