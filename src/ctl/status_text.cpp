#include "ctl/status_text.hpp"

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <utility>

#include "ctl/json_text.hpp"

namespace vipd::ctl {
namespace {

using Json = rapidjson::Writer<rapidjson::StringBuffer>;

void put(Json& json, const char* key, std::string_view value) {
  json.Key(key);
  std::string valid;
  if (!is_ascii(value)) value = valid = valid_utf8(value);
  json.String(value.data(), static_cast<rapidjson::SizeType>(value.size()));
}

void put(Json& json, const char* key, int64_t value) {
  json.Key(key);
  json.Int64(value);
}

void put_flag(Json& json, const char* key, bool value) {
  json.Key(key);
  json.Bool(value);
}

template <typename T, typename Put>
void put_list(Json& json, const char* key, const std::vector<T>& list, Put put_members) {
  json.Key(key);
  json.StartArray();
  for (const T& each : list) {
    json.StartObject();
    put_members(json, each);
    json.EndObject();
  }
  json.EndArray();
}

void put_session(Json& json, const Status& status) {
  json.Key("session");
  json.StartObject();
  put(json, "id", status.session_id);
  put(json, "timeout_ms", status.timeout_ms);
  put(json, "authority_ms", status.authority_ms);
  json.EndObject();
}

void put_fence(Json& json, const FenceStatus& fence) {
  json.Key("fence");
  json.StartObject();
  put(json, "kind", fence.kind);
  put_flag(json, "in_force", fence.in_force);
  put(json, "reason", fence.reason);
  json.EndObject();
}

void put_grantor(Json& json, const GrantorStatus& grantor) {
  put(json, "node", grantor.node);
  put_flag(json, "grants", grantor.grants);
  put(json, "delay_us", grantor.delay_us);
}

void put_peer_lease(Json& json, const PeerLeaseStatus& lease) {
  json.Key("peer_lease");
  json.StartObject();
  put(json, "state", lease.state);
  put(json, "timeout_ms", lease.timeout_ms);
  put(json, "left_ms", lease.left_ms);
  put(json, "reason", lease.reason);
  put(json, "left_because", lease.left_because);
  put_flag(json, "holds", lease.holds);
  put_flag(json, "would_hold", lease.would_hold);
  put(json, "no_hold_because", lease.no_hold_because);
  put_list(json, "grantors", lease.grantors, put_grantor);
  json.EndObject();
}

// Only where there was one.
void put_etcd_error(Json& json, const Status& status) {
  if (status.etcd_error.empty()) return;
  json.Key("last_error");
  json.StartObject();
  put(json, "endpoint", status.etcd_error_endpoint);
  put(json, "text", status.etcd_error);
  put(json, "age_ms", status.etcd_error_age_ms);
  put_flag(json, "matters", status.etcd_error_matters);
  json.EndObject();
}

void put_endpoint(Json& json, const EndpointStatus& endpoint) {
  put(json, "endpoint", endpoint.endpoint);
  put(json, "cluster_id", endpoint.cluster_id);
  put_flag(json, "mismatch", endpoint.mismatch);
  put(json, "members", endpoint.members);
}

void put_etcd(Json& json, const Status& status) {
  json.Key("etcd");
  json.StartObject();
  put_flag(json, "connected", status.etcd_connected);
  put(json, "endpoint", status.etcd_endpoint);
  put(json, "version", status.etcd_version);
  put(json, "cluster_id", status.etcd_cluster_id);
  put_etcd_error(json, status);
  put(json, "cluster_problem", status.etcd_objection);
  put_list(json, "endpoints", status.etcd_endpoints, put_endpoint);
  json.EndObject();
}

void put_candidate(Json& json, const QueueStatus& candidate) {
  put(json, "node", candidate.node);
  put(json, "priority", candidate.priority);
  put(json, "session", candidate.session);
}

void put_check(Json& json, const CheckStatus& check) {
  put(json, "name", check.name);
  put(json, "state", check.state);
  put(json, "since", check.since);
  put(json, "reason", check.reason);
  put_flag(json, "overridden", check.overridden);
}

// Only where there is something to say.
void put_transfer(Json& json, const VipStatus& vip) {
  if (vip.transfer_to.empty() && vip.transfer_failed.empty()) return;
  json.Key("transfer");
  json.StartObject();
  put(json, "to", vip.transfer_to);
  put(json, "failed", vip.transfer_failed);
  json.EndObject();
}

void put_vip(Json& json, const VipStatus& vip) {
  put(json, "name", vip.name);
  put(json, "address", vip.address);
  put(json, "link", vip.link);
  if (!vip.group.empty()) put(json, "group", vip.group);
  put(json, "state", vip.state);
  put(json, "reason", vip.reason);
  put(json, "owner", vip.owner);
  put(json, "since", vip.since);
  put(json, "last_change", vip.last_change);
  json.Key("transitions");
  json.Uint64(vip.transitions);
  put_list(json, "queue", vip.queue, put_candidate);
  put_list(json, "checks", vip.checks, put_check);
  put_transfer(json, vip);
}

void put_move(Json& json, const HistoryEntry& move) {
  put(json, "time", move.time);
  put(json, "vip", move.vip);
  put(json, "owner", move.owner);
  put(json, "reason", move.reason);
}

std::string etcd_of(const Status& status) {
  const std::string why = status.etcd_error_matters ? " (" + etcd_error_of(status) + ")" : "";
  const std::string cluster =
      status.etcd_cluster_id.empty() ? "" : ", cluster " + status.etcd_cluster_id;
  if (status.etcd_endpoint.empty()) return "etcd not reached" + why + cluster;
  return "etcd " + status.etcd_endpoint + (status.etcd_connected ? "" : ", not connected") + why +
         cluster;
}

std::string text_of(const CheckStatus& check) {
  return check.name + " " + check.state + (check.overridden ? " (set by vipctl)" : "");
}

}  // namespace

struct StatusJson::Impl {
  explicit Impl(Status given) : status(std::move(given)) {}

