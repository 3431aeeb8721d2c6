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
constexpr std::string_view kPeers = "/peers/";
constexpr std::string_view kHold = "/hold/";
constexpr std::string_view kFamilies[] = {kHold, kPeers, kSession, kVip, kWrites};
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
  // Another spelling of an address would be another election; only the canonical one counts. Of
  // IPv4 there is no other: inet_pton() refuses zeros in front.
  if (!vip || (vip->is_v6() && vip->text() != text.substr(0, slash))) return std::nullopt;
  const std::string_view last = text.substr(slash + 1);
  const LeaseId lease = parse_lease(last).value_or(foreign_identity(last));
  return Key{.kind = KeyKind::Candidate, .lease = lease, .vip = *vip};
}

const rapidjson::Value* member(const rapidjson::Value& json, const char* name) {
  const auto found = json.FindMember(name);
  return found == json.MemberEnd() ? nullptr : &found->value;
}

bool read_text(const rapidjson::Value& json, const char* name, std::string* out) {
  const rapidjson::Value* value = member(json, name);
  if (value == nullptr || !value->IsString()) return false;
  out->assign(value->GetString(), value->GetStringLength());
  return true;
}

bool read_timeout(const rapidjson::Value& json, Duration* out) {
  const rapidjson::Value* timeout = member(json, "timeout_ms");
  if (timeout == nullptr || !timeout->IsInt64() || timeout->GetInt64() <= 0 ||
      timeout->GetInt64() > kMaxTimeoutMs) {
    return false;
  }
  *out = Duration::milliseconds(timeout->GetInt64());
  return true;
}

// A random number, as 16 hex digits: JSON's own numbers have 53 bits.
bool read_hex(const rapidjson::Value& json, const char* name, uint64_t* out) {
  std::string text;
  if (!read_text(json, name, &text)) return false;
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, *out, 16);
  return parsed.ec == std::errc() && parsed.ptr == end;
}

// 16 hex digits, a minus, 12 of the MAC address. Not there, or not of that form: not known.
void read_host(const rapidjson::Value& json, Host* out) {
  std::string text;
  if (!read_text(json, "host", &text) || text.size() != 29 || text[16] != '-') return;
  Host host;
  uint64_t mac = 0;
  const char* const middle = text.data() + 16;
  const char* const end = text.data() + text.size();
  if (std::from_chars(text.data(), middle, host.boot, 16).ptr != middle) return;
  if (std::from_chars(middle + 1, end, mac, 16).ptr != end) return;
  for (int i = 5; i >= 0; i--, mac >>= 8) host.mac.bytes[static_cast<size_t>(i)] = mac & 0xff;
  *out = host;
}

// What daemons of the first version do not write.
void read_newer_fields(const rapidjson::Value& json, Value* out) {
  if (!read_hex(json, "incarnation", &out->incarnation)) out->incarnation = 0;
  const rapidjson::Value* seen = member(json, "seen");
  if (seen != nullptr && seen->IsInt64()) out->seen = seen->GetInt64();
  const rapidjson::Value* honours = member(json, "hold");
  out->honours = honours != nullptr && honours->IsTrue();
  read_host(json, &out->host);
}

bool read_session(const rapidjson::Value& json, Value* out) {
  std::string state;
  if (!read_text(json, "node", &out->node) || !read_text(json, "instance", &out->instance) ||
      !read_text(json, "state", &state) || !read_hex(json, "nonce", &out->nonce) ||
      !read_timeout(json, &out->timeout)) {
    return false;
  }
  read_newer_fields(json, out);
  out->released = state == "released";
  // Not there: of a daemon that does not say it, or nothing was held.
  const rapidjson::Value* held = member(json, "held");
  out->held = out->released && held != nullptr && held->IsTrue();
  return out->released || state == "live";
}

bool read_candidate(const rapidjson::Value& json, Value* out) {
  const rapidjson::Value* priority = member(json, "priority");
  if (!read_text(json, "node", &out->node) || priority == nullptr || !priority->IsInt()) {
    return false;
  }
  out->priority = priority->GetInt();
  return true;
}

// No two entries may name the same process: it would count twice.
bool read_grantor(const rapidjson::Value& json, std::vector<Grantor>* out) {
  Grantor grantor;
  if (!json.IsObject() || !read_hex(json, "incarnation", &grantor.incarnation) ||
      !read_hex(json, "secret", &grantor.secret)) {
    return false;
  }
  const bool twice = std::any_of(out->begin(), out->end(), [&](const Grantor& other) {
    return other.incarnation == grantor.incarnation;
  });
  read_host(json, &grantor.host);
  out->push_back(grantor);
  return grantor.incarnation != 0 && !twice;
}

