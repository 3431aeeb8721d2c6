// Every figure of time that the protocol rests on, with its reason. Pure arithmetic.
#pragma once

#include <algorithm>

#include "vipd/types.hpp"

namespace vipd::timing {

// The kernel ends a lifetime of up to 14 s late: timer granularity, its one-second re-check and
// RTNL add up to at most this (net/ipv4/devinet.c, check_lifetime). From 15 s on it is 2 s worse.
constexpr Duration kKernelLateness = Duration::milliseconds(1250);
constexpr Duration kLifetimeMargin = Duration::milliseconds(1300);
constexpr int64_t kMaxLifetimeS = 14;
// After this time every address that an ended process has set is gone.
constexpr Duration kLongestLifetime = Duration::seconds(kMaxLifetimeS) + kKernelLateness;

// The least authority for which an address is added: enough for a lifetime of one second.
constexpr Duration kLeastAuthority = kLifetimeMargin + Duration::seconds(1);

// How long before the fencing deadline the process takes its addresses down itself.
constexpr Duration kTakeDownMargin = Duration::milliseconds(50);

// A renewal without news comes this much before its lifetime would lose a whole second.
constexpr Duration kRenewLead = Duration::milliseconds(20);

// `d` as a clock may measure it that runs faster than the one it is compared with: clocks are taken
// to agree within 1 part in 1,000 (ARCHITECTURE.md, "What it may rely on"). Rounded up.
constexpr Duration with_drift(Duration d) {
  return d + Duration::nanoseconds(d.ns() / 1000 + 1);
}

// The valid_lft in whole seconds for an address that must be gone when `remaining` is over; 0: none
// fits, what is there is left to run out.
constexpr int lifetime_s(Duration remaining) {
  if (remaining < kLeastAuthority) return 0;
  return static_cast<int>(
      std::min(kMaxLifetimeS, (remaining - kLifetimeMargin) / Duration::seconds(1)));
}

// When a renewal of `remaining` worth `lifetime_s` can next be bettered without news: at the last
// moment at which the same number of seconds still fits, or half-way through a capped lifetime.
constexpr Duration renew_at_remaining(Duration remaining, int lifetime) {
  const Duration last = Duration::seconds(lifetime) + kLifetimeMargin + kRenewLead;
  return std::max(last, remaining - Duration::seconds(kMaxLifetimeS / 2));
}

// How long an attempt may go unanswered before another member is asked as well: several fit into
// the fence, and a loaded but healthy member answers well within it.
constexpr Duration hedge_after(Duration timeout) {
  return std::clamp(timeout / 16, Duration::milliseconds(100), Duration::milliseconds(500));
}

// How often the end of an owner that has let its peer lease expire is asked for, of one member
// after the other: etcd may be electing a leader, and the address is away until it has one.
constexpr Duration kWordAgain = Duration::milliseconds(50);

// What ends the session of an owner is shown by a watch within milliseconds of the answer. One on a
// member that was cut off with the owner's host shows nothing more.
constexpr Duration kShownWithin = Duration::milliseconds(50);

// The deadline of one request: several must fit into the fence, one after the other.
constexpr Duration request_timeout(Duration timeout) {
  return std::min(Duration::seconds(1), timeout / 6);
}

// How often each endpoint is asked to which cluster it belongs.
constexpr Duration ask_every(Duration timeout) {
  return timeout / 2;
}

// Within this time every running node that reaches an endpoint has learned that it now leads to
// another cluster: it has asked again and been answered.
constexpr Duration told_within(Duration timeout) {
  return ask_every(timeout) + request_timeout(timeout);
}

// How long an owner by another cluster may keep its VIPs after that cluster ceased to be the right
// one: it sends heartbeats until it learns that, and may be stopped just after the last one.
constexpr Duration others_gone_within(Duration timeout) {
  return with_drift(told_within(timeout) + timeout);
}

// A process that took no step for this long may have missed such a change. Two questions to an
// endpoint are never this far apart.
constexpr Duration interrupted_after(Duration timeout) {
  return timeout * 3 / 4;
}

// How soon after etcd is back the heartbeat of a live node is seen: it repeats the heartbeat that
// failed, or sends the next one after an eighth of a timeout, and half as long again is left for
// its answer.
constexpr Duration reports_back_within(Duration timeout) {
  return timeout * 3 / 16;
}

// The second in a queue beats just often enough to have authority for an address at any moment.
constexpr Duration standby_interval(Duration timeout, Duration heartbeat) {
  return std::max(heartbeat, (timeout - kLeastAuthority) * 3 / 4);
}

// Between tries at what failed, the wait after one of `backoff`.
constexpr Duration longer(Duration backoff) {
  return std::clamp(backoff * 2, Duration::milliseconds(100), Duration::seconds(1));
}

// The lease collects garbage only, but the key of a standby that died stays as long as it.
constexpr Duration lease_ttl(Duration timeout) {
  return std::max(timeout * 4, Duration::seconds(20));
}

}  // namespace vipd::timing
