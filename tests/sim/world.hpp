// The whole simulated world of one run: etcd, hosts, kernels, clocks, people and the LAN, around
// the daemons' real core. One thread, virtual time, one queue of typed events; everything follows
// from the seed. Its functions stand in files by subject: world.cpp (queue, run, phases),
// cluster.cpp (etcd's members and the watch), requests.cpp, node.cpp (a process and its turn),
// kernel.cpp (clock, addresses, links), lan.cpp, faults.cpp, etcd_faults.cpp, checks.cpp (services
// and their checks), strangers.cpp (hosts outside the election), late.cpp (what is read or executed
// late), peers.cpp (the peer lease's frames and fences), aimed.cpp (what strikes its terms),
// holds.cpp (outages of etcd that an owner may outlast), drills.cpp (what it promises), groups.cpp
// (VIPs that belong together), check.cpp (what must hold).
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "sim/ignored.hpp"
#include "sim/parts.hpp"
#include "sim/story.hpp"
#include "vipd/peer_view.hpp"

namespace sim {

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
  void draw_timeout(Node* node);
  void draw_priorities(Node* node);
  void post(int64_t at, Ev kind, int node, int a = 0, int b = 0, uint32_t x = 0, int64_t y = 0);
  void dispatch(const Item& item);
  void calm_begins();
  void heal_everything();
  void round_begins();
  [[nodiscard]] int64_t liveness_bound() const;
  [[nodiscard]] bool broken(Broken what) const { return options_.broken == what; }
  void say(int node, const char* format, ...) __attribute__((format(printf, 3, 4)));

  // --- cluster.cpp
  [[nodiscard]] bool quorum() const;
  [[nodiscard]] bool serves(int member) const;
  [[nodiscard]] int64_t way(const Node& node);
  void committed();
  void apply_at(int member, vipd::Revision revision);
  void other_committed();
  [[nodiscard]] const Store& store_of(const Watch& watch) const;
  [[nodiscard]] vipd::Revision shown_by(const Watch& watch) const;
  void pump(int node);
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
  [[nodiscard]] static bool ended_by_others(const Store::Commit& commit);
  void observe_commit(vipd::Revision before);

  // --- requests.cpp
  [[nodiscard]] uint8_t pick_member(Node* node, uint64_t group);
  void send_call(int node, Call call);
  void call_arrives(const Item& item);
  void execute(uint32_t slot);
  void grant_lease(Call* call, Store* store);
  void note_effect(const Call& call, bool effect);
  void call_answer(uint32_t slot, bool failed, int64_t extra);
  void call_answered(const Item& item);
  void call_timed_out(const Item& item);
  void deliver_call(int node, uint32_t slot, bool timed_out);
  [[nodiscard]] static vipd::Event event_of(Call* call, bool timed_out);
  void release(uint32_t slot);

  // --- node.cpp
  void start_process(int node);
  void end_process(int node);
  [[nodiscard]] bool runs(const Node& node) const;
  void tell(int node, Mail mail);
  void drain(int node);
  void read_sockets(int node);
  void handle(int node, Mail& mail);
  void feed(int node, const vipd::Event& event);
  void feed_next(int node, const vipd::Event& event);
  vipd::event::PrefixRead feed_parts(Node* node, vipd::Input input,
                                     const vipd::event::PrefixRead& whole);
  void push_step(Node* node, const vipd::Event& event);
  static void forget_older_words(Node* node);
  void run_turn(int node);
  void turn_over(int node);
  void arm(int node);
  void wake(const Item& item);
  void stall_ends(int node, uint32_t incarnation);
  void process_resumes(int node);
  [[nodiscard]] bool perform(int node, const vipd::Action& action);
  void act(int node, const vipd::action::UseCluster& a);
  void act(int node, const vipd::action::SendTxn& a);
  void act(int node, const vipd::action::GrantLease& a);
  void act(int node, const vipd::action::KeepLease& a);
  void act(int node, const vipd::action::RevokeLease& a);
  void act(int node, const vipd::action::ReadPrefix& a);
  void act(int node, const vipd::action::OpenWatch& a);
  void act(int node, const vipd::action::Acquire& a);
  void act(int node, const vipd::action::EndAcquire& a);
  void draw_programs();
  void program_ends(const Item& item);
  void end_programs(int n);
  void copy_programs(int from, int to);
  void check_acquired(int n, int vip);
  [[nodiscard]] vipd::Revision queued_since(const Node& node, int vip) const;
  void check_left(int n, const vipd::Txn& txn);
  void act(int node, const vipd::action::SendAnnouncement& a);
  void act(int node, const vipd::action::SendProbe& a);
  void act(int node, const vipd::action::ReportState& a);
  void act(int node, const vipd::action::Report& a);
  void act(int node, const vipd::action::Remember& a);
  void act(int node, const vipd::action::Finish& a);
  // perform() does them.
  void act(int, Ignored<vipd::action::AddAddress, vipd::action::RemoveAddress>) {}
  void note_read(int n, int64_t sent, const std::vector<vipd::Entry>& entries);
  void note_echoes(int node, const vipd::event::WatchAdvanced& event);
  void note_txn(Node* node, const vipd::Txn& txn, int64_t shown);
  [[nodiscard]] vipd::Settings settings(const Node& node) const;
  [[nodiscard]] vipd::Input input(Node* node);
  void tell_links(int node);
  [[nodiscard]] int index_of(const vipd::Address& address) const;

