// A VIP as this node deals with it, and all of ours. State only: what is done with one is decided
// by the rules of Core::Impl.
#pragma once

#include <algorithm>
#include <cassert>
#include <string>
#include <vector>

#include "vipd/event.hpp"
#include "vipd/state.hpp"
#include "vipd/store.hpp"
#include "vipd/types.hpp"

namespace vipd {

// What our candidate key of a VIP entitles us to: under which of its create revisions the VIP may
// be installed, and what its release may state (ARCHITECTURE.md, "Taking a VIP"). Judges, never
// sends. Every `created` is a create revision of the key, above 0 while there is one.
class KeyRights {
 public:
  // --- what the chain did to the key, before our watch shows it
  // A link that put it, or deleted it, is committed at that revision.
  void was_put(Revision revision);
  void was_deleted(Revision revision);
  // What was committed last is newer than a view up to `applied`: until it is shown, is_put() and
  // changed() hold, whatever the view says.
  [[nodiscard]] bool is_ahead_of(Revision applied) const { return changed_ > applied; }
  [[nodiscard]] bool is_put() const { return put_; }
  [[nodiscard]] Revision changed() const { return changed_; }

  // --- what was released
  // [safety] Before a release of it is sent: never installed under it again, unless the chain says
  // that nothing came of the release.
  void releasing(Revision created) { releasing_ = std::max(releasing_, created); }
  void release_refused() { releasing_ = 0; }
  [[nodiscard]] bool is_releasing() const { return releasing_ != 0; }
  // [safety] ... never, where nothing tells what comes of it.
  void retire(Revision created) { retired_ = std::max(retired_, created); }
  [[nodiscard]] bool is_retired(Revision created) const { return created <= retired_; }
  // [safety] Nothing that would release it has been sent. False for 0.
  [[nodiscard]] bool usable(Revision created) const {
    return created > std::max(retired_, releasing_);
  }

  // --- who was waited for
  // Every former owner was waited out under it: as long as the key has it, nobody can have come
  // between. 0: nobody was.
  void waited_out(Revision created) { waited_out_ = created; }
  [[nodiscard]] Revision waited_out() const { return waited_out_; }
  // The VIP was asked for under it, with everybody before waited out; then it was there.
  void installing(Revision created);
  // `term`: of the peer lease, in force then; 0: none was.
  void installed(uint64_t term) {
    held_ = waited_out_;
    held_in_ = term;
  }
  [[nodiscard]] uint64_t held_in() const { return held_in_; }
  // Once this node lets go, another one may follow, whatever happens to etcd.
  void let_go() { waited_out_ = 0; }
  // [safety] It was installed under the very key that it has: every former owner was waited out.
  [[nodiscard]] bool was_held(Revision created) const { return held_ != 0 && held_ == created; }
  // It is ours under that key, as of now, or of what the former process remembered. 0: it is not.
  void had(Revision created) { had_ = created; }
  // ... and was before, so nobody else can have had it meanwhile. False for 0.
  [[nodiscard]] bool was_had(Revision created) const { return had_ != 0 && had_ == created; }
  // It was asked for under that key last, whether it came or not. False for 0.
  [[nodiscard]] bool is_of(Revision created) const { return asked_ != 0 && asked_ == created; }

  // As the latest heartbeat that was a read showed it; 0: it did not.
  void read(Revision created) { read_ = created; }
  [[nodiscard]] Revision read() const { return read_; }

  // The session is over, or the cluster another one. What may still be on a link stays known.
  void forget();

 private:
  Revision changed_ = 0;
  bool put_ = false;
  Revision retired_ = 0;
  Revision releasing_ = 0;  // as `retired_`, as long as the attempt may still be refused
  Revision waited_out_ = 0;
  Revision held_ = 0;
  uint64_t held_in_ = 0;
  Revision had_ = 0;
  Revision asked_ = 0;
  Revision read_ = 0;
};

// Hosts outside the election, as far as they concern a VIP (RFC 5227).
struct Conflict {
  bool foreign = false;  // such a host has the address: out of the queue
  MacAddress mac;        // of the last that claimed it
  // A claim on an address of ours, until etcd has confirmed that it is still ours.
  MonoTime claimed_at = MonoTime::never();
  MonoTime reported_at = MonoTime::long_ago();
  MonoTime defended_at = MonoTime::long_ago();
  // A series of probes, and when one last ended without an answer.
  bool probing = false;
  int probes_sent = 0;
  MonoTime probe_at = MonoTime::never();
  MonoTime silent_at = MonoTime::long_ago();
  bool owner_known = false;  // whoever had it last took part in the election
};

// When an address that the kernel refused, or that others removed, may be added again.
struct Comeback {
  MonoTime not_before = MonoTime::long_ago();
  Duration backoff;
  bool refused = false;  // by the kernel: out of the queue until not_before
  bool removed = false;  // by others, and not back yet
  bool ours = false;     // ... and would have been kept at every moment since
  std::string by;        // who removed it, in words
  int restored = 0;
};

// The program that must succeed before the address is set.
struct Acquiring {
  uint64_t run = 0;        // its number
  bool runs = false;       // it may be running
  bool is_ending = false;  // it was asked to end
  MonoTime until;          // it is ended by then
  Revision under = 0;      // our key when it was begun
  bool succeeded = false;
  std::string fault;  // why the last one failed
};

// A hand-over that a person asked for.
struct Transfer {
  LeaseId to = LeaseId::None;  // the candidate that shall have it; None: none is under way
  MonoTime at;                 // when to clear its way again
  MonoTime by;                 // when it is given up
};

// Our place in the queue.
struct Place {
  int number = -1;                             // -1: none
  MonoTime reorder_at = MonoTime::long_ago();  // when it may be given up for somebody better
  Duration pause;                              // longer, where queues are crossed again and again
  MonoTime part_until = MonoTime::never();     // for so long a part of a group is kept

