// The checkers, by name: fencing, chain, liveness, cache, quiet. Ownership has a file of its own.
#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "sim/world.hpp"

namespace sim {

void World::fail(const char* checker, const char* format, ...) {
  if (failure_.failed) return;
  const bool judges = options_.only.empty() || options_.only == checker;
  if (!judges && strcmp(checker, "livelock") != 0) return;
  char text[300];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  failure_ = {.failed = true, .checker = checker, .text = text, .at = now_};
  SAY(-1, "!!!! %s: %s", checker, text);
}

// --- fencing: no address outlives the latest echoed heartbeat

// A lifetime that was set must end within the authority that the process has, or the address must
// go before anything else is done: this looks when something else is about to be done.
void World::check_set(int n) {
  Node& node = nodes_[static_cast<size_t>(n)];
  for (int v = 0; v < vips_count_; v++) {
    KernelAddress& address = node.addresses[static_cast<size_t>(v)];
    if (!address.unchecked) continue;
    address.unchecked = false;
    // A kernel that will not remove it is beyond help: its lifetime is what bounds it.
    if (!address.present || address.stuck) continue;
    if (address.longest > authority(node)) {
      fail("fencing", "n%d may have v%d for %.3f s past its fencing deadline", n + 1, v + 1,
           static_cast<double>(address.longest - authority(node)) / 1e9);
    }
  }
}

void World::check_turn(int n) {
  const Node& node = nodes_[static_cast<size_t>(n)];
  check_set(n);
  looked(n);
  for (int v = 0; v < vips_count_; v++) {
    const KernelAddress& address = node.addresses[static_cast<size_t>(v)];
    if (!address.present || address.stuck || node.read_at < now_) continue;
    if (shown(node) > authority(node) && now_ > address.excused_until) {
      fail("fencing", "n%d still has v%d after a turn without authority", n + 1, v + 1);
    }
  }
}

// It has just gone, however it did.
void World::check_gone(int n, int vip) {
  const Node& node = nodes_[static_cast<size_t>(n)];
  if (!holds(node, vip)) return;  // a machine that is paused answers nobody
  const int64_t late = shown(node) - authority(node);
  if (late <= 0 || now_ <= node.addresses[static_cast<size_t>(vip)].excused_until) return;
  fail("fencing", "n%d had v%d for %.3f s past its fencing deadline", n + 1, vip + 1,
       static_cast<double>(late) / 1e9);
}

// --- chain: whoever is fenced by a stranger's heartbeat was not fenced by one of its own

// A backup brings old ones back, a copy of the machine has sent them as well, and where somebody
// deletes the key, two attempts to put the first one may both commit.
void World::check_fenced(int n) {
  const Node& node = nodes_[static_cast<size_t>(n)];
  if (node.sent.empty() || restores_ != 0 || node.clone_until >= 0) return;
  const vipd::Key key{vipd::KeyKind::Session, node.sent.back().lease, {}};
  const Store::Stored* stored = store_.find(key);
  if (stored == nullptr || store_.was_deleted(key)) return;
  for (const Heartbeat& beat : node.sent) {
    const bool own = beat.nonce == stored->entry.value.nonce && beat.lease == key.lease &&
                     beat.incarnation == node.incarnation;
    if (!own) continue;
    fail("chain", "n%d was fenced by a heartbeat that it sent itself %.3f s ago", n + 1,
         static_cast<double>(shown(node) - beat.sent) / 1e9);
  }
}

// --- liveness: after the last fault there is an owner, and it has said so

bool World::eligible(const Node& node, int vip) const {
  bool all = runs(node) && !node.person_paused;
  for (int v = 0; all && v < vips_count_; v++) {
    const auto i = static_cast<size_t>(v);
    if (!together(node, vip, v)) continue;
    all = node.configured[i] && !keeps_away(node, v) && node.link_up[node.vip_link[i]];
  }
  return all;
}

// Without space nobody can join, but those who are in the queue can take over; unless the last
// session put was compacted, by which a new watch is held: there will be no other
// (ARCHITECTURE.md).
bool World::queued(const Node& node, int vip) const {
  const vipd::LeaseId lease = node.core->session();
  const bool holdable =
      std::any_of(store_.keys.begin(), store_.keys.end(), [this](const Store::Stored& stored) {
        return stored.entry.key.kind == vipd::KeyKind::Session &&
               stored.entry.modified > store_.compacted;
      });
  return holdable && store_.find({vipd::KeyKind::Session, lease, {}}) != nullptr &&
         store_.find({vipd::KeyKind::Candidate, lease, vips_[static_cast<size_t>(vip)]}) != nullptr;
}

// A term that was being entered when space ran out: nothing tells what became of it, and it is
// obeyed, whether anybody grants it or not.
bool World::waits_for_term(const Node& node) const {
  const auto state = node.core->peers(vipd::MonoTime::from_ns(shown(node))).state;
  return state == vipd::TermState::Entering || state == vipd::TermState::Leaving;
}

int World::only_owner(int vip) const {
  int owner = -1;
  for (int n = 0; n < nodes_count_; n++) {
    if (!nodes_[static_cast<size_t>(n)].addresses[static_cast<size_t>(vip)].present) continue;
    if (owner >= 0) return -2;
    owner = n;
  }
  return owner;
}

void World::check_liveness() {
  bool wholly = true;
  if (no_space_) tally_.count(Rule::LivenessNoSpace);
  for (int v = 0; v < vips_count_; v++) {
    bool possible = false;
    for (int n = 0; n < nodes_count_; n++) {
      const Node& node = nodes_[static_cast<size_t>(n)];
      if (!eligible(node, v)) continue;
      // Whoever is crossed with another cannot queue anew without space.
      const bool able = queued(node, v) && !waits_for_term(node) && !options_.groups;
      possible = possible || !no_space_ || able;
    }
    const int owner = only_owner(v);
    possible = possible && !may_be_nobodys();
    if (owner == -1 && !possible) wholly = false;
    if (owner == -1 && possible) {
      fail("liveness", "nobody has v%d %.1f s after the last fault", v + 1,
           static_cast<double>(now_ - calm_since_) / 1e9);
    }
    if (owner < 0) continue;
    const Node& node = nodes_[static_cast<size_t>(owner)];
    const auto i = static_cast<size_t>(v);
    if (!eligible(node, v)) fail("liveness", "n%d has v%d but should not", owner + 1, v + 1);
    if (!node.addresses[i].announced) fail("liveness", "n%d never announced v%d", owner + 1, v + 1);
    tally_.worst_liveness = std::max(tally_.worst_liveness, owned_since_[i] - calm_since_);
  }
  check_owned_whole();
  if (!wholly || may_be_nobodys()) {
    tally_.count(Rule::LivenessNobodyMay);
    return round_begins();
  }
  tally_.count(Rule::LivenessChecked);
  changes_at_check_ = owner_changes_;
  for (size_t n = 0; n < kMaxNodes; n++) requests_at_check_[n] = nodes_[n].requests;
  checked_at_ = now_;
  if (broken(Broken::Quiet)) (void)strike_keys(Fault::PrefixDeleted);
  post(now_ + (random_.one_in(4) ? 45 * kS : 8 * kS), Ev::QuietEnds, 0);
}

// --- quiet: without faults nothing changes, and etcd is asked no more than heartbeats need

void World::check_quiet() {
  if (owner_changes_ != changes_at_check_) {
    fail("quiet", "%llu changes of ownership without a fault",
         static_cast<unsigned long long>(owner_changes_ - changes_at_check_));
  }
  const int64_t span = now_ - checked_at_;
  for (int n = 0; n < nodes_count_; n++) {
    const auto i = static_cast<size_t>(n);
    auto allowed = static_cast<uint64_t>(span / nodes_[i].its_heartbeat * 3 / 2 + 12);
    // Each read is followed by a try to write, and leases are asked for twice a second.
    if (no_space_) allowed = allowed * 2 + static_cast<uint64_t>(span / kS * 5 / 2);
    const uint64_t asked = nodes_[i].requests - requests_at_check_[i];
    if (asked > allowed) {
      fail("quiet", "n%d sent %llu requests in %lld s", n + 1,
           static_cast<unsigned long long>(asked), static_cast<long long>(span / kS));
    }
  }
  check_cache();
  tally_.count(Rule::QuietChecked);
  if (!failure_.failed && !drill_begins()) round_begins();
}

// At no time may a node hammer etcd, least of all while that is in trouble.
void World::check_storm(int n) {
  constexpr uint64_t kMostInSecond = 100;
  Node& node = nodes_[static_cast<size_t>(n)];
  node.requests++;
  if (node.second != now_ / kS) {
    node.second = now_ / kS;
    node.in_second = 0;
  }
  if (++node.in_second > kMostInSecond) fail("quiet", "n%d hammers etcd", n + 1);
}

// --- cache: neighbours reach the owner

void World::check_cache() {
  for (int v = 0; v < vips_count_; v++) {
    const int owner = only_owner(v);
    if (owner < 0) continue;
    const int64_t since = owned_since_[static_cast<size_t>(v)];
    // Announced without a fault on the LAN, or long enough to be asked for.
    const bool heard = since > calm_since_ + 3 * kS && now_ - since > kS;
    const bool asked = now_ - std::max(since, calm_since_) > 42 * kS;
    if (!heard && !asked) continue;
    for (int b = 0; b < kBystanders; b++) {
      const int believed = bystanders_[static_cast<size_t>(b)].owner[static_cast<size_t>(v)];
      if (believed != owner) {
        const std::string where =
            believed == kNobody ? "nobody" : "n" + std::to_string(believed + 1);
        fail("cache", "a neighbour sends v%d to %s, but n%d has it", v + 1, where.c_str(),
             owner + 1);
      }
      tally_.count(Rule::CacheRight);
    }
  }
}

}  // namespace sim