bool read_peers(const rapidjson::Value& json, Value* out) {
  const rapidjson::Value* grantors = member(json, "grantors");
  if (!read_hex(json, "term", &out->peers.number) || !read_timeout(json, &out->peers.timeout) ||
      grantors == nullptr || !grantors->IsArray() || grantors->Size() > kMostGrantors) {
    return false;
  }
  for (const rapidjson::Value& each : grantors->GetArray()) {
    if (!read_grantor(each, &out->peers.grantors)) return false;
  }
  return out->peers.valid();
}

bool read_hold(const rapidjson::Value& json, Value* out) {
  read_host(json, &out->host);
  return read_text(json, "node", &out->node) && read_hex(json, "incarnation", &out->incarnation) &&
         read_peers(json, out);
}

bool read_value(KeyKind kind, const rapidjson::Value& json, Value* out) {
  switch (kind) {
    case KeyKind::Session:
      return read_session(json, out);
    case KeyKind::Candidate:
      return read_candidate(json, out);
    case KeyKind::Peers:
      return read_peers(json, out);
    case KeyKind::Hold:
      return read_hold(json, out);
    case KeyKind::Writes:
      break;
  }
  return false;
}

// For the log and the status only: printable and short.
std::string foreign_name(std::string_view text) {
  std::string name(text.substr(0, kMaxForeignName));
  for (char& c : name) {
    if (c < ' ' || c > '~') c = '?';
  }
  return name;
}

using Writer = rapidjson::Writer<rapidjson::StringBuffer>;

void write_text(Writer* json, const char* name, std::string_view text) {
  json->Key(name);
  json->String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
}

void write_hex(Writer* json, const char* name, uint64_t number) {
  char digits[17];
  snprintf(digits, sizeof digits, "%016" PRIx64, number);
  write_text(json, name, digits);
}

void write_number(Writer* json, const char* name, int64_t number) {
  json->Key(name);
  json->Int64(number);
}

void write_host(Writer* json, const Host& host) {
  if (!host.known()) return;
  uint64_t mac = 0;
  for (const uint8_t byte : host.mac.bytes) mac = mac << 8 | byte;
  char digits[30];
  snprintf(digits, sizeof digits, "%016" PRIx64 "-%012" PRIx64, host.boot, mac);
  write_text(json, "host", digits);
}

void write_session(Writer* json, const Value& value) {
  write_text(json, "node", value.node);
  write_text(json, "instance", value.instance);
  write_number(json, "timeout_ms", value.timeout.ms());
  write_hex(json, "nonce", value.nonce);
  write_text(json, "state", value.released ? "released" : "live");
  if (value.held) {
    json->Key("held");
    json->Bool(true);
  }
  if (value.incarnation != 0) write_hex(json, "incarnation", value.incarnation);
  if (value.seen != 0) write_number(json, "seen", value.seen);
  if (value.honours) {
    json->Key("hold");
    json->Bool(true);
  }
  write_host(json, value.host);
}

void write_peers(Writer* json, const PeerTerm& term) {
  write_hex(json, "term", term.number);
  json->Key("grantors");
  json->StartArray();
  for (const Grantor& grantor : term.grantors) {
    json->StartObject();
    write_hex(json, "incarnation", grantor.incarnation);
    write_hex(json, "secret", grantor.secret);
    write_host(json, grantor.host);
    json->EndObject();
  }
  json->EndArray();
  write_number(json, "timeout_ms", term.timeout.ms());
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
    case KeyKind::Peers:
      text += kPeers;
      break;
    case KeyKind::Hold:
      text += kHold;
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
  } else if (take_prefix(&text, kPeers)) {
    key.kind = KeyKind::Peers;
  } else if (take_prefix(&text, kHold)) {
    key.kind = KeyKind::Hold;
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
  Writer json(buffer);
  json.StartObject();
  switch (kind) {
    case KeyKind::Session:
      write_session(&json, value);
      break;
    case KeyKind::Candidate:
      write_text(&json, "node", value.node);
      json.Key("priority");
      json.Int(value.priority);
      break;
    case KeyKind::Hold:
      write_text(&json, "node", value.node);
      write_hex(&json, "incarnation", value.incarnation);
      write_host(&json, value.host);
      write_peers(&json, value.peers);
      break;
    case KeyKind::Peers:
      write_peers(&json, value.peers);
      break;
    case KeyKind::Writes:
      break;
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
      value.valid = read_value(kind, json, &value);
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
