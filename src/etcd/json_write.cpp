// The writing half of json.hpp. An int64 goes out as a string: every gateway takes that.
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include "etcd/base64.hpp"
#include "etcd/json.hpp"

namespace vipd::etcd {
namespace {

class Body {
 public:
  Body() : writer_(buffer_) { writer_.StartObject(); }

  void open(const char* name) {
    writer_.Key(name);
    writer_.StartObject();
  }
  void close() { writer_.EndObject(); }
  void open_list(const char* name) {
    writer_.Key(name);
    writer_.StartArray();
  }
  void close_list() { writer_.EndArray(); }
  void open_item() { writer_.StartObject(); }

  void text(const char* name, const std::string& value) {
    writer_.Key(name);
    writer_.String(value.data(), static_cast<rapidjson::SizeType>(value.size()));
  }
  void number(const char* name, int64_t value) { text(name, std::to_string(value)); }
  void flag(const char* name, bool value) {
    writer_.Key(name);
    writer_.Bool(value);
  }
  void bytes(const char* name, const std::string& value) {
    if (!value.empty()) text(name, base64_encode(value));
  }

  std::string finish() {
    writer_.EndObject();
    return {buffer_.GetString(), buffer_.GetSize()};
  }

 private:
  rapidjson::StringBuffer buffer_;
  rapidjson::Writer<rapidjson::StringBuffer> writer_;
};

void write_compare(Body& body, const Compare& compare) {
  const bool create = compare.target == Compare::Target::Create;
  body.open_item();
  body.bytes("key", compare.key);
  body.text("target", create ? "CREATE" : "MOD");
  body.text("result", compare.result == Compare::Result::Equal ? "EQUAL" : "GREATER");
  body.number(create ? "create_revision" : "mod_revision", compare.revision);
  body.close();
}

const char* op_name(Op::Kind kind) {
  switch (kind) {
    case Op::Kind::Put:
      return "request_put";
    case Op::Kind::Delete:
      return "request_delete_range";
    case Op::Kind::Range:
      return "request_range";
  }
  return "";
}

void write_op(Body& body, const Op& op) {
  body.open_item();
  body.open(op_name(op.kind));
  body.bytes("key", op.key);
  if (op.kind == Op::Kind::Range) body.bytes("range_end", op.range_end);
  if (op.kind == Op::Kind::Put) {
    body.bytes("value", op.value);
    if (op.lease != 0) body.number("lease", op.lease);
  }
  body.close();
  body.close();
}

void write_ops(Body& body, const char* name, const std::vector<Op>& ops) {
  body.open_list(name);
  for (const Op& op : ops) write_op(body, op);
  body.close_list();
}

}  // namespace

std::string write_grant(int64_t ttl_s) {
  Body body;
  body.number("TTL", ttl_s);
  return body.finish();
}

std::string write_lease(int64_t lease) {
  Body body;
  body.number("ID", lease);
  return body.finish();
}

std::string write_txn(const Txn& txn) {
  Body body;
  body.open_list("compare");
  for (const Compare& compare : txn.compares) write_compare(body, compare);
  body.close_list();
  write_ops(body, "success", txn.success);
  write_ops(body, "failure", txn.failure);
  return body.finish();
}

std::string write_authenticate(const std::string& user, const std::string& password) {
  Body body;
  body.text("name", user);
  body.text("password", password);
  return body.finish();
}

std::string write_range(const std::string& key, const std::string& range_end, int64_t revision) {
  Body body;
  body.bytes("key", key);
  body.bytes("range_end", range_end);
  if (revision != 0) body.number("revision", revision);
  return body.finish();
}

std::string write_watch(const std::string& key, const std::string& range_end,
                        int64_t start_revision) {
  Body body;
  body.open("create_request");
  body.bytes("key", key);
  body.bytes("range_end", range_end);
  body.number("start_revision", start_revision);
  body.flag("fragment", true);
  body.close();
  return body.finish();
}

}  // namespace vipd::etcd