  const Status status;
  rapidjson::StringBuffer buffer;
  Json json{buffer};
};

StatusJson::StatusJson(Status given) : impl_(std::make_unique<Impl>(std::move(given))) {
  const Status& status = impl_->status;
  Json& json = impl_->json;
  json.StartObject();
  if (!status.time.empty()) put(json, "time", status.time);
  put(json, "version", status.version);
  put(json, "node", status.node);
  put(json, "state", status.state);
  if (status.pause_persists) put_flag(json, "pause_persists", true);
  put_session(json, status);
  put_etcd(json, status);
  put_fence(json, status.fence);
  put_peer_lease(json, status.peer_lease);
  json.Key("vips");
  json.StartArray();
  add(status.vips);
}

StatusJson::~StatusJson() = default;

void StatusJson::add(const std::vector<VipStatus>& vips) {
  Json& json = impl_->json;
  for (const VipStatus& vip : vips) {
    json.StartObject();
    put_vip(json, vip);
    json.EndObject();
  }
}

std::string StatusJson::text() && {
  const Status& status = impl_->status;
  Json& json = impl_->json;
  json.EndArray();
  put_list(json, "checks", status.checks, put_check);
  put(json, "nodes_differ", status.nodes_differ);
  if (!status.moves.empty()) put_list(json, "moves", status.moves, put_move);
  json.EndObject();
  return std::string(impl_->buffer.GetString(), impl_->buffer.GetSize());
}

std::string etcd_error_of(const Status& status) {
  const std::string& where = status.etcd_error_endpoint;
  return where.empty() ? status.etcd_error : where + ": " + status.etcd_error;
}

std::vector<std::string> node_lines(const Status& status) {
  std::vector<std::string> lines;
  const std::string session = status.session_id.empty() ? "none" : status.session_id;
  lines.push_back("node " + status.node + ": " + status.state +
                  (status.pause_persists ? " until resumed" : "") + ", session " + session +
                  ", timeout " + std::to_string(status.timeout_ms) + " ms, authority " +
                  std::to_string(status.authority_ms) + " ms, " + etcd_of(status));
  if (std::string line = peer_line(status); !line.empty()) lines.push_back(std::move(line));
  for (std::string& line : trouble_lines(status)) lines.push_back(std::move(line));
  return lines;
}

std::string vip_line(const VipStatus& vip) {
  std::string line = "vip " + vip.name + ": " + vip.state + " since " + vip.since + ", " +
                     vip.address + " on " + vip.link +
                     (vip.group.empty() ? "" : ", group " + vip.group) + ", owner " +
                     (vip.owner.empty() ? "unknown" : vip.owner) + ", queue";
  for (const QueueStatus& candidate : vip.queue) line += " " + candidate.node;
  if (vip.queue.empty()) line += " empty";
  if (!vip.reason.empty()) line += " (" + vip.reason + ")";
  for (const CheckStatus& check : vip.checks) line += ", check " + text_of(check);
  return line;
}

std::string peer_line(const Status& status) {
  const FenceStatus& fence = status.fence;
  const PeerLeaseStatus& lease = status.peer_lease;
  if (fence.kind.empty()) return "";  // of a daemon that knows nothing of it
  std::string line = fence.in_force ? "packet fence: " + fence.kind + "; peer lease: "
                                    : "packet fence: none (" + fence.reason + "); peer lease: ";
  line += lease.state;
  if (!lease.reason.empty() && lease.reason != fence.reason) line += " (" + lease.reason + ")";
  for (const GrantorStatus& grantor : lease.grantors) {
    line += &grantor == lease.grantors.data() ? ", renewed by " : ", ";
    line += grantor.node.empty() ? "a node without a session" : grantor.node;
    if (!grantor.grants) line += " (silent)";
  }
  if (lease.grantors.empty() || lease.left_ms == 0) return line;
  line +=
      ", " + std::to_string(lease.left_ms) + " of " + std::to_string(lease.timeout_ms) + " ms left";
  if (lease.would_hold) return line + (lease.holds ? "" : "; without etcd: holds on");
  if (lease.no_hold_because.empty()) return line;  // of a daemon that does not say
  return line + "; without etcd: lets go (" + lease.no_hold_because + ")";
}

std::vector<std::string> trouble_lines(const Status& status) {
  std::vector<std::string> lines;
  if (!status.etcd_objection.empty()) lines.push_back("etcd: " + status.etcd_objection);
  for (const EndpointStatus& each : status.etcd_endpoints) {
    if (!each.mismatch) continue;
    const std::string members = each.members.empty() ? "" : " (members: " + each.members + ")";
    lines.push_back("etcd: " + each.endpoint + " belongs to cluster " + each.cluster_id + members +
                    ", not to " + status.etcd_cluster_id + ", and is not used");
  }
  if (!status.nodes_differ.empty()) lines.push_back("warning: " + status.nodes_differ);
  return lines;
}

}  // namespace vipd::ctl
