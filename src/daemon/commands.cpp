#include "daemon/commands.hpp"

#include <rapidjson/document.h>

#include <algorithm>
#include <utility>

#include "conf/keys.hpp"
#include "ctl/json_text.hpp"
#include "ctl/server.hpp"
#include "daemon/kept.hpp"
#include "daemon/settings.hpp"
#include "daemon/vips.hpp"
#include "vipd/log.hpp"

namespace vipd {

namespace {

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

// The first line, and how many follow: a faulty file may have a hundred of them.
std::string in_one_line(const std::string& reason) {
  const auto more = std::count(reason.begin(), reason.end(), '\n');
  if (more == 0) return reason;
  return reason.substr(0, reason.find('\n')) + " (and " + std::to_string(more) + " more)";
}

// What was typed after the command's name: " check down", and of long lists how much more.
std::string words_of(const std::string& body) {
  constexpr size_t kLongest = 100;
  rapidjson::Document json;
  if (!parse_body(body, &json)) return "";
  std::string words;
  size_t more = 0;
  const auto add = [&](const rapidjson::Value& value) {
    if (!value.IsString()) return;
    const bool fits = more == 0 && words.size() + value.GetStringLength() < kLongest;
    if (fits) words.append(" ").append(value.GetString());
    if (!fits) more++;
  };
  for (const auto& member : json.GetObject()) {
    if (!member.value.IsArray()) {
      add(member.value);
      continue;
    }
    for (const rapidjson::Value& each : member.value.GetArray()) add(each);
  }
  const auto is_odd = [](unsigned char c) { return c < ' ' || c > '~'; };
  std::replace_if(words.begin(), words.end(), is_odd, '?');  // for terminals and for JSON
  return more == 0 ? words : words + " and " + std::to_string(more) + " more";
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

Commands::Commands(Needs needs) : needs_(std::move(needs)) {}

std::span<const Commands::Row> Commands::all() {
  static constexpr Row kRows[] = {
      {"resign", &Commands::resign},   {"transfer", &Commands::transfer},
      {"pause", &Commands::pause},     {"resume", &Commands::resume},
      {"reload", &Commands::reload},   {"log-level", &Commands::set_log_level},
      {"check", &Commands::set_check}, {"take", &Commands::take},
  };
  return kRows;
}

ctl::Response Commands::run(const Row& row, const std::string& body) {
  if (needs_.core().node_state() == NodeState::Releasing) {
    return refused(409, "the daemon is stopping");
  }
  needs_.note(std::string(row.name) + words_of(body) + " asked by vipctl");
  ctl::Response answer = (this->*row.answer)(body);
  rapidjson::Document json;
  if (answer.status >= 400 && parse_body(answer.body, &json)) {
    needs_.note(std::string(row.name) + " refused: " + in_one_line(text_of(json, "error")));
  }
  return answer;
}

ctl::Response Commands::unknown_vip(const std::string& name) const {
  constexpr size_t kMostNames = 8;
  std::string there;
  const std::vector<VipConfig>& all = needs_.vips.all();
  const size_t named = std::min(all.size(), kMostNames);
  for (size_t i = 0; i < named; i++) there += (i == 0 ? "" : ", ") + all[i].name;
  if (all.size() > named) there += " and " + std::to_string(all.size() - named) + " more";
  return refused(
      404, "no VIP is called " + name + "; there " + (there.empty() ? "is none" : "are: " + there));
}

ctl::Response Commands::resign(const std::string& body) {
  event::ResignAsked asked;
  rapidjson::Document json;
  if (!parse_body(body, &json)) return refused(400, "the body must be a JSON object");
  if (json.HasMember("vips")) {
    const rapidjson::Value& vips = json["vips"];
    if (!vips.IsArray()) return refused(400, "\"vips\" must be a list of names");
    for (const rapidjson::Value& name : vips.GetArray()) {
      if (!name.IsString()) return refused(400, "\"vips\" must be a list of names");
      const VipConfig* vip = needs_.vips.named(name.GetString());
      if (vip == nullptr) return unknown_vip(name.GetString());
      asked.vips.push_back(vip->address);
    }
  }
  if (asked.vips.empty()) {
    for (const VipConfig& vip : needs_.vips.all()) asked.vips.push_back(vip.address);
  }
  log::info("resign asked by vipctl, VIPs: %zu", asked.vips.size());
  needs_.feed(asked);
  return done();
}

// --- pause

// A pause that is to survive a restart is written before it is answered: the caller relies on it.
ctl::Response Commands::pause(const std::string& body) {
  rapidjson::Document json;
  if (!parse_body(body, &json)) return refused(400, "the body must be a JSON object");
  const rapidjson::Value* persist = json.HasMember("persist") ? &json["persist"] : nullptr;
  if (persist != nullptr && !persist->IsBool()) {
    return refused(400, "\"persist\" must be true or false");
  }
  std::string reason;
  if (persist != nullptr && persist->IsTrue() && !needs_.kept.pause(&reason)) {
    return refused(500, reason + ": not paused, since a restart would not know of it");
  }
  log::info("pause asked by vipctl%s", needs_.kept.is_paused() ? ", until resumed" : "");
  needs_.feed(event::PauseAsked{});
  return done();
}

ctl::Response Commands::resume(const std::string&) {
  std::string reason;
  if (!needs_.kept.resume(&reason)) {
    return refused(500, reason + ": not resumed, since a restart would pause again");
  }
  log::info("resume asked by vipctl");
  needs_.feed(event::ResumeAsked{});
  return done();
}

// --- transfer

ctl::Response Commands::transfer(const std::string& body) {
  rapidjson::Document json;
  const bool is_object = parse_body(body, &json);
  const std::string name = is_object ? text_of(json, "vip") : "";
  const std::string node = is_object ? text_of(json, "node") : "";
  if (name.empty() || node.empty()) {
    return refused(400, R"(the body must be {"vip":"NAME","node":"NODE"})");
  }
  const VipConfig* vip = needs_.vips.named(name);
  if (vip == nullptr) return unknown_vip(name);
  const std::optional<VipView> view = needs_.view(vip->address);
  if (!view) return unknown_vip(name);
  return transfer(*vip, *view, node);
}

// The node by its name, or by its session where several nodes have the name.
ctl::Response Commands::transfer(const VipConfig& vip, const VipView& view,
                                 const std::string& node) {
  const std::string quoted = "VIP '" + vip.name + "'";
  if (view.state != VipState::Owner) {
    return refused(409, "this node does not own " + quoted + "; " +
                            (view.owner.empty() ? "nobody is known to" : view.owner + " does"));
  }
  const LeaseId own = needs_.core().session();
  std::vector<CandidateView> found;
  std::string sessions;
  for (const CandidateView& c : view.queue) {
    const std::string session = lease_hex(c.lease);
    if (c.lease == own || (c.node != node && session != node)) continue;
    found.push_back(c);
    sessions += (sessions.empty() ? "" : ", ") + session;
  }
  if (found.size() > 1) {
    return refused(409,
                   "several nodes are called " + node + "; name its session, one of " + sessions);
  }
  if (found.empty() && node == needs_.node) {
    return refused(409, "this node owns " + quoted + " already");
  }
  if (found.empty()) {
    return refused(409,
                   node + " is not in the queue of " + quoted + "; in it: " + nodes_of(view, own));
  }
  if (!found[0].has_session) return refused(409, node + " is not ready: it has no session");
  log::info("vip %s: transfer to %s asked by vipctl", vip.name.c_str(), node.c_str());
  needs_.transfer_asked(vip.address);
  needs_.feed(event::TransferAsked{.vip = vip.address, .to = found[0].lease});
  return done();
}

// --- take

// The operator's word that the former owner is off.
ctl::Response Commands::take(const std::string& body) {
  rapidjson::Document json;
  const bool is_object = parse_body(body, &json);
  const std::string name = is_object ? text_of(json, "vip") : "";
  if (name.empty()) return refused(400, R"(the body must be {"vip":"NAME"})");
  const VipConfig* vip = needs_.vips.named(name);
  if (vip == nullptr) return unknown_vip(name);
  const std::optional<VipView> view = needs_.view(vip->address);
  if (!view) return unknown_vip(name);
  if (!view->may_be_held) {
    return refused(409, "no node is known that may still have VIP '" + name + "'");
  }
  log::warn("vip %s: take asked by vipctl: the host that may have it is off", name.c_str());
  needs_.feed(event::TakeAsked{.vip = vip->address});
  return done();
}

// --- the daemon

ctl::Response Commands::reload(const std::string&) {
  const Reread read = needs_.reload();
  std::string all;
  for (const std::string& error : read.errors) all += (all.empty() ? "" : "\n") + error;
  if (!all.empty()) return refused(422, all);
  if (read.warnings.empty()) return done();
  return {.body = ctl::list_json("warning", read.warnings)};
}

ctl::Response Commands::set_check(const std::string& body) {
  rapidjson::Document json;
  const bool is_object = parse_body(body, &json);
  const std::string name = is_object ? text_of(json, "name") : "";
  const std::string state = is_object ? text_of(json, "state") : "";
  if (name.empty() || (state != "up" && state != "down" && state != "auto")) {
    return refused(400, R"(the body must be {"name": NAME, "state": "up", "down" or "auto"})");
  }
  if (!needs_.override_check(name, state)) return refused(404, "no check is called " + name);
  return done();
}

ctl::Response Commands::set_log_level(const std::string& body) {
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
