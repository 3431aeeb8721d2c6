// What the simulated world is made of, as plain data: the queue's items, requests, members,
// kernels, hosts, processes. Who changes it, and when, is the business of World.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sim/random.hpp"
#include "sim/store.hpp"
#include "sim/tally.hpp"
#include "vipd/core.hpp"

namespace sim {

constexpr int kMaxNodes = 6;  // one of them only as a copy of another
constexpr int kMaxVips = 5;
constexpr int kMostAlone = 3;  // VIPs of a run without groups
constexpr int kMaxMembers = 5;
constexpr int kLinks = 3;         // the third only where there are groups
constexpr uint8_t kAllLinks = 7;  // a bit each
constexpr int kBystanders = 3;
constexpr int kNobody = 255;
constexpr uint8_t kNotThere = 255;  // of a group: the VIP is not configured

[[nodiscard]] inline const char* link_name(int link) {
  static constexpr std::array<const char*, kLinks> kNames = {"eth0", "eth1", "eth2"};
  return kNames[static_cast<size_t>(link)];
}

enum class Ev : uint8_t {
  Wake,           // a process's timer; x: generation
  CallArrives,    // a request at its member; x: slot, y: when it arrived first
  CallAnswered,   // x: slot
  CallTimedOut,   // x: slot
  WatchArrives,   // the wish for a watch at its member; x: watch
  WatchCreated,   // x: watch, y: revision
  WatchDelivers,  // x: watch, y: up to this revision
  WatchEnds,      // x: watch, a: why
  MemberApplies,  // a: member, y: revision
  LeaseSweep,     // y: lease
  Elected,        // a leader again; x: generation
  KernelExpires,  // a: vip
  AddressNotice,  // a: vip, b: expired
  LinkNotice,     // a: link, b: present/up bits
  KernelActs,     // the netlink call that is under way takes effect
  KernelAnswers,  // and returns
  StallEnds,      // the process goes on within its turn; x: incarnation
  ProcessResumes,
  ProcessStarts,
  HostResumes,
  HostBoots,
  ExcuseEnds,  // a: vip
  Frame,       // an announcement at a bystander; a: vip, b: bystander
  Probe,       // a bystander uses what it knows; a: vip, b: bystander
  ServiceTurns,
  ServiceHeals,  // a: vip
  CheckEnds,     // a: vip; x: incarnation
  ProgramEnds,   // a: vip, b: how, x: incarnation, y: its run
  StrangerComes,
  OutageBegins,
  OutageEnds,
  ClaimHeard,  // a: vip, b: of which node
  PeerFrame,   // at its receiver; a: link, b: of which node, x: slot
  PeerFault,
  PeerHeals,  // a: fault
  FenceLook,  // x: incarnation
  Aimed,      // a: at what, x: round, y: the term's timeout
  DrillLook,
  HoldBegins,
  HoldStrikes,  // a: what, x: round, y: the owner's lease
  MarkTaken,    // a person says that its owner is off
  GroupStruck,
  GroupHeals,    // a: what, b: whose, x: round
  GroupsChange,  // of one node's configuration
  EndpointTurns,
  EndpointsTurn,  // a: the first of those that lead elsewhere from now on, b: how many
  OwnerStops,     // before it may have heard of that
  Asked,          // a: member, for its cluster; x: incarnation
  Answered,       // the same
  FaultStrikes,
  FaultHeals,  // a: fault, b/x: what
  People,      // a: what a person does later
  CalmBegins,
  LivenessDue,
  QuietEnds,
};

struct Item {
  int64_t at = 0;
  uint64_t order = 0;
  Ev kind = Ev::Wake;
  uint8_t node = 0;
  uint8_t a = 0;
  uint8_t b = 0;
  uint32_t x = 0;
  int64_t y = 0;
};

// A request of a process to etcd. It outlives its process: what was sent may yet be executed.
struct Call {
  enum class Kind : uint8_t { Txn, Read, Grant, Revoke, Keep };
  Kind kind = Kind::Txn;
  uint8_t node = 0;
  uint8_t member = 0;
  bool done = false;      // the client has heard, or given up
  bool answered = false;  // an answer is under way
  bool failed = false;    // and it is an error
  bool executed = false;
  bool kept = false;      // by its member, though it was refused
  bool no_space = false;  // why it failed
  bool strange = false;   // to the second cluster
  uint32_t incarnation = 0;
  uint32_t references = 0;  // events in the queue and in inboxes
  vipd::RequestId request = 0;
  uint64_t group = 0;
  int64_t sent = 0;
  int64_t shown = 0;  // by the node's clock, when it was sent
  vipd::Txn txn{};
  vipd::LeaseId lease = vipd::LeaseId::None;
  int64_t ttl = 0;
  vipd::Header header{};
  bool succeeded = false;
  std::vector<vipd::Entry> entries{};
};

struct Watch {
  uint32_t id = 0;       // 0: none
  bool open = false;     // at the member
  bool created = false;  // and the process knows
  bool strange = false;  // at the second cluster
  uint8_t member = 0;
  vipd::Revision next = 0;
  vipd::Revision sent = 0;  // scheduled up to here
  int64_t last_at = 0;      // deliveries keep their order
};

struct Member {
  bool up = true;
  bool hung = false;
  bool isolated = false;
  int64_t lag = 0;
  int64_t latency = 0;
  vipd::Revision applied = 1;
};

struct KernelAddress {
  bool present = false;
  bool announced = false;  // since it is there
  bool unchecked = false;  // a lifetime was set, and the process has not looked at its clock since
  bool stuck = false;      // the kernel refused to remove it
  uint8_t link = 0;
  int64_t expires = 0;                          // true time
  int64_t timer_at = 0;                         // of the earliest expiry in the queue; 0: none
  int64_t longest = 0;                          // latest end of the lifetime, in the host's clock
  int64_t set_at = 0;                           // the lifetime, in true time
  int64_t elsewhere_until = -1;                 // the excuse of an election in another cluster
  vipd::LeaseId session = vipd::LeaseId::None;  // and under which authority
  uint64_t cluster = 0;                         // ... by which cluster
  Excuse excuse = Excuse::None;  // for an overlap (ownership.cpp), within these bounds
  int64_t excused_since = 0;
  int64_t excused_until = -1;
};

struct Overlap {
  Excuse excuse = Excuse::None;  // None: there is none
  int64_t since = 0;
};

struct Clock {
  int64_t true_at = 0;
  int64_t shown_at = 0;
  int32_t ppb = 0;
};

// The packet fence in a host's kernel. It outlives the process that set it.
struct Fence {
  bool missing = false;  // this kernel can have none
  std::array<bool, kLinks> attached{true, true, true};
  int64_t deadline = INT64_MAX;  // the host's clock
  int64_t suspended = 0;         // of the host, when it was set
};

enum class HostPause : uint8_t { None, Unnoticed, Suspend, Noticed };

enum class DrillKind : uint8_t {
  OwnerCrashes,
  OwnerKilled,
  OwnerStopped,
  OwnerCutOff,
  OwnerAndLeader,  // the last after which somebody else is owner
  GrantorCrashes,
  GrantorAndLeader,
  LostTo,
  LostFrom,
  LostBoth,
  AllLost,
  FenceRemoved,
  OwnerStalls,
  EtcdAway,  // with --hold only
  kCount
};
[[nodiscard]] const char* name_of(DrillKind kind);

struct Drill {
  DrillKind kind = DrillKind::OwnerCrashes;
  int vip = 0;
  int owner = 0;
  int64_t began = 0;
  int64_t until = 0;
  int64_t heals = INT64_MAX;
};

enum class Check : uint8_t { Up, Unknown, Down };

// What waits for a process that cannot run at the moment.
struct Mail {
  enum class Kind : uint8_t { Answer, Timeout, Fact };
  Kind kind = Kind::Fact;
  uint8_t source = 0;  // 0 kernel and people, 1 watch, 2 requests
  uint32_t slot = 0;   // of a call; of a fact from the watch: which watch
  vipd::Event event{};
};

struct Frame {
  vipd::Actions actions{};
  size_t next = 0;
  int64_t shown = 0;  // the host's clock as the step saw it
};

struct Heartbeat {
  vipd::LeaseId lease = vipd::LeaseId::None;
  uint64_t nonce = 0;
  int64_t sent = 0;  // the host's clock
  int64_t timeout = 0;
  uint32_t incarnation = 0;
};

// All that a process was ever told: its twin is made of it (copies.cpp).
struct Heard {
  vipd::Input input{};
  vipd::Event event{};
};

// A copy of a machine has its address, too.
inline vipd::MacAddress mac_of(int name, int link) {
  return {{2, 1, 0, 0, static_cast<uint8_t>(link), static_cast<uint8_t>(name)}};
}

// One that must succeed before an address is set.
struct Program {
  uint64_t run = 0;
  bool runs = false;
  bool good = false;
  int64_t until = 0;         // by the host's clock
  vipd::Revision under = 0;  // our key
};

struct Node {
  // host
  int name = 0;       // of whom it is, or is a copy
  bool copy = false;  // switched off when the faults end
  int twin = -1;      // whose process goes under the same incarnation; -1: nobody's
  Clock clock;
  bool up = true;
  HostPause paused = HostPause::None;
  int64_t paused_at = 0;
  int64_t suspended = 0;             // in all, since it booted
  int64_t woken_at = INT64_MIN / 4;  // last, by its clock: what was sent before does not count
  int64_t pause_until = -1;          // the excuse after a pause that no clock could notice
  bool reader_cloned = false;        // while its heartbeats were reads
  static constexpr int64_t kUntilSpace = INT64_MAX / 4;
  int64_t clone_until = -1;  // and after it was copied
  int64_t netlink_at = 0;    // notices keep their order
  std::array<KernelAddress, kMaxVips> addresses{};
  std::array<bool, kLinks> link_present{true, true, true};
  std::array<bool, kLinks> link_up{true, true, true};
  std::array<uint8_t, kMaxVips> vip_link{};
  std::array<bool, kMaxVips> configured{};
  std::array<int, kMaxVips> priority{};
  std::array<bool, kMaxVips> fails{};       // the service that is checked
  std::array<uint8_t, kMaxVips> group{};    // by number, as configured; 0: none
  std::array<bool, kMaxVips> is_refused{};  // by its kernel, always
  Fence fence;
  int64_t unfenced_until = -1;  // the excuse after somebody removed the fence
  int64_t peer_slow = 0;        // how much later frames reach it
  int64_t peer_timeout = 0;     // as configured
  bool peers_off = false;       // for a while
  bool hold = false;            // as configured
  uint64_t boot = 0;            // of the machine
  int64_t timeout = 0;          // as configured
  int64_t heartbeat = 0;
  // process
  std::unique_ptr<vipd::Core> core;
  int64_t its_timeout = 0;  // as they were when the process started
  int64_t its_heartbeat = 1;
  vipd::Settings its_settings{};
  std::vector<Heard> heard{};
  Random entropy{0};
  uint32_t incarnation = 0;
  bool stopped = false;  // SIGSTOP
  bool busy = false;     // inside a netlink call, or stalled
  bool reading = false;  // ... before it reads its sockets
  bool exiting = false;
  vipd::Memory memory{};      // its state directory
  vipd::Memory old_memory{};  // and a copy that somebody made of it
  std::array<Check, kMaxVips> checks{};
  std::array<Program, kMaxVips> programs{};
  std::array<uint8_t, kMaxVips> its_group{};  // as the process knows it, or kNotThere
  bool person_paused = false;
  bool stay_dead = false;
  uint32_t wake_id = 0;
  int64_t started_at = 0;
  int64_t started_shown = 0;  // the same by the host's clock
  int64_t read_at = 0;        // when it looked at its clock, in true time
  vipd::MonoTime armed = vipd::MonoTime::never();
  std::vector<Mail> inbox{};
  std::vector<Frame> stack{};
  size_t depth = 0;
  // the netlink call under way
  bool in_call = false;
  bool call_acted = false;
  bool call_removes = false;
  int64_t call_shown = 0;  // the clock as the step saw it that asked for the call
  int call_vip = 0;
  int call_lifetime = 0;
  int call_error = 0;
  int64_t call_back_in = 0;
  // client
  std::array<uint64_t, kMaxMembers> named{};  // the cluster of each endpoint, as heard last
  uint64_t used = 0;                          // the one that the process is bound to
  std::array<bool, kMaxMembers> strange{};    // endpoints that lead to the second cluster
  int64_t strange_until = INT64_MIN / 4;
  Watch watch;
  uint8_t member = 0;
  std::array<uint8_t, kMaxMembers> cut{};  // bits: requests, answers
  int64_t slow = 0;
  uint32_t loss = 0;
  // judgement
  std::vector<Heartbeat> sent{};
  int64_t deadline = INT64_MIN / 4;         // by what was echoed, in the host's clock
  std::array<int64_t, kMaxVips> in_part{};  // how long it has had a part of that group
  int64_t parts_at = 0;                     // when that was counted last
  std::array<bool, kMaxVips> given_up{};    // in this turn
  bool may_go_alone = false;
  // The key that was being left while the VIP was of no group, by its create revision.
  std::array<vipd::Revision, kMaxVips> left_alone{};
  std::array<bool, kMaxVips> lost{};      // and the process has not heard of it
  std::array<bool, kMaxVips> moves_in{};  // the part grows: it had none of that group before
  uint64_t requests = 0;
  int64_t second = 0;  // the one that is counted
  uint64_t in_second = 0;
};

// What a span of a host's clock may take in true time: the clocks' drift.
constexpr int64_t in_true_time(int64_t span) {
  return span + span / 1000;
}

// Whose endpoints lead to the second cluster, in a run that has one.
enum class Strange : uint8_t {
  None,
  Few,       // fewer than half of one node's
  Careless,  // the same, and the client hands on what their members answer
  Most,      // most of every node's
  Contested  // one of every node's, and most of one node's
};

constexpr uint8_t kCutRequests = 1;
constexpr uint8_t kCutAnswers = 2;

struct Bystander {
  std::array<uint8_t, kMaxVips> owner{};
  std::array<uint8_t, kMaxVips> misses{};
};

// What is broken on purpose, so that the checker of that name must see it (tests/sim/selftest).
enum class Broken : uint8_t {
  Nothing,
  Ownership,
  Fencing,
  Liveness,
  Cache,
  Quiet,
  Livelock,
  Chain,
  Groups
};

struct Options {
  uint64_t seed = 1;
  int64_t duration = 0;
  bool story = false;    // keep it as text
  bool print = false;    // and print it as it happens
  bool peers = false;    // with the peer lease
  bool hold = false;     // and holding on without etcd
  bool groups = false;   // with VIPs that belong together
  uint64_t without = 0;  // a bit for each fault that never strikes
  Broken broken = Broken::Nothing;
  std::string only{};  // the checker that judges, besides livelock; empty: all
};

struct Failure {
  bool failed = false;
  std::string checker;
  std::string text;
  int64_t at = 0;
};

}  // namespace sim
