// The keys and values of ARCHITECTURE.md ("Keys") as types, and the requests that the core makes of
// them. Texts and JSON are the business of src/core/keys.hpp and of the etcd adapter.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vipd/peer.hpp"
#include "vipd/types.hpp"

namespace vipd {

enum class KeyKind : uint8_t {
  Session,    // P/session/L
  Writes,     // P/writes/L
  Candidate,  // P/vip/ADDRESS/L
  Peers,      // P/peers/L
  Hold,       // P/hold/L: attached to no lease
};

// A candidate key of somebody else whose last part is no lease id has a LeaseId below zero, made
// from that text: it takes its place in the queue like any other.
struct Key {
  KeyKind kind = KeyKind::Session;
  LeaseId lease = LeaseId::None;
  Address vip{};  // Candidate only

  auto operator<=>(const Key&) const = default;
};

// The JSON values, flat: each kind of key uses its own fields.
struct Value {
  bool valid = false;  // it was JSON of ours; false for foreign candidates
  std::string node{};
  // Session only
  std::string instance{};
  Duration timeout{};
  uint64_t nonce = 0;
  bool released = false;
  bool held = false;  // ... and whatever the same revision deletes of its keys was held under them
  uint64_t incarnation = 0;  // 0: a daemon of a version without the peer lease; in Hold as well
  Host host{};               // its writer's; in Hold as well
  Revision seen = 0;         // up to which its writer had applied its watch, and acted on it
  bool honours = false;      // it takes no VIP whose owner may hold on without etcd
  // Candidate only
  int priority = 0;
  // Peers and Hold
  PeerTerm peers{};
};

struct Entry {
  Key key{};
  Value value{};
  Revision created = 0;
  Revision modified = 0;
};

// One event of the watch. Of a deletion only key and modified are set.
struct Change {
  bool deleted = false;
  Entry entry{};
};

struct Compare {
  enum class Kind : uint8_t {
    ModifiedIs,  // mod_revision == revision
    CreatedIs,   // create_revision == revision
    Absent,      // create_revision == 0
    Exists,      // create_revision > 0
  };
  Kind kind = Kind::ModifiedIs;
  Key key{};
  Revision revision = 0;
};

// Puts attach the key to the lease that its name carries, but for Hold.
struct Op {
  enum class Kind : uint8_t { Put, Delete, Range };
  Kind kind = Kind::Range;
  Key key{};
  Value value{};
};

struct Txn {
  std::vector<Compare> compares;
  std::vector<Op> success;
  std::vector<Op> failure;
};

// What every answer carries. Revisions of one cluster never go backwards.
struct Header {
  uint64_t cluster_id = 0;
  Revision revision = 0;
};

}  // namespace vipd
