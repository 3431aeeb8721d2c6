// The whole simulated world of one run: etcd, hosts, kernels, clocks, people and the LAN, around
// the daemons' real core. One thread, virtual time, one queue of typed events; everything follows
// from the seed. Its functions stand in files by subject: world.cpp (queue, run, phases),
// cluster.cpp (etcd's members, the client's requests, the watch), node.cpp (a process and its
// turn), kernel.cpp (clock, addresses, links), lan.cpp, faults.cpp, check.cpp.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sim/random.hpp"
#include "sim/store.hpp"
#include "sim/story.hpp"
#include "sim/tally.hpp"
#include "vipd/core.hpp"

namespace sim {

constexpr int kMaxNodes = 5;
constexpr int kMaxVips = 3;
constexpr int kMaxMembers = 5;
constexpr int kLinks = 2;
constexpr int kBystanders = 3;
constexpr int kNobody = 255;

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
  ExcuseEnds,
  Frame,  // an announcement at a bystander; a: vip, b: bystander
  Probe,  // a bystander uses what it knows; a: vip, b: bystander
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
  bool no_space = false;  // why it failed
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
  bool unchecked = false;  // set in this turn, judged at its end
  bool excused = false;    // overlaps by a machine that was paused
  bool stuck = false;      // the kernel refused to remove it
  uint8_t link = 0;
  int64_t expires = 0;   // true time
  int64_t timer_at = 0;  // of the earliest expiry in the queue; 0: none
  int64_t longest = 0;   // latest end of the lifetime, in the host's clock
  int64_t since = 0;
  int64_t excused_since = 0;
};

struct Clock {
  int64_t true_at = 0;
  int64_t shown_at = 0;
  int32_t ppb = 0;
};

enum class HostPause : uint8_t { None, Unnoticed, Suspend, Noticed };

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
};

struct Heartbeat {
  vipd::LeaseId lease = vipd::LeaseId::None;
  uint64_t nonce = 0;
  int64_t sent = 0;  // the host's clock
  int64_t timeout = 0;
};

struct Node {
  // host
  Clock clock;
  bool up = true;
  HostPause paused = HostPause::None;
  int64_t paused_at = 0;
  int64_t suspended = 0;      // in all, since it booted
  int64_t excused_until = 0;  // after a pause that no clock could notice
  int64_t netlink_at = 0;     // notices keep their order
  std::array<KernelAddress, kMaxVips> addresses{};
  std::array<bool, kLinks> link_present{true, true};
  std::array<bool, kLinks> link_up{true, true};
  std::array<uint8_t, kMaxVips> vip_link{};
  std::array<bool, kMaxVips> configured{};
  // process
  std::unique_ptr<vipd::Core> core;
  uint32_t incarnation = 0;
  bool stopped = false;  // SIGSTOP
  bool busy = false;     // inside a netlink call, or stalled
  bool exiting = false;
  vipd::Memory memory{};      // its state directory
  vipd::Memory old_memory{};  // and a copy that somebody made of it
  bool person_paused = false;
  bool stay_dead = false;
  uint32_t wake_id = 0;
  bool stalled_turn = false;  // held up between two actions of this turn
  vipd::MonoTime armed = vipd::MonoTime::never();
  std::vector<Mail> inbox{};
  std::vector<Frame> stack{};
  size_t depth = 0;
  // the netlink call under way
  bool in_call = false;
  bool call_acted = false;
  bool call_removes = false;
  bool call_held_up = false;
  bool turn_held_up = false;  // some call of this turn was
  int call_vip = 0;
  int call_lifetime = 0;
  int call_error = 0;
  int64_t call_back_in = 0;
  // client
  Watch watch;
  uint8_t member = 0;
  std::array<uint8_t, kMaxMembers> cut{};  // bits: requests, answers
  int64_t slow = 0;
  uint32_t loss = 0;
  // judgement
  std::vector<Heartbeat> sent{};
  int64_t deadline = INT64_MIN / 4;  // by what was echoed, in the host's clock
  uint64_t requests = 0;
  int64_t second = 0;  // the one that is counted
  uint64_t in_second = 0;
};

constexpr uint8_t kCutRequests = 1;
constexpr uint8_t kCutAnswers = 2;

struct Bystander {
  std::array<uint8_t, kMaxVips> owner{};
  std::array<uint8_t, kMaxVips> misses{};
};

struct Options {
  uint64_t seed = 1;
  int64_t duration = 0;
  bool story = false;    // keep it as text
  bool print = false;    // and print it as it happens
  uint64_t without = 0;  // a bit for each fault that never strikes
  std::string only{};    // the checker that judges, besides livelock; empty: all
};

