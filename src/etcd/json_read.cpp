// The reading half of json.hpp. Parsed in place and without recursion (RapidJSON's iterative mode),
// depth and number of values bounded while parsing, so that no input costs more than its own size
// times a small constant.
#include <rapidjson/document.h>
#include <rapidjson/reader.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "etcd/base64.hpp"
#include "etcd/codes.hpp"
#include "etcd/json.hpp"
#include "sys/number.hpp"

namespace vipd::etcd {
namespace {

using Value = rapidjson::Value;

constexpr unsigned kDepthLimit = 32;      // a txn's answer has 6, an error's details a few more
constexpr unsigned kValueLimit = 16'384;  // of 16 bytes each; a txn's answer has up to 1,300
constexpr size_t kFirstPool = 4096;       // on the stack: no heap for the usual answer
constexpr size_t kErrorTextLimit = 200;
constexpr size_t kNameLimit = 64;

// Hands the parser's events on to the document until a bound is passed.
class Guard {
 public:
  explicit Guard(rapidjson::Document& out) : out_(out) {}
  bool Null() { return count() && out_.Null(); }
  bool Bool(bool b) { return count() && out_.Bool(b); }
  bool Int(int i) { return count() && out_.Int(i); }
  bool Uint(unsigned u) { return count() && out_.Uint(u); }
  bool Int64(int64_t i) { return count() && out_.Int64(i); }
  bool Uint64(uint64_t u) { return count() && out_.Uint64(u); }
  bool Double(double d) { return count() && out_.Double(d); }
  bool RawNumber(const char* s, unsigned n, bool copy) {
    return count() && out_.RawNumber(s, n, copy);
  }
  bool String(const char* s, unsigned n, bool copy) { return count() && out_.String(s, n, copy); }
  bool Key(const char* s, unsigned n, bool copy) { return count() && out_.Key(s, n, copy); }
  bool StartObject() { return count() && ++depth_ <= kDepthLimit && out_.StartObject(); }
  bool StartArray() { return count() && ++depth_ <= kDepthLimit && out_.StartArray(); }
  bool EndObject(unsigned n) {
    --depth_;
    return out_.EndObject(n);
  }
  bool EndArray(unsigned n) {
    --depth_;
    return out_.EndArray(n);
  }

 private:
  bool count() { return ++values_ <= kValueLimit; }

  rapidjson::Document& out_;
  unsigned depth_ = 0;
  unsigned values_ = 0;
};

bool parse(char* text, size_t length, rapidjson::Document& out) {
  // The parser takes a NUL for the end, and would not see what stands behind it.
  if (memchr(text, '\0', length) != nullptr) return false;
  auto generate = [text](rapidjson::Document& document) {
    constexpr unsigned kFlags = rapidjson::kParseInsituFlag | rapidjson::kParseIterativeFlag;
    rapidjson::InsituStringStream stream(text);
    rapidjson::Reader reader;
    Guard guard(document);
    return !reader.Parse<kFlags>(stream, guard).IsError();
  };
  out.Populate(generate);
  return out.IsObject();
}

// Reads fields of JSON objects; remembers the first that was missing, of a wrong type or out of
// range.
class Fields {
 public:
  [[nodiscard]] bool good() const { return wrong_ == nullptr; }
  [[nodiscard]] const char* wrong() const { return wrong_; }
  bool check(bool condition, const char* name) {
    if (!condition && wrong_ == nullptr) wrong_ = name;
    return condition;
  }

  const Value* find(const Value& object, const char* name) const {
    const auto it = object.FindMember(name);
    if (it == object.MemberEnd() || it->value.IsNull()) return nullptr;
    return &it->value;
  }

  const Value* object(const Value& parent, const char* name) {
    const Value* value = find(parent, name);
    return value == nullptr || check(value->IsObject(), name) ? value : nullptr;
  }

  template <typename Each>
  void list(const Value& parent, const char* name, Each each) {
    const Value* value = find(parent, name);
    if (value == nullptr || !check(value->IsArray(), name)) return;
    for (const Value& item : value->GetArray()) {
      if (!check(item.IsObject(), name)) return;
      each(item);
    }
  }

  bool boolean(const Value& parent, const char* name) {
    const Value* value = find(parent, name);
    return value != nullptr && check(value->IsBool(), name) && value->GetBool();
  }