  // --- copies.cpp
  bool strike_copies(Fault fault);
  bool clone_machine(int node, bool roll_back);
  void clone_process(int from, int to);
  void clone_calls(int from, int to);
  void switch_off_copies();
  void taken_up(int node);
  void twins_since_now(int a, int b);
  void part_twins(int node);
  [[nodiscard]] bool twins_grant() const;
  [[nodiscard]] bool reads(int node) const;
  void space_is_back();

  // --- kernel.cpp
  [[nodiscard]] int64_t shown(const Node& node) const;
  [[nodiscard]] int64_t true_time_of(const Node& node, int64_t shown) const;
  [[nodiscard]] bool call_kernel(int node, int vip, bool removes, int lifetime);
  void kernel_acts(int node, uint32_t incarnation);
  void kernel_answers(int node, uint32_t incarnation);
  void add_address(int node, int vip, int lifetime);
  [[nodiscard]] bool held_up(const Node& node) const;
  void remove_address(int node, int vip, Rule how);
  void arm_expiry(int node, int vip);
  void kernel_expires(int node, int vip);
  void notice(int node, int vip, bool expired);
  void address_noticed(const Item& item);
  void link_noticed(const Item& item);
  [[nodiscard]] int64_t notice_at(Node* node);
  void set_link(int node, int link, bool present, bool up);
  void pause_host(int node, HostPause how, int64_t span);
  void resume_host(int node);
  void wake_up(Node* node, int64_t span);
  void crash_host(int node, int64_t span);
  void boot_host(int node);

  // --- lan.cpp
  void announce(int node, int vip);
  void frame(const Item& item);
  void probe(const Item& item);
  [[nodiscard]] int answerer(int vip);

  // --- etcd_faults.cpp
  bool strike_etcd(Fault fault);
  [[nodiscard]] bool strike_one_member(Fault fault, int m);
  [[nodiscard]] bool strike_cluster(Fault fault, int m, int64_t* span);
  [[nodiscard]] bool strike_history(Fault fault);
  void unsettle_member(int member);
  void restore();

  // --- faults.cpp
  void draw_swarm();
  void next_fault();
  void strike();
  void strike(Fault fault);
  bool strike_host(Fault fault);
  bool strike_kernel(Fault fault);
  bool strike_network(Fault fault);
  bool strike_people(Fault fault);
  bool strike_keys(Fault fault);
  void cut(int node, int member, uint8_t how);
  void heal_host(int node);
  [[nodiscard]] bool transfer();
  void reconfigure(int node, bool whole);
  void heal_after(Fault fault, int64_t span, int target = 0, uint32_t what = 0);
  [[nodiscard]] const Store::Stored* any_key(vipd::KeyKind kind);
  void heal(const Item& item);
  void people(const Item& item);
  [[nodiscard]] int any_node();
  [[nodiscard]] int any_live_node();

  // --- checks.cpp
  void draw_checks();
  [[nodiscard]] bool keeps_away(const Node& node, int vip) const;
  [[nodiscard]] std::string blocked(const Node& node, int vip) const;
  void next_check();
  void service_turns();
  void service_heals(int node, int vip);
  void look(int node, int vip);
  void check_ends(int node, int vip, uint32_t incarnation);
  void judge_service(int node, int vip, Check check);
  void tell_check(int node, int vip);
  void start_checks(int node);
  void tell_checks(int node);
  void heal_services();

  // --- strangers.cpp
  void draw_strangers();
  void next_stranger();
  void stranger_comes();
  void heard_by_all(int from, int vip);
  void heard_by(int node, int from, int vip);
  void claim_heard(const Item& item);
  void hear_first(int node);

