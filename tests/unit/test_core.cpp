// One core against a script: what it asks for, and what it never does.
#include "vipd/core.hpp"

#include <algorithm>
#include <cerrno>

#include "core_rig.hpp"
#include "harness.hpp"

using namespace vipd;

namespace {

const Address kVip = *Address::parse("10.0.0.9");
using rig::kOwn;
const LeaseId kOther = static_cast<LeaseId>(0x55);
const Duration kTimeout = rig::settings().timeout;
const uint64_t kCluster = rig::settings().cluster.fixed;

rig::Rig bench;
auto& core = bench.core;
Actions& actions = bench.actions;  // of the last call of tell() or later()
Duration& slept = bench.slept;
Revision revision;
ConflictPolicy policy = ConflictPolicy::Defend;
bool probes;           // conflict.probe
bool acquires;         // vip.NAME.acquire
Entry own_session;     // as the last link put it
Revision own_created;  // of our candidate key

MonoTime now() {
  return bench.now();
}

int64_t now_ms() {
  return bench.now_ns / rig::kMs;
}

void set_ms(int64_t ms) {
  bench.now_ns = ms * rig::kMs;
}

void sleep_ms(int64_t ms) {
  bench.now_ns += ms * rig::kMs;
}

void tell(const Event& event) {
  bench.tell(event);
}

template <typename T>
const T* wanted() {
  return bench.wanted<T>();
}

template <typename T>
int place() {
  return bench.place<T>();
}

void later(int64_t ms) {
  sleep_ms(ms);
  tell(event::Ticked{});
}

Change changed(KeyKind kind, LeaseId lease, Revision created) {
  Change change;
  change.entry.key = {kind, lease, kind == KeyKind::Candidate ? kVip : Address()};
  change.entry.value.valid = true;
  change.entry.value.node = lease == kOwn ? "me" : "other";
  change.entry.value.timeout = kTimeout;
  change.entry.value.priority = 100;
  change.entry.value.nonce = 4711;
  change.entry.created = created;
  change.entry.modified = revision;
  return change;
}

Change gone(KeyKind kind, LeaseId lease) {
  Change change = changed(kind, lease, 0);
  change.deleted = true;
  return change;
}

void watch(std::vector<Change> changes) {
  for (Change& change : changes) change.entry.modified = revision;
  tell(event::WatchAdvanced{.header = {kCluster, revision}, .changes = std::move(changes)});
}

// Executes a link of ours as etcd would, answers it, and remembers what it put.
void answer(const action::SendTxn& sent) {
  const action::SendTxn link = sent;  // `actions` is about to be replaced
  revision++;
  for (const Op& op : link.txn.success) {
    if (op.key.kind == KeyKind::Session) own_session.value = op.value;
    if (op.key.kind == KeyKind::Candidate && op.kind == Op::Kind::Put) own_created = revision;
  }
  own_session.key = {KeyKind::Session, kOwn, {}};
  own_session.modified = revision;
  tell(event::TxnAnswered{link.request, {kCluster, revision}, true, {}});
}

Change own_echo() {
  return Change{.deleted = false, .entry = own_session};
}

bool is_own_link(const action::SendTxn* sent) {
  return sent != nullptr && sent->txn.success[0].key.lease == kOwn;
}

// Lets time pass while etcd answers and echoes every link of ours, until something of a kind is
// wanted.
template <typename T>
bool until(int64_t limit_ms) {
  for (const int64_t end = now_ms() + limit_ms; now_ms() <= end;) {
    if (wanted<T>() != nullptr) return true;
    if (is_own_link(wanted<action::SendTxn>())) {
      answer(*wanted<action::SendTxn>());
      if (wanted<T>() != nullptr) return true;
      watch({own_echo()});
    } else {
      later(10);
    }
  }
  return false;
}

// Lets time pass until the next heartbeat is sent, unanswered.
bool until_heartbeat() {
  for (int i = 0; i < 1000 && !is_own_link(wanted<action::SendTxn>()); i++) later(1);
  return wanted<action::SendTxn>() != nullptr;
}

// The watch begins with the last session put that was read, and ends in what was read.
void replay(const std::vector<Entry>& entries) {
  Revision begin = 0;
  for (const Entry& entry : entries) {
    if (entry.key.kind == KeyKind::Session) begin = std::max(begin, entry.modified);
  }
  std::vector<Change> changes;
  for (const Entry& entry : entries) {
    if (entry.modified >= begin) changes.push_back({.deleted = false, .entry = entry});
  }
  std::stable_sort(changes.begin(), changes.end(), [](const Change& a, const Change& b) {
    return a.entry.modified < b.entry.modified;
  });
  const Actions wanted_before = actions;
  tell(event::WatchAdvanced{.header = {kCluster, revision}, .changes = changes});
  actions.insert(actions.begin(), wanted_before.begin(), wanted_before.end());
}

// Connected at 1,000,000 ms, session open, our candidate key in the queue behind `ahead` (None: we
// are the head).
void open(LeaseId ahead = LeaseId::None) {
  set_ms(1'000'000);
  revision = 100;
  own_created = 0;
  Settings settings = rig::settings();
  settings.vips = {{.name = "api", .address = kVip, .link = "eth0", .acquires = acquires}};
  settings.conflict = policy;
  settings.conflict_probe = probes;
  bench.start(settings);
  const RequestId read = wanted<action::ReadPrefix>()->request;
  tell(event::LinkChanged{"eth0", true, true});
  std::vector<Entry> entries;
  if (ahead != LeaseId::None) {
    entries = {changed(KeyKind::Session, ahead, 50).entry,
               changed(KeyKind::Writes, ahead, 50).entry,
               changed(KeyKind::Candidate, ahead, 50).entry};
  }
  tell(event::PrefixRead{read, {kCluster, revision}, entries});
  const RequestId grant = wanted<action::GrantLease>()->request;
  if (!entries.empty()) replay(entries);
  tell(event::LeaseGranted{grant, {kCluster, revision}, kOwn});
  answer(*wanted<action::SendTxn>());
  watch({own_echo(), changed(KeyKind::Writes, kOwn, revision),
         changed(KeyKind::Candidate, kOwn, own_created)});
  if (!entries.empty()) return;
  // Nothing held that watch, so its first session put is read again.
  entries = {own_echo().entry, changed(KeyKind::Writes, kOwn, revision).entry,
             changed(KeyKind::Candidate, kOwn, own_created).entry};
  tell(event::PrefixRead{wanted<action::ReadPrefix>()->request, {kCluster, revision}, entries});
  replay(entries);
}

// Head of the queue, and the program of the VIP runs.
action::Acquire acquire() {
  acquires = true;
  open();
  acquires = false;
  return until<action::Acquire>(7000) ? *wanted<action::Acquire>() : action::Acquire{};
}

bool leaves_queue() {
  const auto* sent = wanted<action::SendTxn>();
  return sent != nullptr && std::any_of(sent->txn.success.begin(), sent->txn.success.end(),
                                        [](const Op& op) { return op.kind == Op::Kind::Delete; });
}

// The kernel's answer, `took_ms` after the core asked.
void added(int64_t took_ms = 0) {
  const action::AddAddress add = *wanted<action::AddAddress>();
  sleep_ms(took_ms);
  tell(event::AddressAdded{add.address, add.lifetime_s, 0});
}

void own() {
  open();
  if (until<action::AddAddress>(7000)) added();
}

Memory memory() {
  Memory memory;
  memory.cluster_id = kCluster;
  memory.session_revision = 60;
  memory.lease = kOwn;
  memory.instance = "former";
  memory.timeout = kTimeout;
  memory.waited_out[kVip] = 50;
  return memory;
}

// Started anew with that memory, the address still on the link; etcd shows the session as
// `instance` with our key created at `created` (0: there is none).
void restart(const Memory& memory, const char* instance, Revision created) {
  set_ms(1'000'000);
  revision = 100;
  Settings settings = rig::settings();
  settings.vips = {{.name = "api", .address = kVip, .link = "eth0"}};
  settings.memory = memory;
  bench.start(settings);
  const RequestId read = wanted<action::ReadPrefix>()->request;
  tell(event::AddressFound{kVip});
  if (wanted<action::RemoveAddress>() != nullptr) return;
  tell(event::LinkChanged{"eth0", true, true});
  Entry session = changed(KeyKind::Session, kOwn, 50).entry;
  session.value.instance = instance;
  std::vector<Entry> entries = {session, changed(KeyKind::Writes, kOwn, 50).entry};
  if (created != 0) entries.push_back(changed(KeyKind::Candidate, kOwn, created).entry);
  tell(event::PrefixRead{read, {kCluster, revision}, entries});
  replay(entries);
}

void let_three_endpoints_decide() {
  event::Reconfigured changed{rig::settings()};
  changed.settings.vips = {{.name = "api", .address = kVip, .link = "eth0"}};
  changed.settings.cluster = {.fixed = 0, .endpoints = {"a", "b", "c"}};
  tell(changed);
}

const MacAddress kStranger = {{2, 0, 0, 0, 0, 9}};

struct Asked {
  int links = 0;
  int announcements = 0;
  int probes = 0;
  int removals = 0;
};

// Etcd and the kernel do all that is asked of them.
struct Obedient {
  Asked asked;
  std::vector<Event> events;

