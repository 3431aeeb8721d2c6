// What etcd is asked for: one row for each purpose of a request, with its path, its label in
// vipd_etcd_requests_total, and how much of an answer is held. Pure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace vipd::etcd {

enum class Purpose : uint8_t {
  Grant,
  KeepAlive,
  Revoke,
  Txn,
  Snapshot,
  Compaction,
  Read,
  Probe,
  Watch,
  Introduce,
  Members,
  Authenticate,
  Version,
  Health,
};

struct PurposeRow {
  Purpose purpose;
  const char* path;  // of etcd's gateway
  std::string_view label;
  size_t limit;  // in bytes: of the answer; of Snapshot and Watch, without the keys in it
};

// A header and a few numbers take 200 bytes. The limits leave room for the error page of a proxy,
// whose first line people shall see: it stands in the log in the place of "answer too large".
inline constexpr std::array<PurposeRow, 14> kPurposes = {{
    {Purpose::Grant, "/v3/lease/grant", "grant", 16U << 10},
    {Purpose::KeepAlive, "/v3/lease/keepalive", "keepalive", 16U << 10},
    {Purpose::Revoke, "/v3/lease/revoke", "revoke", 16U << 10},
    // 128 operations (etcd's --max-txn-ops) of 100 bytes each, and our own session key.
    {Purpose::Txn, "/v3/kv/txn", "txn", 64U << 10},
    {Purpose::Snapshot, "/v3/kv/txn", "snapshot", 16U << 10},
    // One key, which nobody has put there: somebody may have.
    {Purpose::Compaction, "/v3/kv/range", "compaction", 16U << 10},
    // A key of somebody else's, whatever it has.
    {Purpose::Read, "/v3/kv/range", "read", 16U << 10},
    {Purpose::Probe, "/v3/kv/range", "probe", 16U << 10},
    {Purpose::Watch, "/v3/watch", "watch", 16U << 10},
    // The first message of a watch, which says whose member it is to whoever has no token.
    {Purpose::Introduce, "/v3/watch", "introduce", 16U << 10},
    // 32 members with some URLs of 100 bytes each.
    {Purpose::Members, "/v3/cluster/member/list", "list", 64U << 10},
    // A JWT has up to 8 KiB (json.hpp).
    {Purpose::Authenticate, "/v3/auth/authenticate", "authenticate", 16U << 10},
    {Purpose::Version, "/version", "version", 4U << 10},
    {Purpose::Health, "/health", "health", 4U << 10},
}};

constexpr const PurposeRow& row_of(Purpose purpose) {
  return kPurposes[static_cast<size_t>(purpose)];
}

constexpr bool each_purpose_stands_in_its_row() {
  for (size_t i = 0; i < kPurposes.size(); ++i) {
    if (static_cast<size_t>(kPurposes[i].purpose) != i) return false;
  }
  return true;
}
static_assert(each_purpose_stands_in_its_row());

// What the keys of one snapshot, or of one message of the watch, may take in memory. A candidate
// takes 400 bytes with kKeyCost: the base is for 10,000, and each VIP that is configured adds
// room for 20. With the base full, the static daemon takes some 5 MB.
inline constexpr size_t kRoomBase = 4U << 20;
inline constexpr size_t kRoomForVip = 8U << 10;
// Of a key besides its texts, as it goes from here to the core.
inline constexpr size_t kKeyCost = 320;

}  // namespace vipd::etcd