struct Failure {
  bool failed = false;
  std::string checker;
  std::string text;
  int64_t at = 0;
};

class World {
 public:
  explicit World(const Options& options);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  void run();

  [[nodiscard]] const Failure& failure() const { return failure_; }
  [[nodiscard]] const Tally& tally() const { return tally_; }
  [[nodiscard]] const Story& story() const { return story_; }

 private:
  // --- world.cpp
  void draw_parameters();
  void post(int64_t at, Ev kind, int node, int a = 0, int b = 0, uint32_t x = 0, int64_t y = 0);
  void dispatch(const Item& item);
  void calm_begins();
  void heal_everything();
  void round_begins();
  [[nodiscard]] int64_t liveness_bound() const;
  void say(int node, const char* format, ...) __attribute__((format(printf, 3, 4)));

  // --- cluster.cpp
  [[nodiscard]] bool quorum() const;
  [[nodiscard]] bool serves(int member) const;
  [[nodiscard]] int64_t way(const Node& node);
  void committed();
  void apply_at(int member, vipd::Revision revision);
  void pump(int node);
  [[nodiscard]] uint8_t pick_member(Node* node, uint64_t group);
  void send_call(int node, Call call);
  void call_arrives(const Item& item);
  void execute(uint32_t slot);
  void call_answer(uint32_t slot, bool failed, int64_t extra);
  void call_answered(const Item& item);
  void call_timed_out(const Item& item);
  void deliver_call(int node, uint32_t slot, bool timed_out);
  void release(uint32_t slot);
  void open_watch(int node, const vipd::action::OpenWatch& wanted);
  void watch_arrives(const Item& item);
  void watch_created(const Item& item);
  void watch_delivers(const Item& item);
  void watch_ends(const Item& item);
  void end_watches_of(int member, int64_t within);
  void lease_sweep(vipd::LeaseId lease);
  void lose_leader(int64_t span);
  void elected(uint32_t generation);
  void note_changes(const Store::Commit& commit);
  void observe_commit(vipd::Revision before);

  // --- node.cpp
  void start_process(int node);
  void end_process(int node);
  [[nodiscard]] bool runs(const Node& node) const;
  void tell(int node, Mail mail);
  void drain(int node);
  void handle(int node, Mail& mail);
  void feed(int node, const vipd::Event& event);
  void push_step(Node* node, const vipd::Event& event);
  void run_turn(int node);
  void turn_over(int node);
  void arm(int node);
  void wake(const Item& item);
  void stall_ends(int node, uint32_t incarnation);
  [[nodiscard]] bool perform(int node, const vipd::Action& action);
  void act(int node, const vipd::action::SendTxn& a);
  void act(int node, const vipd::action::GrantLease& a);
  void act(int node, const vipd::action::KeepLease& a);
  void act(int node, const vipd::action::RevokeLease& a);
  void act(int node, const vipd::action::ReadPrefix& a);
  void act(int node, const vipd::action::OpenWatch& a);
  void act(int node, const vipd::action::SendAnnouncement& a);
  void act(int, const vipd::action::SendProbe&) {}  // there are no hosts outside the election
  void act(int node, const vipd::action::ReportState& a);
  void act(int node, const vipd::action::Report& a);
  void act(int node, const vipd::action::Remember& a);
  void act(int node, const vipd::action::Finish& a);
  template <typename T>
  void act(int, const T&) {}  // perform() does the others
  void note_read(int n, int64_t sent, const std::vector<vipd::Entry>& entries);
  void note_echoes(int node, const vipd::event::WatchAdvanced& event);
  void note_txn(Node* node, const vipd::Txn& txn, int64_t shown);
  [[nodiscard]] vipd::Settings settings(const Node& node, int index) const;
  [[nodiscard]] vipd::Input input(const Node& node);
  void tell_links(int node);
  [[nodiscard]] int index_of(const vipd::Address& address) const;

  // --- kernel.cpp
  [[nodiscard]] int64_t shown(const Node& node) const;
  [[nodiscard]] int64_t true_time_of(const Node& node, int64_t shown) const;
  [[nodiscard]] bool call_kernel(int node, int vip, bool removes, int lifetime);
  void kernel_acts(int node, uint32_t incarnation);
  void kernel_answers(int node, uint32_t incarnation);
  void add_address(int node, int vip, int lifetime, bool held_up);
  void remove_address(int node, int vip, Rule how);
  void kernel_expires(int node, int vip);
  void notice(int node, int vip, bool expired);
  [[nodiscard]] int64_t notice_at(Node* node);
  void set_link(int node, int link, bool present, bool up);
  void pause_host(int node, HostPause how, int64_t span);
  void resume_host(int node);
  void crash_host(int node, int64_t span);
  void boot_host(int node);