  void act(const action::AddAddress& a) {
    events.insert(events.begin(), event::AddressAdded{kVip, a.lifetime_s, 0});
  }
  void act(const action::RemoveAddress&) {
    asked.removals++;
    events.insert(events.begin(), event::AddressRemoved{kVip, 0});
  }
  void act(const action::SendAnnouncement&) { asked.announcements++; }
  void act(const action::SendProbe&) { asked.probes++; }
  void act(const action::SendTxn& a) {
    if (!is_own_link(&a)) return;
    asked.links++;
    revision++;
    std::vector<Change> changes = {changed(KeyKind::Session, kOwn, 0)};
    changes[0].entry.value = a.txn.success[0].value;
    for (const Op& op : a.txn.success) {
      if (op.key.kind != KeyKind::Candidate) continue;
      changes.push_back(op.kind == Op::Kind::Put ? changed(op.key.kind, kOwn, revision)
                                                 : gone(op.key.kind, kOwn));
    }
    const Header header = {kCluster, revision};
    events.emplace_back(event::TxnAnswered{a.request, header, true, {}});
    events.emplace_back(event::WatchAdvanced{.header = header, .changes = changes});
  }
  void act(sim::Ignored<action::UseCluster, action::Acquire, action::EndAcquire, action::GrantLease,
                        action::KeepLease, action::RevokeLease, action::ReadPrefix,
                        action::OpenWatch, action::SetFence, action::SendPeerFrame,
                        action::Remember, action::ReportState, action::Report, action::Finish>) {}
};

// Lets time pass in such a world; every so often a stranger claims the address.
Asked pass(int64_t ms, int64_t claims_each_ms = 0) {
  Obedient world;
  world.events = {event::Ticked{}};
  for (const int64_t end = now_ms() + ms; now_ms() < end || !world.events.empty();) {
    if (world.events.empty()) {
      sleep_ms(1);
      world.events = {event::Ticked{}};
      const bool claims = claims_each_ms != 0 && now_ms() % claims_each_ms == 0;
      if (claims) world.events.emplace_back(event::ForeignClaim{kVip, kStranger});
    }
    const Event event = world.events.front();
    world.events.erase(world.events.begin());
    tell(event);
    for (const Action& action : Actions(actions)) {
      std::visit([&world](const auto& a) { world.act(a); }, action);
    }
  }
  return world.asked;
}

VipState state() {
  return core->vips(now())[0].state;
}

}  // namespace

static void a_head_waits_for_whoever_may_have_held_it_before_the_first_snapshot() {
  open();
  TEST_ASSERT_TRUE(state() == VipState::Waiting);
  TEST_ASSERT_TRUE(until<action::AddAddress>(7000));
  TEST_ASSERT_TRUE(now_ms() >= 1'000'000 + 5005 && now_ms() <= 1'000'000 + 5020);
  TEST_ASSERT_TRUE(wanted<action::AddAddress>()->lifetime_s <= 3);
}

static void an_address_is_owned_and_announced_when_the_kernel_says_so() {
  open();
  TEST_ASSERT_TRUE(until<action::AddAddress>(7000));
  TEST_ASSERT_TRUE(state() == VipState::Waiting);
  TEST_ASSERT_NULL(wanted<action::SendAnnouncement>());
  added();
  TEST_ASSERT_TRUE(state() == VipState::Owner);
  TEST_ASSERT_NOT_NULL(wanted<action::SendAnnouncement>());
}

static void an_acknowledgement_that_comes_too_late_takes_the_address_down_unannounced() {
  open();
  TEST_ASSERT_TRUE(until<action::AddAddress>(7000));
  added(2000);
  TEST_ASSERT_EQUAL_INT(-1, place<action::SendAnnouncement>());
  TEST_ASSERT_NOT_NULL(wanted<action::RemoveAddress>());
  TEST_ASSERT_FALSE(state() == VipState::Owner);
}

static void a_renewal_that_was_held_up_takes_the_address_down() {
  own();
  TEST_ASSERT_TRUE(until<action::AddAddress>(2000));
  added(4000);
  TEST_ASSERT_NOT_NULL(wanted<action::RemoveAddress>());
}

// The host sleeps for so long, as its clocks tell.
static void sleep_for(int64_t ms) {
  sleep_ms(ms);
  slept = slept + Duration::milliseconds(ms);
  tell(event::Ticked{});
}

static void after_a_suspend_there_is_no_authority() {
  own();
  TEST_ASSERT_TRUE(until_heartbeat());
  const action::SendTxn before = *wanted<action::SendTxn>();
  sleep_for(50);
  TEST_ASSERT_EQUAL_INT(0, place<action::RemoveAddress>());
  TEST_ASSERT_TRUE(core->fencing_deadline() == MonoTime::long_ago());
  tell(event::AddressRemoved{kVip, 0});
  // Nor does what was sent before give any.
  answer(before);
  TEST_ASSERT_NOT_NULL(wanted<action::SendTxn>());  // the next one, at once
  const action::SendTxn after = *wanted<action::SendTxn>();
  watch({own_echo()});
  TEST_ASSERT_TRUE(core->fencing_deadline() == MonoTime::long_ago());
  TEST_ASSERT_NULL(wanted<action::AddAddress>());
  answer(after);
  watch({own_echo()});
  TEST_ASSERT_NOT_NULL(wanted<action::AddAddress>());
}

static void a_wait_begins_anew_after_a_suspend() {
  open();  // waits for whoever may have held the VIP before
  const MonoTime woken = now() + Duration::milliseconds(3000);
  sleep_for(3000);
  TEST_ASSERT_TRUE(until_heartbeat());
  while (wanted<action::AddAddress>() == nullptr && now() < woken + kTimeout * 2) {
    if (const auto* txn = wanted<action::SendTxn>(); txn != nullptr) {
      answer(action::SendTxn(*txn));
      watch({own_echo()});
      continue;
    }
    later(10);
  }
  TEST_ASSERT_NOT_NULL(wanted<action::AddAddress>());
  TEST_ASSERT_TRUE(now() >= woken + kTimeout);
}

static Change other_session(uint64_t incarnation) {
  Change session = changed(KeyKind::Session, kOther, 50);
  session.entry.value.incarnation = incarnation;
  return session;
}

static void tell_frame(PeerFrame::Kind kind, const PeerFrame& of) {
  PeerFrame frame = of;
  frame.kind = kind;
  std::swap(frame.from, frame.to);
  tell(event::PeerFrameReceived{.frame = frame, .link = "eth0"});
}

// By then it may be the kernel alone that keeps the term.
static void the_fence_knows_of_a_term_before_its_link_is_sent() {
  own();
  Settings settings = rig::settings();
  settings.vips = {{.name = "api", .address = kVip, .link = "eth0"}};
  settings.peer_timeout = Duration::seconds(1);
  tell(event::Reconfigured{settings});
  tell(event::FenceChanged{.in_force = true});
  revision++;
  watch({other_session(99)});
  TEST_ASSERT_TRUE(until<action::SendPeerFrame>(3000));
  const PeerFrame request = wanted<action::SendPeerFrame>()->frame;
  const MonoTime asked = now();
  sleep_ms(1);
  tell_frame(PeerFrame::Kind::Grant, request);
  TEST_ASSERT_NOT_NULL(wanted<action::SendTxn>());
  TEST_ASSERT_TRUE(wanted<action::SendTxn>()->txn.success.back().key.kind == KeyKind::Peers);
  TEST_ASSERT_NOT_NULL(wanted<action::SetFence>());
  TEST_ASSERT_TRUE(place<action::SetFence>() < place<action::SendTxn>());
  // With one grantor it lasts half a session timeout.
  TEST_ASSERT_TRUE(wanted<action::SetFence>()->deadline == asked + kTimeout / 2);
}

// Its new session's authority does not speak for an address of the one before.
static void the_fence_stays_closed_over_what_the_kernel_keeps() {
  own();
  MonoTime fence;
  RequestId granting = 0;
  const auto note = [&] {
    if (const auto* set = wanted<action::SetFence>(); set != nullptr) fence = set->deadline;
    if (const auto* ask = wanted<action::GrantLease>(); ask != nullptr) granting = ask->request;
  };
  tell(event::FenceChanged{.in_force = true});
  note();
  TEST_ASSERT_TRUE(fence == core->fencing_deadline());
  revision++;
  watch({gone(KeyKind::Session, kOwn), gone(KeyKind::Candidate, kOwn)});
  note();
  TEST_ASSERT_NOT_NULL(wanted<action::RemoveAddress>());
  tell(event::AddressRemoved{kVip, EIO});
  note();
  TEST_ASSERT_TRUE(granting != 0);
  tell(event::LeaseGranted{granting, {kCluster, revision}, kOwn});
  for (int i = 0; i < 100; i++) {
    note();
    if (is_own_link(wanted<action::SendTxn>())) {
      answer(*wanted<action::SendTxn>());
      note();
      watch({own_echo()});
    } else {
      later(10);
    }
  }
  TEST_ASSERT_TRUE(core->fencing_deadline() > now());
  TEST_ASSERT_TRUE(fence == MonoTime::long_ago());
  tell(event::AddressRemoved{kVip, 0});
  note();
  TEST_ASSERT_TRUE(fence != MonoTime::long_ago());
}

// The clock may err by as much as a term takes.
static void a_promise_counts_anew_after_a_suspend() {
  open(kOther);
  const uint64_t us = own_session.value.incarnation;
  Change term = changed(KeyKind::Peers, kOther, 50);
  term.entry.value.peers = {.number = 5, .timeout = Duration::seconds(1), .grantors = {{us, 7}}};
  revision++;
  watch({other_session(99), term});
  tell_frame(PeerFrame::Kind::Renew, {.term = 5, .from = us, .to = 99, .nonce = 3});
  TEST_ASSERT_TRUE(wanted<action::SendPeerFrame>()->frame.kind == PeerFrame::Kind::Grant);
  sleep_for(900);
  const MonoTime woken = now();
  while (wanted<action::SendPeerFrame>() == nullptr && now() < woken + Duration::seconds(2)) {
    later(10);
  }
  TEST_ASSERT_TRUE(wanted<action::SendPeerFrame>()->frame.kind == PeerFrame::Kind::Expired);
  TEST_ASSERT_TRUE(now() >= woken + Duration::seconds(1));
}

