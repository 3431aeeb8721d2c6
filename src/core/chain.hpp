// Our session's chain of compare-and-swaps (ARCHITECTURE.md, "Heartbeat" and "Authority"). Every
// write to a key of ours is a link of it, so at most one of the attempts made at one end ever
// commits, and a delayed duplicate can undo nothing. Builds txns and judges their results; never
// sends anything.
#pragma once

#include <cassert>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "vipd/event.hpp"
#include "vipd/store.hpp"
#include "vipd/types.hpp"

namespace vipd {

// What one link does besides putting the session key.
struct Join {
  Address vip;
  int priority = 0;
};

struct Link {
  bool put_writes = false;
  std::vector<Join> join;      // put our candidate key
  std::vector<Address> leave;  // delete it: a clean release, said in the same txn
  bool held = false;           // each VIP in `leave` was installed under the key that goes
  // The peer lease: put our P/peers key, or delete it. Never both.
  std::optional<PeerTerm> enter{};
  bool leave_term = false;
  bool mark = false;    // with `enter`: put our P/hold key, too
  bool unmark = false;  // with `enter` or `leave_term`: else delete it
  Revision seen = 0;    // up to which our watch has been applied and acted on
  Host host{};          // where we run

  [[nodiscard]] size_t size() const { return join.size() + leave.size(); }
};

// etcd refuses a txn of more than 128 operations (--max-txn-ops); a link has four of its own.
constexpr size_t kMaxLinkSize = 120;

class Chain {
 public:
  struct Identity {
    std::string node;
    std::string instance;
    Duration timeout;
    uint64_t incarnation = 0;
  };

  struct Outcome {
    enum class Kind { Nothing, Committed, Fenced };
    Kind kind = Kind::Nothing;
    Revision revision = 0;  // Committed: the new end
    // Committed: what it did. Whatever else was tried at the same end certainly never happens.
    Link link{};
    std::string why{};      // Fenced
    bool key_gone = false;  // Fenced: no session key, rather than somebody else's
  };

  // Starts a session on a fresh lease; its key must not exist yet.
  void open(LeaseId lease, Identity identity);
  // Takes up the session of a former process, whose key was read as `key`. Ours only once an
  // attempt has committed, which is also when nothing that process had under way can commit any
  // more.
  void adopt(const Entry& key, Identity identity);
  // There is no session any more.
  void close();
  // [safety] The host was suspended, and its clock may have erred meanwhile: whatever was sent
  // before gives no authority any more.
  void slept();

  [[nodiscard]] LeaseId lease() const { return lease_; }
  [[nodiscard]] bool live() const { return live_; }  // the session key is known to be ours
  [[nodiscard]] bool busy() const { return !attempts_.empty(); }
  [[nodiscard]] Revision end() const { return end_; }
  // [safety] The latest instant until which VIPs may be owned: an echoed heartbeat's send time plus
  // the timeout written in it. long_ago() without authority.
  [[nodiscard]] MonoTime deadline() const { return deadline_; }
  // What renewed it last was a read.
  [[nodiscard]] bool by_read() const { return by_read_; }
  // When the newest attempt was sent first, which is what it would count from; and when anything
  // was sent last.
  [[nodiscard]] MonoTime last_sent() const { return last_sent_; }
  [[nodiscard]] MonoTime last_tried() const { return last_tried_; }
  // Requests made at the present end.
  [[nodiscard]] size_t tries() const { return tries_; }
  // Nothing new may be tried at this end: its newest attempt is sent again.
  [[nodiscard]] bool full() const { return attempts_.size() == kMaxAttempts; }
  // Since when a heartbeat known to be committed waits for its echo; never() when none does.
  [[nodiscard]] MonoTime echo_missing_since() const;
  // Whether the newest attempt has failed, and when. It may still commit.
  [[nodiscard]] bool newest_failed() const { return busy() && attempts_.back().failed; }
  [[nodiscard]] MonoTime newest_failed_at() const {
    assert(newest_failed());
    return attempts_.back().failed_at;
  }
  [[nodiscard]] const Link& newest_link() const {
    assert(busy());
    return attempts_.back().link;
  }

  // One more attempt at the present end. `nonce` must be fresh and not zero. [safety] `now` is
  // before the send, and it is what counts. REQUIRES: !full().
  [[nodiscard]] Txn attempt(MonoTime now, RequestId request, uint64_t nonce, Link link);
  // The newest attempt once more, by another request: the same nonce and the same link. [safety] It
  // counts from when it was sent first, since nobody can tell which of the two commits. REQUIRES:
  // busy().
  [[nodiscard]] Txn again(MonoTime now, RequestId request);

  [[nodiscard]] bool owns(RequestId request) const;
  [[nodiscard]] Outcome answered(MonoTime now, const event::TxnAnswered& answer);
  // Its outcome stays open: it may still commit, now or later.
  void failed(MonoTime now, RequestId request);
  // Our session key as our own watch shows it. `echoed` is set when authority was renewed.
  [[nodiscard]] Outcome seen(MonoTime now, const Change& change, bool* echoed);
  // A heartbeat that was a read, sent at `sent`, answered at that revision: our session key
  // (nullptr: it is gone), and whether it still had its `writes` key.
  [[nodiscard]] Outcome read(MonoTime now, MonoTime sent, const Entry* entry, Revision revision,
                             bool writes);
  // Our session key as a snapshot of that revision shows it (nullptr: it is gone). Never an echo.
  [[nodiscard]] Outcome found(MonoTime now, const Entry* entry, Revision snapshot);

 private:
  // So many attempts at one end differ. None of them is forgotten before the end has moved: an
  // attempt that commits unknown fences us, and a member that is cut off from its leader keeps a
  // request for as long as that lasts (53.7 s after the client gave it up, etcd 3.4).
  static constexpr size_t kMaxAttempts = 32;

  struct Attempt {
    RequestId request = 0;  // the latest that carries it
    uint64_t nonce = 0;
    MonoTime sent;
    Duration timeout;
    Link link{};
    bool counts = true;  // the host was not suspended since
    bool failed = false;
    MonoTime failed_at{};
  };
  struct Unechoed {
    uint64_t nonce = 0;
    Revision revision = 0;
    MonoTime sent;
    Duration timeout;
    MonoTime known_since;
    bool counts = true;
  };

  [[nodiscard]] Outcome commit(MonoTime now, size_t index, Revision revision);
  [[nodiscard]] Outcome judge(MonoTime now, const Entry& entry);
  [[nodiscard]] Txn txn_of(const Attempt& attempt) const;
  [[nodiscard]] Value value_of(const Attempt& attempt) const;
  void add_term(const Link& link, Txn* txn) const;
  [[nodiscard]] Key session_key() const { return Key{KeyKind::Session, lease_, {}}; }
  void echo(const Unechoed& heartbeat);

  LeaseId lease_ = LeaseId::None;
  Identity identity_;
  Revision end_ = 0;
  bool live_ = false;
  uint64_t end_nonce_ = 0;
  std::vector<Attempt> attempts_;  // all at end_; at most one of them ever commits
  std::deque<Unechoed> unechoed_;  // committed, not yet seen by our watch, oldest first
  MonoTime deadline_ = MonoTime::long_ago();
  bool by_read_ = false;
  MonoTime last_sent_ = MonoTime::long_ago();
  MonoTime last_tried_ = MonoTime::long_ago();
  size_t tries_ = 0;
};

}  // namespace vipd
