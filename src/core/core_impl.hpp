// The parts of the core and what each remembers. Each of its files has one idea (ARCHITECTURE.md,
// "The parts of the core"); the sections below name the file that has the functions.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/binding.hpp"
#include "core/chain.hpp"
#include "core/grantors.hpp"
#include "core/hold.hpp"
#include "core/kernel.hpp"
#include "core/own_session.hpp"
#include "core/peer_lease.hpp"
#include "core/read_beats.hpp"
#include "core/requests.hpp"
#include "core/step.hpp"
#include "core/takeovers.hpp"
#include "core/view.hpp"
#include "core/vip.hpp"
#include "core/watch.hpp"
#include "vipd/core.hpp"

namespace vipd {

enum class TermState;  // peer_view.hpp

// A link as the configuration names it.
struct LinkView {
  bool known = false;  // the adapter has looked
  bool present = false;
  bool up = false;
  MonoTime down_since = MonoTime::long_ago();
  bool usable = false;                         // up, or down for less than the debounce
  MonoTime settled_at = MonoTime::long_ago();  // when whatever it is plugged into must forward
  MacAddress mac;
};

// Why a VIP is not installed although its key is the head, or is not in the election at all. In the
// order in which they are looked for.
enum class Obstacle {
  NodeReleasing,
  NodePaused,
  OtherCluster,
  LinkUnknown,
  LinkMissing,
  LinkDown,
  KernelRefused,
  Blocked,
  ForeignHost,
  Resigning,
  NotQueued,
  NotHead,
  KeyRetired,
  PreviousOwner,
  MayBeHeld,
  NoAuthority,
  NoGrants,
  Probing,
  RemovedByOthers,
  Acquiring,
  OthersFirst,
  None,
};

// What keeps a VIP from being installed: of itself, or of another one of its group.
struct Hindrance {
  Obstacle why;
  const Vip* whose;
};

// What people have asked of this node.
struct Orders {
  bool paused = false;
  bool stopping = false;
  bool finished = false;                 // nothing is left to do
  MonoTime stop_by = MonoTime::never();  // the others wait out the timeout from then on
};

// What is wrong with the endpoints' clusters.
struct Objection {
  MonoTime since = MonoTime::never();
  std::string said;  // as last reported; empty: nothing was
};

// What people are told once, in words. Whoever has an objection waits.
struct Said {
  Objection objection;
  Duration stood_still;  // before this step, if that was long
  std::string lost_for;  // why authority ended last; empty: an address was set since
  std::string differs;   // in which settings other nodes differ
};

struct Core::Impl {
  Impl(Settings settings, MonoTime now);

  // --- core.cpp: the step
  void step(const Input& input, const Event& event, Actions* actions);
  void take(const Event& event);
  void drive();
  void check_invariants() const;
  // Shorthands for what `step_` and `requests_` do.
  bool due(MonoTime time) { return step_.due(now_, time); }
  template <typename T>
  void emit(T action) {
    step_.emit(std::move(action));
  }
  void report(ReportKind kind, std::string text, const Address& about = {}) {
    step_.report(kind, std::move(text), about);
  }
  RequestId next_request() { return requests_.next(); }
  uint64_t fresh_nonce() { return step_.fresh_nonce(); }

  void on(const event::Ticked&) {}
  void on(const event::EndpointNamed& e);
  void on(const event::LeaseGranted& e);
  void on(const event::LeaseKept& e);
  void on(const event::LeaseRevoked& e);
  void on(const event::TxnAnswered& e);
  void on(const event::PrefixRead& e);
  void on(const event::RequestFailed& e);
  void on(const event::WatchCreated& e);
  void on(const event::WatchAdvanced& e);
  void on(const event::WatchEnded& e);
  void on(const event::LinkChanged& e);
  void on(const event::AddressFound& e);
  void on(const event::AddressAdded& e);
  void on(const event::AddressRemoved& e);
  void on(const event::AddressLost& e);
  void on(const event::AddressBlocked& e);
  void on(const event::AcquireEnded& e);
  void on(const event::HostChanged& e);
  void on(const event::ForeignClaim& e);
  void on(const event::FenceChanged& e);
  void on(const event::PeerFrameReceived& e);
  void on(const event::PauseAsked&);
  void on(const event::ResumeAsked&);
  void on(const event::ResignAsked& e);
  void on(const event::StopAsked&);
  void on(const event::Reconfigured& e);