static void each_echo_renews_the_lifetime_and_an_answer_alone_does_not() {
  own();
  TEST_ASSERT_TRUE(until_heartbeat());
  answer(*wanted<action::SendTxn>());
  TEST_ASSERT_NULL(wanted<action::AddAddress>());
  watch({own_echo()});
  TEST_ASSERT_NOT_NULL(wanted<action::AddAddress>());
}

static void past_the_deadline_the_address_goes_before_the_event_is_looked_at() {
  own();
  sleep_ms(6000);
  tell(event::PauseAsked{});
  TEST_ASSERT_EQUAL_INT(0, place<action::RemoveAddress>());
}

static void without_echoes_the_address_goes_at_the_deadline() {
  own();
  const MonoTime deadline = core->fencing_deadline();
  while (wanted<action::RemoveAddress>() == nullptr && now() < deadline) later(1);
  TEST_ASSERT_NOT_NULL(wanted<action::RemoveAddress>());
  TEST_ASSERT_TRUE(now() < deadline);
}

static void a_deleted_session_key_takes_everything_down_and_starts_over() {
  own();
  revision++;
  watch({gone(KeyKind::Session, kOwn)});
  TEST_ASSERT_EQUAL_INT(0, place<action::RemoveAddress>());  // before it is said

  TEST_ASSERT_NOT_NULL(wanted<action::RevokeLease>());
  TEST_ASSERT_TRUE(core->session() == LeaseId::None);
}

static void somebody_elses_hand_in_the_session_key_fences_but_revokes_nothing() {
  own();
  revision++;
  watch({changed(KeyKind::Session, kOwn, 1)});
  TEST_ASSERT_NOT_NULL(wanted<action::RemoveAddress>());
  TEST_ASSERT_NULL(wanted<action::RevokeLease>());
}

static void a_lost_candidate_key_costs_the_address_at_once() {
  own();
  revision++;
  watch({gone(KeyKind::Candidate, kOwn)});
  TEST_ASSERT_NOT_NULL(wanted<action::RemoveAddress>());
  TEST_ASSERT_NULL(wanted<action::SendTxn>());  // nothing is said before the kernel has confirmed
  tell(event::AddressRemoved{kVip, 0});
  TEST_ASSERT_NOT_NULL(wanted<action::SendTxn>());
}

// --- an etcd that takes no writes

namespace {

// Owner, and the last heartbeat was refused for want of space; its watch shows `writes` gone.
void own_without_space() {
  own();
  if (!until_heartbeat()) return;
  tell(event::RequestFailed{wanted<action::SendTxn>()->request, "no space", true});
}

bool deletes(KeyKind kind) {
  const auto* sent = wanted<action::SendTxn>();
  if (sent == nullptr) return false;
  const std::vector<Op>& ops = sent->txn.success;
  return std::any_of(ops.begin(), ops.end(), [&](const Op& op) {
    return op.kind == Op::Kind::Delete && op.key.kind == kind;
  });
}

void writes_are_gone() {
  const RequestId deletion = wanted<action::SendTxn>()->request;
  revision++;
  const Entry deleted = changed(KeyKind::Writes, kOwn, own_created).entry;
  tell(event::TxnAnswered{deletion, {kCluster, revision}, true, {deleted}});
  watch({gone(KeyKind::Writes, kOwn)});
}

// Answers the read that is wanted, `took_ms` later.
void answer_read(int64_t took_ms, bool writes, bool key) {
  const RequestId request = wanted<action::ReadPrefix>()->request;
  sleep_ms(took_ms);
  std::vector<Entry> entries = {own_session};
  if (writes) entries.push_back(changed(KeyKind::Writes, kOwn, own_created).entry);
  if (key) entries.push_back(changed(KeyKind::Candidate, kOwn, own_created).entry);
  tell(event::PrefixRead{request, {kCluster, revision}, entries});
}

}  // namespace

static void without_space_the_writes_key_goes_before_reads_count() {
  own_without_space();
  TEST_ASSERT_TRUE(deletes(KeyKind::Writes));
  TEST_ASSERT_NULL(wanted<action::ReadPrefix>());
  later(1);
  TEST_ASSERT_NULL(wanted<action::ReadPrefix>());
  own_without_space();
  writes_are_gone();
  TEST_ASSERT_NOT_NULL(wanted<action::ReadPrefix>());
}

static void without_space_only_who_deleted_the_writes_key_may_read() {
  own_without_space();
  const RequestId deletion = wanted<action::SendTxn>()->request;
  revision++;
  watch({gone(KeyKind::Writes, kOwn)});
  TEST_ASSERT_NULL(wanted<action::ReadPrefix>());
  tell(event::TxnAnswered{deletion, {kCluster, revision}, true, {}});
  TEST_ASSERT_NOT_NULL(wanted<action::RemoveAddress>());
  TEST_ASSERT_NOT_NULL(wanted<action::RevokeLease>());
}

static void a_read_counts_from_before_it_was_sent() {
  own_without_space();
  writes_are_gone();
  const MonoTime sent = now();
  answer_read(300, false, true);
  TEST_ASSERT_TRUE(core->fencing_deadline() == sent + kTimeout);
  TEST_ASSERT_NOT_NULL(wanted<action::AddAddress>());
}

static void a_read_that_shows_the_writes_key_does_not_count() {
  own_without_space();
  const MonoTime before = core->fencing_deadline();
  writes_are_gone();
  answer_read(10, true, true);
  TEST_ASSERT_TRUE(core->fencing_deadline() == before);
}

static void a_read_without_the_key_of_the_vip_takes_the_address_down() {
  own_without_space();
  writes_are_gone();
  answer_read(10, false, false);
  TEST_ASSERT_NOT_NULL(wanted<action::RemoveAddress>());
}

static void a_read_without_the_session_key_fences() {
  own_without_space();
  writes_are_gone();
  tell(event::PrefixRead{wanted<action::ReadPrefix>()->request, {kCluster, revision}, {}});
  TEST_ASSERT_EQUAL_INT(0, core->fencing_deadline() > now() ? 1 : 0);
  TEST_ASSERT_NOT_NULL(wanted<action::RemoveAddress>());
}

static void the_first_write_that_is_taken_puts_the_writes_key_again() {
  own_without_space();
  writes_are_gone();
  answer_read(10, false, true);
  added();
  TEST_ASSERT_TRUE(until_heartbeat());
  const Txn txn = wanted<action::SendTxn>()->txn;
  TEST_ASSERT_EQUAL_INT(2, txn.success.size());
  TEST_ASSERT_TRUE(txn.success[1].key.kind == KeyKind::Writes);
  answer(*wanted<action::SendTxn>());
  watch({own_echo(), changed(KeyKind::Writes, kOwn, revision)});
  sleep_ms(100);
  tell(event::Ticked{});
  TEST_ASSERT_NULL(wanted<action::ReadPrefix>());
}

static void without_space_a_vip_is_given_up_without_a_word() {
  own_without_space();
  writes_are_gone();
  tell(event::ResignAsked{{kVip}});
  tell(event::AddressRemoved{kVip, 0});
  for (int i = 0; i < 60 && !deletes(KeyKind::Candidate); i++) later(10);
  TEST_ASSERT_TRUE(deletes(KeyKind::Candidate));
  until<action::AddAddress>(1000);
  TEST_ASSERT_NULL(wanted<action::AddAddress>());
}

static void a_release_is_said_only_when_the_kernel_has_confirmed_it() {
  own();
  tell(event::ResignAsked{{kVip}});
  TEST_ASSERT_NOT_NULL(wanted<action::RemoveAddress>());
  TEST_ASSERT_NULL(wanted<action::SendTxn>());
  tell(event::AddressRemoved{kVip, EIO});
  TEST_ASSERT_NULL(wanted<action::SendTxn>());
  later(200);
  TEST_ASSERT_NOT_NULL(wanted<action::RemoveAddress>());
  tell(event::AddressRemoved{kVip, 0});
  const action::SendTxn* release = wanted<action::SendTxn>();
  TEST_ASSERT_NOT_NULL(release);
  TEST_ASSERT_TRUE(release->txn.success[0].value.released);
}

static void a_release_says_that_the_vip_was_held_under_its_key() {
  own();
  tell(event::ResignAsked{{kVip}});
  tell(event::AddressRemoved{kVip, 0});
  TEST_ASSERT_TRUE(wanted<action::SendTxn>()->txn.success[0].value.held);
}

// Its former owner is still waited for.
static void a_place_that_is_given_up_was_not_held() {
  open();
  TEST_ASSERT_TRUE(state() == VipState::Waiting);
  tell(event::ResignAsked{{kVip}});
  TEST_ASSERT_TRUE(wanted<action::SendTxn>()->txn.success[0].value.released);
  TEST_ASSERT_FALSE(wanted<action::SendTxn>()->txn.success[0].value.held);
}

// Held once, given up, and queued up again: the new key is a place like any other.
static void what_was_held_under_a_former_key_is_not_held() {
  own();
  tell(event::ResignAsked{{kVip}});
  tell(event::AddressRemoved{kVip, 0});
  answer(*wanted<action::SendTxn>());
  watch({own_echo(), gone(KeyKind::Candidate, kOwn), changed(KeyKind::Candidate, kOther, 0)});
  while (!is_own_link(wanted<action::SendTxn>())) later(10);
  answer(*wanted<action::SendTxn>());
  watch({own_echo(), changed(KeyKind::Candidate, kOwn, own_created)});
  tell(event::StopAsked{});
  TEST_ASSERT_TRUE(wanted<action::SendTxn>()->txn.success[0].value.released);
  TEST_ASSERT_FALSE(wanted<action::SendTxn>()->txn.success[0].value.held);
}

// Its address may be gone by then.
static void what_was_held_stays_held_when_somebody_removes_the_address() {
  own();
  tell(event::AddressLost{.address = kVip, .expired = false});
  tell(event::AddressRemoved{kVip, 0});
  tell(event::StopAsked{});
  TEST_ASSERT_TRUE(wanted<action::SendTxn>()->txn.success[0].value.held);
}

