// The control socket's routes, and the status.
#include <rapidjson/document.h>

#include <algorithm>
#include <array>
#include <cinttypes>
#include <cstdio>

#include "ctl/history.hpp"
#include "ctl/json_text.hpp"
#include "ctl/status_text.hpp"
#include "daemon/impl.hpp"
#include "sys/wall_clock.hpp"
#include "vipd/log.hpp"

namespace vipd {

namespace {

ctl::Response refused(int status, std::string_view reason) {
  return {.status = status, .body = ctl::error_json(reason)};
}

ctl::Response use(const std::string& method) {
  ctl::Response response = refused(405, "use " + method);
  response.fields = "Allow: " + method + "\r\n";
  return response;
}

ctl::Response done() {
  return {.body = "{}"};
}

}  // namespace

ctl::Response Daemon::handle(const ctl::Request& request) {
  constexpr std::string_view kCommands = "/v1/";
  const bool get = request.method == "GET";
  if (request.path == "/v1/status") {
    if (!get) return use("GET");
    return {.body = ctl::status_json(status())};
  }
  if (request.path == "/v1/events") {
    if (!get) return use("GET");
    return {.body = "", .content_type = "application/x-ndjson", .stream = true};
  }
  if (request.path == "/v1/history") {
    return get ? ctl::Response{.body = ctl::history_json(journal_)} : use("GET");
  }
  if (request.path == "/metrics") return get ? metrics() : use("GET");
  if (request.path == "/healthz") return get ? health() : use("GET");
  if (!request.path.starts_with(kCommands)) return refused(404, "no such resource");
  const std::string name = request.path.substr(kCommands.size());
  constexpr std::array<std::string_view, 7> kNames = {"resign", "transfer",  "pause", "resume",
                                                      "reload", "log-level", "check"};
  if (std::find(kNames.begin(), kNames.end(), name) == kNames.end()) {
    return refused(404, "no such resource");
  }
  if (request.method != "POST") return use("POST");
  return command(name, request.body);
}

ctl::Response Daemon::command(const std::string& name, const std::string& body) {
  if (core_->node_state() == NodeState::Releasing) return refused(409, "the daemon is stopping");
  note(name + " asked by vipctl");
  if (name == "resign") return resign(body);
  if (name == "check") return check(body);
  if (name == "transfer") return transfer(body);
  if (name == "pause") return pause(body);
  if (name == "resume") return resume();
  if (name == "log-level") return set_log_level(body);
  std::string all;
  for (const std::string& error : reload()) all += (all.empty() ? "" : "\n") + error;
  return all.empty() ? done() : refused(422, all);
}

// Without names: all of them.
ctl::Response Daemon::resign(const std::string& body) {
  event::ResignAsked asked;
  rapidjson::Document json;
  json.Parse<rapidjson::kParseIterativeFlag>(body.data(), body.size());
  const bool named = !body.empty() && !json.HasParseError() && json.IsObject();
  if (!body.empty() && !named) return refused(400, "the body must be a JSON object");
  const auto vips = named ? json.FindMember("vips") : rapidjson::Value::MemberIterator();
  if (named && vips != json.MemberEnd()) {
    if (!vips->value.IsArray()) return refused(400, "\"vips\" must be a list of names");
    for (const rapidjson::Value& name : vips->value.GetArray()) {
      if (!name.IsString()) return refused(400, "\"vips\" must be a list of names");
      const VipConfig* vip = vip_named(name.GetString());
      if (vip == nullptr) return refused(404, std::string("no VIP is called ") + name.GetString());
      asked.vips.push_back(vip->address);
    }
  }
  if (asked.vips.empty()) {
    for (const VipConfig& vip : config_.vips) asked.vips.push_back(vip.address);
  }
  log::info("resign asked by vipctl: %zu VIPs", asked.vips.size());
  feed(asked);
  return done();
}

ctl::Response Daemon::check(const std::string& body) {
  rapidjson::Document json;
  json.Parse<rapidjson::kParseIterativeFlag>(body.data(), body.size());
  const auto text = [&json](const char* key) -> std::string {
    if (json.HasParseError() || !json.IsObject()) return "";
    const auto found = json.FindMember(key);
    return found == json.MemberEnd() || !found->value.IsString() ? "" : found->value.GetString();
  };
  const std::string name = text("name");
  const std::string state = text("state");
  if (name.empty() || (state != "up" && state != "down" && state != "auto")) {
    return refused(400, R"(the body must be {"name": NAME, "state": "up", "down" or "auto"})");
  }
  if (!override_check(name, state)) return refused(404, "no check is called " + name);
  return done();
}

Status Daemon::status() const {
  Status status;
  status.time = sys::wall_clock_text();
  status.version = VIPD_VERSION;
  status.node = config_.node_name;
  status.state = name_of(core_->node_state());
  status.pause_persists = pause_persists_;
  if (core_->session() != LeaseId::None) status.session_id = lease_hex(core_->session());
  status.timeout_ms = core_->timeout().ms();
  status.authority_ms = std::max<int64_t>(0, (core_->fencing_deadline() - loop_.now()).ms());
  status.etcd_connected = etcd_->connected();
  status.etcd_endpoint = etcd_->endpoint();
  status.etcd_version = etcd_->version();
  if (etcd_->cluster_id() != 0) {
    char text[17];
    snprintf(text, sizeof text, "%" PRIx64, etcd_->cluster_id());
    status.etcd_cluster_id = text;
  }
  if (const std::optional<etcd::LastError> last = etcd_->last_error()) {
    status.etcd_error = last->error.text;
    status.etcd_error_endpoint = last->error.endpoint;
    status.etcd_error_age_ms = last->age.ms();
    status.etcd_error_matters = last->matters;
  }
  for (const VipView& view : core_->vips(loop_.now())) {
    const VipConfig* config = vip_at(view.address);
    if (config == nullptr) continue;
    VipStatus vip;
    vip.name = config->name;
    vip.address = view.address.text();
    vip.link = config->link;
    vip.state = name_of(view.state);
    vip.reason = view.reason;
    vip.owner = view.owner;
    if (view.transfer_to != LeaseId::None) vip.transfer_to = lease_hex(view.transfer_to);
    vip.since = started_;
    if (const auto record = records_.find(view.address); record != records_.end()) {
      if (!record->second.since.empty()) vip.since = record->second.since;
      vip.transfer_failed = record->second.transfer_failed;
      vip.transitions = record->second.transitions;
      vip.last_change = record->second.last_change;
      if (record->second.is_nobodys) vip.reason += "; no node is fit to own it";
    }
    vip.checks = checks_of(*config);
    for (const CandidateView& candidate : view.queue) {
      vip.queue.push_back({.node = candidate.node,
                           .priority = candidate.priority,
                           .session = lease_hex(candidate.lease)});
    }
    status.vips.push_back(std::move(vip));
  }
  for (const CheckConfig& check : config_.checks) {
    status.checks.push_back(checks_->status(check.name));
  }
  return status;
}

}  // namespace vipd
