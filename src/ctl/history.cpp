#include "ctl/history.hpp"

#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include "ctl/json_text.hpp"
#include "ctl/table.hpp"

namespace vipd::ctl {
namespace {

using Writer = rapidjson::Writer<rapidjson::StringBuffer>;
using Value = rapidjson::Value;

// One list, so that what is written is what is read.
constexpr struct {
  const char* key;
  std::string HistoryEntry::*text;
} kTexts[] = {
    {"time", &HistoryEntry::time},       {"kind", &HistoryEntry::kind},
    {"vip", &HistoryEntry::vip},         {"address", &HistoryEntry::address},
    {"from", &HistoryEntry::from},       {"to", &HistoryEntry::to},
    {"owner", &HistoryEntry::owner},     {"reason", &HistoryEntry::reason},
    {"session", &HistoryEntry::session}, {"endpoint", &HistoryEntry::endpoint},
};
constexpr struct {
  const char* key;
  int64_t HistoryEntry::*number;
} kNumbers[] = {{"revision", &HistoryEntry::revision},
                {"heartbeat_ms", &HistoryEntry::heartbeat_ms},
                {"authority_ms", &HistoryEntry::authority_ms}};

void put(Writer* json, const HistoryEntry& entry) {
  json->StartObject();
  for (const auto& [key, text] : kTexts) {
    const std::string valid = valid_utf8(entry.*text);
    json->Key(key);
    json->String(valid.data(), static_cast<rapidjson::SizeType>(valid.size()));
  }
  for (const auto& [key, number] : kNumbers) {
    json->Key(key);
    json->Int64(entry.*number);
  }
  json->EndObject();
}

HistoryEntry read_entry(const Value& json) {
  HistoryEntry entry;
  if (!json.IsObject()) return entry;
  for (const auto& [key, text] : kTexts) {
    const auto found = json.FindMember(key);
    if (found == json.MemberEnd() || !found->value.IsString()) continue;
    (entry.*text).assign(found->value.GetString(), found->value.GetStringLength());
  }
  for (const auto& [key, number] : kNumbers) {
    const auto found = json.FindMember(key);
    if (found != json.MemberEnd() && found->value.IsInt64())
      entry.*number = found->value.GetInt64();
  }
  return entry;
}

std::string what(const HistoryEntry& entry) {
  const std::string about = entry.vip.empty() ? "node" : "vip " + entry.vip;
  if (entry.kind == "event") return about + ": " + entry.reason;
  const auto named = [](const std::string& text) { return text.empty() ? "nobody" : text; };
  const char* const kind = entry.kind == "owner" ? ": owner " : ": ";
  const std::string why = entry.reason.empty() ? "" : ": " + entry.reason;
  return about + kind + named(entry.from) + " -> " + named(entry.to) + why;
}

std::string figures(const HistoryEntry& entry) {
  std::string text = entry.session.empty() ? "no session" : "session " + entry.session;
  if (entry.heartbeat_ms >= 0) {
    text += ", heartbeat " + std::to_string(entry.heartbeat_ms) + " ms ago, authority " +
            std::to_string(entry.authority_ms) + " ms left";
  } else {
    text += ", no authority";
  }
  text += ", revision " + std::to_string(entry.revision);
  return entry.endpoint.empty() ? text : text + " at " + entry.endpoint;
}

}  // namespace

std::string entry_json(const HistoryEntry& entry) {
  rapidjson::StringBuffer buffer;
  Writer json(buffer);
  put(&json, entry);
  return std::string(buffer.GetString(), buffer.GetSize());
}

std::string history_json(const std::deque<HistoryEntry>& history) {
  rapidjson::StringBuffer buffer;
  Writer json(buffer);
  json.StartObject();
  json.Key("history");
  json.StartArray();
  for (const HistoryEntry& entry : history) put(&json, entry);
  json.EndArray();
  json.EndObject();
  return std::string(buffer.GetString(), buffer.GetSize());
}

std::optional<std::deque<HistoryEntry>> read_history(std::string_view json) {
  rapidjson::Document document;
  document.Parse<rapidjson::kParseIterativeFlag>(json.data(), json.size());
  if (document.HasParseError() || !document.IsObject()) return std::nullopt;
  if (!document.HasMember("history") || !document["history"].IsArray()) return std::nullopt;
  std::deque<HistoryEntry> history;
  for (const Value& entry : document["history"].GetArray()) history.push_back(read_entry(entry));
  return history;
}

std::string history_line(const HistoryEntry& entry) {
  return harmless(entry.time + "  " + what(entry) + "  [" + figures(entry) + "]");
}

}  // namespace vipd::ctl