// Its answer may come long before our watch has caught up.
static void a_released_key_is_never_installed_again_whatever_the_watch_shows() {
  own();
  tell(event::ResignAsked{{kVip}});
  tell(event::AddressRemoved{kVip, 0});
  answer(*wanted<action::SendTxn>());
  for (int i = 0; i < 20; i++) {
    TEST_ASSERT_NULL(wanted<action::AddAddress>());
    TEST_ASSERT_FALSE(state() == VipState::Owner);
    later(100);
  }
}

static void a_release_that_was_certainly_refused_is_taken_back() {
  own();
  TEST_ASSERT_TRUE(until_heartbeat());
  const action::SendTxn heartbeat = *wanted<action::SendTxn>();
  tell(event::ResignAsked{{kVip}});
  tell(event::AddressRemoved{kVip, 0});
  TEST_ASSERT_NOT_NULL(wanted<action::SendTxn>());
  answer(heartbeat);  // it won; the release must be made again at the new end
  const action::SendTxn* again = wanted<action::SendTxn>();
  TEST_ASSERT_NOT_NULL(again);
  TEST_ASSERT_TRUE(again->txn.success[0].value.released);
  TEST_ASSERT_EQUAL_INT(revision, again->txn.compares[0].revision);
}

static void a_keepalive_without_an_answer_is_sent_again_soon() {
  open();
  TEST_ASSERT_TRUE(until<action::KeepLease>(7000));
  later(10);
  TEST_ASSERT_TRUE(until<action::KeepLease>(2000));
  tell(event::LeaseKept{kOwn, true});
  TEST_ASSERT_FALSE(until<action::KeepLease>(6600));
}

// The member that was asked took a member of another cluster for its leader.
static void a_keepalive_that_finds_no_lease_costs_only_a_session_that_has_not_lived() {
  own();
  tell(event::LeaseKept{kOwn, false});
  TEST_ASSERT_NULL(wanted<action::RemoveAddress>());
  TEST_ASSERT_TRUE(state() == VipState::Owner && core->session() == kOwn);

  bench.start(rig::settings());
  tell(event::PrefixRead{wanted<action::ReadPrefix>()->request, {kCluster, revision}, {}});
  tell(event::LeaseGranted{wanted<action::GrantLease>()->request, {kCluster, revision}, kOther});
  tell(event::LeaseKept{kOther, false});
  TEST_ASSERT_NOT_NULL(wanted<action::RevokeLease>());
}

// More attempts than the chain remembers, while etcd was away.
static void a_release_that_was_tried_long_ago_is_taken_back_too() {
  own();
  tell(event::LinkChanged{"eth0", true, false});
  for (int i = 0; i < 110 && wanted<action::RemoveAddress>() == nullptr; i++) {
    later(10);
    if (wanted<action::AddAddress>() != nullptr) added();
  }
  tell(event::AddressRemoved{kVip, 0});
  TEST_ASSERT_TRUE(wanted<action::SendTxn>()->txn.success[0].value.released);
  tell(event::LinkChanged{"eth0", true, true});
  for (int sent = 0; sent < 100; later(10)) {
    if (is_own_link(wanted<action::SendTxn>()) && ++sent == 100) break;
  }
  TEST_ASSERT_TRUE(wanted<action::SendTxn>()->txn.success.size() == 1);
  const action::SendTxn heartbeat = *wanted<action::SendTxn>();
  answer(heartbeat);
  watch({own_echo()});
  TEST_ASSERT_TRUE(until<action::AddAddress>(1000));
}

// Lets a minute pass in which etcd answers nothing; returns what was sent on the chain. The watch
// stays: no other member would be better.
static std::vector<action::SendTxn> an_outage() {
  std::vector<action::SendTxn> sent;
  for (const int64_t end = now_ms() + 60'000; now_ms() < end; later(10)) {
    if (wanted<action::AddAddress>() != nullptr) added();
    if (wanted<action::RemoveAddress>() != nullptr) tell(event::AddressRemoved{kVip, 0});
    if (is_own_link(wanted<action::SendTxn>())) sent.push_back(*wanted<action::SendTxn>());
  }
  return sent;
}

static void however_long_etcd_is_away_a_session_survives_its_first_attempt() {
  own();
  const std::vector<action::SendTxn> sent = an_outage();
  TEST_ASSERT_TRUE(sent.size() > 64);
  answer(sent.front());
  watch({own_echo()});
  TEST_ASSERT_TRUE(core->session() == kOwn);
  TEST_ASSERT_TRUE(until<action::AddAddress>(1000));
}

// What committed was sent a minute ago and gives no authority: the next heartbeat follows at once.
static void after_an_outage_authority_is_one_heartbeat_away() {
  own();
  const std::vector<action::SendTxn> sent = an_outage();
  answer(sent.back());
  TEST_ASSERT_TRUE(is_own_link(wanted<action::SendTxn>()));
  watch({own_echo()});
  TEST_ASSERT_TRUE(core->fencing_deadline() < now());
}

// A wish that comes late in an outage has to wait for what was tried before.
static void a_release_behind_many_attempts_follows_the_one_that_commits() {
  own();
  (void)an_outage();
  tell(event::ResignAsked{{kVip}});
  std::vector<action::SendTxn> tries;
  for (int i = 0; i < 300; i++) {
    later(10);
    if (is_own_link(wanted<action::SendTxn>())) tries.push_back(*wanted<action::SendTxn>());
  }
  TEST_ASSERT_TRUE(tries.size() >= 2 && tries.size() <= 4);
  answer(tries.back());
  TEST_ASSERT_TRUE(is_own_link(wanted<action::SendTxn>()));
  TEST_ASSERT_TRUE(wanted<action::SendTxn>()->txn.success[0].value.released);
}

static void a_silent_head_is_ended_by_comparison_and_then_revoked() {
  open(kOther);
  const action::SendTxn* takeover = nullptr;
  while (takeover == nullptr && now_ms() < 1'010'000) {
    later(10);
    const action::SendTxn* sent = wanted<action::SendTxn>();
    if (is_own_link(sent)) {
      answer(*sent);
      watch({own_echo()});
    } else {
      takeover = sent;
    }
  }
  TEST_ASSERT_NOT_NULL(takeover);
  TEST_ASSERT_TRUE(now_ms() >= 1'005'005 && now_ms() <= 1'005'030);
  TEST_ASSERT_TRUE(takeover->txn.compares[0].kind == Compare::Kind::ModifiedIs);
  TEST_ASSERT_TRUE(takeover->txn.compares[1].kind == Compare::Kind::Exists);
  TEST_ASSERT_TRUE(takeover->txn.compares[1].key.kind == KeyKind::Writes);
  TEST_ASSERT_TRUE(takeover->txn.success[0].value.released);
  TEST_ASSERT_TRUE(takeover->txn.success[1].kind == Op::Kind::Delete);
  Change ended = changed(KeyKind::Session, kOther, 50);
  ended.entry.value = takeover->txn.success[0].value;
  revision++;
  tell(event::TxnAnswered{takeover->request, {kCluster, revision}, true, {}});
  TEST_ASSERT_TRUE(wanted<action::RevokeLease>()->lease == kOther);
  TEST_ASSERT_NULL(
      wanted<action::AddAddress>());  // not before the watch shows that the key is gone
  watch({ended, gone(KeyKind::Candidate, kOther)});
  TEST_ASSERT_NOT_NULL(wanted<action::AddAddress>());
}

// Until the last txn that was asked for is the end of the silent head's session.
static void beat_until_takeover() {
  for (const int64_t end = now_ms() + 10'000; now_ms() < end;) {
    later(10);
    const action::SendTxn* sent = wanted<action::SendTxn>();
    if (sent == nullptr) continue;
    if (!is_own_link(sent)) break;
    answer(*sent);
    watch({own_echo()});
  }
}

// The member that serves the watch was cut off together with the owner.
static void a_watch_that_does_not_show_a_takeover_is_replaced() {
  open(kOther);
  beat_until_takeover();
  tell(event::TxnAnswered{wanted<action::SendTxn>()->request, {kCluster, ++revision}, true, {}});
  const int64_t answered_ms = now_ms();
  while (wanted<action::OpenWatch>() == nullptr && now_ms() < answered_ms + 1000) later(10);
  TEST_ASSERT_NOT_NULL(wanted<action::OpenWatch>());
  TEST_ASSERT_TRUE(wanted<action::OpenWatch>()->avoid_current);
  TEST_ASSERT_TRUE(now_ms() >= answered_ms + 50 && now_ms() <= answered_ms + 70);
}

// Its answer was lost, and a second try finds what the first one put.
static void a_takeover_that_committed_unanswered_is_recognised() {
  open(kOther);
  beat_until_takeover();
  Change ended = changed(KeyKind::Session, kOther, 50);
  ended.entry.value = wanted<action::SendTxn>()->txn.success[0].value;
  ended.entry.modified = ++revision;
  tell(event::RequestFailed{wanted<action::SendTxn>()->request, "lost"});
  for (int i = 0; i < 1000; i++) {
    later(1);
    const action::SendTxn* again = wanted<action::SendTxn>();
    if (again == nullptr) continue;
    if (!is_own_link(again)) break;
    answer(*again);
    watch({own_echo()});
  }
  const RequestId again = wanted<action::SendTxn>()->request;
  tell(event::TxnAnswered{again, {kCluster, revision}, false, {ended.entry}});
  TEST_ASSERT_TRUE(wanted<action::RevokeLease>()->lease == kOther);
}

