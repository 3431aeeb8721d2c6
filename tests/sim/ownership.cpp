// The ownership checker. At no moment may two machines answer for one address, in true time, but
// for what cannot be helped (ARCHITECTURE.md, README.md "Limits"), each for exactly so long:
//   Pause    a machine whose clocks stood still with it: one session timeout after it goes on
//   Suspend  a machine whose clock shows the pause, and whose kernel's timers stood still: until
//            its process has looked at its clock, at the latest until the lifetime ends
//   Call     stopped between the clock and the call that sets a lifetime: until the process has
//            looked at its clock, at the latest until that lifetime ends
//   Clone    a machine or a state directory that was copied: one session timeout
//   Unfenced somebody removed the packet fence while a term was obeyed: one session timeout
//   Grantors two copies of a machine go under one incarnation, and may grant in a term: until one
//   of
//            them has lost its session, and one session timeout
//   Elsewhere  elected by another cluster, to which the endpoints of one host lead alone: until one
//            session timeout after it has heard of that, and of somebody else who has the address
//   Reader   a machine that was copied while etcd took no writes: until it takes them again, and
//            two session timeouts
// Of those who have an address at once all but one must be excused.
#include <algorithm>

#include "sim/world.hpp"

namespace sim {

namespace {

Rule rule_of(Excuse excuse) {
  switch (excuse) {
    case Excuse::None:
    case Excuse::kCount:
    case Excuse::Pause:
      return Rule::OverlapExcusedPause;
    case Excuse::Suspend:
      return Rule::OverlapExcusedSuspend;
    case Excuse::Call:
      return Rule::OverlapExcusedCall;
    case Excuse::Clone:
      return Rule::OverlapExcusedClone;
    case Excuse::Reader:
      return Rule::OverlapExcusedReader;
    case Excuse::Unfenced:
      return Rule::OverlapExcusedUnfenced;
    case Excuse::Grantors:
      return Rule::OverlapExcusedGrantors;
    case Excuse::Elsewhere:
      return Rule::OverlapExcusedElsewhere;
  }
  return Rule::OverlapExcusedPause;
}

}  // namespace

bool World::holds(const Node& node, int vip) const {
  const KernelAddress& address = node.addresses[static_cast<size_t>(vip)];
  return address.present && node.paused == HostPause::None && !fence_drops(node, address);
}

// Its process is dead, stopped, in a call or late, or has not looked since the machine went on; or
// it only knows that a former one gave the address a lifetime.
bool World::sleeps(const Node& node, const KernelAddress& address) const {
  return !runs(node) || node.read_at < address.excused_since || shown(node) >= node.armed.ns() ||
         node.started_at > address.set_at;
}

Excuse World::excuse_of(const Node& node, int vip, int64_t* until) const {
  const KernelAddress& address = node.addresses[static_cast<size_t>(vip)];
  const bool asleep = address.excuse != Excuse::Suspend || address.stuck || sleeps(node, address);
  if (now_ <= address.excused_until && asleep) {
    *until = address.excused_until;
    return address.excuse;
  }
  if (now_ <= address.elsewhere_until) {
    *until = address.elsewhere_until;
    return Excuse::Elsewhere;
  }
  *until = std::max(node.pause_until, node.clone_until);
  if (now_ > *until && now_ <= node.unfenced_until) {
    *until = node.unfenced_until;
    return Excuse::Unfenced;
  }
  if (now_ > *until && twins_grant()) {
    *until = std::max(now_ + kMs, twins_grant_until_);  // nobody knows for how long both grant
    return Excuse::Grantors;
  }
  if (now_ > *until) return Excuse::None;
  if (node.reader_cloned) return Excuse::Reader;
  return node.pause_until >= node.clone_until ? Excuse::Pause : Excuse::Clone;
}

// Looks anew whenever an address comes or goes, a machine stops or goes on, or an excuse ends.
void World::judge(int vip) {
  std::array<int, kMaxNodes> bare{};  // who has it without an excuse
  size_t bare_count = 0;
  int holders = 0;
  int fenced = 0;  // in the list of a host whose fence lets none of its packets pass
  Excuse excuse = Excuse::None;
  int64_t first_end = INT64_MAX;
  for (int n = 0; n < nodes_count_; n++) {
    const Node& node = nodes_[static_cast<size_t>(n)];
    if (!holds(node, vip)) {
      const KernelAddress& address = node.addresses[static_cast<size_t>(vip)];
      fenced += address.present && fence_drops(node, address) ? 1 : 0;
      continue;
    }
    holders++;
    int64_t until = 0;
    const Excuse its = excuse_of(node, vip, &until);
    if (its == Excuse::None) {
      bare[bare_count++] = n;
      continue;
    }
    excuse = its;
    first_end = std::min(first_end, until);
  }
  if (bare_count > 1) {
    fail("ownership", "n%d and n%d both have v%d", bare[0] + 1, bare[1] + 1, vip + 1);
  }
  if (holders == 1 && fenced > 0) tally_.count(Rule::FencedOnly);
  note_overlap(vip, holders > 1 ? excuse : Excuse::None);
  if (holders > 1) post(first_end + 1, Ev::ExcuseEnds, 0, vip);
}

void World::note_overlap(int vip, Excuse excuse) {
  Overlap& overlap = overlaps_[static_cast<size_t>(vip)];
  if (excuse == Excuse::None) {
    if (overlap.excuse == Excuse::None) return;
    const int64_t lasted = now_ - overlap.since;
    int64_t& worst = tally_.worst_overlap[static_cast<size_t>(overlap.excuse)];
    worst = std::max(worst, lasted);
    // Two copies hold on without etcd until a heartbeat of one of them is committed.
    const bool holds_on = overlap.excuse == Excuse::Grantors && options_.hold;
    const bool is_bounded =
        overlap.excuse != Excuse::Reader && overlap.excuse != Excuse::Elsewhere && !holds_on;
    if (lasted > in_true_time(timeout_) && is_bounded) {
      fail("ownership", "two had v%d for %.3f s, excused by %s", vip + 1,
           static_cast<double>(lasted) / 1e9, words_of(overlap.excuse));
    }
    overlap = {};
    return;
  }
  const bool grants_last = options_.hold && excuse == Excuse::Grantors && overlap.excuse != excuse;
  if (overlap.excuse != Excuse::None && !grants_last) return;
  overlap = {.excuse = excuse, .since = now_};
  SAY(-1, "(two have v%d, excused by %s)", vip + 1, words_of(excuse));
  tally_.count(rule_of(excuse));
}

void World::judge_all() {
  for (int v = 0; v < vips_count_; v++) judge(v);
}

// --- excuses begin and end

// No excuse outlives one session timeout, whatever it is for.
void World::excuse(int n, int vip, Excuse excuse, int64_t until) {
  KernelAddress& address = nodes_[static_cast<size_t>(n)].addresses[static_cast<size_t>(vip)];
  if (until > now_ + in_true_time(timeout_)) {
    fail("fencing", "n%d may have v%d for %.3f s more, held up as it is", n + 1, vip + 1,
         static_cast<double>(until - now_) / 1e9);
  }
  address.excuse = excuse;
  address.excused_since = now_;
  address.excused_until = until;
}

// The process has looked at its clock: what it still has, it has by right, unless the kernel would
// not let it go, or a former process left it.
void World::looked(int n) {
  Node& node = nodes_[static_cast<size_t>(n)];
  for (int v = 0; v < vips_count_; v++) {
    KernelAddress& address = node.addresses[static_cast<size_t>(v)];
    if (now_ > address.excused_until) continue;
    const bool its_own = node.started_at <= address.set_at;
    if (address.excuse == Excuse::Call && its_own && !address.stuck) {
      address.excused_until = -1;
    }
    judge(v);
  }
}

}  // namespace sim
