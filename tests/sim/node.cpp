// A process: the daemon's turn around the real core. It follows src/daemon/*.cpp: actions in their
// order, each netlink completion told at once, before the action after it.
#include <algorithm>
#include <cassert>
#include <utility>

#include "sim/world.hpp"

namespace sim {

using vipd::MonoTime;

namespace {

constexpr size_t kSentKept = 4096;
// So many steps within one millisecond mean that the core turns on the spot.
constexpr uint64_t kStepsInMs = 3000;

}  // namespace

vipd::Settings World::settings(const Node& node) const {
  vipd::Settings settings;
  settings.node = "n" + std::to_string(node.name + 1);
  settings.instance = settings.node + "." + std::to_string(last_instance_);
  settings.timeout = vipd::Duration::nanoseconds(node.timeout);
  settings.heartbeat = vipd::Duration::nanoseconds(node.heartbeat);
  settings.memory = node.memory;
  if (!node.peers_off) settings.peer_timeout = vipd::Duration::nanoseconds(node.peer_timeout);
  settings.hold = node.hold;
  settings.boot = node.boot;
  for (int m = 0; m < members_count_; m++) {
    settings.cluster.endpoints.push_back("member " + std::to_string(m + 1));
  }
  // Incarnations count starts and ends.
  settings.conflict_probe = has_strangers_ && node.incarnation / 2 % 2 == 0;
  settings.conflict = static_cast<vipd::ConflictPolicy>(node.incarnation % 3);
  settings.announce_refresh = vipd::Duration::nanoseconds(refresh_);
  for (int v = 0; v < vips_count_; v++) {
    const auto i = static_cast<size_t>(v);
    if (!node.configured[i]) continue;
    vipd::VipSettings vip{.name = "v" + std::to_string(v + 1),
                          .address = vips_[i],
                          .link = link_name(node.vip_link[i])};
    const int priority = node.priority[priority_of(node, v)];
    vip.priority = priority < 0 ? std::nullopt : std::optional(priority);
    vip.group = group_name(node.group[i]);
    vip.preempt = preempt_;
    vip.acquires = has_programs_;
    vip.blocked = blocked(node, v);
    vip.preempt_delay = vipd::Duration::nanoseconds(preempt_delay_);
    settings.vips.push_back(std::move(vip));
  }
  return settings;
}

vipd::Input World::input(Node* node) {
  return {.now = MonoTime::from_ns(shown(*node)),
          .random = node->entropy.next(),
          .suspended = vipd::Duration::nanoseconds(node->suspended)};
}

int World::index_of(const vipd::Address& address) const {
  for (int v = 0; v < vips_count_; v++) {
    if (vips_[static_cast<size_t>(v)] == address) return v;
  }
  return 0;
}

bool World::runs(const Node& node) const {
  return node.up && node.paused == HostPause::None && node.core != nullptr && !node.stopped &&
         !node.busy;
}

void World::start_process(int n) {
  Node& node = nodes_[static_cast<size_t>(n)];
  if (node.core != nullptr || !node.up || node.stay_dead) return;
  if (node.paused != HostPause::None) return post(now_ + kS, Ev::ProcessStarts, n);
  node.incarnation++;
  node.started_at = now_;
  node.started_shown = shown(node);
  node.stopped = node.busy = node.exiting = node.person_paused = node.in_call = false;
  node.reading = false;
  node.watch = {};
  node.named.fill(0);
  node.used = 0;
  node.inbox.clear();
  node.depth = 0;
  SAY(n, "==== the process starts");
  std::vector<int> inherited;
  for (int v = 0; v < vips_count_; v++) {
    const KernelAddress& address = node.addresses[static_cast<size_t>(v)];
    if (!address.present || !node.configured[static_cast<size_t>(v)]) continue;
    const bool in_place = address.link == node.vip_link[static_cast<size_t>(v)];
    if (node.memory.lease != vipd::LeaseId::None && in_place) {
      inherited.push_back(v);
    } else {
      remove_address(n, v, Rule::LeftoverRemoved);
    }
  }
  node.lost.fill(false);
  if (node.stack.empty()) node.stack.resize(1);
  Frame& frame = node.stack[0];
  frame = {.actions = std::move(frame.actions), .shown = shown(node)};
  frame.actions.clear();
  node.read_at = now_;
  node.depth = 1;
  const vipd::Input input = this->input(&node);
  last_instance_++;
  node.its_settings = settings(node);
  node.its_timeout = node.timeout;
  node.its_heartbeat = node.heartbeat;
  node.heard.clear();
  if (records_) node.heard.push_back({.input = input});
  node.core = std::make_unique<vipd::Core>(node.its_settings, input, &frame.actions);
  note_groups(n, node.its_settings);
  run_turn(n);
  tell_fence(n);
  ask_all(n);
  start_checks(n);
  for (const int v : inherited) {
    tally_.count(Rule::LeftoverInherited);
    tell(n, {.event = vipd::event::AddressFound{vips_[static_cast<size_t>(v)]}});
  }
  tell_links(n);
}

void World::tell_links(int n) {
  Node& node = nodes_[static_cast<size_t>(n)];
  for (int l = 0; l < links_count_; l++) {
    const auto i = static_cast<size_t>(l);
    post(notice_at(&node), Ev::LinkNotice, n, l,
         (node.link_present[i] ? 1 : 0) | (node.link_up[i] ? 2 : 0), node.incarnation);
  }
}

// What it has sent to etcd goes on without it; what it has on a link, as long as its lifetime.
void World::end_process(int n) {
  Node& node = nodes_[static_cast<size_t>(n)];
  part_twins(n);
  end_programs(n);
  for (const Mail& mail : node.inbox) {
    if (mail.kind != Mail::Kind::Fact) release(mail.slot);
  }
  if (node.in_call && !node.call_acted && !held_up(node) && random_.one_in(2)) {
    kernel_acts(n, node.incarnation);
  }
  node.core.reset();
  node.inbox.clear();
  node.depth = 0;
  node.watch = {};
  node.stopped = node.busy = node.reading = node.in_call = false;
  node.incarnation++;
  node.armed = MonoTime::never();
  node.lost.fill(false);
  node.left_alone.fill(0);
  for (KernelAddress& address : node.addresses) address.unchecked = false;
}

// --- what happens to it

void World::tell(int n, Mail mail) {
  Node& node = nodes_[static_cast<size_t>(n)];
  if (node.core == nullptr) {
    if (mail.kind != Mail::Kind::Fact) release(mail.slot);
    return;
  }
  const bool at_once = runs(node) && node.inbox.empty();
  if (at_once && !held_up_before_reading(n)) return handle(n, mail);
  node.inbox.push_back(std::move(mail));
}

void World::handle(int n, Mail& mail) {
  switch (mail.kind) {
    case Mail::Kind::Answer:
      return deliver_call(n, mail.slot, false);
    case Mail::Kind::Timeout:
      return deliver_call(n, mail.slot, true);
    case Mail::Kind::Fact:
      break;
  }
  // A watch that was replaced is silent.
  if (mail.source == 1 && mail.slot != nodes_[static_cast<size_t>(n)].watch.id) return;
  feed(n, mail.event);
}

// After a stop, timers and sockets are ready together: the deadline first, then the sockets in
// whatever order the kernel names them, each in its own order.
void World::drain(int n) {
  Node& node = nodes_[static_cast<size_t>(n)];
  if (!runs(node)) return;
  hear_first(n);
  if (!runs(node)) return;
  if (shown(node) >= node.armed.ns()) {
    node.armed = MonoTime::never();
    feed(n, vipd::event::Ticked{});
  }
  read_sockets(n);
}

void World::read_sockets(int n) {
  Node& node = nodes_[static_cast<size_t>(n)];
  if (!runs(node) || node.inbox.empty()) return;
  const auto turn = static_cast<uint8_t>(random_.below(3));
  std::stable_sort(node.inbox.begin(), node.inbox.end(), [turn](const Mail& a, const Mail& b) {
    return (a.source + turn) % 3 < (b.source + turn) % 3;
  });
  const uint32_t incarnation = node.incarnation;
  while (runs(node) && node.incarnation == incarnation && !node.inbox.empty()) {
    if (held_up_before_reading(n)) return;
    Mail mail = std::move(node.inbox.front());
    node.inbox.erase(node.inbox.begin());
    handle(n, mail);
  }
}

void World::wake(const Item& item) {
  Node& node = nodes_[item.node];
  if (item.x != node.wake_id || !runs(node)) return;
  if (shown(node) < node.armed.ns()) return arm(item.node);
  node.armed = MonoTime::never();
  feed(item.node, vipd::event::Ticked{});
  for (uint64_t i = 0; broken(Broken::Livelock) && i < 2 * kStepsInMs && runs(node); i++) {
    feed(item.node, vipd::event::Ticked{});
  }
}

void World::arm(int n) {
  Node& node = nodes_[static_cast<size_t>(n)];
  node.armed = node.core->next_deadline();
  node.wake_id++;
  if (node.armed.is_never()) return;
  int64_t at = std::max(true_time_of(node, node.armed.ns()), now_) + random_.between(10, 70) * kUs;
  if (starved_ != 0) at += random_.below(starved_);
  post(at, Ev::Wake, n, 0, 0, node.wake_id);
}

// --- the turn

void World::feed(int n, const vipd::Event& event) {
  Node& node = nodes_[static_cast<size_t>(n)];
  if (const auto* advanced = std::get_if<vipd::event::WatchAdvanced>(&event)) {
    note_echoes(n, *advanced);
  }
  if (const auto* named = std::get_if<vipd::event::EndpointNamed>(&event)) {
    note_named(&node, *named);
  }
  if (const auto* reconfigured = std::get_if<vipd::event::Reconfigured>(&event)) {
    note_groups(n, reconfigured->settings);
  }
  push_step(&node, event);
  run_turn(n);
}

// What came with the event before. That one may have held the process up: this is read later.
void World::feed_next(int n, const vipd::Event& event) {
  Node& node = nodes_[static_cast<size_t>(n)];
  if (runs(node)) return feed(n, event);
  node.inbox.insert(node.inbox.begin(), Mail{.source = 2, .event = event});
}

// A long answer comes in parts, which decide nothing. Returns the last.
vipd::event::PrefixRead World::feed_parts(Node* node, vipd::Input input,
                                          const vipd::event::PrefixRead& whole) {
  constexpr ptrdiff_t kAtOnce = 3;
  input.random = 0;
  vipd::event::PrefixRead part = {
      .request = whole.request, .header = whole.header, .entries = {}, .goes_on = true};
  auto next = whole.entries.begin();
  for (; whole.entries.end() - next > kAtOnce; next += kAtOnce) {
    part.entries.assign(next, next + kAtOnce);
    if (records_) node->heard.push_back({.input = input, .event = part});
    vipd::Actions nothing;
    node->core->step(input, part, &nothing);
    assert(nothing.empty());
  }
  part.entries.assign(next, whole.entries.end());
  part.goes_on = false;
  return part;
}

void World::push_step(Node* node, const vipd::Event& event) {
  if (options_.groups) note_alone(node, event);
  if (const auto* lost = std::get_if<vipd::event::AddressLost>(&event)) {
    node->lost[static_cast<size_t>(index_of(lost->address))] = false;
  }
  if (node->depth == node->stack.size()) node->stack.emplace_back();
  sim::Frame& frame = node->stack[node->depth++];
  frame.actions.clear();
  frame.next = 0;
  frame.shown = shown(*node);
  node->read_at = now_;
  if (story_.on()) say(static_cast<int>(node - nodes_.data()), "%s", describe(event).c_str());
  tally_.steps++;
  const vipd::Input input = this->input(node);
  const auto* read = std::get_if<vipd::event::PrefixRead>(&event);
  const vipd::Event last = read == nullptr ? event : feed_parts(node, input, *read);
  if (records_) node->heard.push_back({.input = input, .event = last});
  node->core->step(input, last, &frame.actions);
  forget_older_words(node);
  if (now_ / kMs != last_ms_) {
    last_ms_ = now_ / kMs;
    steps_in_ms_ = 0;
  }
  if (++steps_in_ms_ > kStepsInMs) fail("livelock", "the core turns on the spot");
}

// What is said of the fence last holds.
void World::forget_older_words(Node* node) {
  const auto is_of_fence = [](const vipd::Action& action) {
    return std::holds_alternative<vipd::action::SetFence>(action);
  };
  const vipd::Actions& newest = node->stack[node->depth - 1].actions;
  if (std::none_of(newest.begin(), newest.end(), is_of_fence)) return;
  for (size_t i = 0; i + 1 < node->depth; i++) {
    vipd::Actions& older = node->stack[i].actions;
    const auto rest = older.begin() + static_cast<ptrdiff_t>(node->stack[i].next);
    older.erase(std::remove_if(rest, older.end(), is_of_fence), older.end());
  }
}

void World::run_turn(int n) {
  Node& node = nodes_[static_cast<size_t>(n)];
  while (node.depth != 0 && !failure_.failed) {
    sim::Frame& frame = node.stack[node.depth - 1];
    if (frame.next == frame.actions.size()) {
      node.depth--;
      continue;
    }
    if (random_.per_million(stalled_)) {
      node.busy = true;
      tally_.count(Fault::StalledInTurn);
      const int64_t span = random_.spread(kMs, 3 * timeout_);
      SAY(n, "(stopped within its turn for %lld ms)", static_cast<long long>(span / kMs));
      return post(now_ + span, Ev::StallEnds, n, 0, 0, node.incarnation);
    }
    const vipd::Action action = std::move(frame.actions[frame.next++]);
    if (!perform(n, action)) return;
    if (node.exiting) break;
  }
  if (!failure_.failed) turn_over(n);
}

void World::process_resumes(int n) {
  Node& node = nodes_[static_cast<size_t>(n)];
  if (!node.stopped) return;
  node.stopped = false;
  SAY(n, "the process goes on");
  drain(n);
}

void World::stall_ends(int n, uint32_t incarnation) {
  Node& node = nodes_[static_cast<size_t>(n)];
  if (incarnation != node.incarnation) return;
  if (!node.up || node.stopped || node.paused != HostPause::None) {
    return post(now_ + 20 * kMs, Ev::StallEnds, n, 0, 0, incarnation);
  }
  node.busy = false;
  if (std::exchange(node.reading, false)) {
    read_sockets(n);
    if (runs(node)) arm(n);
    return;
  }
  run_turn(n);
  drain(n);
}

void World::turn_over(int n) {
  Node& node = nodes_[static_cast<size_t>(n)];
  if (node.exiting) {
    node.exiting = false;
    SAY(n, "==== the process ends");
    tally_.count(Rule::CleanShutdown);
    end_process(n);
    check_turn(n);
    const int64_t away = faults_on_ ? 20 * kS : kS;
    post(now_ + random_.spread(50 * kMs, away), Ev::ProcessStarts, n);
    return;
  }
  check_turn(n);
  check_parts(n);
  arm(n);
}

// False when the process is held up in it.
bool World::perform(int n, const vipd::Action& action) {
  SAY(n, "    -> %s", describe(action).c_str());
  if (const auto* add = std::get_if<vipd::action::AddAddress>(&action)) {
    check_set(n);
    check_acquired(n, index_of(add->address));
    return call_kernel(n, index_of(add->address), false, add->lifetime_s);
  }
  if (const auto* remove = std::get_if<vipd::action::RemoveAddress>(&action)) {
    return call_kernel(n, index_of(remove->address), true, 0);
  }
  check_set(n);
  std::visit([this, n](const auto& each) { act(n, each); }, action);
  return true;
}

void World::act(int n, const vipd::action::SendTxn& a) {
  Node& node = nodes_[static_cast<size_t>(n)];
  note_txn(&node, a.txn, shown(node));
  check_left(n, a.txn);
  aim_at(n, a.txn);
  aim_hold(n, a.txn);
  send_call(n, {.kind = Call::Kind::Txn, .request = a.request, .group = a.group, .txn = a.txn});
}

void World::act(int n, const vipd::action::GrantLease& a) {
  send_call(n, {.kind = Call::Kind::Grant, .request = a.request, .ttl = a.ttl.ns()});
}

void World::act(int n, const vipd::action::KeepLease& a) {
  send_call(n, {.kind = Call::Kind::Keep, .lease = a.lease});
}

void World::act(int n, const vipd::action::RevokeLease& a) {
  send_call(n, {.kind = Call::Kind::Revoke, .request = a.request, .lease = a.lease});
}

void World::act(int n, const vipd::action::ReadPrefix& a) {
  send_call(n, {.kind = Call::Kind::Read, .request = a.request});
}

void World::act(int n, const vipd::action::OpenWatch& a) {
  open_watch(n, a);
}

void World::act(int n, const vipd::action::SendAnnouncement& a) {
  announce(n, index_of(a.address));
}

void World::act(int, const vipd::action::ReportState& a) {
  tally_.transitions[static_cast<size_t>(a.from)][static_cast<size_t>(a.to)]++;
}

void World::act(int n, const vipd::action::Report& a) {
  tally_.reports[static_cast<size_t>(a.kind)]++;
  if (a.kind == vipd::ReportKind::SessionTakenUp) taken_up(n);
  if (a.kind == vipd::ReportKind::Fenced) part_twins(n);
  const bool written = a.text.ends_with("written by another process") ||
                       a.text.ends_with("heard nothing from this one");
  if (a.kind == vipd::ReportKind::Fenced && written) check_fenced(n);
  if (a.kind == vipd::ReportKind::HoldBegun) tally_.count(Rule::HeldOn);
  if (a.kind == vipd::ReportKind::TakeoverDone) tally_.count(Rule::SessionTakenOver);
  if (a.kind == vipd::ReportKind::TakeoverRefused) tally_.count(Rule::TakeoverTxnRefused);
}

void World::act(int n, const vipd::action::Remember& a) {
  nodes_[static_cast<size_t>(n)].memory = a.memory;
}

void World::act(int n, const vipd::action::Finish&) {
  nodes_[static_cast<size_t>(n)].exiting = true;
}

// --- what the checkers know of its heartbeats, apart from what the core believes

void World::note_txn(Node* node, const vipd::Txn& txn, int64_t at) {
  for (const vipd::Op& op : txn.success) {
    if (op.kind != vipd::Op::Kind::Put || op.key.kind != vipd::KeyKind::Session) continue;
    if (op.key.lease != node->core->session()) continue;  // somebody else's, being ended
    const bool again =
        std::any_of(node->sent.rbegin(), node->sent.rend(), [&](const Heartbeat& beat) {
          return beat.nonce == op.value.nonce && beat.lease == op.key.lease;
        });
    if (again) continue;  // it counts from its first send
    if (node->sent.size() == kSentKept) {
      node->sent.erase(node->sent.begin(), node->sent.begin() + kSentKept / 2);
    }
    node->sent.push_back({.lease = op.key.lease,
                          .nonce = op.value.nonce,
                          .sent = at,
                          .timeout = op.value.timeout.ns(),
                          .incarnation = node->incarnation});
  }
}

// A heartbeat that was a read: whatever it shows at the end of the chain, without `writes`.
void World::note_read(int n, int64_t sent, const std::vector<vipd::Entry>& entries) {
  Node& node = nodes_[static_cast<size_t>(n)];
  const vipd::LeaseId lease = node.core->session();
  const vipd::Entry* session = nullptr;
  for (const vipd::Entry& entry : entries) {
    if (entry.key.lease != lease) continue;
    if (entry.key.kind == vipd::KeyKind::Writes) return;
    if (entry.key.kind == vipd::KeyKind::Session) session = &entry;
  }
  if (session == nullptr) return;
  for (auto beat = node.sent.rbegin(); beat != node.sent.rend(); ++beat) {
    if (beat->nonce != session->value.nonce || beat->lease != lease) continue;
    if (sent < node.woken_at) return;
    node.deadline = std::max(node.deadline, sent + beat->timeout);
    tally_.count(Rule::ReadHeartbeat);
    return;
  }
}

void World::note_echoes(int n, const vipd::event::WatchAdvanced& event) {
  Node& node = nodes_[static_cast<size_t>(n)];
  for (const vipd::Change& change : event.changes) {
    if (change.deleted || change.entry.key.kind != vipd::KeyKind::Session) continue;
    for (auto beat = node.sent.rbegin(); beat != node.sent.rend(); ++beat) {
      if (beat->sent + 4 * beat->timeout < shown(node)) break;  // it gives no authority any more
      if (beat->sent < node.woken_at) break;
      if (beat->nonce != change.entry.value.nonce || beat->lease != change.entry.key.lease)
        continue;
      node.deadline = std::max(node.deadline, beat->sent + beat->timeout);
      const bool late = shown(node) > beat->sent + beat->timeout;
      tally_.count(late ? Rule::EchoLate : Rule::Echo);
      break;
    }
  }
}

}  // namespace sim
