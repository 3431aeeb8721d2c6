// The queue, the run and its phases.
#include "sim/world.hpp"

#include <algorithm>
#include <cstdarg>
#include <cstdio>

namespace sim {

namespace {

struct Later {
  bool operator()(const Item& a, const Item& b) const {
    return a.at != b.at ? a.at > b.at : a.order > b.order;
  }
};

// Faults that are drawn for one round (x), and come to nothing once it is over.
constexpr std::array kOfARound = {
    Ev::ServiceTurns, Ev::StrangerComes, Ev::OutageBegins, Ev::EndpointTurns,
    Ev::OwnerStops,   Ev::PeerFault,     Ev::Aimed,        Ev::HoldBegins,
    Ev::HoldStrikes,  Ev::GroupStruck,   Ev::GroupsChange, Ev::FaultStrikes,
};

bool is_of_a_round(Ev kind) {
  return std::find(kOfARound.begin(), kOfARound.end(), kind) != kOfARound.end();
}

}  // namespace

World::World(const Options& options)
    : options_(options),
      random_(options.seed),
      check_random_(~options.seed),
      stranger_random_(~options.seed * 3),
      late_random_(~options.seed * 5),
      peer_random_(~options.seed * 7),
      aimed_random_(~options.seed * 13),
      cluster_random_(~options.seed * 11),
      hold_random_(~options.seed * 19),
      group_random_(~options.seed * 23) {
  story_.start(options.story, options.print);
  draw_parameters();
  draw_swarm();
  draw_checks();
  draw_programs();
  draw_strangers();
  draw_late();
  draw_peers();
  draw_aimed();
  draw_clusters();
  draw_holds();
  draw_groups();
}

World::~World() = default;

void World::draw_parameters() {
  static constexpr int kNodeChoices[] = {3, 3, 3, 3, 2, 2, 4, 5};
  static constexpr int kVipChoices[] = {1, 1, 1, 2, 2, 3};
  static constexpr int kMemberChoices[] = {3, 3, 3, 1, 5};
  nodes_count_ = kNodeChoices[random_.below(8)];
  vips_count_ = kVipChoices[random_.below(6)];
  members_count_ = kMemberChoices[random_.below(5)];
  mixed_ = random_.one_in(6);
  ordered_ = random_.one_in(3);
  preempt_ = ordered_ && random_.one_in(2);
  preempt_delay_ = random_.spread(50 * kMs, 8 * kS);
  refresh_ = random_.one_in(4) ? 0 : random_.between(5, 61) * kS;
  base_way_ = random_.spread(50 * kUs, 5 * kMs);
  disk_ = random_.spread(100 * kUs, 8 * kMs);
  starved_ = 0;
  for (int v = 0; v < vips_count_; v++) {
    vips_[static_cast<size_t>(v)] = vipd::Address::v4(0x0a000064U + static_cast<uint32_t>(v));
  }
  for (int n = 0; n < nodes_count_; n++) {
    Node& node = nodes_[static_cast<size_t>(n)];
    node.name = n;
    node.boot = static_cast<uint64_t>(n + 1) << 32;
    node.entropy = Random(options_.seed * 31 + static_cast<uint64_t>(n));
    if (mixed_ || n == 0) {
      draw_timeout(&node);
    } else {
      node.timeout = nodes_[0].timeout;
      node.heartbeat = nodes_[0].heartbeat;
    }
    timeout_ = n == 0 ? node.timeout : std::max(timeout_, node.timeout);
    node.clock.shown_at = random_.between(kS, 1'000'000 * kS);
    node.clock.ppb = static_cast<int32_t>(random_.between(-499'000, 499'000));
    node.member = static_cast<uint8_t>(random_.below(members_count_));
    node.configured.fill(true);
    draw_priorities(&node);
  }
  for (Bystander& bystander : bystanders_) bystander.owner.fill(kNobody);
}

// -1: by rendezvous hashing.
void World::draw_priorities(Node* node) {
  static constexpr int kPriorities[] = {100, 100, 50, 150, 255, 0, -1};
  for (size_t v = 0; v < kMostAlone; v++) {
    node->priority[v] = ordered_ ? kPriorities[random_.below(7)] : 100;
  }
}

void World::draw_timeout(Node* node) {
  static constexpr int64_t kTimeouts[] = {3, 3, 4, 5, 5, 6, 8, 10, 15, 30};
  node->timeout = kTimeouts[random_.below(10)] * kS;
  node->heartbeat = random_.one_in(4) ? node->timeout / 4 : std::min(kS, node->timeout / 8);
}

void World::post(int64_t at, Ev kind, int node, int a, int b, uint32_t x, int64_t y) {
  queue_.push_back({.at = std::max(at, now_),
                    .order = ++order_,
                    .kind = kind,
                    .node = static_cast<uint8_t>(node),
                    .a = static_cast<uint8_t>(a),
                    .b = static_cast<uint8_t>(b),
                    .x = x,
                    .y = y});
  std::push_heap(queue_.begin(), queue_.end(), Later());
}

void World::say(int node, const char* format, ...) {
  char text[900];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  char line[1000];
  if (node >= 0) {
    snprintf(line, sizeof line, "%12.6f n%d  %s", static_cast<double>(now_) / 1e9, node + 1, text);
  } else {
    snprintf(line, sizeof line, "%12.6f     %s", static_cast<double>(now_) / 1e9, text);
  }
  story_.add(line);
}

void World::run() {
  SAY(-1, "seed %llu: %d nodes, %d VIPs, %d members",
      static_cast<unsigned long long>(options_.seed), nodes_count_, vips_count_, members_count_);
  for (int n = 0; n < nodes_count_; n++) {
    const Node& node = nodes_[static_cast<size_t>(n)];
    SAY(n, "timeout %lld s, heartbeat %lld ms", static_cast<long long>(node.timeout / kS),
        static_cast<long long>(node.heartbeat / kMs));
    post(random_.spread(kMs, 5 * kS), Ev::ProcessStarts, n);
  }
  for (int b = 0; b < kBystanders; b++) {
    for (int v = 0; v < vips_count_; v++) post(random_.between(kS, 9 * kS), Ev::Probe, 0, v, b);
  }
  if (random_.one_in(3)) {
    calm_begins();
  } else {
    round_begins();
  }
  while (!queue_.empty() && !finished_ && !failure_.failed) {
    std::pop_heap(queue_.begin(), queue_.end(), Later());
    const Item item = queue_.back();
    queue_.pop_back();
    now_ = item.at;
    dispatch(item);
  }
  tally_.simulated = now_;
}

void World::round_begins() {
  if (now_ >= options_.duration) {
    finished_ = true;
    return;
  }
  round_++;
  tally_.rounds++;
  faults_on_ = true;
  next_fault();
  next_check();
  next_stranger();
  next_outage();
  next_peer_fault();
  next_strange();
  next_hold();
  next_group_fault();
  post(now_ + random_.spread(8 * kS, 180 * kS), Ev::CalmBegins, 0);
}

void World::calm_begins() {
  faults_on_ = false;
  heal_everything();
  calm_since_ = now_;
  SAY(-1, "---- every fault is healed");
  if (options_.hold) post(now_ + kS, Ev::MarkTaken, 0);
  int64_t bound = liveness_bound();
  if (refused_once_) bound += 62 * kS;  // as long as a node stays out that the kernel refused
  for (const Node& node : nodes_) {
    if (node.busy) bound = std::max(bound, 5 * timeout_ + 8 * kS);
  }
  // Each makes way for a better one a second after the other, and the owner after its delay.
  if (has_checks_) bound += 3 * kS;
  if (has_programs_) bound += nodes_count_ * kS;
  if (options_.groups) bound += 6 * kS;  // what somebody removed is restored at last
  if (has_strangers_) bound += 7 * kS;   // asked for again after 5 s, and found silent
  if (ordered_ || check_weight_ > 0)
    bound += nodes_count_ * (2 * kS + (preempt_ ? preempt_delay_ : 0));
  if (restored_once_) bound += 2 * timeout_;  // until the old cluster is believed to be gone
  // ... for good, and those who held are waited out.
  if (strange_once_) bound += 5 * timeout_ + std::max<int64_t>(0, nodes_[0].strange_until - now_);
  refused_once_ = no_space_once_ = restored_once_ = strange_once_ = false;
  post(now_ + bound, Ev::LivenessDue, 0);
}

// A table: what is done for each event. One that is missing does not compile.
void World::dispatch(const Item& item) {
  const int node = item.node;
  if (is_of_a_round(item.kind) && !(faults_on_ && item.x == round_)) return;
  switch (item.kind) {
    case Ev::Wake:
      return wake(item);
    case Ev::CallArrives:
      return call_arrives(item);
    case Ev::CallAnswered:
      return call_answered(item);
    case Ev::CallTimedOut:
      return call_timed_out(item);
    case Ev::WatchArrives:
      return watch_arrives(item);
    case Ev::WatchCreated:
      return watch_created(item);
    case Ev::WatchDelivers:
      return watch_delivers(item);
    case Ev::WatchEnds:
      return watch_ends(item);
    case Ev::MemberApplies:
      return apply_at(item.a, item.y);
    case Ev::LeaseSweep:
      return lease_sweep(static_cast<vipd::LeaseId>(item.y));
    case Ev::Elected:
      return elected(item.x);
    case Ev::KernelExpires:
      return kernel_expires(node, item.a);
    case Ev::AddressNotice:
      return address_noticed(item);
    case Ev::LinkNotice:
      return link_noticed(item);
    case Ev::KernelActs:
      return kernel_acts(node, item.x);
    case Ev::KernelAnswers:
      return kernel_answers(node, item.x);
    case Ev::StallEnds:
      return stall_ends(node, item.x);
    case Ev::ProcessResumes:
      return process_resumes(node);
    case Ev::ProcessStarts:
      return start_process(node);
    case Ev::HostResumes:
      return resume_host(node);
    case Ev::HostBoots:
      return boot_host(node);
    case Ev::ExcuseEnds:
      return judge(item.a);
    case Ev::Frame:
      return frame(item);
    case Ev::Probe:
      return probe(item);
    case Ev::ServiceTurns:
      return service_turns();
    case Ev::ServiceHeals:
      if (faults_on_) service_heals(node, item.a);
      return;
    case Ev::ProgramEnds:
      return program_ends(item);
    case Ev::CheckEnds:
      return check_ends(node, item.a, item.x);
    case Ev::StrangerComes:
      return stranger_comes();
    case Ev::OutageBegins:
      return outage_begins();
    case Ev::OutageEnds:
      if (outage_ && item.x == round_) outage_ends();
      return;
    case Ev::EndpointTurns:
      return endpoints_turn();
    case Ev::EndpointsTurn:
      return turn(node, item.a, item.b);
    case Ev::OwnerStops:
      return owner_stops();
    case Ev::Asked:
      return asked(item);
    case Ev::Answered:
      return answered(item);
    case Ev::ClaimHeard:
      return claim_heard(item);
    case Ev::PeerFrame:
      return peer_frame(item);
    case Ev::PeerFault:
      return strike_peers();
    case Ev::FenceLook:
      return look_at_fence(item);
    case Ev::Aimed:
      return strike_term(item);
    case Ev::DrillLook:
      return look_at_drill();
    case Ev::HoldBegins:
      return hold_begins();
    case Ev::HoldStrikes:
      return strike_hold(item);
    case Ev::MarkTaken:
      return take_marks();
    case Ev::GroupStruck:
      return strike_group();
    case Ev::GroupHeals:
      return heal_group(item);
    case Ev::GroupsChange:
      return regroup(node);
    case Ev::PeerHeals:
      if (faults_on_) heal_peers(item);
      return;
    case Ev::FaultStrikes:
      return strike();
    case Ev::FaultHeals:
      return heal(item);
    case Ev::People:
      return people(item);
    case Ev::CalmBegins:
      return calm_begins();
    case Ev::LivenessDue:
      return check_liveness();
    case Ev::QuietEnds:
      return check_quiet();
  }
}

// A session without its `writes` key, a candidate without its session and a foreign candidate go
// only with their lease. Of the sessions that died in one queue, two are taken over at a time.
int64_t World::liveness_bound() const {
  int64_t dead = 0;
  for (const Store::Stored& stored : store_.keys) {
    const vipd::Key& key = stored.entry.key;
    const bool alive = std::any_of(nodes_.begin(), nodes_.end(), [&](const Node& node) {
      return node.core != nullptr && node.core->session() == key.lease;
    });
    if (key.kind == vipd::KeyKind::Session && !alive) dead++;
  }
  int64_t bound = (2 + (dead + 1) / 2) * timeout_ + 6 * kS;
  for (const Store::Stored& stored : store_.keys) {
    const vipd::Key& key = stored.entry.key;
    if (key.kind == vipd::KeyKind::Writes) continue;  // a session may yet join
    const bool session = store_.find({vipd::KeyKind::Session, key.lease, {}}) != nullptr;
    const bool writes = store_.find({vipd::KeyKind::Writes, key.lease, {}}) != nullptr;
    // A dead process may have asked for the deletion of its `writes` while there was no space.
    if (session && writes && !no_space_once_) continue;
    for (const Store::Lease& lease : store_.leases) {
      if (lease.id == key.lease) {
        bound = std::max(bound, lease.expires - now_ + lease.ttl + timeout_ * 2 + 6 * kS);
      }
    }
  }
  return bound;
}

}  // namespace sim