// The head has shown life since, and so that etcd has space again. A session that is deleted rather
// than released makes all others wait for the timeout.
static void a_takeover_once_refused_for_want_of_space_releases_later() {
  open(kOther);
  beat_until_takeover();
  const RequestId refused = wanted<action::SendTxn>()->request;
  revision++;
  watch({changed(KeyKind::Session, kOther, 50)});
  tell(event::RequestFailed{refused, "no space", true});
  const int64_t refused_ms = now_ms();
  beat_until_takeover();
  TEST_ASSERT_TRUE(now_ms() >= refused_ms + 5005 && now_ms() <= refused_ms + 5030);
  const Op& end = wanted<action::SendTxn>()->txn.success[0];
  TEST_ASSERT_TRUE(end.key.kind == KeyKind::Session && end.key.lease == kOther);
  TEST_ASSERT_TRUE(end.kind == Op::Kind::Put && end.value.released);
}

static void a_head_whose_heartbeats_are_reads_is_never_taken_for_dead() {
  open(kOther);
  revision++;
  watch({gone(KeyKind::Writes, kOther)});
  for (int i = 0; i < 300; i++) {
    later(100);
    const action::SendTxn* sent = wanted<action::SendTxn>();
    if (sent == nullptr) continue;
    TEST_ASSERT_TRUE(is_own_link(sent));
    answer(*sent);
    watch({own_echo()});
  }
}

static void a_head_that_beats_is_left_alone() {
  open(kOther);
  for (int i = 0; i < 300; i++) {
    later(100);
    const action::SendTxn* sent = wanted<action::SendTxn>();
    if (sent != nullptr) {
      TEST_ASSERT_TRUE(is_own_link(sent));
      answer(*sent);
      watch({own_echo()});
    }
    if (i % 10 != 0) continue;
    revision++;
    watch({changed(KeyKind::Session, kOther, 50)});
  }
}

static void a_revision_that_goes_back_voids_everything() {
  own();
  TEST_ASSERT_TRUE(until_heartbeat());
  tell(event::TxnAnswered{wanted<action::SendTxn>()->request, {kCluster, 7}, true, {}});
  TEST_ASSERT_NOT_NULL(wanted<action::RemoveAddress>());
  TEST_ASSERT_NOT_NULL(wanted<action::ReadPrefix>());
  TEST_ASSERT_TRUE(core->session() == LeaseId::None);
}

// As if nothing had been answered: the client should not have handed it on.
static void what_another_cluster_says_is_not_heard() {
  own();
  tell(event::WatchAdvanced{.header = {kCluster + 1, revision + 1}, .changes = {}});
  TEST_ASSERT_NULL(wanted<action::RemoveAddress>());
  TEST_ASSERT_TRUE(until_heartbeat());
  tell(event::TxnAnswered{wanted<action::SendTxn>()->request, {kCluster + 1, 7}, true, {}});
  TEST_ASSERT_NULL(wanted<action::RemoveAddress>());
  TEST_ASSERT_NULL(wanted<action::ReadPrefix>());
  TEST_ASSERT_TRUE(state() == VipState::Owner);
}

// Our etcd cannot speak for the other cluster: no question to it, no defence, whatever is
// configured.
static void a_claim_is_not_answered_while_an_endpoint_belongs_to_another_cluster() {
  for (const ConflictPolicy each : {ConflictPolicy::Defend, ConflictPolicy::Ignore}) {
    policy = each;
    own();
    tell(event::EndpointNamed{.endpoint = 0, .cluster = kCluster + 1});
    TEST_ASSERT_TRUE(state() == VipState::Owner);
    tell(event::ForeignClaim{kVip, kStranger});
    TEST_ASSERT_NULL(wanted<action::SendAnnouncement>());
    later(0);
    TEST_ASSERT_NOT_NULL(wanted<action::RemoveAddress>());
  }
  policy = ConflictPolicy::Defend;
}

// Whoever starts now is bound to the other one, and will own there.
static void an_outvoted_owner_lets_go_and_changes_once_its_cluster_is_silent() {
  own();
  let_three_endpoints_decide();
  tell(event::EndpointNamed{.endpoint = 0, .cluster = kCluster + 1});
  TEST_ASSERT_TRUE(state() == VipState::Owner);
  tell(event::EndpointNamed{.endpoint = 1, .cluster = kCluster + 1});
  TEST_ASSERT_NOT_NULL(wanted<action::RemoveAddress>());
  TEST_ASSERT_EQUAL_UINT64(kCluster, core->cluster().id);
  sleep_ms(kTimeout.ms());
  tell(event::EndpointNamed{.endpoint = 0, .cluster = kCluster + 1});
  TEST_ASSERT_NULL(wanted<action::UseCluster>());
  tell(event::EndpointNamed{.endpoint = 1, .cluster = kCluster + 1});
  TEST_ASSERT_EQUAL_UINT64(kCluster + 1, wanted<action::UseCluster>()->cluster);
  TEST_ASSERT_NOT_NULL(wanted<action::ReadPrefix>());
  TEST_ASSERT_EQUAL_UINT64(kCluster + 1, core->cluster().id);
}

void hand_on(LeaseId lease) {
  revision++;
  Change released = changed(KeyKind::Session, lease, 50);
  released.entry.value.released = released.entry.value.held = true;
  watch({released, gone(KeyKind::Candidate, lease)});
}

// What the watch shows may be from before another cluster was ahead, unless it has shown a
// heartbeat that was sent since.
static void a_hand_over_from_before_the_other_cluster_ends_no_wait() {
  for (const bool beats : {false, true}) {
    open(kOther);
    let_three_endpoints_decide();
    for (size_t i = 0; i < 3; i++) tell(event::EndpointNamed{.endpoint = i, .cluster = kCluster});
    tell(event::EndpointNamed{.endpoint = 0, .cluster = kCluster + 1});
    tell(event::EndpointNamed{.endpoint = 1, .cluster = kCluster + 1});
    sleep_ms(10);
    for (size_t i = 0; i < 3; i++) tell(event::EndpointNamed{.endpoint = i, .cluster = kCluster});
    const int64_t back_ms = now_ms();
    if (beats) TEST_ASSERT_FALSE(until<action::AddAddress>(4000));
    hand_on(kOther);
    TEST_ASSERT_TRUE(until<action::AddAddress>(2 * kTimeout.ms()));
    TEST_ASSERT_TRUE(beats == (now_ms() < back_ms + kTimeout.ms()));
  }
}

// Its revisions may be as high as ever: what tells is that the watch does not show what it showed
// before.
static void a_watch_of_another_history_voids_everything() {
  own();
  tell(event::WatchEnded{.compacted = false, .reason = "cut"});
  TEST_ASSERT_TRUE(wanted<action::OpenWatch>() != nullptr);
  TEST_ASSERT_EQUAL_INT(own_session.modified, wanted<action::OpenWatch>()->from);
  Change other = own_echo();
  other.entry.value.nonce++;
  tell(event::WatchAdvanced{.header = {kCluster, revision}, .changes = {other}});
  TEST_ASSERT_NOT_NULL(wanted<action::RemoveAddress>());
  TEST_ASSERT_NOT_NULL(wanted<action::ReadPrefix>());
  own();
  tell(event::WatchEnded{.compacted = false, .reason = "cut"});
  tell(event::WatchAdvanced{.header = {kCluster, revision}, .changes = {own_echo()}});
  TEST_ASSERT_NULL(wanted<action::RemoveAddress>());
}

static void an_address_is_set_once_its_program_has_succeeded() {
  const action::Acquire begun = acquire();
  TEST_ASSERT_TRUE(begun.run != 0);
  TEST_ASSERT_TRUE(begun.until <= bench.core->fencing_deadline());
  TEST_ASSERT_NULL(wanted<action::AddAddress>());
  tell(event::AcquireEnded{kVip, begun.run + 1, ""});
  TEST_ASSERT_NULL(wanted<action::AddAddress>());
  TEST_ASSERT_TRUE(until<action::Acquire>(2000));  // authority is renewed
  TEST_ASSERT_TRUE(wanted<action::Acquire>()->run == begun.run);
  TEST_ASSERT_TRUE(wanted<action::Acquire>()->until > begun.until);
  tell(event::AcquireEnded{kVip, begun.run, ""});
  TEST_ASSERT_NOT_NULL(wanted<action::AddAddress>());
  added();
  tell(event::AddressLost{kVip, false, "ip"});
  tell(event::AddressRemoved{kVip, 0});
  TEST_ASSERT_TRUE(until<action::AddAddress>(2000));  // it need not be acquired again
}

static void a_program_that_fails_is_followed_by_the_next_node() {
  const action::Acquire begun = acquire();
  tell(event::AcquireEnded{kVip, begun.run, "exit status 1: no quota"});
  TEST_ASSERT_TRUE(leaves_queue());
  const VipView view = bench.core->vips(now()).front();
  TEST_ASSERT_TRUE(view.state == VipState::Fault);
  TEST_ASSERT_EQUAL_STRING("acquire failed: exit status 1: no quota; next try in 5.0 s",
                           view.reason);
}

// [safety] Whoever is next may run its own.
static void a_place_is_left_once_the_program_has_ended() {
  const action::Acquire begun = acquire();
  tell(event::ResignAsked{{kVip}});
  TEST_ASSERT_NOT_NULL(wanted<action::EndAcquire>());
  TEST_ASSERT_FALSE(leaves_queue());
  tell(event::AcquireEnded{kVip, begun.run, "killed"});
  TEST_ASSERT_TRUE(leaves_queue());
}

static void a_program_ends_with_the_authority() {
  const action::Acquire begun = acquire();
  while (now() < begun.until) later(10);
  TEST_ASSERT_NOT_NULL(wanted<action::EndAcquire>());
  tell(event::AcquireEnded{kVip, begun.run, "killed because it took too long"});
  TEST_ASSERT_FALSE(leaves_queue());
  TEST_ASSERT_NULL(wanted<action::AddAddress>());
}

