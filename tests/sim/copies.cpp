// Machines and state directories that are copied, put back or lost: processes that believe to be
// the same session. The chain of compare-and-swaps has to fence all of them but one. A running
// process is copied by telling a second core all that the first was ever told: the core is pure.
#include <algorithm>
#include <cassert>

#include "sim/world.hpp"

namespace sim {

namespace {

// All that a snapshot of the machine holds, but for the core: that one has no copy.
void copy_node(const Node& original, Node* copy) {
  copy->copy = true;
  copy->name = original.name;
  copy->clock = original.clock;
  copy->suspended = original.suspended;
  copy->woken_at = original.woken_at;
  copy->link_present = original.link_present;
  copy->link_up = original.link_up;
  copy->vip_link = original.vip_link;
  copy->configured = original.configured;
  copy->priority = original.priority;
  copy->fails = original.fails;
  copy->group = original.group;
  copy->its_group = original.its_group;
  copy->checks = original.checks;
  copy->timeout = original.timeout;
  copy->heartbeat = original.heartbeat;
  copy->its_timeout = original.its_timeout;
  copy->its_heartbeat = original.its_heartbeat;
  copy->its_settings = original.its_settings;
  copy->heard = original.heard;
  copy->entropy = original.entropy;  // its random pool, too
  copy->memory = original.memory;
  copy->old_memory = original.old_memory;
  copy->person_paused = original.person_paused;
  copy->started_at = original.started_at;
  copy->started_shown = original.started_shown;
  copy->read_at = original.read_at;
  copy->sent = original.sent;
  copy->deadline = original.deadline;
  copy->member = original.member;
  copy->named = original.named;
  copy->used = original.used;
  copy->strange = original.strange;
  copy->strange_until = original.strange_until;
  copy->peer_timeout = original.peer_timeout;
  copy->peers_off = original.peers_off;
  copy->hold = original.hold;
  copy->boot = original.boot;
  copy->fence = original.fence;
  copy->unfenced_until = original.unfenced_until;
  copy->addresses = original.addresses;
}

}  // namespace

bool World::strike_copies(Fault fault) {
  const int n = random_.one_in(2) && only_owner(0) >= 0 ? only_owner(0) : any_live_node();
  if (n < 0 || !runs(nodes_[static_cast<size_t>(n)])) return false;
  Node& node = nodes_[static_cast<size_t>(n)];
  if (fault == Fault::MachineCloned) return clone_machine(n, false);
  if (fault == Fault::MachineRolledBack) return clone_machine(n, true);
  if (fault == Fault::StateLost) {
    node.memory = {};
  } else if (fault == Fault::StateStale) {
    // As often made as put back.
    if (random_.one_in(2)) return node.old_memory = node.memory, false;
    if (node.old_memory.lease == vipd::LeaseId::None) return false;
    node.memory = node.old_memory;
  } else if (fault == Fault::StateCopied) {
    const Node& other = nodes_[static_cast<size_t>(any_node())];
    if (&other == &node || other.memory.lease == vipd::LeaseId::None) return false;
    node.memory = other.memory;
  } else {
    return false;
  }
  SAY(n, "==== the process is killed, and finds another state directory");
  end_process(n);
  post(now_ + random_.spread(10 * kMs, 5 * kS), Ev::ProcessStarts, n);
  return true;
}

// Two have the authority of one for as long as it lasts without an echo.
void World::twins_since_now(int a, int b) {
  for (const int n : {a, b}) {
    Node& node = nodes_[static_cast<size_t>(n)];
    node.clone_until = std::max(node.clone_until, true_time_of(node, shown(node) + timeout_));
    post(node.clone_until + 1, Ev::ExcuseEnds, 0, 0);
  }
}

// Two that went under one incarnation: what one of them granted, the other knows nothing of. As
// long as they both live nobody who asks for grants, or for their word, can rely on them.
void World::part_twins(int n) {
  Node& node = nodes_[static_cast<size_t>(n)];
  if (node.twin < 0) return;
  nodes_[static_cast<size_t>(node.twin)].twin = -1;
  node.twin = -1;
  twins_grant_until_ = now_ + in_true_time(timeout_);
  for (int v = 0; v < vips_count_; v++) post(twins_grant_until_ + 1, Ev::ExcuseEnds, 0, v);
}

bool World::twins_grant() const {
  if (!options_.peers) return false;
  return now_ <= twins_grant_until_ ||
         std::any_of(nodes_.begin(), nodes_.end(), [](const Node& node) { return node.twin >= 0; });
}

// Its heartbeats are reads: they leave no trace, so nothing tells the two apart until one is
// written.
bool World::reads(int n) const {
  const vipd::LeaseId lease = nodes_[static_cast<size_t>(n)].core->session();
  return lease != vipd::LeaseId::None &&
         store_.find({vipd::KeyKind::Session, lease, {}}) != nullptr &&
         store_.find({vipd::KeyKind::Writes, lease, {}}) == nullptr;
}

void World::space_is_back() {
  no_space_ = false;
  for (int n = 0; n < nodes_count_; n++) {
    Node& node = nodes_[static_cast<size_t>(n)];
    if (node.clone_until != Node::kUntilSpace || node.paused != HostPause::None) continue;
    node.clone_until = now_ + 2 * timeout_;
    post(node.clone_until + 1, Ev::ExcuseEnds, 0, 0);
  }
}

// By a state directory that is somebody else's, too.
void World::taken_up(int n) {
  const vipd::LeaseId lease = nodes_[static_cast<size_t>(n)].core->session();
  for (int o = 0; o < nodes_count_; o++) {
    const Node& other = nodes_[static_cast<size_t>(o)];
    const bool left =
        std::any_of(other.addresses.begin(), other.addresses.end(),
                    [lease](const KernelAddress& a) { return a.present && a.session == lease; });
    const bool lives = other.core != nullptr && other.core->session() == lease;
    if (o == n || (!left && !lives)) continue;
    tally_.count(Rule::TwinFenced);
    twins_since_now(n, o);
  }
}

// A snapshot of the machine starts to run beside it, or in its place.
bool World::clone_machine(int from, bool roll_back) {
  const bool there = nodes_[static_cast<size_t>(nodes_count_ - 1)].copy;
  if (there && nodes_[static_cast<size_t>(nodes_count_ - 1)].up) return false;
  if (!there && nodes_count_ == kMaxNodes) return false;
  Node& original = nodes_[static_cast<size_t>(from)];
  if (original.depth != 0 || !original.inbox.empty()) return false;
  if (!there) nodes_count_++;
  const int to = nodes_count_ - 1;
  Node& copy = nodes_[static_cast<size_t>(to)];
  const uint32_t incarnation = copy.incarnation + 1;
  const uint32_t wake_id = copy.wake_id + 1;
  copy = Node();
  copy.incarnation = incarnation;
  copy.wake_id = wake_id;
  clone_process(from, to);
  clone_calls(from, to);
  copy_programs(from, to);
  ask_all(to);
  const int64_t later = random_.spread(10 * kUs, 60 * kS);
  SAY(from, "==== a copy of the machine is made: n%d", to + 1);
  pause_host(to, HostPause::Unnoticed, later);
  twins_since_now(from, to);
  copy.twin = from;
  original.twin = to;
  if (reads(from)) {
    tally_.count(Rule::ReaderCloned);
    Node& source = nodes_[static_cast<size_t>(from)];
    source.clone_until = copy.clone_until = Node::kUntilSpace;
    source.reader_cloned = copy.reader_cloned = true;
  }
  if (roll_back) post(now_ + later, Ev::People, from, 1, 0, round_);
  return true;
}

void World::clone_process(int from, int to) {
  const Node& original = nodes_[static_cast<size_t>(from)];
  Node& copy = nodes_[static_cast<size_t>(to)];
  copy_node(original, &copy);
  for (int v = 0; v < vips_count_; v++) {
    copy.addresses[static_cast<size_t>(v)].timer_at = 0;
    arm_expiry(to, v);
  }
  vipd::Actions nothing;
  const Heard& first = copy.heard.front();
  copy.core = std::make_unique<vipd::Core>(copy.its_settings, first.input, &nothing);
  for (size_t i = 1; i < copy.heard.size(); i++) {
    copy.core->step(copy.heard[i].input, copy.heard[i].event, &nothing);
    nothing.clear();
  }
  assert(copy.core->next_deadline() == original.core->next_deadline());
  copy.armed = copy.core->next_deadline();
}

// Its connections lead nowhere.
void World::clone_calls(int from, int to) {
  const size_t count = calls_.size();
  for (size_t i = 0; i < count; i++) {
    const Call& call = calls_[i];
    if (call.references == 0 || call.done || call.node != from) continue;
    if (call.incarnation != nodes_[static_cast<size_t>(from)].incarnation) continue;
    Call lost{.kind = call.kind,
              .node = static_cast<uint8_t>(to),
              .member = call.member,
              .incarnation = nodes_[static_cast<size_t>(to)].incarnation,
              .references = 1,
              .request = call.request,
              .group = call.group,
              .lease = call.lease};
    calls_.push_back(std::move(lost));
    post(now_ + random_.spread(kMs, 3 * kS), Ev::CallTimedOut, to, 0, 0,
         static_cast<uint32_t>(calls_.size() - 1));
  }
  Watch& watch = nodes_[static_cast<size_t>(to)].watch;
  watch.id = ++last_watch_;
  post(now_ + random_.spread(kMs, 3 * kS), Ev::WatchEnds, to, 0, 0, watch.id);
}

void World::switch_off_copies() {
  for (int n = 0; n < nodes_count_; n++) {
    if (nodes_[static_cast<size_t>(n)].copy) crash_host(n, -1);
  }
}

}  // namespace sim
