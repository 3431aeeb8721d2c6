// What people ask for by vipctl, besides resign: pause and resume, a transfer, another log level.
#include <rapidjson/document.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "conf/keys.hpp"
#include "ctl/json_text.hpp"
#include "daemon/impl.hpp"
#include "sys/errno_text.hpp"
#include "sys/file.hpp"
#include "sys/wall_clock.hpp"
#include "vipd/log.hpp"

namespace vipd {

namespace {

constexpr char kPauseFile[] = "paused";

// An object; nothing at all is an empty one.
bool parse_body(const std::string& body, rapidjson::Document* json) {
  json->SetObject();
  if (body.empty()) return true;
  json->Parse<rapidjson::kParseIterativeFlag>(body.data(), body.size());
  return !json->HasParseError() && json->IsObject();
}

// Empty when there is no such text.
std::string text_of(const rapidjson::Document& json, const char* key) {
  const auto found = json.FindMember(key);
  if (found == json.MemberEnd() || !found->value.IsString()) return "";
  return {found->value.GetString(), found->value.GetStringLength()};
}

ctl::Response refused(int status, std::string_view reason) {
  return {.status = status, .body = ctl::error_json(reason)};
}

ctl::Response done() {
  return {.body = "{}"};
}

std::string nodes_of(const VipView& view, LeaseId own) {
  std::string text;
  for (const CandidateView& candidate : view.queue) {
    if (candidate.lease == own || candidate.node.empty()) continue;
    text += (text.empty() ? "" : ", ") + candidate.node;
  }
  return text.empty() ? "nobody else" : text;
}

}  // namespace

// --- pause

bool Daemon::read_pause() const {
  return access(state_dir_->file(kPauseFile).c_str(), F_OK) == 0;
}

// What is to survive a restart is written first: who was told that it does relies on it.
ctl::Response Daemon::pause(const std::string& body) {
  rapidjson::Document json;
  if (!parse_body(body, &json)) return refused(400, "the body must be a JSON object");
  const auto persist = json.FindMember("persist");
  const bool given = persist != json.MemberEnd();
  if (given && !persist->value.IsBool()) return refused(400, "\"persist\" must be true or false");
  if (given && persist->value.IsTrue()) {
    std::string reason;
    const std::string text = sys::wall_clock_text() + "\n";
    if (!sys::write_atomically(state_dir_->file(kPauseFile), text, 0644, &reason)) {
      return refused(500, reason + ": not paused, since a restart would not know of it");
    }
    pause_persists_ = true;
  }
  log::info("pause asked by vipctl%s", pause_persists_ ? ", until resumed" : "");
  feed(event::PauseAsked{});
  return done();
}

ctl::Response Daemon::resume() {
  const std::string path = state_dir_->file(kPauseFile);
  if (unlink(path.c_str()) < 0 && errno != ENOENT) {
    return refused(500, sys::errno_text(path) + ": not resumed, since a restart would pause again");
  }
  pause_persists_ = false;
  log::info("resume asked by vipctl");
  feed(event::ResumeAsked{});
  return done();
}

// --- transfer

ctl::Response Daemon::transfer(const std::string& body) {
  rapidjson::Document json;
  const bool is_object = parse_body(body, &json);
  const std::string name = is_object ? text_of(json, "vip") : "";
  const std::string node = is_object ? text_of(json, "node") : "";
  if (name.empty() || node.empty()) {
    return refused(400, R"(the body must be {"vip":"NAME","node":"NODE"})");
  }
  const VipConfig* vip = vip_named(name);
  if (vip == nullptr) return refused(404, "no VIP is called " + name);
  for (const VipView& view : core_->vips(loop_.now())) {
    if (view.address == vip->address) return transfer(*vip, view, node);
  }
  return refused(404, "no VIP is called " + name);
}

// The node by its name, or by its session where several nodes have the name.
ctl::Response Daemon::transfer(const VipConfig& vip, const VipView& view, const std::string& node) {
  const std::string quoted = "VIP '" + vip.name + "'";
  if (view.state != VipState::Owner) {
    return refused(409, "this node does not own " + quoted + "; " +
                            (view.owner.empty() ? "nobody is known to" : view.owner + " does"));
  }
  std::vector<CandidateView> found;
  std::string sessions;
  for (const CandidateView& c : view.queue) {
    const std::string session = lease_hex(c.lease);
    if (c.lease == core_->session() || (c.node != node && session != node)) continue;
    found.push_back(c);
    sessions += (sessions.empty() ? "" : ", ") + session;
  }
  if (found.size() > 1) {
    return refused(409,
                   "several nodes are called " + node + "; name its session, one of " + sessions);
  }
  if (found.empty() && node == config_.node_name) {
    return refused(409, "this node owns " + quoted + " already");
  }
  if (found.empty()) {
    return refused(409, node + " is not in the queue of " + quoted +
                            "; in it: " + nodes_of(view, core_->session()));
  }
  if (!found[0].has_session) return refused(409, node + " is not ready: it has no session");
  log::info("vip %s: transfer to %s asked by vipctl", vip.name.c_str(), node.c_str());
  records_[vip.address].transfer_failed.clear();
  feed(event::TransferAsked{.vip = vip.address, .to = found[0].lease});
  return done();
}

// --- the log

ctl::Response Daemon::set_log_level(const std::string& body) {
  rapidjson::Document json;
  const std::string level = parse_body(body, &json) ? text_of(json, "level") : "";
  if (level.empty()) return refused(400, R"(the body must be {"level":"LEVEL"})");
  std::string_view no_name;
  std::string reason;
  Config config;
  const conf::Key* key = conf::find_key("log.level", &no_name);
  if (!conf::parse_value(*key, level, {.config = &config}, &reason)) return refused(400, reason);
  log::set_level(config.log_level);
  log::info("log level %s, asked by vipctl", level.c_str());
  return done();
}

}  // namespace vipd
