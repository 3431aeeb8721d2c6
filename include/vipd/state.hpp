// The states that people see (vipctl(8), "status"), each list written once; names derive from it.
#pragma once

#include <string_view>

namespace vipd {

#define VIPD_VIP_STATES(X)                                                       \
  X(Fault, "fault")     /* a precondition keeps this node out of the election */ \
  X(Paused, "paused")   /* a person keeps it out */                              \
  X(Standby, "standby") /* in the queue, or on the way into it */                \
  X(Waiting, "waiting") /* head of the queue, but not yet allowed to own */      \
  X(Owner, "owner")     /* the address is on the link */

#define VIPD_NODE_STATES(X) \
  X(Starting, "starting")   \
  X(Running, "running")     \
  X(Paused, "paused")       \
  X(Releasing, "releasing")

// How the last head of a queue before the present one went.
#define VIPD_TAKEOVER_CAUSES(X)                                           \
  X(First, "first")       /* there was none, as far as this node knows */ \
  X(Released, "released") /* it let go */                                 \
  X(Silent, "silent")     /* it fell silent, and was waited out */        \
  X(Vanished, "vanished") /* its key went without a word */

#define VIPD_ENUMERATOR(value, text) value,
enum class VipState { VIPD_VIP_STATES(VIPD_ENUMERATOR) };
enum class NodeState { VIPD_NODE_STATES(VIPD_ENUMERATOR) };
enum class TakeoverCause { VIPD_TAKEOVER_CAUSES(VIPD_ENUMERATOR) };
#undef VIPD_ENUMERATOR

[[nodiscard]] std::string_view name_of(VipState state);
[[nodiscard]] std::string_view name_of(NodeState state);
[[nodiscard]] std::string_view name_of(TakeoverCause cause);

}  // namespace vipd