  // --- cluster.cpp: to which etcd cluster all this belongs
  void begin(const Input& input, Actions* actions);
  void drive_cluster();
  void bind_to_cluster();
  void say_objection();
  [[nodiscard]] bool is_of_other_cluster(const Event& event);
  [[nodiscard]] bool same_history(const Header& header, RequestId request);
  void forget_cluster(const std::string& why);
  void forget_memory();
  void forget_keys();

  // --- connection.cpp: snapshot and watch
  void drive_connection();
  void drive_watch();
  [[nodiscard]] bool is_part_of_answer(const Event& event);
  void read_failed(const std::string& why);
  // --- session.cpp: lease, links, memory, the end
  void drive_session();
  void drive_links();
  void drive_memory();
  [[nodiscard]] bool may_release() const;
  enum class Waits { Same, More, Other };
  [[nodiscard]] Waits compare_waits(bool has_session) const;
  void remember(Memory memory);
  void drive_stop();
  void stop_goes_on();  // core.cpp
  void connected();
  void unreachable(const std::string& why);
  void fence(const std::string& why, bool key_gone);
  [[nodiscard]] bool take_up_session(const std::vector<Entry>& entries);
  void revoke_former_sessions(const std::vector<Entry>& entries);
  void settle(const Chain::Outcome& outcome);
  void send_link(Link link);
  void add_to(Link* link, std::vector<Address>* places, const Vip& vip) const;
  [[nodiscard]] Txn attempt(RequestId request, Link link);
  [[nodiscard]] Duration hedge() const;
  [[nodiscard]] Link wanted_link();
  [[nodiscard]] Duration beat_interval() const;
  [[nodiscard]] bool link_due(const Link& link);
  [[nodiscard]] bool head_lacks_authority() const;
  void open_watch(bool elsewhere);
  void read_anew(const std::string& why);
  void read_again();

  void adrift_advanced(const std::vector<Change>& changes);
  void own_session_seen(const Change& change);
  void authority_renewed();

  // --- election.cpp: the VIPs
  void fence_if_late(const Event& event);
  void drive_fence();
  void say_authority_is_over(bool is_etcd);
  void drive_removals();
  void drive_installs();
  void drive_renewals();
  void install(Vip* vip);
  void add(Vip* vip, int lifetime);
  void remove(Vip* vip);
  void take_everything_down();
  void say_differences();
  [[nodiscard]] std::string differences() const;
  [[nodiscard]] std::string how_taken(const Vip& vip) const;
  [[nodiscard]] std::string how_lost(const Vip& vip, const Hindrance& why) const;
  [[nodiscard]] std::string nobody_follows(const Vip& vip, Obstacle why) const;
  void set_state(Vip* vip, VipState to, const std::string& reason);
  void address_is_up(Vip* vip);
  [[nodiscard]] Vip* find(const Address& address) { return vips_.find(address); }
  [[nodiscard]] static const LinkView& link_of(const Vip& vip) { return *vip.link; }
  [[nodiscard]] bool wanted_alone(const Vip& vip) const;
  [[nodiscard]] bool has_key(const Vip& vip) const;
  [[nodiscard]] bool is_spent(const KeyRights& key, Revision created) const;
  // The heartbeat that our authority comes from is one of this VIP.
  [[nodiscard]] bool covered(const Vip& vip) const;
  [[nodiscard]] Revision key_created(const Vip& vip) const;
  // The create revision of our key if the watch shows it as the head, else 0.
  [[nodiscard]] Revision headed_since(const Vip& vip) const;
  [[nodiscard]] bool may_keep_alone(const Vip& vip) const;
  void drive_inherited(Vip* vip);
  [[nodiscard]] bool is_still_ours_alone(const Vip& vip) const;
  [[nodiscard]] bool may_take_up(const Vip& vip) const;
  void host_slept(MonoTime before, Duration span);
  [[nodiscard]] MonoTime free_at(const Vip& vip) const;
  [[nodiscard]] Obstacle obstacle(const Vip& vip, MonoTime now) const;
  [[nodiscard]] MonoTime obstacle_ends(const Vip& vip, Obstacle obstacle) const;
  [[nodiscard]] VipState state_of(const Vip& vip, Obstacle obstacle) const;
  [[nodiscard]] std::string reason_of(const Vip& vip, Obstacle obstacle, MonoTime now) const;
  [[nodiscard]] std::string why_resigned(const Vip& vip) const;
  [[nodiscard]] std::string reason_of(const Vip& vip, const Hindrance& hindrance,
                                      MonoTime now) const;
  [[nodiscard]] std::string owner_of(const Vip& vip, MonoTime now) const;

