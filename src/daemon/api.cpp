#include "daemon/api.hpp"

#include <memory>
#include <optional>
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
constexpr size_t kAtOnce = 32;  // VIPs: well below a millisecond
constexpr size_t kMostOnPage = 250;

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
  Render (Api::*render)() = nullptr;  // in its place: it tells of every VIP
};

constexpr Api::Route Api::kRoutes[] = {
    {"GET", "/v1/status", Access::Socket, nullptr, &Api::status},
    {"GET", "/v1/events", Access::Socket, &Api::events},
    {"GET", "/v1/history", Access::Socket, &Api::history},
    {"GET", "/metrics", Access::Socket, nullptr, &Api::metrics},
    {"GET", "/healthz", Access::Socket, &Api::health},
    {"GET", "/", Access::Public, nullptr, &Api::page},
    {"GET", "/v1/status", Access::Public, nullptr, &Api::status_with_moves},
    {"GET", "/metrics", Access::Public, nullptr, &Api::metrics},
    {"GET", "/healthz", Access::Public, &Api::health},
};

Api::Api(Loop& loop, Sources sources)
    : loop_(loop), sources_(std::move(sources)), shared_(loop), log_work_(loop) {}

Api::~Api() = default;

bool Api::open(const std::string& socket, std::string* reason) {
  socket_ = ctl::Server::open(
      loop_, socket, [this](const ctl::Request& r) { return answer(Access::Socket, r); }, reason);
  return socket_ != nullptr;
}

void Api::listen(const std::string& where) {
  shared_.begin_anew();
  if (log_work_.is_busy()) log_status();
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

void Api::log_status() {
  for (const std::string& line : ctl::node_lines(sources_.status())) {
    log::info("%s", line.c_str());
  }
  const auto log_history = [this] {
    for (const HistoryEntry& entry : sources_.history) {
      log::info("history: %s", ctl::history_line(entry).c_str());
    }
  };
  if (log_work_.start([this, next = size_t{0}]() mutable { return log_some(&next); },
                      log_history)) {
    log_history();
  }
}

bool Api::log_some(size_t* next) const {
  const std::vector<VipStatus> vips = sources_.vips(*next, kAtOnce);
  for (const VipStatus& vip : vips) log::info("%s", ctl::vip_line(vip).c_str());
  *next += vips.size();
  return !vips.empty();
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
  if (route.answer != nullptr) return (this->*route.answer)(request);
  return shared_.answer(route.access == Access::Public ? "public" : "socket",
                        std::string(route.path), request, [&] { return (this->*route.render)(); });
}

// --- the answers

Api::Render Api::status_json(Status head) {
  auto json = std::make_shared<ctl::StatusJson>(std::move(head));
  return [this, json, next = size_t{0}](ctl::Response* response) mutable {
    const std::vector<VipStatus> vips = sources_.vips(next, kAtOnce);
    json->add(vips);
    next += vips.size();
    if (!vips.empty()) return true;
    response->body = std::move(*json).text();
    return false;
  };
}

Api::Render Api::status() {
  return status_json(sources_.status());
}

// With what the page's time line shows.
Status Api::public_status() const {
  Status shown = sources_.status();
  shown.moves = sources_.moves();
  return shown;
}

Api::Render Api::status_with_moves() {
  return status_json(public_status());
}

// The script of the page asks for the status by itself, so the table is for browsers without
// scripts only.
Api::Render Api::page() {
  return [this](ctl::Response* response) {
    const std::string nonce = sys::random_text() + sys::random_text();
    Status shown = public_status();
    shown.vips = sources_.vips(0, kMostOnPage);
    const bool is_cut = !sources_.vips(kMostOnPage, 1).empty();
    *response = {.body = ctl::status_page(shown, is_cut, nonce),
                 .content_type = "text/html; charset=utf-8",
                 .fields = ctl::page_fields(nonce)};
    return false;
  };
}

ctl::Response Api::events(const ctl::Request&) {
  return {.body = "", .content_type = "application/x-ndjson", .stream = true};
}

ctl::Response Api::history(const ctl::Request&) {
  return {.body = ctl::history_json(sources_.history)};
}

// All counts first, since each family has those of every VIP; what they are meanwhile is copied.
Api::Render Api::metrics() {
  struct Work {
    Metrics metrics;
    std::optional<ctl::MetricsText> text;
  };
  auto work = std::make_shared<Work>(Work{.metrics = sources_.metrics(), .text = std::nullopt});
  return [this, work](ctl::Response* response) {
    if (!work->text) {
      std::vector<VipMetrics>* all = &work->metrics.vips;
      const std::vector<VipMetrics> some = sources_.counts(all->size(), kAtOnce);
      all->insert(all->end(), some.begin(), some.end());
      if (some.empty()) work->text.emplace(std::move(work->metrics));
      return true;
    }
    if (work->text->add_some()) return true;
    *response = {.body = std::move(*work->text).text(),
                 .content_type = "text/plain; version=0.0.4"};
    return false;
  };
}

// For load balancers and monitors. A liveness probe should accept any response, and ignore the
// status code.
ctl::Response Api::health(const ctl::Request&) {
  const std::string reason = sources_.unhealthy();
  const std::string_view state = sources_.state();
  if (reason.empty()) return {.body = ctl::object_json({{"state", state}})};
  return {.status = 503, .body = ctl::object_json({{"state", state}, {"error", reason}})};
}

}  // namespace vipd