  void wait_longer(Duration most) { pause = std::clamp(pause * 2, Duration::seconds(1), most); }
};

struct LinkView;

// The head of its queue, as of one state of all queues: thousands are looked at many times a step.
struct KnownHead {
  uint64_t as_of = 0;  // View::queues_as_of()
  LeaseId lease = LeaseId::None;
  Revision created = 0;
};

struct Vip {
  // The kernel's side. Everything but Absent means that the address may be on the link. Inherited:
  // by the lifetime that a former process gave it, until we have authority of our own.
  enum class AddressState { Absent, Inherited, Adding, Present, Removing };
  static constexpr int kAlone = -1;

  VipSettings settings;
  int group = kAlone;              // as VipTable numbers them
  const LinkView* link = nullptr;  // as settings.link names it
  int priority = 0;                // ours, as a number
  VipState state = VipState::Standby;
  KeyRights key;
  mutable KnownHead head;
  Revision remembered = 0;  // of what was waited out, as the state directory has it

  AddressState address = AddressState::Absent;
  MonoTime remove_again_at = MonoTime::never();
  bool renewal_due = false;
  Comeback comeback;
  Acquiring acquiring;
  int announcements_left = 0;
  MonoTime announce_at = MonoTime::never();

  bool resigning = false;  // leave the queue once, then queue up anew
  bool dropped = false;    // no longer in the configuration: leave, then forget
  Place place;
  Transfer transfer;

  std::string blocked;  // by something on this host, in words
  bool blocked_for_owner = false;
  int lowered = 0;  // by checks that are down
  Conflict conflict;

  // Its removal has been asked for, and the answer is awaited.
  [[nodiscard]] bool is_removing() const {
    return address == AddressState::Removing && remove_again_at.is_never();
  }
};

class VipTable {
 public:
  [[nodiscard]] auto begin() { return vips_.begin(); }
  [[nodiscard]] auto end() { return vips_.end(); }
  [[nodiscard]] auto begin() const { return vips_.begin(); }
  [[nodiscard]] auto end() const { return vips_.end(); }

  [[nodiscard]] size_t size() const { return vips_.size(); }
  Vip* add() { return &vips_.emplace_back(); }
  // How many went. group() is to be called if any did.
  template <typename Condition>
  size_t erase_if(Condition condition) {
    return std::erase_if(vips_, condition);
  }
  // Which VIPs belong together, and in which order they are added, as the configuration says. After
  // every change of which there are.
  void group(const std::vector<VipSettings>& settings);
  // Whether it is true of this VIP, and of all others of its group, in their order up to the first
  // of which it is not.
  template <typename Condition>
  [[nodiscard]] bool all_of_group(const Vip& vip, Condition condition) const {
    if (vip.group == Vip::kAlone) return condition(vip);
    const std::vector<size_t>& places = groups_[static_cast<size_t>(vip.group)];
    return std::all_of(places.begin(), places.end(),
                       [&](size_t place) { return condition(vips_[place]); });
  }
  template <typename Action>
  void each_of_group(Vip* vip, Action action) {
    if (vip->group == Vip::kAlone) return action(vip);
    for (const size_t place : groups_[static_cast<size_t>(vip->group)]) action(&vips_[place]);
  }
  // 0 for all but the first of a group.
  [[nodiscard]] size_t size_of_group_at(const Vip& vip) const {
    if (vip.group == Vip::kAlone) return 1;
    const std::vector<size_t>& places = groups_[static_cast<size_t>(vip.group)];
    return &vips_[places.front()] == &vip ? places.size() : 0;
  }

  // The next one after the last that was found this way, or nullptr: what is done to all of them,
  // one by one, finds each at once.
  template <typename Condition>
  Vip* next(Condition condition) {
    for (size_t i = 0; i < vips_.size(); i++) {
      const size_t place = (found_ + i) % vips_.size();
      if (!condition(vips_[place])) continue;
      found_ = place;
      return &vips_[place];
    }
    return nullptr;
  }
  // Of those that group() has seen.
  [[nodiscard]] Vip* find(const Address& address);
  // As find(), and nothing goes on from it.
  [[nodiscard]] const Vip* at(const Address& address) const;
  // Where those begin that come after it.
  [[nodiscard]] auto after_found() {
    return vips_.begin() + static_cast<ptrdiff_t>(std::min(found_ + 1, vips_.size()));
  }

 private:
  std::vector<Vip> vips_;
  std::vector<std::vector<size_t>> groups_;  // places in vips_
  std::vector<uint32_t> by_address_;         // likewise
  size_t found_ = 0;
};

}  // namespace vipd