static void after_a_compaction_an_owner_keeps_what_is_still_its_own() {
  own();
  tell(event::WatchEnded{.compacted = true, .reason = "compacted"});
  const RequestId read = wanted<action::ReadPrefix>()->request;
  Entry candidate = changed(KeyKind::Candidate, kOwn, own_created).entry;
  tell(event::PrefixRead{read, {kCluster, revision}, {own_session, candidate}});
  TEST_ASSERT_NULL(wanted<action::RemoveAddress>());
  TEST_ASSERT_NOT_NULL(wanted<action::OpenWatch>());
  TEST_ASSERT_TRUE(state() == VipState::Owner);
}

static void a_heartbeat_without_an_answer_is_sent_again_before_the_lifetime_ends() {
  own();
  TEST_ASSERT_TRUE(until_heartbeat());
  const action::SendTxn first = *wanted<action::SendTxn>();
  const int64_t sent = now_ms();
  later(1);
  while (wanted<action::SendTxn>() == nullptr) later(1);
  TEST_ASSERT_TRUE(now_ms() - sent <= 400);
  const action::SendTxn* second = wanted<action::SendTxn>();
  TEST_ASSERT_EQUAL_UINT64(first.group, second->group);
  TEST_ASSERT_EQUAL_INT(first.txn.compares[0].revision, second->txn.compares[0].revision);
  TEST_ASSERT_FALSE(first.txn.success[0].value.nonce == second->txn.success[0].value.nonce);
}

static void a_missing_echo_replaces_the_watch() {
  own();
  TEST_ASSERT_TRUE(until_heartbeat());
  answer(*wanted<action::SendTxn>());
  const int64_t answered = now_ms();
  while (wanted<action::OpenWatch>() == nullptr) later(1);
  TEST_ASSERT_TRUE(now_ms() - answered <= 1000);
  TEST_ASSERT_TRUE(wanted<action::OpenWatch>()->avoid_current);
  // At the last session put that the watch has shown: it must show it again.
  TEST_ASSERT_EQUAL_INT(revision - 1, wanted<action::OpenWatch>()->from);
}

static void an_address_that_somebody_removes_comes_back_with_announcements() {
  own();
  tell(event::AddressLost{kVip, false});
  TEST_ASSERT_NOT_NULL(wanted<action::RemoveAddress>());  // a renewal may have crossed it
  tell(event::AddressRemoved{kVip, 0});
  const int64_t lost = now_ms();
  while (wanted<action::AddAddress>() == nullptr) later(1);
  TEST_ASSERT_TRUE(now_ms() - lost >= 100 && now_ms() - lost <= 150);
  added();
  TEST_ASSERT_NOT_NULL(wanted<action::SendAnnouncement>());
}

static void a_short_flap_of_the_link_changes_nothing_and_announces_again() {
  own();
  tell(event::LinkChanged{"eth0", true, false});
  later(300);
  TEST_ASSERT_NULL(wanted<action::RemoveAddress>());
  if (wanted<action::AddAddress>() != nullptr) added();
  tell(event::LinkChanged{"eth0", true, true});
  TEST_ASSERT_NOT_NULL(wanted<action::SendAnnouncement>());
}

static void a_link_that_stays_down_is_a_clean_release() {
  own();
  tell(event::LinkChanged{"eth0", true, false});
  later(1100);
  TEST_ASSERT_NOT_NULL(wanted<action::RemoveAddress>());
  tell(event::AddressRemoved{kVip, 0});
  TEST_ASSERT_TRUE(wanted<action::SendTxn>()->txn.success[0].value.released);
  TEST_ASSERT_TRUE(state() == VipState::Fault);
}

static void a_kernel_that_refuses_the_address_costs_the_place_in_the_queue() {
  open();
  TEST_ASSERT_TRUE(until<action::AddAddress>(7000));
  tell(event::AddressAdded{kVip, 3, EPERM});
  TEST_ASSERT_NOT_NULL(wanted<action::RemoveAddress>());
  tell(event::AddressRemoved{kVip, 0});
  TEST_ASSERT_TRUE(wanted<action::SendTxn>()->txn.success[0].value.released);
  TEST_ASSERT_TRUE(state() == VipState::Fault);
}

static void stopping_releases_revokes_and_finishes() {
  own();
  tell(event::StopAsked{});
  TEST_ASSERT_NOT_NULL(wanted<action::RemoveAddress>());
  tell(event::AddressRemoved{kVip, 0});
  answer(*wanted<action::SendTxn>());
  const action::RevokeLease* revoke = wanted<action::RevokeLease>();
  TEST_ASSERT_TRUE(revoke->lease == kOwn);
  tell(event::LeaseRevoked{revoke->request});
  TEST_ASSERT_NOT_NULL(wanted<action::Finish>());
}

static void stopping_without_etcd_ends_all_the_same() {
  own();
  tell(event::StopAsked{});
  tell(event::AddressRemoved{kVip, 0});
  const int64_t asked = now_ms();
  while (wanted<action::Finish>() == nullptr) later(10);
  TEST_ASSERT_TRUE(now_ms() - asked <= 2010);
}

static void a_restart_takes_up_its_session_and_keeps_the_address() {
  restart(memory(), "former", 50);
  TEST_ASSERT_NULL(wanted<action::RemoveAddress>());
  TEST_ASSERT_NULL(wanted<action::GrantLease>());
  const action::SendTxn* swap = wanted<action::SendTxn>();
  TEST_ASSERT_EQUAL_INT(100, swap->txn.compares[0].revision);  // the revision that was read
  answer(*swap);
  TEST_ASSERT_NULL(wanted<action::AddAddress>());  // no authority of its own yet
  TEST_ASSERT_NULL(wanted<action::RemoveAddress>());
  watch({own_echo()});
  TEST_ASSERT_NOT_NULL(wanted<action::AddAddress>());  // nothing to wait out again
  added();
  TEST_ASSERT_TRUE(state() == VipState::Owner);
}

// Restarted, and the address back in its hands; then somebody removes it.
static void restart_and_lose() {
  restart(memory(), "former", 50);
  answer(*wanted<action::SendTxn>());
  watch({own_echo()});
  added();
  tell(event::AddressLost{kVip, false});
  tell(event::AddressRemoved{kVip, 0});
}

static void what_somebody_removes_after_a_restart_comes_back_at_once() {
  restart_and_lose();
  const int64_t lost = now_ms();
  TEST_ASSERT_TRUE(until<action::AddAddress>(1000));
  TEST_ASSERT_TRUE(now_ms() - lost >= 100 && now_ms() - lost <= 150);
}

// [safety] From the moment when it would have been let go, had it been there.
static void what_somebody_removed_is_waited_for_once_authority_was_lost() {
  restart_and_lose();
  sleep_for(50);
  const int64_t awake = now_ms();
  TEST_ASSERT_TRUE(until<action::AddAddress>(7000));
  TEST_ASSERT_TRUE(now_ms() - awake >= 5000);
}

static void a_session_that_is_not_the_one_remembered_is_left_alone() {
  Memory other = memory();
  other.cluster_id++;
  restart(other, "former", 50);
  TEST_ASSERT_NOT_NULL(wanted<action::RemoveAddress>());
  restart(memory(), "another", 50);
  TEST_ASSERT_NOT_NULL(wanted<action::RemoveAddress>());
  TEST_ASSERT_NOT_NULL(wanted<action::Remember>());
  other = memory();
  other.session_revision = 101;  // etcd was put back since
  restart(other, "former", 50);
  TEST_ASSERT_NOT_NULL(wanted<action::RemoveAddress>());
  restart(Memory(), "former", 50);
  TEST_ASSERT_NOT_NULL(wanted<action::RemoveAddress>());
}

static void a_key_with_another_create_revision_is_waited_for() {
  restart(memory(), "former", 51);
  answer(*wanted<action::SendTxn>());
  TEST_ASSERT_NOT_NULL(wanted<action::RemoveAddress>());
  tell(event::AddressRemoved{kVip, 0});
  watch({own_echo()});
  TEST_ASSERT_NULL(wanted<action::AddAddress>());
  TEST_ASSERT_TRUE(until<action::AddAddress>(7000));
  TEST_ASSERT_TRUE(now_ms() >= 1'005'005);
}

static void a_session_that_somebody_else_took_up_first_is_lost() {
  restart(memory(), "former", 50);
  Entry stranger = changed(KeyKind::Session, kOwn, 50).entry;
  stranger.value.nonce = 1;
  stranger.modified = ++revision;
  tell(event::TxnAnswered{
      wanted<action::SendTxn>()->request, {kCluster, revision}, false, {stranger}});
  TEST_ASSERT_NOT_NULL(wanted<action::RemoveAddress>());
  TEST_ASSERT_NULL(wanted<action::RevokeLease>());
  TEST_ASSERT_NOT_NULL(wanted<action::GrantLease>());
}

static void what_could_be_taken_up_is_remembered() {
  open();
  TEST_ASSERT_TRUE(until<action::AddAddress>(7000));
  added();
  const action::Remember* remember = wanted<action::Remember>();
  TEST_ASSERT_NOT_NULL(remember);
  TEST_ASSERT_TRUE(remember->memory.lease == kOwn);
  TEST_ASSERT_EQUAL_INT(own_created, remember->memory.waited_out.at(kVip));
  revision++;
  watch({gone(KeyKind::Session, kOwn)});
  tell(event::AddressRemoved{kVip, 0});
  TEST_ASSERT_NOT_NULL(wanted<action::Remember>());
  TEST_ASSERT_TRUE(wanted<action::Remember>()->memory.lease == LeaseId::None);
}

// --- hosts outside the election

// The first announcements are over, and those that a link is given for settling.
constexpr int64_t kSettled = 40'000;