  // --- groups.cpp: VIPs that are owned together. One without a group is a group of its own.
  [[nodiscard]] bool wanted(const Vip& vip) const;
  [[nodiscard]] bool none_is_up(const Vip& vip) const;
  [[nodiscard]] bool link_not_seen_yet(const Vip& vip) const;
  [[nodiscard]] bool goes_back(const Vip& vip) const;
  // Of all that are up, and of itself.
  [[nodiscard]] bool may_keep(const Vip& vip) const;
  [[nodiscard]] bool is_still_ours(const Vip& vip) const;
  // Our key of it must go, and may: no address of the group is on a link.
  [[nodiscard]] bool to_leave(const Vip& vip) const;
  [[nodiscard]] bool has_spent_key(const Vip& vip) const;
  // It is absent and has no key, and may queue up now.
  [[nodiscard]] bool to_join(const Vip& vip) const;
  // Leaves all queues of the group once, and queues up anew.
  void resign(Vip* vip);
  [[nodiscard]] bool is_head_of_all(const Vip& vip) const;
  [[nodiscard]] bool may_get_all(const Vip& vip, const View::Candidate& candidate) const;
  [[nodiscard]] bool is_second_in_all(const Vip& vip, LeaseId lease) const;
  [[nodiscard]] Hindrance hindrance(const Vip& vip, MonoTime now) const;
  [[nodiscard]] bool is_crossed(const Vip& vip) const;
  void consider_giving_up_part(Vip* vip);
  // --- acquire.cpp: programs that must succeed before an address is set
  void drive_acquiring();
  void begin_acquiring(Vip* vip);
  void refuse(Vip* vip);
  [[nodiscard]] MonoTime acquiring_until() const;
  [[nodiscard]] bool is_acquired(const Vip& vip) const;
  // --- bulk.cpp
  [[nodiscard]] bool may_add();
  [[nodiscard]] bool went_as_wanted(const Event& event);
  [[nodiscard]] bool added_as_wanted(const event::AddressAdded& e);
  [[nodiscard]] bool burst_goes_on();
  void renew_next();
  void install_next();
  void plan_renewal(Duration remaining, int lifetime);
  [[nodiscard]] MonoTime next_round() const;
  // --- announce.cpp
  void drive_announcements();
  [[nodiscard]] bool may_announce();
  void announce_again(Vip* vip);
  [[nodiscard]] MonoTime next_announcement(const Vip& vip) const;
  // --- conflict.cpp
  void drive_conflicts();
  void note_owner(Vip* vip);
  void begin_probing(Vip* vip);
  void drive_probes(Vip* vip);
  void answer_claim(Vip* vip);
  void give_way(Vip* vip);
  [[nodiscard]] bool concerns_us(const event::ForeignClaim& e);
  [[nodiscard]] bool is_idle_claim(const Event& event);
  [[nodiscard]] bool is_of_the_queue(const Vip& vip, const MacAddress& mac) const;
  void asks_no_more();
  void conflict_over(Vip* vip, const std::string& why);
  void resume_after_stall();
  [[nodiscard]] bool must_probe(const Vip& vip, Revision headed, MonoTime now) const;
  [[nodiscard]] bool verification_due();
  // --- links.cpp
  void drive_link_debounce();
  void link_is_gone(const std::string& name);
  // --- status.cpp
  [[nodiscard]] VipView view_of(const Vip& vip, MonoTime now) const;  // core.cpp
  void drive_states();
  // --- peer_status.cpp: what people are told of the peer lease
  [[nodiscard]] PeersView peers_view(MonoTime now) const;
  [[nodiscard]] TermState term_state() const;
  [[nodiscard]] std::string no_term_reason() const;
  [[nodiscard]] std::string node_of(uint64_t incarnation) const;
  [[nodiscard]] const View::Session* session_of(uint64_t incarnation) const;
  [[nodiscard]] std::string nodes_of(const PeerTerm& term) const;
  // --- order.cpp: priorities and transfers
  void drive_order();
  void consider_making_way(Vip* vip);
  void consider_preemption(Vip* vip);
  void consider_transfer(Vip* vip);
  void clear_the_way(const Vip& vip, const View::Queue& queue, size_t place);
  void hand_over(Vip* vip, const std::string& why);
  void on(const event::TransferAsked& e);
  void on(const event::TakeAsked& e);
  // Takes the settings over, at the start and when they change.
  void configure(Vip* vip, const VipSettings& settings);
  void set_priority(Vip* vip);
  [[nodiscard]] bool priority_is_stale(const Vip& vip) const;
  [[nodiscard]] bool outranks(const View::Candidate& candidate, const Vip& vip) const;
  [[nodiscard]] bool second_is_ready(const View::Queue& queue) const;

