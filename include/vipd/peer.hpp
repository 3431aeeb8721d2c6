// The peer lease (ARCHITECTURE.md, "The peer lease") as plain data: a term, and what the daemons of
// one LAN say to each other about it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "vipd/types.hpp"

namespace vipd {

// So many at most: an owner asks each of them three or four times within a term's timeout.
constexpr size_t kMostGrantors = 6;

// Where a process runs, so that a later one there can speak for it. Two live hosts on one segment
// never share a MAC address.
struct Host {
  uint64_t boot = 0;  // of the kernel's boot_id; 0: not known
  MacAddress mac{};   // of a link that carries its VIPs

  [[nodiscard]] bool known() const { return boot != 0 && mac != MacAddress{}; }
  bool operator==(const Host&) const = default;
};

// A process that renews a peer lease, as the term names it.
struct Grantor {
  uint64_t incarnation = 0;  // one process with one session
  uint64_t secret = 0;       // made by the owner; only who reads etcd can say it
  Host host{};               // not always known

  bool operator==(const Grantor&) const = default;
};

// One period of a peer lease with a fixed list of grantors. A quorum of them keeps an owner, and a
// quorum of them ends it; any two such quorums share a grantor.
struct PeerTerm {
  uint64_t number = 0;  // random, never used twice; 0: none
  Duration timeout{};   // F: how long a grant lasts, whole milliseconds
  std::vector<Grantor> grantors{};

  // Whether it can be a term at all.
  [[nodiscard]] bool valid() const {
    return number != 0 && timeout > Duration() && !grantors.empty();
  }
  [[nodiscard]] size_t needed_to_own() const { return (grantors.size() + 1) / 2; }
  [[nodiscard]] size_t needed_to_end() const { return grantors.size() - needed_to_own() + 1; }

  bool operator==(const PeerTerm&) const = default;
};

struct PeerFrame {
  enum class Kind : uint8_t {
    Renew,    // owner to grantor: renew my lease in that term
    Grant,    // the answer; repeats the nonce
    Expired,  // to all: my last grant in that term has run out, and there will be no other
  };
  Kind kind = Kind::Renew;
  uint64_t term = 0;
  uint64_t from = 0;    // incarnations
  uint64_t to = 0;      // 0 in Expired
  uint64_t nonce = 0;   // Renew and Grant
  uint64_t secret = 0;  // Expired: the sender's, of the term

  bool operator==(const PeerFrame&) const = default;
};

}  // namespace vipd
