// etcd's keys as the watch has shown them up to one revision: the sessions, the queue of each VIP,
// and how long each VIP must be left alone (ARCHITECTURE.md, "Taking a VIP"). Never decides what to
// do.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "vipd/state.hpp"
#include "vipd/store.hpp"
#include "vipd/types.hpp"

namespace vipd {

class View {
 public:
  // The head of a queue and the second in it show heartbeats; nobody else needs to.
  static constexpr int kBeating = 2;

  struct Session {
    std::string node;
    std::string instance;
    bool present = false;  // its session key is there now
    bool known = false;  // it was there at some time: this is one of ours, not a foreign candidate
    bool writes = false;
    Revision modified = 0;
    Duration timeout;
    MonoTime last_seen = MonoTime::long_ago();   // when we last saw a heartbeat of it
    MonoTime gone_since = MonoTime::long_ago();  // when we saw its session key vanish
    uint32_t candidates = 0;
    uint64_t incarnation = 0;  // of the process that wrote it last; 0: it takes no part in a term
    Revision seen = 0;         // up to which it has acted on what etcd showed it
    bool honours = false;      // marks
    Host host{};               // where that process runs
  };

  // A peer lease in force, or the mark of an owner that may hold on without etcd: its key, as it
  // was put last.
  struct Peers {
    PeerTerm term;  // of a mark that somebody wrote over: the last that was known
    Revision modified = 0;
    // Of a mark only: the owner.
    std::string node{};
    Grantor owner{};  // without a secret
  };

  // Who may have a VIP although its candidate key is gone, since that revision.
  struct Suspect {
    LeaseId lease = LeaseId::None;
    Revision since = 0;
  };

  struct Candidate {
    LeaseId lease = LeaseId::None;
    Revision created = 0;
    std::string node;
    int priority = 0;
    bool ours = false;  // its value is JSON of ours
  };

  struct Queue {
    std::vector<Candidate> candidates;  // by create revision; the first is the head
    MonoTime not_before = MonoTime::long_ago();
    // Since when we see the present head and the present second at their places: those who beat.
    std::array<MonoTime, kBeating> since{MonoTime::long_ago(), MonoTime::long_ago()};
    TakeoverCause cause = TakeoverCause::First;       // how the last head went
    std::string how;                                  // ... in words
    bool handed_on = false;                           // ... it had held the VIP, and let go of it
    MonoTime handed_on_after = MonoTime::long_ago();  // ... at a later time than this
    std::vector<Suspect> suspects;                    // each has a mark

    [[nodiscard]] const Candidate* head() const {
      return candidates.empty() ? nullptr : &candidates.front();
    }
    // Place of a lease's candidate, or -1.
    [[nodiscard]] int position(LeaseId lease) const;
  };

  // Takes more of a snapshot. REQUIRES: it began empty, and is given to load() once it has all.
  void gather(const std::vector<Entry>& entries);
  // Forgets everything and starts from a snapshot. It is not known who held what just before it, so
  // every VIP is left alone for the longest timeout in sight.
  void load(MonoTime now, Revision revision, View&& gathered, Duration own_timeout);
  // When the last of our heartbeats was sent that the watch has shown: what it shows from now on
  // was committed after that, however late it comes.
  void echoed(MonoTime sent) { echoed_ = sent; }
  // Takes whole revisions in order; those that were applied before are passed over.
  void apply(MonoTime now, const std::vector<Change>& changes, Duration own_timeout);
  // Everything up to `revision` has been delivered, although nothing of it concerned us.
  void progress(Revision revision);

  // [safety] The host was suspended since `before`, and its clock may have erred meanwhile: every
  // wait that was not over by then begins anew.
  void restart_waits(MonoTime before, MonoTime now, Duration own_timeout);

  [[nodiscard]] Revision applied() const { return applied_; }
  // The longest timeout of all sessions in sight; zero without any.
  [[nodiscard]] Duration longest_timeout() const;
  // nullptr for a lease that has neither session nor candidate.
  [[nodiscard]] const Session* session(LeaseId lease) const;
  [[nodiscard]] const Queue& queue(const Address& vip) const;
  // Another number after each change of any queue's candidates, and whenever the view is replaced.
  [[nodiscard]] uint64_t queues_as_of() const { return as_of_.number; }
  [[nodiscard]] const std::map<LeaseId, Session>& sessions() const { return sessions_; }
  // By the owner's lease; without those whose value is none of ours.
  [[nodiscard]] const std::map<LeaseId, Peers>& peers() const { return peers_; }
  // Likewise, those of others and ours.
  [[nodiscard]] const std::map<LeaseId, Peers>& marks() const { return marks_; }
  [[nodiscard]] const Peers* mark(LeaseId lease) const;
  // Every session in sight honours marks, and nobody foreign is queued.
  [[nodiscard]] bool all_honour_marks() const;
  // The VIPs that a lease is queued for, in order.
  [[nodiscard]] std::vector<Address> vips_of(LeaseId lease) const;
  [[nodiscard]] const Candidate* candidate(const Address& vip, LeaseId lease) const;

 private:
  // What must be known of a queue before a revision to judge what the revision did to it.
  struct Before {
    Address vip{};
    std::array<Candidate, kBeating> first{};  // lease None: nobody was there
    bool writes = false;                      // of the head
    std::string instance{};                   // of the head's session
  };

  // A session that was put with `released`.
  struct Release {
    LeaseId lease = LeaseId::None;
    bool held = false;
  };

  void apply_revision(MonoTime now, std::span<const Change> changes, Duration own_timeout);
  void apply_change(MonoTime now, const Change& change);
  void apply_session(MonoTime now, const Change& change);
  void apply_candidate(const Change& change);
  void apply_peers(const Change& change);
  void apply_mark(const Change& change);
  void suspect_marked(Queue* queue, Revision revision) const;
  void clear_suspects(LeaseId lease, Revision seen);
  [[nodiscard]] Before remember(const Address& vip) const;
  void judge_head(MonoTime now, const Before& before, const Release* release, Revision revision,
                  Duration own_timeout);
  void judge_suspect(Queue* queue, LeaseId head, bool released, Revision revision) const;
  void drop_forgotten(MonoTime now);

  std::map<LeaseId, Session> sessions_;
  std::map<LeaseId, Peers> peers_;
  std::map<LeaseId, Peers> marks_;
  size_t foreign_ = 0;  // candidates
  // Every queue is looked for many times a turn: with thousands of them a tree is most of it.
  struct Slot : Queue {
    mutable const std::pair<const Address, Slot>* next_asked = nullptr;  // after it, the last time
  };
  void forget_order();

  // Whatever is assigned to it, it goes on.
  struct Counter {
    uint64_t number = 1;
    Counter() = default;
    Counter(const Counter&) = default;
    Counter& operator=(const Counter&) {
      number++;
      return *this;
    }
  };

  std::unordered_map<Address, Slot, Address::Hash> queues_;
  Counter as_of_;
  mutable const std::pair<const Address, Slot>* asked_ = nullptr;  // last
  Queue unknown_;  // a VIP that nobody is queued for; carries the first snapshot's not_before
  MonoTime echoed_ = MonoTime::long_ago();
  Revision applied_ = 0;
};

}  // namespace vipd