  // --- no_space.cpp: an etcd that takes no writes
  void space_ran_out();
  void space_is_back();
  void drive_no_space();
  void delete_keys();
  void beat_by_reading();
  [[nodiscard]] bool writes_deleted() const;
  [[nodiscard]] bool beat_read(RequestId request, const Header& header,
                               const std::vector<Entry>& entries);
  [[nodiscard]] bool deletion_answered(const event::TxnAnswered& e);

  // --- peers.cpp: the terms of our own peer lease
  void drive_term();
  void drive_peers();
  void ask_where_needed();
  void end_terms();
  [[nodiscard]] MonoTime deadline() const;
  void refresh_peer_deadline();
  void carry(LinkNames links);
  void carry_one_more(const std::string& link);
  void update_fence();
  [[nodiscard]] bool leaves_one_behind() const;
  [[nodiscard]] bool peers_allow(const Vip& vip) const;
  [[nodiscard]] bool may_try() const;
  [[nodiscard]] bool is_echoed() const;
  [[nodiscard]] Duration silence() const;
  [[nodiscard]] bool etcd_is_away() const;
  void consider_leaving();
  void leave_term(const std::string& why);
  void consider_trying();
  void judge_try();
  void try_term(const std::vector<uint64_t>& incarnations, Duration timeout);
  [[nodiscard]] bool change_wanted(const std::vector<uint64_t>& candidates);
  [[nodiscard]] bool key_in_place() const;
  [[nodiscard]] bool all_renew(const Term& term) const;
  [[nodiscard]] std::vector<uint64_t> candidates();
  [[nodiscard]] Duration timeout_for(const std::vector<uint64_t>& incarnations) const;
  void refuse_term(const std::string& why);
  [[nodiscard]] static Duration renewal_interval(const PeerTerm& key);
  void ask_grantors(Term* term);
  void add_term_to(Link* link);
  void settle_term(const Chain::Outcome& outcome);
  void term_is_left(bool was_in_force);
  void delete_term();
  void make_way();
  [[nodiscard]] bool term_deletion_answered(const event::TxnAnswered& e);
  // --- grants.cpp: frames, and our grants in the terms of others
  void drive_grants();
  void look_at_term(LeaseId owner, const PeerTerm& term, const Grantor& who,
                    std::set<uint64_t>* shown);
  void expire_if_silent(LeaseId owner, const PeerTerm& term);
  [[nodiscard]] bool etcd_shows_nothing() const;
  void announce_expiry(const PeerTerm& term, const Grantor& who);
  void grant(const event::PeerFrameReceived& e);
  void granted(const event::PeerFrameReceived& e);
  void heard_expiry(const PeerFrame& frame);
  void watch_goes_on();
  [[nodiscard]] const Grantor* own_entry(const PeerTerm& term) const;
  // --- hold.cpp: holding on without etcd
  [[nodiscard]] MonoTime hold_deadline(const LinkNames& links) const;
  [[nodiscard]] const char* hold_obstacle() const;  // nullptr: none; of static storage
  [[nodiscard]] std::string who_ignores_marks() const;
  [[nodiscard]] std::string no_hold_reason(MonoTime now) const;
  [[nodiscard]] bool mark_counts() const;
  [[nodiscard]] MonoTime lifetime_deadline(MonoTime held_until) const;
  [[nodiscard]] MonoTime lifetime_deadline() const { return lifetime_deadline(hold_.until); }
  [[nodiscard]] bool is_holding() const;
  [[nodiscard]] bool has_any() const;
  [[nodiscard]] MonoTime may_set_again(const Vip& vip) const;
  void drive_hold();
  void say_hold();
  void say_no_hold();
  [[nodiscard]] std::string hold_words(MonoTime now) const;
  [[nodiscard]] Revision acted_on();
  void judge_owner(LeaseId lease, const View::Peers& mark);
  void end_grants(const View::Peers& mark, const std::string& why);
  void hold_echoed();
  // --- marks.cpp: who says that an owner with a mark has let go, and who waits for that
  [[nodiscard]] Host own_host() const;
  [[nodiscard]] bool is_dead(const Grantor& who) const;
  [[nodiscard]] const Grantor* spoken_for(const PeerTerm& term) const;
  void heard_word(LeaseId lease, const PeerTerm& term, uint64_t from);
  [[nodiscard]] bool has_word(LeaseId lease, const View::Peers& mark) const;
  [[nodiscard]] const View::Peers* may_be_held(const Vip& vip) const;
  [[nodiscard]] std::string may_be_held_reason(const Vip& vip) const;
  void session_is_lost();
  void judge_lost();
  void drive_marks();
  void delete_mark(LeaseId lease, const View::Peers& mark, bool orphan);
  [[nodiscard]] bool mark_deletion_answered(RequestId request);
  // --- words.cpp: owners whose grantors agree that they have fallen silent
  void drive_words();
  void consider_word(LeaseId lease, const View::Peers& peers);
  [[nodiscard]] Word* word_of(LeaseId lease, const View::Peers& peers);
  void go_on_ending();

