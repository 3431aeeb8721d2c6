#include "core/keys.hpp"

#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <iterator>

namespace vipd {

namespace {

constexpr std::string_view kSession = "/session/";
constexpr std::string_view kWrites = "/writes/";
constexpr std::string_view kVip = "/vip/";
constexpr std::string_view kFamilies[] = {kSession, kVip, kWrites};
static_assert(std::is_sorted(std::begin(kFamilies), std::end(kFamilies)));

// Longer values are not ours: a node name has at most 64 bytes (HOST_NAME_MAX).
constexpr size_t kMaxValue = 1024;
constexpr size_t kMaxForeignName = 64;
constexpr int64_t kMaxTimeoutMs = 3'600'000;

bool take_prefix(std::string_view* text, std::string_view prefix) {
  if (!text->starts_with(prefix)) return false;
  text->remove_prefix(prefix.size());
  return true;
}

// Lower-case hex without leading zeros, as concurrency/election.go prints it, and in int64's range.
std::optional<LeaseId> parse_lease(std::string_view text) {
  if (text.empty() || text.size() > 16 || text[0] == '0') return std::nullopt;
  if (text.find_first_not_of("0123456789abcdef") != std::string_view::npos) return std::nullopt;
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, 16);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (number > INT64_MAX) return std::nullopt;
  return static_cast<LeaseId>(number);
}

// FNV-1a with the sign bit set: etcd's own lease ids are never negative.
LeaseId foreign_identity(std::string_view text) {
  uint64_t hash = 14695981039346656037ull;
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 1099511628211ull;
  return static_cast<LeaseId>(static_cast<int64_t>(hash | (1ull << 63)));
}

std::optional<Key> decode_candidate(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::optional<Address> vip = Address::parse(text.substr(0, slash));
  // Another spelling of an address would be another election; only the canonical one counts.
  if (!vip || vip->text() != text.substr(0, slash)) return std::nullopt;
  const std::string_view last = text.substr(slash + 1);
  const LeaseId lease = parse_lease(last).value_or(foreign_identity(last));
  return Key{.kind = KeyKind::Candidate, .lease = lease, .vip = *vip};
}

const rapidjson::Value* member(const rapidjson::Document& json, const char* name) {
  const auto found = json.FindMember(name);
  return found == json.MemberEnd() ? nullptr : &found->value;
}

bool read_text(const rapidjson::Document& json, const char* name, std::string* out) {
  const rapidjson::Value* value = member(json, name);
  if (value == nullptr || !value->IsString()) return false;
  out->assign(value->GetString(), value->GetStringLength());
  return true;
}

bool read_session(const rapidjson::Document& json, Value* out) {
  std::string nonce, state;
  const rapidjson::Value* timeout = member(json, "timeout_ms");
  if (!read_text(json, "node", &out->node) || !read_text(json, "instance", &out->instance) ||
      !read_text(json, "nonce", &nonce) || !read_text(json, "state", &state)) {
    return false;
  }
  if (timeout == nullptr || !timeout->IsInt64() || timeout->GetInt64() <= 0 ||
      timeout->GetInt64() > kMaxTimeoutMs) {
    return false;
  }
  const char* const end = nonce.data() + nonce.size();
  const auto parsed = std::from_chars(nonce.data(), end, out->nonce, 16);
  if (parsed.ec != std::errc() || parsed.ptr != end) return false;
  out->timeout = Duration::milliseconds(timeout->GetInt64());
  out->released = state == "released";
  // Not there: of a daemon that does not say it, or nothing was held.
  const rapidjson::Value* held = member(json, "held");
  out->held = out->released && held != nullptr && held->IsTrue();
  return out->released || state == "live";
}

bool read_candidate(const rapidjson::Document& json, Value* out) {
  const rapidjson::Value* priority = member(json, "priority");
  if (!read_text(json, "node", &out->node) || priority == nullptr || !priority->IsInt()) {
    return false;
  }
  out->priority = priority->GetInt();
  return true;
}

// For the log and the status only: printable and short.
std::string foreign_name(std::string_view text) {
  std::string name(text.substr(0, kMaxForeignName));
  for (char& c : name) {
    if (c < ' ' || c > '~') c = '?';
  }
  return name;
}

}  // namespace

std::string encode_key(std::string_view prefix, const Key& key) {
  std::string text(prefix);
  switch (key.kind) {
    case KeyKind::Session:
      text += kSession;
      break;
    case KeyKind::Writes:
      text += kWrites;
      break;
    case KeyKind::Candidate:
      text += kVip;
      text += key.vip.text();
      text += '/';
      break;
  }
  return text + lease_hex(key.lease);
}

std::optional<Key> decode_key(std::string_view prefix, std::string_view text) {
  if (!take_prefix(&text, prefix)) return std::nullopt;
  if (take_prefix(&text, kVip)) return decode_candidate(text);
  Key key;
  if (take_prefix(&text, kSession)) {
    key.kind = KeyKind::Session;
  } else if (take_prefix(&text, kWrites)) {
    key.kind = KeyKind::Writes;
  } else {
    return std::nullopt;
  }
  const std::optional<LeaseId> lease = parse_lease(text);
  if (!lease) return std::nullopt;
  key.lease = *lease;
  return key;
}

std::string encode_value(KeyKind kind, const Value& value) {
  if (kind == KeyKind::Writes) return "";
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> json(buffer);
  json.StartObject();
  json.Key("node");
  json.String(value.node.data(), static_cast<rapidjson::SizeType>(value.node.size()));
  if (kind == KeyKind::Session) {
    char nonce[17];
    snprintf(nonce, sizeof nonce, "%016" PRIx64, value.nonce);
    json.Key("instance");
    json.String(value.instance.data(), static_cast<rapidjson::SizeType>(value.instance.size()));
    json.Key("timeout_ms");
    json.Int64(value.timeout.ms());
    json.Key("nonce");
    json.String(nonce);
    json.Key("state");
    json.String(value.released ? "released" : "live");
    if (value.held) {
      json.Key("held");
      json.Bool(true);
    }
  } else {
    json.Key("priority");
    json.Int(value.priority);
  }
  json.EndObject();
  return std::string(buffer.GetString(), buffer.GetSize());
}

Value decode_value(KeyKind kind, std::string_view text) {
  Value value;
  if (kind == KeyKind::Writes) return value;
  rapidjson::Document json;
  if (text.size() <= kMaxValue) {
    json.Parse<rapidjson::kParseIterativeFlag>(text.data(), text.size());
    if (!json.HasParseError() && json.IsObject()) {
      value.valid =
          kind == KeyKind::Session ? read_session(json, &value) : read_candidate(json, &value);
    }
  }
  if (!value.valid) {
    value = Value{};
    if (kind == KeyKind::Candidate) value.node = foreign_name(text);
  }
  return value;
}

std::vector<KeyRange> key_ranges(std::string_view prefix) {
  std::vector<KeyRange> ranges;
  for (const std::string_view family : kFamilies) {
    KeyRange range{std::string(prefix).append(family), std::string(prefix).append(family)};
    ++range.end.back();  // '/' + 1
    ranges.push_back(std::move(range));
  }
  return ranges;
}

KeyRange watched_range(std::string_view prefix) {
  const std::vector<KeyRange> ranges = key_ranges(prefix);
  return {ranges.front().begin, ranges.back().end};
}

}  // namespace vipd
