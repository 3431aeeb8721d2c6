// What can be read over HTTP: on the control socket, and by everybody where http.listen is set.
#include <cinttypes>
#include <cstdio>

#include "ctl/json_text.hpp"
#include "ctl/page.hpp"
#include "ctl/status_text.hpp"
#include "daemon/impl.hpp"
#include "sys/random.hpp"
#include "vipd/log.hpp"

namespace vipd {

namespace {

constexpr Duration kListenRetry = Duration::seconds(5);
constexpr size_t kMostMoves = 64;

std::string fresh_nonce() {
  char text[33];
  snprintf(text, sizeof text, "%016" PRIx64 "%016" PRIx64, sys::random_u64(), sys::random_u64());
  return text;
}

}  // namespace

// Whether this node could take part in the elections, and keep a VIP: for balancers and monitors.
// Whoever restarts what does not answer should look at whether it answers, not at the status.
ctl::Response Daemon::health() const {
  const NodeState state = core_->node_state();
  std::string reason;
  if (state == NodeState::Releasing) {
    reason = "the daemon is stopping";
  } else if (core_->session() == LeaseId::None || state == NodeState::Starting) {
    reason = "there is no session in etcd";
  } else if (!etcd_->connected()) {
    reason = "etcd does not answer";
  }
  const std::string head = "{\"state\":\"" + std::string(name_of(state)) + "\"";
  if (reason.empty()) return {.body = head + "}"};
  return {.status = 503, .body = head + ",\"error\":\"" + reason + "\"}"};
}

// Without a session nothing can be changed here, whatever is sent.
ctl::Response Daemon::handle_public(const ctl::Request& request) {
  const bool is_page = request.path == "/";
  if (!is_page && request.path != "/v1/status" && request.path != "/metrics" &&
      request.path != "/healthz") {
    return {.status = 404, .body = ctl::error_json("no such resource")};
  }
  if (request.method != "GET") {
    return {.status = 405, .body = ctl::error_json("use GET"), .fields = "Allow: GET, HEAD\r\n"};
  }
  if (request.path == "/metrics") return metrics();
  if (request.path == "/healthz") return health();
  if (!is_page) return {.body = ctl::status_json(public_status())};
  const std::string nonce = fresh_nonce();
  return {.body = ctl::status_page(public_status(), nonce),
          .content_type = "text/html; charset=utf-8",
          .fields = ctl::page_fields(nonce)};
}

// With what the page's time line shows.
Status Daemon::public_status() const {
  Status shown = status();
  for (const HistoryEntry& entry : journal_) {
    const bool is_move =
        entry.kind == "owner" || (entry.kind == "state" && entry.to != entry.from &&
                                  (entry.to == "owner" || entry.from == "owner"));
    if (is_move) shown.moves.push_back(entry);
  }
  if (shown.moves.size() > kMostMoves) {
    shown.moves.erase(shown.moves.begin(), shown.moves.end() - kMostMoves);
  }
  return shown;
}

// A port for people must not cost an address: one that is taken is tried again.
void Daemon::listen_http() {
  loop_.cancel_timer(http_timer_);
  http_timer_ = Loop::Timer::None;
  if (http_at_ == config_.http_listen && http_ != nullptr) return;
  http_.reset();
  const bool is_new = http_at_ != config_.http_listen;
  http_at_ = config_.http_listen;
  if (http_at_.empty()) return;
  std::string reason;
  http_ = ctl::Server::open_tcp(
      loop_, http_at_, [this](const ctl::Request& r) { return handle_public(r); }, &reason);
  if (http_ != nullptr) return log::info("http.listen: serving at %s", http_at_.c_str());
  if (is_new) log::warn("http.listen: %s; trying again every 5 s", reason.c_str());
  http_timer_ = loop_.add_timer(loop_.now() + kListenRetry, [this] { listen_http(); });
}

}  // namespace vipd