  // --- takeover.cpp: sessions that fell silent
  void drive_takeovers();
  // distance: how many places behind it we are.
  void consider_candidate(const Vip& vip, size_t place, int distance);
  [[nodiscard]] MonoTime heard_until(Duration timeout, MonoTime since);
  void end_session(LeaseId lease, const View::Session& session, Takeover* takeover);
  void report_takeover(LeaseId lease, const View::Session& session, const Takeover& takeover);
  void add_deletions(LeaseId lease, const Takeover& takeover, Txn* txn) const;
  void revoke_orphan(LeaseId lease, Takeover* takeover);
  void delete_detached(LeaseId lease);
  void session_ended(LeaseId lease, Takeover* takeover, Revision revision);
  [[nodiscard]] bool takeover_answered(const event::TxnAnswered& e);
  void takeover_failed(const event::RequestFailed& e);

  MonoTime now_;  // of this step
  Step step_;
  Settings settings_;
  Orders orders_;

  // etcd
  Binding binding_;
  Said said_;
  Requests requests_;
  Snapshot snapshot_;
  Watch watch_;
  Replay replay_;
  View view_;

  // Our session
  OwnSession session_;
  Chain chain_;
  ReadBeats read_beats_;
  Memory memory_;  // as the state directory has it

  // The VIPs
  VipTable vips_;
  std::map<std::string, LinkView> links_;  // by name; each stays where it is
  KernelCalls kernel_;

  // The peer lease
  PacketFence fence_;
  OwnTerms terms_;
  PeerLease peer_lease_;
  Grantors grantors_;
  Promises promises_;

  Hold hold_;

  Takeovers takeovers_;
};

}  // namespace vipd
