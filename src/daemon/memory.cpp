#include "daemon/memory.hpp"

#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <utility>

#include "sys/boot.hpp"
#include "sys/errno_text.hpp"
#include "sys/file.hpp"
#include "vipd/log.hpp"

namespace vipd {

namespace {

constexpr size_t kMaxFile = 1 << 20;
constexpr int64_t kMaxTimeoutMs = 3'600'000;  // as a session key's

constexpr size_t kMostIncarnations = 1000;

bool read_incarnations(const rapidjson::Document& json, std::vector<uint64_t>* out) {
  const auto found = json.FindMember("incarnations");  // former versions did not write it
  if (found == json.MemberEnd()) return true;
  if (!found->value.IsArray() || found->value.Size() > kMostIncarnations) return false;
  for (const auto& each : found->value.GetArray()) {
    if (!each.IsUint64()) return false;
    out->push_back(each.GetUint64());
  }
  return true;
}

void put(rapidjson::Writer<rapidjson::StringBuffer>* json, const char* key,
         const std::string& text) {
  json->Key(key);
  json->String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
}

bool text_is(const rapidjson::Document& json, const char* key, const std::string& expected) {
  const auto found = json.FindMember(key);
  return found != json.MemberEnd() && found->value.IsString() &&
         expected == found->value.GetString();
}

bool read_revisions(const rapidjson::Value& object, std::map<Address, Revision>* out) {
  for (const auto& member : object.GetObject()) {
    const std::optional<Address> address = Address::parse(member.name.GetString());
    if (!address || !member.value.IsInt64()) return false;
    out->emplace(*address, member.value.GetInt64());
  }
  return true;
}

bool parse(const rapidjson::Document& json, Memory* memory) {
  const auto cluster = json.FindMember("cluster_id");
  const auto revision = json.FindMember("session_revision");
  const auto lease = json.FindMember("lease");
  const auto instance = json.FindMember("instance");
  const auto timeout = json.FindMember("timeout_ms");
  const auto waited = json.FindMember("waited_out");
  const auto end = json.MemberEnd();
  if (cluster == end || !cluster->value.IsUint64() || revision == end ||
      !revision->value.IsInt64() || lease == end || !lease->value.IsInt64() || instance == end ||
      !instance->value.IsString() || timeout == end || !timeout->value.IsInt64() || waited == end ||
      !waited->value.IsObject()) {
    return false;
  }
  memory->cluster_id = cluster->value.GetUint64();
  memory->session_revision = revision->value.GetInt64();
  memory->lease = static_cast<LeaseId>(lease->value.GetInt64());
  memory->instance = instance->value.GetString();
  const auto others = json.FindMember("others");  // former versions did not write it
  memory->others = others != end && others->value.IsTrue();
  if (!read_incarnations(json, &memory->incarnations)) return false;
  if (memory->lease == LeaseId::None) {  // only the cluster is remembered
    const Memory all = std::exchange(*memory, {});
    memory->cluster_id = all.cluster_id;
    memory->others = all.others;
    memory->incarnations = all.incarnations;
    return true;
  }
  const int64_t timeout_ms = timeout->value.GetInt64();
  if (timeout_ms <= 0 || timeout_ms > kMaxTimeoutMs) return false;
  memory->timeout = Duration::milliseconds(timeout_ms);
  return memory->lease > LeaseId::None && read_revisions(waited->value, &memory->waited_out);
}

}  // namespace

uint64_t this_boot() {
  std::string digits = sys::boot_id();
  std::erase(digits, '-');
  uint64_t boot = 0;
  if (digits.size() == 32) std::from_chars(digits.data(), digits.data() + 16, boot, 16);
  return boot;
}

Memory read_memory(const std::string& path, const std::string& prefix) {
  if (access(path.c_str(), F_OK) != 0) return {};
  std::string text, reason;
  if (!sys::read_bounded(path, kMaxFile, &text, &reason)) {
    log::warn("%s: ignored, a new session is opened", reason.c_str());
    return {};
  }
  rapidjson::Document json;
  json.Parse<rapidjson::kParseIterativeFlag>(text.data(), text.size());
  Memory memory;
  if (json.HasParseError() || !json.IsObject() || !parse(json, &memory)) {
    log::warn("%s: not a session of ours; ignored, a new session is opened", path.c_str());
    return {};
  }
  if (!text_is(json, "boot", sys::boot_id()) || !text_is(json, "prefix", prefix)) {
    log::info("%s: from another boot or for another prefix; a new session is opened", path.c_str());
    return {};
  }
  return memory;
}

bool write_memory(const std::string& path, const std::string& prefix, const Memory& memory,
                  std::string* reason) {
  if (memory.cluster_id == 0) {
    unlink((path + sys::kOtherOfTwo).c_str());
    if (unlink(path.c_str()) == 0 || errno == ENOENT) return true;
    *reason = sys::errno_text(path);
    return false;
  }
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> json(buffer);
  json.StartObject();
  put(&json, "boot", sys::boot_id());
  put(&json, "prefix", prefix);
  json.Key("cluster_id");
  json.Uint64(memory.cluster_id);
  json.Key("others");
  json.Bool(memory.others);
  json.Key("session_revision");
  json.Int64(memory.session_revision);
  json.Key("lease");
  json.Int64(static_cast<int64_t>(memory.lease));
  put(&json, "instance", memory.instance);
  json.Key("timeout_ms");
  json.Int64(memory.timeout.ms());
  json.Key("incarnations");
  json.StartArray();
  for (const uint64_t incarnation : memory.incarnations) json.Uint64(incarnation);
  json.EndArray();
  json.Key("waited_out");
  json.StartObject();
  for (const auto& [address, revision] : memory.waited_out) {
    json.Key(address.text().c_str());
    json.Int64(revision);
  }
  json.EndObject();
  json.EndObject();
  return sys::write_by_turns(path, {buffer.GetString(), buffer.GetSize()}, 0600, reason);
}

}  // namespace vipd