  std::string text(const Value& parent, const char* name) {
    const Value* value = find(parent, name);
    if (value == nullptr || !check(value->IsString(), name)) return {};
    return {value->GetString(), value->GetStringLength()};
  }

  std::vector<std::string> texts(const Value& parent, const char* name) {
    std::vector<std::string> out;
    const Value* value = find(parent, name);
    if (value == nullptr || !check(value->IsArray(), name)) return out;
    for (const Value& item : value->GetArray()) {
      if (!check(item.IsString(), name)) return out;
      out.emplace_back(item.GetString(), item.GetStringLength());
    }
    return out;
  }

  std::string bytes(const Value& parent, const char* name) {
    const Value* value = find(parent, name);
    if (value == nullptr || !check(value->IsString(), name)) return {};
    auto decoded = base64_decode({value->GetString(), value->GetStringLength()});
    return check(decoded.has_value(), name) ? std::move(*decoded) : std::string();
  }

  int64_t int64(const Value& parent, const char* name) {
    const Value* value = find(parent, name);
    if (value == nullptr) return 0;
    if (value->IsInt64()) return value->GetInt64();
    return from_text<int64_t>(*value, name);
  }

  uint64_t uint64(const Value& parent, const char* name) {
    const Value* value = find(parent, name);
    if (value == nullptr) return 0;
    if (value->IsUint64()) return value->GetUint64();
    return from_text<uint64_t>(*value, name);
  }

 private:
  template <typename Int>
  Int from_text(const Value& value, const char* name) {
    if (!check(value.IsString(), name)) return 0;
    const std::optional<Int> number =
        sys::parse_number<Int>({value.GetString(), value.GetStringLength()});
    return check(number.has_value(), name) ? *number : 0;
  }

