// What the peer lease promises when one thing goes wrong and nothing else (README.md, "What happens
// when"): after a quiet time one fault strikes, and each millisecond somebody looks who answers.
#include <algorithm>

#include "sim/world.hpp"

namespace sim {

namespace {

constexpr int64_t kLook = kMs;
constexpr int64_t kSlack = 100 * kMs;          // from the end of a grant to the next owner
constexpr int64_t kElectionSlack = 200 * kMs;  // and from the election of etcd's next leader
constexpr int64_t kNoGap = 10 * kS;

bool loses_owner(DrillKind kind) {
  return kind <= DrillKind::OwnerAndLeader;
}

}  // namespace

const char* name_of(DrillKind kind) {
  static const char* const kNames[] = {"the owner's host crashes",
                                       "the owner is killed",
                                       "the owner is stopped",
                                       "the owner is cut off",
                                       "the owner and etcd's leader die",
                                       "another host crashes",
                                       "another host and etcd's leader die",
                                       "frames to another are lost",
                                       "frames from another are lost",
                                       "frames to and from another are lost",
                                       "all frames are lost",
                                       "the fence is removed",
                                       "the owner stalls",
                                       "etcd is away"};
  return kNames[static_cast<size_t>(kind)];
}

int World::holder(int vip) const {
  int found = -1;
  for (int n = 0; n < nodes_count_; n++) {
    if (!holds(nodes_[static_cast<size_t>(n)], vip)) continue;
    if (found >= 0) return -2;
    found = n;
  }
  return found;
}

// Its owner's peer lease, if two others at least renew it, and everybody could take the VIP.
const vipd::PeerTerm* World::term_of(int owner) const {
  const vipd::LeaseId lease = nodes_[static_cast<size_t>(owner)].core->session();
  const Store::Stored* found = store_.find({vipd::KeyKind::Peers, lease, {}});
  return found == nullptr ? nullptr : &found->entry.value.peers;
}

bool World::may_drill(int vip) const {
  const int owner = holder(vip);
  if (owner < 0 || no_space_ || ordered_ || has_checks_ || has_strangers_ || has_programs_)
    return false;
  const Node& node = nodes_[static_cast<size_t>(owner)];
  const vipd::PeerTerm* term = node.core == nullptr ? nullptr : term_of(owner);
  int ready = 0;
  for (int n = 0; n < nodes_count_; n++) {
    const Node& other = nodes_[static_cast<size_t>(n)];
    if (!eligible(other, vip) || !queued(other, vip)) return false;
    const bool lists =
        term != nullptr && term->grantors.size() + 1 == static_cast<size_t>(nodes_count_);
    ready += lists ? 1 : 0;
  }
  return ready == nodes_count_ && nodes_count_ >= 2;
}

bool World::drill_begins() {
  if (!options_.peers || !peer_random_.one_in(2)) return false;
  const int vip = static_cast<int>(peer_random_.below(vips_count_));
  if (!may_drill(vip)) return false;
  const int owner = holder(vip);
  const vipd::PeerTerm& term = *term_of(owner);
  // A single grantor cannot tell its own death from the owner's.
  const auto first =
      term.grantors.size() == 1 ? DrillKind::GrantorCrashes : DrillKind::OwnerCrashes;
  auto kind = static_cast<DrillKind>(
      peer_random_.between(static_cast<int64_t>(first), static_cast<int64_t>(DrillKind::EtcdAway)));
  if (options_.hold && hold_random_.one_in(2) && may_hold(owner)) kind = DrillKind::EtcdAway;
  const int other =
      (owner + 1 + static_cast<int>(peer_random_.below(nodes_count_ - 1))) % nodes_count_;
  drill_ = {.kind = kind, .vip = vip, .owner = owner, .began = now_};
  drill_.until = now_ + (loses_owner(kind) ? in_true_time(term.timeout.ns()) + kSlack : kNoGap);
  SAY(owner, "**** drill for v%d: %s", vip + 1, name_of(kind));
  tally_.count(Rule::Drill);
  if (!strike_drill(other, term.timeout.ns())) return false;
  post(now_ + kLook, Ev::DrillLook, owner, vip);
  return true;
}

// Its mark is that of the term in force, and everybody in sight honours marks: a key that somebody
// wrote over says nothing of that.
bool World::may_hold(int owner) const {
  const vipd::Core& core = *nodes_[static_cast<size_t>(owner)].core;
  const Store::Stored* peers = store_.find({vipd::KeyKind::Peers, core.session(), {}});
  const Store::Stored* mark = store_.find({vipd::KeyKind::Hold, core.session(), {}});
  const bool honoured = std::all_of(store_.keys.begin(), store_.keys.end(), [](const auto& stored) {
    return stored.entry.key.kind != vipd::KeyKind::Session || stored.entry.value.honours;
  });
  return honoured && peers != nullptr && mark != nullptr &&
         mark->entry.modified == peers->entry.modified &&
         term_state(owner) == vipd::TermState::InForce;
}

vipd::TermState World::term_state(int owner) const {
  const Node& node = nodes_[static_cast<size_t>(owner)];
  return node.core->peers(vipd::MonoTime::from_ns(shown(node))).state;
}

bool World::strike_drill(int other, int64_t timeout) {
  const int owner = drill_.owner;
  Node& node = nodes_[static_cast<size_t>(owner)];
  switch (drill_.kind) {
    case DrillKind::OwnerCrashes:
      return crash_host(owner, 20 * kS), true;
    case DrillKind::OwnerKilled:
      end_process(owner);
      return post(now_ + 20 * kS, Ev::ProcessStarts, owner), true;
    case DrillKind::OwnerStopped:
      node.stopped = true;
      return post(now_ + 20 * kS, Ev::ProcessResumes, owner), true;
    case DrillKind::OwnerCutOff:
      for (int m = 0; m < members_count_; m++) cut(owner, m, kCutRequests | kCutAnswers);
      return cut_from(owner, -1, 3, kAllLinks), true;
    case DrillKind::OwnerAndLeader: {
      const int64_t election = peer_random_.between(500 * kMs, 2 * kS);
      drill_.until = std::max(drill_.until, now_ + election + kElectionSlack);
      lose_leader(election);
      return crash_host(owner, 20 * kS), true;
    }
    case DrillKind::GrantorCrashes:
      return crash_host(other, 20 * kS), true;
    case DrillKind::GrantorAndLeader:
      return grantor_and_leader_go(other, timeout);
    case DrillKind::LostTo:
      return cut_from(owner, other, 1, kAllLinks), true;
    case DrillKind::LostFrom:
      return cut_from(owner, other, 2, kAllLinks), true;
    case DrillKind::LostBoth:
      return cut_from(owner, other, 3, kAllLinks), true;
    case DrillKind::AllLost:
      peer_loss_ = 1'000'000;
      return true;
    case DrillKind::FenceRemoved:
      return fence_goes(owner), true;
    case DrillKind::OwnerStalls: {
      // Lifetimes are whole seconds: by the shortest session.timeout one may end before.
      const int64_t ends = now_ + timeout * 4 / 10;
      if (node.addresses[static_cast<size_t>(drill_.vip)].expires <= ends) return false;
      node.stopped = true;
      return post(ends, Ev::ProcessResumes, owner), true;
    }
    case DrillKind::EtcdAway:
      return etcd_goes_away(), true;
    case DrillKind::kCount:
      break;
  }
  return false;
}

bool World::grantor_and_leader_go(int other, int64_t timeout) {
  const Node& node = nodes_[static_cast<size_t>(drill_.owner)];
  const int64_t its = node.its_timeout;
  if (its < 5 * kS || node.its_heartbeat * 8 > its) return false;
  // Without any grantor the term must be left in time.
  const int64_t last = nodes_count_ == 2 ? timeout * 3 / 4 - its / 8 : 2 * kS;
  lose_leader(peer_random_.between(500 * kMs, std::min(last, 2 * kS)));
  crash_host(other, 20 * kS);
  return true;
}

void World::etcd_goes_away() {
  for (int n = 0; n < nodes_count_; n++) {
    for (int m = 0; m < members_count_; m++) cut(n, m, kCutRequests | kCutAnswers);
  }
  // Where etcd goes on without its clients, their leases end.
  drill_.heals = now_ + hold_random_.spread(timeout_ / 2, 10 * kS);
  drill_.until = drill_.heals + 3 * timeout_;
}

void World::look_at_drill() {
  const int who = holder(drill_.vip);
  const auto ms = static_cast<long long>((now_ - drill_.began) / kMs);
  const bool late = now_ >= drill_.until;
  if (now_ >= drill_.heals) {
    drill_.heals = INT64_MAX;
    for (int n = 0; n < nodes_count_; n++) {
      nodes_[static_cast<size_t>(n)].cut.fill(0);
      pump(n);
    }
  }
  if (loses_owner(drill_.kind)) {
    if (who >= 0 && who != drill_.owner) return drill_ends();
    if (late) {
      fail("bounds", "v%d has no other owner after %lld ms: %s", drill_.vip + 1, ms,
           name_of(drill_.kind));
      return drill_ends();
    }
  } else {
    if (who != drill_.owner) {
      // A term that was just being changed is not held on to.
      const bool changing = drill_.kind == DrillKind::EtcdAway &&
                            nodes_[static_cast<size_t>(drill_.owner)].core != nullptr &&
                            term_state(drill_.owner) == vipd::TermState::Entering;
      if (changing) return drill_ends();
      fail("bounds", "n%d does not answer for v%d after %lld ms: %s", drill_.owner + 1,
           drill_.vip + 1, ms, name_of(drill_.kind));
      return drill_ends();
    }
    if (late) return drill_ends();
  }
  post(now_ + kLook, Ev::DrillLook, 0);
}

void World::drill_ends() {
  drill_.heals = INT64_MAX;
  if (loses_owner(drill_.kind)) tally_.count(Rule::DrillMoved);
  if (!loses_owner(drill_.kind)) tally_.count(Rule::DrillStayed);
  heal_all_peers();
  round_begins();
}

}  // namespace sim
