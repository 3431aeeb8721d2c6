// What goes wrong, when, and how it heals. Each run switches about half of the kinds off and draws
// rates for the others, so that every mixture comes up.
#include <algorithm>
#include <utility>

#include "sim/world.hpp"

namespace sim {

using vipd::Key;
using vipd::KeyKind;
using vipd::LeaseId;

namespace {

// ARCHITECTURE.md, "The longest timeout in sight counts": a newcomer with a shorter timeout cannot
// know of a session that somebody has just made invisible.
bool hides_timeouts(Fault fault) {
  return fault == Fault::SessionKeyDeleted || fault == Fault::PrefixDeleted ||
         fault == Fault::LeaseRevokedEarly || fault == Fault::LeaseRevokedByHand ||
         fault == Fault::SessionScribbled;
}

}  // namespace

void World::draw_swarm() {
  for (size_t i = 0; i < kFaults; i++) {
    // They come in their own time (checks.cpp, strangers.cpp, late.cpp,
    // peers.cpp, aimed.cpp).
    if (i >= static_cast<size_t>(Fault::CheckDown)) continue;
    weights_[i] = random_.one_in(2) ? 0 : static_cast<uint32_t>(random_.spread(1, 64));
    if ((options_.without >> i & 1) != 0) weights_[i] = 0;
    if (mixed_ && hides_timeouts(static_cast<Fault>(i))) weights_[i] = 0;
    weights_sum_ += weights_[i];
  }
  fault_gap_ = random_.spread(200 * kMs, 40 * kS);
  // It costs time to make a twin possible.
  uint32_t& cloned = weights_[static_cast<size_t>(Fault::MachineCloned)];
  uint32_t& rolled_back = weights_[static_cast<size_t>(Fault::MachineRolledBack)];
  records_ = random_.one_in(4) && cloned + rolled_back != 0;
  if (records_) return;
  weights_sum_ -= cloned + rolled_back;
  cloned = rolled_back = 0;
}

void World::next_fault() {
  if (weights_sum_ == 0) return;
  post(now_ + random_.below(2 * fault_gap_), Ev::FaultStrikes, 0, 0, 0, round_);
}

void World::strike() {
  int64_t at = random_.below(weights_sum_);
  size_t which = 0;
  while (at >= weights_[which]) at -= weights_[which++];
  strike(static_cast<Fault>(which));
  next_fault();
}

void World::strike(Fault fault) {
  if (story_.on()) say(-1, "**** fault: %s", name_of(fault));
  const bool struck = strike_host(fault) || strike_copies(fault) || strike_kernel(fault) ||
                      strike_etcd(fault) || strike_network(fault) || strike_people(fault) ||
                      strike_keys(fault);
  if (struck) tally_.count(fault);
}

void World::heal_after(Fault fault, int64_t span, int target, uint32_t what) {
  post(now_ + span, Ev::FaultHeals, target, static_cast<int>(fault), 0, what);
}

int World::any_node() {
  return static_cast<int>(random_.below(nodes_count_));
}

int World::any_live_node() {
  const int first = any_node();
  for (int i = 0; i < nodes_count_; i++) {
    const int n = (first + i) % nodes_count_;
    if (runs(nodes_[static_cast<size_t>(n)])) return n;
  }
  return -1;
}

// --- hosts and processes

bool World::strike_host(Fault fault) {
  int n = any_node();
  // Owners are the ones that matter.
  if (random_.one_in(2) && only_owner(0) >= 0) n = only_owner(0);
  Node& node = nodes_[static_cast<size_t>(n)];
  if (!node.up || node.paused != HostPause::None) return false;
  const int64_t span = random_.spread(30 * kMs, 4 * timeout_);
  if (fault == Fault::ProcessPause && node.core != nullptr && !node.stopped) {
    node.stopped = true;
    SAY(n, "the process is stopped for %lld ms", static_cast<long long>(span / kMs));
    post(now_ + span, Ev::ProcessResumes, n);
    return true;
  }
  if (fault == Fault::ProcessKill && node.core != nullptr) {
    SAY(n, "==== the process is killed");
    end_process(n);
    post(now_ + random_.spread(10 * kMs, 60 * kS), Ev::ProcessStarts, n);
    return true;
  }
  if (fault == Fault::ProcessStop && node.core != nullptr) {
    tell(n, {.event = vipd::event::StopAsked{}});
    return true;
  }
  if (fault == Fault::HostCrash) {
    crash_host(n, random_.spread(kS, 60 * kS));
    return true;
  }
  if (fault == Fault::HostPauseUnnoticed) return pause_host(n, HostPause::Unnoticed, span), true;
  if (fault == Fault::HostSuspend) return pause_host(n, HostPause::Suspend, span), true;
  if (fault == Fault::HostPauseNoticed) return pause_host(n, HostPause::Noticed, span), true;
  return false;
}

bool World::strike_kernel(Fault fault) {
  const int n = any_node();
  Node& node = nodes_[static_cast<size_t>(n)];
  const int link = static_cast<int>(random_.below(8) == 0);
  const int64_t span = random_.spread(10 * kMs, 20 * kS);
  if (fault == Fault::CallHeldUp) {
    held_up_ = static_cast<uint32_t>(random_.spread(10'000, 500'000));
  } else if (fault == Fault::StalledInTurn) {
    stalled_ = static_cast<uint32_t>(random_.spread(1'000, 50'000));
  } else if (fault == Fault::KernelRefuses) {
    refused_ = static_cast<uint32_t>(random_.spread(20'000, 600'000));
    refused_once_ = true;
  } else if (fault == Fault::StarvedProcess) {
    starved_ = random_.spread(kMs, 500 * kMs);
  } else if (fault == Fault::LinkFlap && node.up) {
    set_link(n, link, true, false);
  } else if (fault == Fault::LinkMissing && node.up) {
    set_link(n, link, false, false);
  } else if (fault == Fault::AddressDeleted) {
    const int vip = static_cast<int>(random_.below(vips_count_));
    const int owner = only_owner(vip);
    if (owner < 0) return false;
    remove_address(owner, vip, Rule::AddressGoneByOthers);
    notice(owner, vip, false);
    return true;
  } else {
    return false;
  }
  heal_after(fault, span, n, static_cast<uint32_t>(link));
  return true;
}

// --- the network

void World::cut(int n, int m, uint8_t how) {
  Node& node = nodes_[static_cast<size_t>(n)];
  node.cut[static_cast<size_t>(m)] = how;
  if (node.watch.id == 0 || node.watch.member != m || (how & kCutAnswers) == 0) return;
  post(now_ + 3 * kS, Ev::WatchEnds, n, 3, 0, node.watch.id);
}

bool World::strike_network(Fault fault) {
  const int n = any_node();
  Node& node = nodes_[static_cast<size_t>(n)];
  const int64_t span = random_.spread(50 * kMs, 40 * kS);
  if (fault == Fault::CutBoth) {
    cut(n, static_cast<int>(random_.below(members_count_)), kCutRequests | kCutAnswers);
  } else if (fault == Fault::CutAnswers) {
    cut(n, static_cast<int>(random_.below(members_count_)), kCutAnswers);
  } else if (fault == Fault::CutAll) {
    const auto how = static_cast<uint8_t>(random_.between(1, 4));
    for (int m = 0; m < members_count_; m++) cut(n, m, how);
  } else if (fault == Fault::SlowNetwork) {
    node.slow = random_.spread(5 * kMs, 3 * kS);
  } else if (fault == Fault::LossyNetwork) {
    node.loss = static_cast<uint32_t>(random_.spread(10'000, 600'000));
    duplicate_ = static_cast<uint32_t>(random_.spread(10'000, 600'000));
  } else if (fault == Fault::WatchCut) {
    if (node.watch.id == 0) return false;
    node.watch.open = false;
    post(std::max(now_ + kMs, node.watch.last_at + 1), Ev::WatchEnds, n, 0, 0, node.watch.id);
    return true;
  } else if (fault == Fault::LanLoss) {
    lan_loss_ = static_cast<uint32_t>(random_.spread(50'000, 900'000));
  } else if (fault == Fault::LanDelay) {
    lan_delay_ = random_.spread(kMs, 2 * kS);
  } else {
    return false;
  }
  heal_after(fault, span, n);
  return true;
}

// --- people

bool World::strike_people(Fault fault) {
  const int n = any_live_node();
  if (n < 0) return false;
  Node& node = nodes_[static_cast<size_t>(n)];
  if (fault == Fault::PauseResume) {
    node.person_paused = true;
    tell(n, {.event = vipd::event::PauseAsked{}});
    heal_after(fault, random_.spread(50 * kMs, 30 * kS), n);
  } else if (fault == Fault::Resign) {
    vipd::event::ResignAsked asked;
    for (int v = 0; v < vips_count_; v++) {
      const auto i = static_cast<size_t>(v);
      if (node.configured[i] && !random_.one_in(3)) asked.vips.push_back(vips_[i]);
    }
    if (asked.vips.empty()) return false;
    tell(n, {.event = asked});
  } else if (fault == Fault::Transfer) {
    return transfer();
  } else if (fault == Fault::Reconfigure) {
    if (random_.one_in(3)) draw_priorities(&node);
    reconfigure(n, false);
    if (random_.one_in(2)) heal_after(fault, random_.spread(kMs, 20 * kS), n);
  } else {
    return false;
  }
  return true;
}

// To anybody in the queue, or to one who has just left it.
bool World::transfer() {
  const auto vip = static_cast<size_t>(random_.below(vips_count_));
  const int owner = only_owner(static_cast<int>(vip));
  const Node& to = nodes_[static_cast<size_t>(any_node())];
  if (owner < 0 || to.core == nullptr) return false;
  tell(owner, {.event = vipd::event::TransferAsked{.vip = vips_[vip], .to = to.core->session()}});
  return true;
}

void World::reconfigure(int n, bool whole) {
  Node& node = nodes_[static_cast<size_t>(n)];
  for (int v = 0; v < vips_count_; v++) {
    const auto i = static_cast<size_t>(v);
    node.configured[i] = whole || !random_.one_in(3);
    if (!whole && random_.one_in(6)) turn_link(&node, v);
  }
  if (mixed_ && !whole && random_.one_in(4)) {  // with the next process
    draw_timeout(&node);
    timeout_ = std::max(timeout_, node.timeout);
  }
  if (node.core == nullptr) return;  // it reads its configuration when it starts
  tell(n, {.event = vipd::event::Reconfigured{settings(node)}});
  tell_checks(n);
  tell_links(n);
}

const Store::Stored* World::any_key(KeyKind kind) {
  if (store_.keys.empty() || leaderless_ || cluster_down_) return nullptr;
  const auto count = static_cast<int64_t>(store_.keys.size());
  const int64_t first = random_.below(count);
  for (int64_t i = 0; i < count; i++) {
    const Store::Stored& stored = store_.keys[static_cast<size_t>((first + i) % count)];
    if (stored.entry.key.kind == kind) return &stored;
  }
  return nullptr;
}

bool World::strike_keys(Fault fault) {
  KeyKind kind = KeyKind::Session;
  if (fault == Fault::CandidateDeleted) kind = KeyKind::Candidate;
  if (fault == Fault::WritesDeleted) kind = KeyKind::Writes;
  const Store::Stored* found = any_key(kind);
  if (found == nullptr) return false;
  const Key key = found->entry.key;
  if (fault == Fault::SessionKeyDeleted || fault == Fault::CandidateDeleted ||
      fault == Fault::WritesDeleted) {
    store_.erase({key});
  } else if (fault == Fault::PrefixDeleted) {
    std::vector<Key> all;
    // Whoever deletes a mark says that its owner is off (README.md, "Limits").
    for (const Store::Stored& stored : store_.keys) {
      if (stored.entry.key.kind != KeyKind::Hold) all.push_back(stored.entry.key);
    }
    store_.erase(all);
  } else if (fault == Fault::SessionScribbled) {
    store_.put(key, {}, random_.one_in(2) ? LeaseId::None : key.lease);
  } else if (fault == Fault::ForeignCandidate) {
    const auto id = static_cast<LeaseId>(0x9000000 + ++last_lease_);
    store_.grant(id, 60 * kS, now_);
    const auto v = static_cast<size_t>(random_.below(vips_count_));
    store_.put({KeyKind::Candidate, id, vips_[v]}, {}, id);
    post(now_ + random_.spread(100 * kMs, 20 * kS), Ev::People, 0, 0, 0, 0,
         static_cast<int64_t>(id));
  } else {
    return false;
  }
  committed();
  return true;
}

// a: 0 a foreign candidate lets go, 1 a machine is switched off, its snapshot runs instead
void World::people(const Item& item) {
  if (item.a == 1) {
    if (faults_on_ && item.x == round_) crash_host(item.node, random_.spread(20 * kS, 200 * kS));
    return;
  }
  if (store_.revoke(static_cast<LeaseId>(item.y))) committed();
}

// --- healing

void World::heal(const Item& item) {
  const auto fault = static_cast<Fault>(item.a);
  const int target = item.node;
  Node& node = nodes_[item.node];
  Member& member = members_[static_cast<size_t>(std::min(target, kMaxMembers - 1))];
  if (fault == Fault::CallHeldUp) held_up_ = 0;
  if (fault == Fault::StalledInTurn) stalled_ = 0;
  if (fault == Fault::KernelRefuses) refused_ = 0;
  if (fault == Fault::StarvedProcess) starved_ = 0;
  if (fault == Fault::LanLoss) lan_loss_ = 0;
  if (fault == Fault::LanDelay) lan_delay_ = 0;
  if (fault == Fault::NoSpace && no_space_) {
    if (!faults_on_) return heal_after(fault, 60 * kS);  // through the whole of a calm
    space_is_back();
  }
  if (fault == Fault::SlowNetwork) node.slow = 0;
  if (fault == Fault::LossyNetwork) node.loss = duplicate_ = 0;
  const bool stays = options_.groups && !faults_on_;  // leave_link_down
  if ((fault == Fault::LinkFlap || fault == Fault::LinkMissing) && node.up && !stays) {
    set_link(target, static_cast<int>(item.x), true, true);
  }
  if (fault == Fault::SecondCluster) endpoints_are_right(target);
  const bool drilled = drill_.heals != INT64_MAX;  // a drill that cuts everybody off mends it
  const bool cut = fault == Fault::CutBoth || fault == Fault::CutAnswers ||
                   fault == Fault::CutAll || fault == Fault::SecondCluster;
  if (cut && !drilled) {
    node.cut.fill(0);
    pump(target);
  }
  if (fault == Fault::PauseResume && faults_on_) {  // in a calm a pause is one that stays
    node.person_paused = false;
    tell(target, {.event = vipd::event::ResumeAsked{}});
  }
  if (fault == Fault::Reconfigure) reconfigure(target, true);
  if (fault == Fault::Restore && cluster_down_) restore();
  if (fault == Fault::MemberCrash) member.up = true;
  if (fault == Fault::MemberHang || fault == Fault::QuorumLost) member.hung = false;
  if (fault == Fault::MemberIsolated) member.isolated = false;
  if (fault == Fault::MemberLags) member.lag = 0;
  if (fault == Fault::MemberSlow) member.latency = 0;
  if (fault == Fault::MemberCrash || fault == Fault::MemberHang || fault == Fault::QuorumLost ||
      fault == Fault::MemberIsolated || fault == Fault::MemberLags) {
    post(now_ + random_.spread(kMs, 500 * kMs), Ev::MemberApplies, 0, target, 0, 0,
         store_.revision);
  }
}

void World::heal_host(int n) {
  Node& node = nodes_[static_cast<size_t>(n)];
  resume_host(n);
  boot_host(n);
  if (node.stopped) post(now_, Ev::ProcessResumes, n);
  for (int l = 0; l < links_count_; l++) set_link(n, l, true, true);
  node.cut.fill(0);
  if (now_ >= node.strange_until || !turns_many()) endpoints_are_right(n);
  node.slow = 0;
  node.loss = 0;
  if (node.person_paused) {
    node.person_paused = false;
    tell(n, {.event = vipd::event::ResumeAsked{}});
  }
  const bool whole = std::all_of(node.configured.begin(), node.configured.begin() + vips_count_,
                                 [](bool c) { return c; });
  node.is_refused.fill(false);
  const bool regrouped = groups_are_right(n);
  if (!whole || regrouped) reconfigure(n, true);
  if (node.core == nullptr) post(now_ + random_.spread(10 * kMs, 3 * kS), Ev::ProcessStarts, n);
  pump(n);
}

void World::heal_everything() {
  held_up_ = stalled_ = refused_ = duplicate_ = lan_loss_ = 0;
  lan_delay_ = starved_ = 0;
  outage_ = false;
  if (no_space_ && !random_.one_in(4)) space_is_back();  // it may last for hours
  if (cluster_down_) restore();
  for (int m = 0; m < members_count_; m++) {
    Member& member = members_[static_cast<size_t>(m)];
    member.up = true;
    member.hung = member.isolated = false;
    member.lag = member.latency = 0;
    apply_at(m, store_.revision);
  }
  if (leaderless_) elected(election_);
  std::vector<LeaseId> foreign;
  for (const Store::Stored& stored : store_.keys) {
    const Key& key = stored.entry.key;
    if (key.kind == KeyKind::Candidate && !stored.entry.value.valid) foreign.push_back(key.lease);
  }
  for (const LeaseId id : foreign) (void)store_.revoke(id);
  committed();
  switch_off_copies();
  heal_all_peers();
  draw_disagreement();
  for (int n = 0; n < nodes_count_; n++) heal_host(n);
  heal_services();
  leave_link_down();
  stranger_until_.fill(0);
  // Some stay dead, or in somebody's pause.
  Node& node = nodes_[static_cast<size_t>(any_node())];
  const int n = static_cast<int>(&node - nodes_.data());
  if (random_.one_in(6) && node.core != nullptr && node.up) {
    SAY(n, "==== the process is killed, and stays dead for now");
    end_process(n);
    node.stay_dead = true;
  } else if (random_.one_in(10) && runs(node)) {
    node.person_paused = true;
    tell(n, {.event = vipd::event::PauseAsked{}});
  }
}

}  // namespace sim