  // --- late.cpp
  void draw_late();
  [[nodiscard]] bool held_up_before_reading(int node);
  void next_outage();
  void outage_begins();
  void outage_ends();
  // --- peers.cpp
  void draw_peers();
  void act(int node, const vipd::action::SendPeerFrame& a);
  void act(int node, const vipd::action::SetFence& a);
  void fly(int from, int to, int link, const vipd::PeerFrame& frame);
  void peer_frame(const Item& item);
  [[nodiscard]] bool fence_works(const Node& node, int link) const;
  [[nodiscard]] bool fence_drops(const Node& node, const KernelAddress& address) const;
  void tell_fence(int node);
  void fence_goes(int node);
  void look_at_fence(const Item& item);
  void fence_is_back(int node);
  void next_peer_fault();
  [[nodiscard]] int peer_victim();
  void strike_peers();
  void cut_peers(int node);
  void cut_from(int node, int only, int how, uint8_t links);
  void heal_peers(const Item& item);
  void heal_all_peers();

  // --- aimed.cpp
  void draw_aimed();
  void aim_at(int node, const vipd::Txn& txn);
  void strike_term(const Item& item);

  // --- holds.cpp
  void draw_holds();
  void next_hold();
  void hold_begins();
  void aim_hold(int node, const vipd::Txn& txn);
  void strike_hold(const Item& item);
  [[nodiscard]] bool strike_holder(int owner, int how, int64_t span);
  [[nodiscard]] bool strike_grantor(int other, int how, int64_t span);
  void all_back(int owner, int other, vipd::LeaseId lease);
  void cut_off(int node, int64_t span);
  void take_marks();
  [[nodiscard]] int64_t authority(const Node& node) const;

  // --- groups.cpp
  void draw_groups();
  void draw_membership();
  [[nodiscard]] size_t priority_of(const Node& node, int vip) const;
  [[nodiscard]] std::string group_name(uint8_t group) const;
  void note_groups(int n, const vipd::Settings& settings);
  void turn_link(Node* node, int vip) const;
  void next_group_fault();
  void strike_group();
  [[nodiscard]] bool strike_member(int what, int vip, int n);
  void heal_group(const Item& item);
  void change_groups();
  void regroup(int node);
  void draw_disagreement();
  [[nodiscard]] bool groups_are_right(int node);
  [[nodiscard]] bool may_be_nobodys() const;
  [[nodiscard]] bool stays_bad(int vip);
  void leave_link_down();
  [[nodiscard]] bool together(const Node& node, int a, int b) const;
  [[nodiscard]] bool all_agree() const;
  void check_whole(int n, int vip);
  void note_alone(Node* node, const vipd::Event& event);
  [[nodiscard]] bool all_can_be_ended() const;
  void note_moving_in(Node* node, int vip) const;
  [[nodiscard]] bool knows_of(const Node& node, int vip) const;
  void check_given_up(int n);
  void check_left_together(int n, int vip);
  void check_parts(int n);
  void check_owned_whole();

  // --- drills.cpp
  [[nodiscard]] int holder(int vip) const;
  [[nodiscard]] const vipd::PeerTerm* term_of(int owner) const;
  [[nodiscard]] bool may_hold(int owner) const;
  [[nodiscard]] vipd::TermState term_state(int owner) const;
  [[nodiscard]] bool may_drill(int vip) const;
  [[nodiscard]] bool drill_begins();
  [[nodiscard]] bool strike_drill(int other, int64_t timeout);
  [[nodiscard]] bool grantor_and_leader_go(int other, int64_t timeout);
  void etcd_goes_away();
  void look_at_drill();
  void drill_ends();

  // --- clusters.cpp
  void draw_clusters();
  [[nodiscard]] bool turns_many() const;
  void hear_all();
  void next_strange();
  void endpoints_turn();
  void few_turn(int node);
  void most_turn(int node);
  void owner_stops();
  void turn(int node, int64_t first, int64_t count);
  void endpoints_are_right(int node);
  void end_watch_soon(int node);
  void note_elsewhere(int node, int vip);
  void heard_elsewhere(int node, int vip);
  [[nodiscard]] bool may_use(const Node& node, int member) const;
  void ask_all(int node);
  void asked(const Item& item);
  void answered(const Item& item);
  [[nodiscard]] static vipd::Event endpoint_names(int member, const Store& store, int64_t asked);
  static void note_named(Node* node, const vipd::event::EndpointNamed& named);
  void header_heard(int node, int member, const vipd::Header& header);

  // --- ownership.cpp
  [[nodiscard]] bool holds(const Node& node, int vip) const;
  [[nodiscard]] bool sleeps(const Node& node, const KernelAddress& address) const;
  [[nodiscard]] Excuse excuse_of(const Node& node, int vip, int64_t* until) const;
  void judge(int vip);
  void judge_all();
  void note_overlap(int vip, Excuse excuse);
  void excuse(int node, int vip, Excuse excuse, int64_t until);
  void looked(int node);