  const char* wrong_ = nullptr;
};

// Whoever takes a revision may add one to it.
bool is_revision(int64_t number) {
  return number >= 1 && number < INT64_MAX;
}

// Every answer of etcd has one that names its cluster: without it, it is somebody else's JSON.
Header any_header_of(Fields& fields, const Value& parent) {
  Header header;
  const Value* value = fields.object(parent, "header");
  if (value == nullptr) {
    fields.check(false, "header");
    return header;
  }
  header.cluster_id = fields.uint64(*value, "cluster_id");
  header.member_id = fields.uint64(*value, "member_id");
  header.revision = fields.int64(*value, "revision");
  header.raft_term = fields.uint64(*value, "raft_term");
  fields.check(header.cluster_id != 0, "cluster_id");
  return header;
}

// An empty etcd has revision 1 already; only a cancelled watch and the list of members say none.
Header header_of(Fields& fields, const Value& parent) {
  const Header header = any_header_of(fields, parent);
  fields.check(is_revision(header.revision), "revision");
  return header;
}

KeyValue key_value_of(Fields& fields, const Value& value) {
  KeyValue kv;
  kv.key = fields.bytes(value, "key");
  kv.value = fields.bytes(value, "value");
  kv.create_revision = fields.int64(value, "create_revision");
  kv.mod_revision = fields.int64(value, "mod_revision");
  kv.lease = fields.int64(value, "lease");
  fields.check(!kv.key.empty(), "key");
  fields.check(is_revision(kv.mod_revision), "mod_revision");
  return kv;
}

// A key that is there was created, and not after it was last written.
KeyValue present_key_value_of(Fields& fields, const Value& value) {
  KeyValue kv = key_value_of(fields, value);
  const bool created = kv.create_revision >= 1 && kv.create_revision <= kv.mod_revision;
  fields.check(created, "create_revision");
  return kv;
}

// All of them: we never set a limit, and what is missing would be taken for gone.
void append_kvs(Fields& fields, const Value& range, std::vector<KeyValue>& kvs) {
  const size_t before = kvs.size();
  fields.list(range, "kvs",
              [&](const Value& kv) { kvs.push_back(present_key_value_of(fields, kv)); });
  fields.check(fields.uint64(range, "count") == kvs.size() - before, "count");
}

// The four shapes: the fields beside each other, or in an object named "error", whose code was
// "grpc_code" in the first gateway.
std::optional<Error> error_of(const Value& root) {
  Fields fields;
  const Value* inner = fields.find(root, "error");
  if (inner == nullptr && fields.find(root, "code") == nullptr) return std::nullopt;
  const Value& source = inner != nullptr && inner->IsObject() ? *inner : root;

  const char* code_name = fields.find(source, "code") != nullptr ? "code" : "grpc_code";
  const int64_t code = fields.int64(source, code_name);
  std::string text = fields.text(source, "message");
  if (text.empty() && inner != nullptr && inner->IsString()) text = inner->GetString();

  Error error;
  const bool known = fields.good() && code > 0 && code <= 16;
  error.code = known ? static_cast<int>(code) : code::kUnknown;
  error.text = printable(text.data(), text.size(), kErrorTextLimit);
  if (error.text.empty()) error.text = "error " + std::to_string(error.code) + " without a text";
  return error;
}

void bad_answer(Error& error, const std::string& text) {
  error.code = Error::kBadAnswer;
  error.text = text;
}

enum class Kind { Whole, Part };  // only a whole answer may be an error

// Parses, looks for an error, and lets `read` take the fields out of the object.
template <typename Read>
bool read_object(char* text, size_t length, Error& error, Read read, Kind kind = Kind::Whole) {
  alignas(16) char pool[kFirstPool];
  rapidjson::MemoryPoolAllocator<> allocator(pool, sizeof pool);
  rapidjson::Document root(&allocator);
  // Taken before the parser overwrites it: plain text is how a gateway that is switched off, or
  // something that is no etcd, answers.
  const std::string start = printable(text, length, 100);
  if (!parse(text, length, root)) {
    bad_answer(error, length == 0 ? "empty answer" : "unexpected answer: " + start);
    return false;
  }
  const auto found = kind == Kind::Whole ? error_of(root) : std::nullopt;
  if (found) {
    error.code = found->code;
    error.text = found->text;
    return false;
  }
  Fields fields;
  read(fields, root);
  if (!fields.good()) {
    bad_answer(error, "missing or wrong \"" + std::string(fields.wrong()) + "\" in " + start);
  }
  return fields.good();
}

// Answers of streaming calls stand in an object named "result".
template <typename Read>
bool read_result(char* text, size_t length, Error& error, Read read) {
  return read_object(text, length, error, [&](Fields& fields, const Value& root) {
    const Value* result = fields.object(root, "result");
    if (result == nullptr) return void(fields.check(false, "result"));
    read(fields, *result);
  });
}

WatchEvent event_of(Fields& fields, const Value& value) {
  WatchEvent event;
  const std::string type = fields.text(value, "type");
  event.deleted = type == "DELETE";
  fields.check(event.deleted || type.empty() || type == "PUT", "type");
  const Value* kv = fields.object(value, "kv");
  if (kv == nullptr) {
    fields.check(false, "kv");
    return event;
  }
  event.kv = event.deleted ? key_value_of(fields, *kv) : present_key_value_of(fields, *kv);
  return event;
}

}  // namespace

bool read_granted(std::string& body, Granted& out, Error& error) {
  return read_object(body.data(), body.size(), error, [&](Fields& fields, const Value& root) {
    out.header = header_of(fields, root);
    out.lease = fields.int64(root, "ID");
    out.ttl_s = fields.int64(root, "TTL");
    fields.check(out.lease > 0, "ID");
    fields.check(out.ttl_s > 0, "TTL");
  });
}

bool read_kept_alive(std::string& body, KeptAlive& out, Error& error) {
  const size_t line = std::min(body.find('\n'), body.size());
  body.resize(line);
  return read_result(body.data(), body.size(), error, [&](Fields& fields, const Value& result) {
    out.header = header_of(fields, result);
    out.ttl_s = fields.int64(result, "TTL");
  });
}

bool read_header(std::string& body, Header& out, Error& error) {
  return read_object(body.data(), body.size(), error,
                     [&](Fields& fields, const Value& root) { out = header_of(fields, root); });
}

bool read_txn(std::string& body, TxnAnswer& out, Error& error) {
  return read_object(body.data(), body.size(), error, [&](Fields& fields, const Value& root) {
    out.header = header_of(fields, root);
    out.succeeded = fields.boolean(root, "succeeded");
    fields.list(root, "responses", [&](const Value& response) {
      ++out.responses;
      const Value* range = fields.object(response, "response_range");
      if (range != nullptr) append_kvs(fields, *range, out.kvs);
    });
  });
}

// Nothing in the range is nothing but a header, and so are the answers to other calls.
bool read_range(std::string& body, RangeAnswer& out, Error& error) {
  return read_object(body.data(), body.size(), error, [&](Fields& fields, const Value& root) {
    out.header = header_of(fields, root);
    append_kvs(fields, root, out.kvs);
    for (const char* foreign : {"succeeded", "responses", "ID", "TTL", "deleted", "alarms"}) {
      fields.check(fields.find(root, foreign) == nullptr, foreign);
    }
  });
}

bool read_snapshot(std::string& body, size_t ranges, SnapshotFrame& out, Error& error) {
  return read_object(body.data(), body.size(), error, [&](Fields& fields, const Value& root) {
    out.header = header_of(fields, root);
    fields.check(fields.boolean(root, "succeeded"), "succeeded");
    size_t answered = 0;
    fields.list(root, "responses", [&](const Value& response) {
      const Value* range = fields.object(response, "response_range");
      if (range == nullptr) return void(fields.check(false, "response_range"));
      ++answered;
      const uint64_t count = fields.uint64(*range, "count");
      fields.check(count <= UINT32_MAX, "count");
      out.count += count;
    });
    fields.check(answered == ranges, "responses");
  });
}

bool read_key_value(char* text, size_t length, KeyValue& out, Error& error) {
  const auto read = [&](Fields& fields, const Value& kv) {
    out = present_key_value_of(fields, kv);
  };
  return read_object(text, length, error, read, Kind::Part);
}

bool read_watch_event(char* text, size_t length, WatchEvent& out, Error& error) {
  const auto read = [&](Fields& fields, const Value& event) { out = event_of(fields, event); };
  return read_object(text, length, error, read, Kind::Part);
}

bool read_version(std::string& body, std::string& out, Error& error) {
  constexpr size_t kVersionLimit = 40;
  return read_object(body.data(), body.size(), error, [&](Fields& fields, const Value& root) {
    const std::string text = fields.text(root, "etcdserver");
    out = printable(text.data(), text.size(), kVersionLimit);
    fields.check(!out.empty(), "etcdserver");
  });
}

bool read_members(std::string& body, MemberList& out, Error& error) {
  return read_object(body.data(), body.size(), error, [&](Fields& fields, const Value& root) {
    out.header = any_header_of(fields, root);
    fields.list(root, "members", [&](const Value& member) {
      MemberInfo info;
      info.id = fields.uint64(member, "ID");
      const std::string name = fields.text(member, "name");
      info.name = printable(name.data(), name.size(), kNameLimit);
      info.client_urls = fields.texts(member, "clientURLs");
      if (!fields.boolean(member, "isLearner")) out.members.push_back(std::move(info));
    });
  });
}

bool read_token(std::string& body, std::string& out, Error& error) {
  constexpr size_t kTokenLimit = 8192;
  return read_object(body.data(), body.size(), error, [&](Fields& fields, const Value& root) {
    out = fields.text(root, "token");
    // It becomes a line of the request's head.
    const bool visible =
        std::all_of(out.begin(), out.end(), [](char c) { return c > ' ' && c <= '~'; });
    fields.check(!out.empty() && out.size() <= kTokenLimit && visible, "token");
  });
}

bool read_expiry(std::string& claims, int64_t& out, Error& error) {
  return read_object(claims.data(), claims.size(), error, [&](Fields& fields, const Value& root) {
    out = fields.int64(root, "exp");
    fields.check(out > 0, "exp");
  });
}

bool read_watch_line(char* line, size_t length, WatchMessage& out, Error& error) {
  return read_result(line, length, error, [&](Fields& fields, const Value& result) {
    out.header = any_header_of(fields, result);
    out.created = fields.boolean(result, "created");
    out.canceled = fields.boolean(result, "canceled");
    out.fragment = fields.boolean(result, "fragment");
    const std::string reason = fields.text(result, "cancel_reason");
    out.cancel_reason = printable(reason.data(), reason.size(), kErrorTextLimit);
    out.compact_revision = fields.int64(result, "compact_revision");
    fields.check(out.canceled || is_revision(out.header.revision), "revision");
  });
}

std::string printable(const char* text, size_t length, size_t limit) {
  std::string out(text, std::min(length, limit));
  for (char& c : out) {
    if (c < ' ' || c > '~') c = ' ';
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

}  // namespace vipd::etcd
