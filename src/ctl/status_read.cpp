#include "ctl/status_read.hpp"

#include <rapidjson/document.h>

namespace vipd::ctl {
namespace {

using Value = rapidjson::Value;

const Value* member(const Value& object, const char* name) {
  if (!object.IsObject()) return nullptr;
  const auto found = object.FindMember(name);
  return found == object.MemberEnd() ? nullptr : &found->value;
}

std::string text(const Value& object, const char* name) {
  const Value* const value = member(object, name);
  if (value == nullptr || !value->IsString()) return "";
  return std::string(value->GetString(), value->GetStringLength());
}

int64_t number(const Value& object, const char* name) {
  const Value* const value = member(object, name);
  return value != nullptr && value->IsInt64() ? value->GetInt64() : 0;
}

bool flag(const Value& object, const char* name) {
  const Value* const value = member(object, name);
  return value != nullptr && value->IsTrue();
}

// What `read` makes of each object of a list; of none where there is no such list.
template <typename T>
std::vector<T> list(const Value& object, const char* name, T (*read)(const Value& json)) {
  std::vector<T> all;
  const Value* const values = member(object, name);
  if (values == nullptr || !values->IsArray()) return all;
  for (const Value& json : values->GetArray()) all.push_back(read(json));
  return all;
}

QueueStatus read_candidate(const Value& json) {
  QueueStatus candidate;
  candidate.node = text(json, "node");
  candidate.priority = static_cast<int>(number(json, "priority"));
  candidate.session = text(json, "session");
  return candidate;
}

CheckStatus read_check(const Value& json) {
  return {.name = text(json, "name"),
          .state = text(json, "state"),
          .since = text(json, "since"),
          .reason = text(json, "reason"),
          .overridden = flag(json, "overridden")};
}

VipStatus read_vip(const Value& json) {
  VipStatus vip;
  vip.name = text(json, "name");
  vip.address = text(json, "address");
  vip.link = text(json, "link");
  vip.group = text(json, "group");
  vip.state = text(json, "state");
  vip.reason = text(json, "reason");
  vip.owner = text(json, "owner");
  vip.since = text(json, "since");
  vip.last_change = text(json, "last_change");
  vip.checks = list(json, "checks", read_check);
  vip.transitions = static_cast<uint64_t>(number(json, "transitions"));
  if (const Value* const transfer = member(json, "transfer")) {
    vip.transfer_to = text(*transfer, "to");
    vip.transfer_failed = text(*transfer, "failed");
  }
  vip.queue = list(json, "queue", read_candidate);
  return vip;
}

EndpointStatus read_endpoint(const Value& json) {
  return {.endpoint = text(json, "endpoint"),
          .cluster_id = text(json, "cluster_id"),
          .mismatch = flag(json, "mismatch"),
          .members = text(json, "members")};
}

GrantorStatus read_grantor(const Value& json) {
  return {.node = text(json, "node"),
          .grants = flag(json, "grants"),
          .delay_us = number(json, "delay_us")};
}

PeerLeaseStatus read_peer_lease(const Value& json) {
  PeerLeaseStatus lease;
  lease.state = text(json, "state");
  lease.timeout_ms = number(json, "timeout_ms");
  lease.left_ms = number(json, "left_ms");
  lease.reason = text(json, "reason");
  lease.left_because = text(json, "left_because");
  lease.holds = flag(json, "holds");
  lease.would_hold = flag(json, "would_hold");
  lease.no_hold_because = text(json, "no_hold_because");
  lease.grantors = list(json, "grantors", read_grantor);
  return lease;
}

bool parse(std::string_view json, rapidjson::Document* document) {
  document->Parse<rapidjson::kParseIterativeFlag>(json.data(), json.size());
  return !document->HasParseError() && document->IsObject();
}

}  // namespace

std::optional<Status> read_status(std::string_view json) {
  rapidjson::Document document;
  if (!parse(json, &document)) return std::nullopt;
  const Value* const vips = member(document, "vips");
  if (vips == nullptr || !vips->IsArray()) return std::nullopt;
  Status status;
  status.vips = list(document, "vips", read_vip);
  status.version = text(document, "version");
  status.node = text(document, "node");
  status.state = text(document, "state");
  status.pause_persists = flag(document, "pause_persists");
  if (const Value* const session = member(document, "session")) {
    status.session_id = text(*session, "id");
    status.timeout_ms = number(*session, "timeout_ms");
    status.authority_ms = number(*session, "authority_ms");
  }
  if (const Value* const fence = member(document, "fence")) {
    status.fence = {.kind = text(*fence, "kind"),
                    .in_force = flag(*fence, "in_force"),
                    .reason = text(*fence, "reason")};
  }
  if (const Value* const lease = member(document, "peer_lease")) {
    status.peer_lease = read_peer_lease(*lease);
  }
  if (const Value* const etcd = member(document, "etcd")) {
    status.etcd_connected = flag(*etcd, "connected");
    status.etcd_endpoint = text(*etcd, "endpoint");
    status.etcd_version = text(*etcd, "version");
    status.etcd_cluster_id = text(*etcd, "cluster_id");
    if (const Value* const error = member(*etcd, "last_error")) {
      status.etcd_error = text(*error, "text");
      status.etcd_error_endpoint = text(*error, "endpoint");
      status.etcd_error_age_ms = number(*error, "age_ms");
      status.etcd_error_matters = flag(*error, "matters");
    }
    status.etcd_objection = text(*etcd, "cluster_problem");
    status.etcd_endpoints = list(*etcd, "endpoints", read_endpoint);
  }
  status.nodes_differ = text(document, "nodes_differ");
  status.checks = list(document, "checks", read_check);
  return status;
}

std::string read_error(std::string_view json) {
  rapidjson::Document document;
  return parse(json, &document) ? text(document, "error") : "";
}

std::vector<std::string> read_warnings(std::string_view json) {
  rapidjson::Document document;
  if (!parse(json, &document)) return {};
  return list<std::string>(document, "warning", [](const Value& value) {
    return value.IsString() ? std::string(value.GetString(), value.GetStringLength()) : "";
  });
}

}  // namespace vipd::ctl
