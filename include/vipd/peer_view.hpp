// What a node tells people of its own peer lease (ARCHITECTURE.md, "The peer lease"): for status,
// metrics and history. Plain data.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "vipd/counts.hpp"
#include "vipd/types.hpp"

namespace vipd {

// While a term is in force, a tried or entered one that shall replace it does not show here.
#define VIPD_TERM_STATES(X) \
  X(None, "none")           \
  X(Trying, "trying")       \
  X(Entering, "entering")   \
  X(InForce, "in force")    \
  X(Leaving, "leaving") /* obeyed until etcd has confirmed that it is gone */

#define VIPD_ENUMERATOR(value, text) value,
enum class TermState { VIPD_TERM_STATES(VIPD_ENUMERATOR) };
#undef VIPD_ENUMERATOR
[[nodiscard]] std::string_view name_of(TermState state);

struct GrantorView {
  std::string node;     // "" when its session is not in sight
  bool grants = false;  // its newest grant has not run out, on every link that carries a VIP
  Duration delay;       // the longest from a request to its grant, in the last minute or two
};

struct PeersView {
  TermState state = TermState::None;
  Duration timeout;                   // of that term; without one as configured
  Duration left;                      // until this node gives up for want of grants; 0 without term
  std::vector<GrantorView> grantors;  // of that term, as its key lists them
  std::string reason;                 // None, Leaving: why, in words; InForce: that it holds on
  bool holds = false;                 // etcd is away, and all grantors agree that this node keeps
  std::string no_hold_because;        // why it would let go without etcd; "": it would hold on
  bool others_may_hold = false;       // another node may hold on; our grants may be needed for it
  std::string left_because;           // why the last one that ended was left, or lost; "" if none
  TermCounts terms;
  std::map<std::string, uint64_t> grants;  // received, by node, since the process started
};

}  // namespace vipd