static void a_foreign_claim_is_answered_only_when_etcd_has_confirmed_the_address() {
  policy = ConflictPolicy::Defend;
  own();
  pass(8000);
  tell(event::ForeignClaim{kVip, kStranger});
  TEST_ASSERT_TRUE(wanted<action::Report>()->kind == ReportKind::ConflictSeen);
  TEST_ASSERT_NULL(wanted<action::SendAnnouncement>());
  for (int i = 0; i < 100 && wanted<action::SendTxn>() == nullptr; i++) later(1);
  TEST_ASSERT_TRUE(is_own_link(wanted<action::SendTxn>()));
  answer(*wanted<action::SendTxn>());
  TEST_ASSERT_NULL(wanted<action::SendAnnouncement>());
  watch({own_echo()});
  added();
  TEST_ASSERT_NOT_NULL(wanted<action::SendAnnouncement>());
  TEST_ASSERT_TRUE(state() == VipState::Owner);
}

static void claims_are_defended_against_once_in_ten_seconds_and_do_not_flood_etcd() {
  policy = ConflictPolicy::Defend;
  own();
  pass(kSettled);
  const Asked asked = pass(30'000, 5);
  TEST_ASSERT_EQUAL_INT(3, asked.announcements);
  TEST_ASSERT_TRUE(asked.links > 100 && asked.links <= 310);
  TEST_ASSERT_EQUAL_INT(0, asked.removals);
}

static void the_other_policies_release_or_do_nothing() {
  policy = ConflictPolicy::Ignore;
  own();
  pass(kSettled);
  const Asked ignored = pass(30'000, 50);
  TEST_ASSERT_EQUAL_INT(0, ignored.announcements + ignored.removals);
  policy = ConflictPolicy::Release;
  own();
  pass(8000);
  const Asked released = pass(1000, 500);
  policy = ConflictPolicy::Defend;
  TEST_ASSERT_EQUAL_INT(1, released.removals);
  TEST_ASSERT_TRUE(state() == VipState::Fault);
  pass(20'000);  // it is asked again, and silent
  TEST_ASSERT_TRUE(state() == VipState::Owner);
}

static void an_address_of_unknown_owner_is_asked_for_while_waiting() {
  probes = true;
  open();
  const Asked asked = pass(5020);
  probes = false;
  TEST_ASSERT_EQUAL_INT(3, asked.probes);
  TEST_ASSERT_TRUE(state() == VipState::Owner);
}

static void an_address_that_a_stranger_has_is_left_alone_until_he_is_silent() {
  probes = true;
  open();
  Asked asked = pass(20'000, 30);
  TEST_ASSERT_TRUE(state() == VipState::Fault);
  TEST_ASSERT_TRUE(core->vips(now())[0].reason.find("02:00:00:00:00:09") != std::string::npos);
  TEST_ASSERT_EQUAL_INT(0, asked.removals);
  TEST_ASSERT_TRUE(asked.probes >= 3 && asked.probes <= 6);
  asked = pass(6000);
  probes = false;
  TEST_ASSERT_TRUE(state() == VipState::Owner);
}

// Session and candidate of another node, behind us, which lives with that card.
void joined(const MacAddress& mac) {
  revision++;
  Change session = changed(KeyKind::Session, kOther, revision);
  session.entry.value.host = {.boot = 7, .mac = mac};
  watch({session, changed(KeyKind::Writes, kOther, revision),
         changed(KeyKind::Candidate, kOther, revision)});
}

static void what_answers_as_a_node_that_queues_up_is_no_stranger() {
  probes = true;
  open();
  joined(kStranger);
  const Asked asked = pass(5020, 30);
  probes = false;
  TEST_ASSERT_EQUAL_INT(3, asked.probes);
  TEST_ASSERT_TRUE(state() == VipState::Owner);
}

static void an_owner_gives_way_to_no_node_that_queues_up() {
  policy = ConflictPolicy::Release;
  own();
  joined(kStranger);
  pass(8000);
  const Asked asked = pass(1000, 500);
  policy = ConflictPolicy::Defend;
  TEST_ASSERT_EQUAL_INT(0, asked.removals);
  TEST_ASSERT_TRUE(state() == VipState::Owner);
}

// It may have the address by hand, which is why it does not queue up.
static void a_node_that_does_not_queue_up_may_be_a_stranger() {
  probes = true;
  open();
  joined(kStranger);
  revision++;
  watch({gone(KeyKind::Candidate, kOther)});
  pass(5020, 30);
  const std::string reason = core->vips(now())[0].reason;
  probes = false;
  TEST_ASSERT_TRUE(state() == VipState::Fault);
  TEST_ASSERT_TRUE(reason.find("conflict.probe = no") != std::string::npos);
}

static void who_asks_no_more_takes_what_a_stranger_answered_for() {
  probes = true;
  open();
  pass(8000, 30);
  TEST_ASSERT_TRUE(state() == VipState::Fault);
  probes = false;
  event::Reconfigured changed{rig::settings()};
  changed.settings.vips = {{.name = "api", .address = kVip, .link = "eth0"}};
  tell(changed);
  pass(1000, 30);
  TEST_ASSERT_TRUE(state() == VipState::Owner);
}

static void neighbours_are_told_and_asked_until_the_link_must_have_settled() {
  probes = true;
  own();
  const Asked settling = pass(40'000);
  const Asked settled = pass(20'000);
  probes = false;
  TEST_ASSERT_EQUAL_INT(4 + 6, settling.announcements);
  TEST_ASSERT_EQUAL_INT(7, settling.probes);
  TEST_ASSERT_EQUAL_INT(0, settled.announcements + settled.probes);
}

static void a_hand_over_and_a_take_over_ask_nobody() {
  probes = true;
  open(kOther);
  pass(100);
  for (int i = 0; i < 20; i++) {  // it lives, long enough to have had the address
    later(500);
    if (is_own_link(wanted<action::SendTxn>())) {
      answer(*wanted<action::SendTxn>());
      watch({own_echo()});
    }
    revision++;
    watch({changed(KeyKind::Session, kOther, 50)});
  }
  revision++;
  Change released = changed(KeyKind::Session, kOther, 50);
  released.entry.value.released = true;
  watch({released, gone(KeyKind::Candidate, kOther)});
  probes = false;
  TEST_ASSERT_NOT_NULL(wanted<action::AddAddress>());
  TEST_ASSERT_NULL(wanted<action::SendProbe>());
}

static void what_is_heard_while_others_own_is_no_conflict() {
  open(kOther);
  tell(event::ForeignClaim{kVip, kStranger});
  TEST_ASSERT_NULL(wanted<action::Report>());
  TEST_ASSERT_TRUE(state() == VipState::Standby);
}

static void a_process_that_stood_still_tells_its_neighbours_again_and_asks() {
  probes = true;
  own();
  pass(8000);
  sleep_ms(2700);  // less than the authority that it has left
  tell(event::Ticked{});
  const bool up = wanted<action::RemoveAddress>() == nullptr;
  const Asked asked = pass(700);
  probes = false;
  TEST_ASSERT_TRUE(up);
  TEST_ASSERT_EQUAL_INT(3, asked.probes + 1);
}

static void a_link_that_is_gone_is_no_refusal_of_the_kernel() {
  own();
  TEST_ASSERT_TRUE(until<action::AddAddress>(2000));
  tell(event::AddressAdded{kVip, wanted<action::AddAddress>()->lifetime_s, ENODEV});
  TEST_ASSERT_NOT_NULL(wanted<action::RemoveAddress>());
  tell(event::AddressRemoved{kVip, 0});
  TEST_ASSERT_TRUE(state() == VipState::Fault);
  TEST_ASSERT_EQUAL_STRING("there is no link eth0", core->vips(now())[0].reason);
  answer(*wanted<action::SendTxn>());
  watch({own_echo(), gone(KeyKind::Candidate, kOwn)});
  pass(300);
  TEST_ASSERT_TRUE(state() == VipState::Fault);
  tell(event::LinkChanged{"eth0", true, true});
  pass(1000);  // 5 s after a refusal
  TEST_ASSERT_TRUE(state() == VipState::Owner);
}

static void what_was_heard_before_the_question_is_no_answer() {
  probes = true;
  open();
  pass(4300);  // 100 ms before the first probe
  sleep_ms(1500);
  for (int i = 0; i < 2; i++) {  // both waited in the socket
    tell(event::ForeignClaim{kVip, kStranger});
    TEST_ASSERT_TRUE(actions.empty());
  }
  const Asked asked = pass(700);
  TEST_ASSERT_EQUAL_INT(3, asked.probes);
  TEST_ASSERT_TRUE(state() == VipState::Owner);
  probes = false;
}

static void who_is_not_sure_of_an_address_does_not_announce_it() {
  own();
  pass(8000);
  sleep_ms(1500);  // announced anew after a stall, but for the claim
  tell(event::ForeignClaim{kVip, kStranger});
  const action::SendTxn asked = *wanted<action::SendTxn>();
  added();  // a renewal
  TEST_ASSERT_NULL(wanted<action::SendAnnouncement>());
  answer(asked);
  watch({own_echo()});
  added();
  TEST_ASSERT_NOT_NULL(wanted<action::SendAnnouncement>());
}

static void what_stands_in_the_way_on_this_host_is_a_fault_but_not_for_an_owner() {
  own();
  tell(event::AddressBlocked{kVip, "it is on eth1 already"});
  TEST_ASSERT_TRUE(state() == VipState::Owner);
  tell(event::ResignAsked{{kVip}});
  tell(event::AddressRemoved{kVip, 0});
  pass(1000);
  TEST_ASSERT_TRUE(state() == VipState::Fault);
  TEST_ASSERT_EQUAL_STRING("it is on eth1 already", core->vips(now())[0].reason);
  tell(event::AddressBlocked{kVip, ""});
  pass(1000);
  TEST_ASSERT_TRUE(state() == VipState::Owner);
}

static void what_an_owner_minds_makes_it_release_cleanly() {
  own();
  tell(event::AddressBlocked{kVip, "check api has not been good yet: no result yet"});
  TEST_ASSERT_TRUE(state() == VipState::Owner);
  tell(event::AddressBlocked{kVip, "check api is down: status 500", true});
  TEST_ASSERT_NOT_NULL(wanted<action::RemoveAddress>());
  TEST_ASSERT_NULL(wanted<action::SendTxn>());  // not before the kernel has confirmed it
  tell(event::AddressRemoved{kVip, 0});
  TEST_ASSERT_NOT_NULL(wanted<action::SendTxn>());
  TEST_ASSERT_TRUE(state() == VipState::Fault);
  TEST_ASSERT_EQUAL_STRING("check api is down: status 500", core->vips(now())[0].reason);
  pass(1000);
  TEST_ASSERT_TRUE(core->vips(now())[0].queue.empty());
  tell(event::AddressBlocked{kVip, ""});
  pass(1000);
  TEST_ASSERT_TRUE(state() == VipState::Owner);
}

static void what_is_new_and_blocked_does_not_queue_up() {
  own();
  const Address other = *Address::parse("10.0.0.10");
  Settings settings;
  settings.timeout = kTimeout;
  settings.cluster = {.fixed = kCluster, .endpoints = {"e"}};
  settings.vips = {{.name = "api", .address = kVip, .link = "eth0", .blocked = "no result yet"},
                   {.name = "new", .address = other, .link = "eth0", .blocked = "no result yet"}};
  tell(event::Reconfigured{settings});
  pass(1000);
  TEST_ASSERT_TRUE(state() == VipState::Owner);
  TEST_ASSERT_TRUE(core->vips(now())[1].state == VipState::Fault);
  TEST_ASSERT_EQUAL_STRING("no result yet", core->vips(now())[1].reason);
  TEST_ASSERT_TRUE(core->vips(now())[1].queue.empty());
  tell(event::AddressBlocked{other, ""});
  TEST_ASSERT_NOT_NULL(wanted<action::SendTxn>());
  TEST_ASSERT_TRUE(core->vips(now())[1].state == VipState::Standby);
}

static void another_mac_of_the_link_is_announced() {
  own();
  pass(8000);
  tell(event::LinkChanged{"eth0", true, true, kStranger});
  TEST_ASSERT_NOT_NULL(wanted<action::SendAnnouncement>());
}

int main() {
  UNITY_BEGIN();
  RUN_TEST(a_restart_takes_up_its_session_and_keeps_the_address);
  RUN_TEST(what_somebody_removes_after_a_restart_comes_back_at_once);
  RUN_TEST(what_somebody_removed_is_waited_for_once_authority_was_lost);
  RUN_TEST(a_session_that_is_not_the_one_remembered_is_left_alone);
  RUN_TEST(a_key_with_another_create_revision_is_waited_for);
  RUN_TEST(a_session_that_somebody_else_took_up_first_is_lost);
  RUN_TEST(what_could_be_taken_up_is_remembered);
  RUN_TEST(a_head_waits_for_whoever_may_have_held_it_before_the_first_snapshot);
  RUN_TEST(an_address_is_owned_and_announced_when_the_kernel_says_so);
  RUN_TEST(an_acknowledgement_that_comes_too_late_takes_the_address_down_unannounced);
  RUN_TEST(a_renewal_that_was_held_up_takes_the_address_down);
  RUN_TEST(after_a_suspend_there_is_no_authority);
  RUN_TEST(a_wait_begins_anew_after_a_suspend);
  RUN_TEST(the_fence_knows_of_a_term_before_its_link_is_sent);
  RUN_TEST(the_fence_stays_closed_over_what_the_kernel_keeps);
  RUN_TEST(a_promise_counts_anew_after_a_suspend);
  RUN_TEST(each_echo_renews_the_lifetime_and_an_answer_alone_does_not);
  RUN_TEST(past_the_deadline_the_address_goes_before_the_event_is_looked_at);
  RUN_TEST(without_echoes_the_address_goes_at_the_deadline);
  RUN_TEST(a_deleted_session_key_takes_everything_down_and_starts_over);
  RUN_TEST(somebody_elses_hand_in_the_session_key_fences_but_revokes_nothing);
  RUN_TEST(a_lost_candidate_key_costs_the_address_at_once);
  RUN_TEST(without_space_the_writes_key_goes_before_reads_count);
  RUN_TEST(without_space_only_who_deleted_the_writes_key_may_read);
  RUN_TEST(a_read_counts_from_before_it_was_sent);
  RUN_TEST(a_read_that_shows_the_writes_key_does_not_count);
  RUN_TEST(a_read_without_the_key_of_the_vip_takes_the_address_down);
  RUN_TEST(a_read_without_the_session_key_fences);
  RUN_TEST(the_first_write_that_is_taken_puts_the_writes_key_again);
  RUN_TEST(without_space_a_vip_is_given_up_without_a_word);
  RUN_TEST(a_release_is_said_only_when_the_kernel_has_confirmed_it);
  RUN_TEST(a_release_says_that_the_vip_was_held_under_its_key);
  RUN_TEST(a_place_that_is_given_up_was_not_held);
  RUN_TEST(what_was_held_under_a_former_key_is_not_held);
  RUN_TEST(what_was_held_stays_held_when_somebody_removes_the_address);
  RUN_TEST(a_released_key_is_never_installed_again_whatever_the_watch_shows);
  RUN_TEST(a_release_that_was_certainly_refused_is_taken_back);
  RUN_TEST(a_release_that_was_tried_long_ago_is_taken_back_too);
  RUN_TEST(however_long_etcd_is_away_a_session_survives_its_first_attempt);
  RUN_TEST(after_an_outage_authority_is_one_heartbeat_away);
  RUN_TEST(a_release_behind_many_attempts_follows_the_one_that_commits);
  RUN_TEST(a_keepalive_without_an_answer_is_sent_again_soon);
  RUN_TEST(a_keepalive_that_finds_no_lease_costs_only_a_session_that_has_not_lived);
  RUN_TEST(a_silent_head_is_ended_by_comparison_and_then_revoked);
  RUN_TEST(a_watch_that_does_not_show_a_takeover_is_replaced);
  RUN_TEST(a_takeover_that_committed_unanswered_is_recognised);
  RUN_TEST(a_takeover_once_refused_for_want_of_space_releases_later);
  RUN_TEST(a_head_whose_heartbeats_are_reads_is_never_taken_for_dead);
  RUN_TEST(a_head_that_beats_is_left_alone);
  RUN_TEST(a_revision_that_goes_back_voids_everything);
  RUN_TEST(what_another_cluster_says_is_not_heard);
  RUN_TEST(an_outvoted_owner_lets_go_and_changes_once_its_cluster_is_silent);
  RUN_TEST(a_hand_over_from_before_the_other_cluster_ends_no_wait);
  RUN_TEST(a_claim_is_not_answered_while_an_endpoint_belongs_to_another_cluster);
  RUN_TEST(a_watch_of_another_history_voids_everything);
  RUN_TEST(an_address_is_set_once_its_program_has_succeeded);
  RUN_TEST(a_program_that_fails_is_followed_by_the_next_node);
  RUN_TEST(a_place_is_left_once_the_program_has_ended);
  RUN_TEST(a_program_ends_with_the_authority);
  RUN_TEST(after_a_compaction_an_owner_keeps_what_is_still_its_own);
  RUN_TEST(a_heartbeat_without_an_answer_is_sent_again_before_the_lifetime_ends);
  RUN_TEST(a_missing_echo_replaces_the_watch);
  RUN_TEST(an_address_that_somebody_removes_comes_back_with_announcements);
  RUN_TEST(a_short_flap_of_the_link_changes_nothing_and_announces_again);
  RUN_TEST(a_link_that_stays_down_is_a_clean_release);
  RUN_TEST(a_kernel_that_refuses_the_address_costs_the_place_in_the_queue);
  RUN_TEST(stopping_releases_revokes_and_finishes);
  RUN_TEST(stopping_without_etcd_ends_all_the_same);
  RUN_TEST(a_foreign_claim_is_answered_only_when_etcd_has_confirmed_the_address);
  RUN_TEST(claims_are_defended_against_once_in_ten_seconds_and_do_not_flood_etcd);
  RUN_TEST(the_other_policies_release_or_do_nothing);
  RUN_TEST(an_address_of_unknown_owner_is_asked_for_while_waiting);
  RUN_TEST(an_address_that_a_stranger_has_is_left_alone_until_he_is_silent);
  RUN_TEST(what_answers_as_a_node_that_queues_up_is_no_stranger);
  RUN_TEST(an_owner_gives_way_to_no_node_that_queues_up);
  RUN_TEST(a_node_that_does_not_queue_up_may_be_a_stranger);
  RUN_TEST(who_asks_no_more_takes_what_a_stranger_answered_for);
  RUN_TEST(neighbours_are_told_and_asked_until_the_link_must_have_settled);
  RUN_TEST(a_hand_over_and_a_take_over_ask_nobody);
  RUN_TEST(what_is_heard_while_others_own_is_no_conflict);
  RUN_TEST(a_process_that_stood_still_tells_its_neighbours_again_and_asks);
  RUN_TEST(a_link_that_is_gone_is_no_refusal_of_the_kernel);
  RUN_TEST(what_was_heard_before_the_question_is_no_answer);
  RUN_TEST(who_is_not_sure_of_an_address_does_not_announce_it);
  RUN_TEST(what_stands_in_the_way_on_this_host_is_a_fault_but_not_for_an_owner);
  RUN_TEST(what_an_owner_minds_makes_it_release_cleanly);
  RUN_TEST(what_is_new_and_blocked_does_not_queue_up);
  RUN_TEST(another_mac_of_the_link_is_announced);
  return UNITY_END();
}