  // --- lan.cpp
  void announce(int node, int vip);
  void frame(const Item& item);
  void probe(const Item& item);
  [[nodiscard]] int answerer(int vip);

  // --- faults.cpp
  void draw_swarm();
  void next_fault();
  void strike();
  void strike(Fault fault);
  bool strike_host(Fault fault);
  bool strike_kernel(Fault fault);
  bool strike_etcd(Fault fault);
  bool strike_network(Fault fault);
  bool strike_people(Fault fault);
  bool strike_keys(Fault fault);
  void unsettle_member(int member);
  void restore();
  void cut(int node, int member, uint8_t how);
  void heal_host(int node);
  void reconfigure(int node, bool whole);
  void heal_after(Fault fault, int64_t span, int target = 0, uint32_t what = 0);
  [[nodiscard]] const Store::Stored* any_key(vipd::KeyKind kind);
  void heal(const Item& item);
  void people(const Item& item);
  [[nodiscard]] int any_node();
  [[nodiscard]] int any_live_node();

  // --- check.cpp
  void fail(const char* checker, const char* format, ...) __attribute__((format(printf, 3, 4)));
  void check_added(int node, int vip, bool held_up);
  void check_turn(int node);
  void check_resumed(int node);
  void excuse_ends(int node);
  void check_cache();
  void check_liveness();
  void check_quiet();
  void check_storm(int node);
  [[nodiscard]] bool eligible(const Node& node, int vip) const;
  [[nodiscard]] int only_owner(int vip) const;
  [[nodiscard]] bool excused(const Node& node) const { return now_ <= node.excused_until; }
  // In a turn that was held up: judged at its end.
  [[nodiscard]] static bool unjudged(const Node& node, int vip);
  [[nodiscard]] bool overlaps(int node, int vip, int* other) const;

  // parameters
  Options options_;
  Random random_;
  Random entropy_;
  int nodes_count_ = 3;
  int vips_count_ = 1;
  int members_count_ = 3;
  int64_t timeout_ = 5 * kS;
  int64_t heartbeat_ = 0;
  int64_t refresh_ = 60 * kS;
  int64_t base_way_ = 0;
  std::array<vipd::Address, kMaxVips> vips_{};
  std::array<uint32_t, kFaults> weights_{};
  uint32_t weights_sum_ = 0;
  int64_t fault_gap_ = 0;

  // time
  int64_t now_ = 0;
  uint64_t order_ = 0;
  std::vector<Item> queue_;
  bool finished_ = false;
  bool faults_on_ = false;
  uint32_t round_ = 0;
  int64_t calm_since_ = 0;
  int64_t last_ms_ = 0;
  uint64_t steps_in_ms_ = 0;

  // etcd
  Store store_;
  Store backup_;
  bool has_backup_ = false;
  std::array<Member, kMaxMembers> members_{};
  int leader_ = 0;
  bool leaderless_ = false;
  uint32_t election_ = 0;
  bool no_space_ = false;
  bool cluster_down_ = false;
  int64_t disk_ = 0;
  uint64_t last_lease_ = 0;
  uint32_t last_watch_ = 0;
  uint32_t duplicate_ = 0;     // per million requests
  uint32_t held_up_ = 0;       // per million netlink calls
  uint32_t stalled_ = 0;       // per million actions
  uint32_t refused_ = 0;       // per million netlink calls
  bool refused_once_ = false;  // in this round
  int64_t starved_ = 0;        // how late a process wakes at most
  vipd::Revision noted_ = 1;
  uint32_t restores_ = 0;

  // everybody
  std::array<Node, kMaxNodes> nodes_;
  std::vector<Call> calls_;
  std::vector<uint32_t> free_calls_;
  std::array<Bystander, kBystanders> bystanders_{};
  uint32_t lan_loss_ = 0;
  int64_t lan_delay_ = 0;

  // judgement
  Failure failure_;
  Tally tally_;
  Story story_;
  uint64_t changes_at_check_ = 0;
  uint64_t owner_changes_ = 0;
  std::array<uint64_t, kMaxNodes> requests_at_check_{};
  std::array<int64_t, kMaxVips> owned_since_{};
  int64_t checked_at_ = 0;
};

#define SAY(...)                       \
  do {                                 \
    if (story_.on()) say(__VA_ARGS__); \
  } while (0)

}  // namespace sim