  // --- check.cpp
  void fail(const char* checker, const char* format, ...) __attribute__((format(printf, 3, 4)));
  void check_set(int node);
  void check_turn(int node);
  void check_gone(int node, int vip);
  void check_fenced(int node);
  void check_cache();
  void check_liveness();
  void check_quiet();
  void check_storm(int node);
  [[nodiscard]] bool eligible(const Node& node, int vip) const;
  [[nodiscard]] bool queued(const Node& node, int vip) const;
  [[nodiscard]] bool waits_for_term(const Node& node) const;
  [[nodiscard]] int only_owner(int vip) const;

  // parameters
  Options options_;
  Random random_;
  Random check_random_;
  Random stranger_random_;
  Random late_random_;
  Random peer_random_;
  Random aimed_random_;
  Random cluster_random_;
  Random hold_random_;
  Random group_random_;
  int nodes_count_ = 3;
  int vips_count_ = 1;
  int members_count_ = 3;
  int links_count_ = 2;
  int64_t timeout_ = 5 * kS;  // the longest of all nodes
  bool mixed_ = false;        // nodes have timeouts of their own
  bool records_ = false;      // what processes are told
  bool ordered_ = false;      // nodes have priorities of their own
  bool preempt_ = false;
  int64_t preempt_delay_ = 0;
  uint32_t last_instance_ = 0;
  int64_t refresh_ = 60 * kS;
  std::array<uint8_t, kMaxVips> groups_{};  // as they are configured in the end
  int64_t group_gap_ = 0;
  int has_no_groups_ = -1;  // the node, in a calm
  int64_t base_way_ = 0;
  std::array<vipd::Address, kMaxVips> vips_{};
  std::array<uint32_t, kFaults> weights_{};
  uint32_t weights_sum_ = 0;
  int64_t fault_gap_ = 0;
  bool has_checks_ = false;
  bool has_programs_ = false;
  int check_weight_ = 0;  // down, it lowers the priority by this; 0: it keeps the VIP away
  int64_t check_gap_ = 0;
  bool has_strangers_ = false;
  int64_t stranger_gap_ = 0;
  std::array<int64_t, kMaxVips> stranger_until_{};  // who has it answers
  uint32_t late_ = 0;                               // per million readings
  int64_t outage_gap_ = 0;                          // 0: none
  bool outage_ = false;
  std::array<uint32_t, kPeerFaults> peer_weights_{};
  uint32_t peer_weights_sum_ = 0;
  int64_t peer_gap_ = 0;
  uint32_t aimed_ = 0;  // per million changes of a term
  int64_t hold_gap_ = 0;

  Strange strange_ = Strange::None;
  int64_t strange_gap_ = 0;
  bool strange_once_ = false;  // in this round, most endpoints

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
  Store other_;  // a second cluster, one member and always well
  Store backup_;
  bool has_backup_ = false;
  std::array<Member, kMaxMembers> members_{};
  int leader_ = 0;
  bool leaderless_ = false;
  uint32_t election_ = 0;
  bool no_space_ = false;
  bool cluster_down_ = false;
  int64_t cluster_down_since_ = 0;
  int64_t disk_ = 0;
  uint64_t last_lease_ = 0;
  uint32_t last_watch_ = 0;
  uint32_t duplicate_ = 0;     // per million requests
  uint32_t held_up_ = 0;       // per million netlink calls
  uint32_t stalled_ = 0;       // per million actions
  uint32_t refused_ = 0;       // per million netlink calls
  bool refused_once_ = false;  // in this round
  bool no_space_once_ = false;
  int64_t starved_ = 0;  // how late a process wakes at most
  vipd::Revision noted_ = 1;
  uint32_t restores_ = 0;
  bool restored_once_ = false;  // in this round

  // everybody
  std::array<Node, kMaxNodes> nodes_;
  std::vector<Call> calls_;
  std::vector<uint32_t> free_calls_;
  std::array<Bystander, kBystanders> bystanders_{};
  uint32_t lan_loss_ = 0;
  int64_t lan_delay_ = 0;
  std::vector<vipd::PeerFrame> frames_;  // under way
  std::vector<uint32_t> free_frames_;
  std::array<std::array<uint8_t, kMaxNodes>, kMaxNodes> peer_cut_{};  // from, to: links
  uint32_t peer_loss_ = 0;                                            // per million frames
  uint32_t peer_twice_ = 0;
  int64_t peer_late_ = 0;
  Drill drill_;
  int64_t twins_grant_until_ = -1;  // the excuse after two went under one incarnation

  // judgement
  Failure failure_;
  std::array<Overlap, kMaxVips> overlaps_{};
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
