// Our watch, and what it has shown. Never opens one.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "core/timing.hpp"
#include "vipd/store.hpp"
#include "vipd/types.hpp"

namespace vipd {

// Whether it is open, when it is opened again, and what it is to show by when.
class Watch {
 public:
  [[nodiscard]] bool is_closed() const { return state_ == State::Closed; }
  [[nodiscard]] bool is_opening() const { return state_ == State::Opening; }
  // The next one is opened then, or an open one may be replaced from then on.
  [[nodiscard]] MonoTime next_at() const { return next_at_; }
  // ... at another member than the present one.
  [[nodiscard]] bool elsewhere() const { return elsewhere_; }
  void reopen_by(MonoTime time) { next_at_ = std::min(next_at_, time); }

  // `patience`: how long a member may take to answer.
  void opening(MonoTime now, Duration patience);
  void created() { state_ = State::Open; }
  void advanced();
  // The watch or a snapshot has shown something; when it last did.
  void shown(MonoTime now) { shown_at_ = now; }
  [[nodiscard]] MonoTime shown_at() const { return shown_at_; }
  // ... what was never shown before; after a `gap` without any, news begin anew.
  void news(MonoTime now, Duration gap) {
    if (now - news_at_ >= gap) news_since_ = now;
    news_at_ = now;
  }
  // For how long news have come without such a gap.
  [[nodiscard]] Duration news_last(MonoTime now, Duration gap) const {
    return now - news_at_ < gap ? news_at_ - news_since_ : Duration();
  }
  void ended(MonoTime now);
  // It did not show in time what etcd had committed: the backoff grows. advanced() resets it.
  void late();
  // A snapshot was read: the next one goes on from there.
  void close(MonoTime now);
  void forget();

  // Whether the next one cannot be verified by what was shown before (see Replay). take_adrift()
  // also resets that.
  void adrift(bool is) { adrift_ = is; }
  [[nodiscard]] bool take_adrift() { return std::exchange(adrift_, false); }

  // etcd has committed what somebody waits for to be shown.
  void await(Revision revision, MonoTime now);
  [[nodiscard]] bool awaits_beyond(Revision applied) const { return awaited_ > applied; }
  // When that should have been shown.
  [[nodiscard]] MonoTime shown_by() const {
    return std::max(awaited_since_, opened_) + timing::kShownWithin;
  }

 private:
  enum class State { Closed, Opening, Open };

  State state_ = State::Closed;
  MonoTime next_at_ = MonoTime::long_ago();
  MonoTime opened_ = MonoTime::long_ago();
  MonoTime shown_at_ = MonoTime::long_ago();
  MonoTime news_at_ = MonoTime::long_ago();
  MonoTime news_since_ = MonoTime::long_ago();
  Duration backoff_;
  bool elsewhere_ = false;
  bool adrift_ = false;
  Revision awaited_ = 0;
  MonoTime awaited_since_;
};

// What it has shown since the last session put. A watch that is opened anew begins there and must
// show the same again: nonces are never used twice, so whatever shows something else follows
// another history, whatever its revisions say (a restored backup may have grown past all that we
// know). A snapshot is verified in the same way: what came between its last session put and it must
// end in what it shows. Without a session put nothing can be verified, and nothing is proven.
class Replay {
 public:
  // A snapshot of that revision, which it keeps. Nothing is proven until a watch has gone past it.
  const std::vector<Entry>& load(Revision revision, std::vector<Entry> entries);
  // Whole revisions, in order, that were applied.
  void add(const std::vector<Change>& changes);

  // Where a watch must begin; 0: there is nothing to verify it by.
  [[nodiscard]] Revision begin() const { return begin_; }
  void let_go() { begin_ = 0; }
  // A watch begins anew.
  void restart();
  // What was applied, snapshot included, is of the history that the watch shows.
  [[nodiscard]] bool proven() const { return proven_; }
  // The open watch has shown everything again.
  [[nodiscard]] bool complete() const { return proven_ && shown_ == log_.size(); }
  // Whether what it shows goes on from, or through, what was applied up to that revision.
  [[nodiscard]] bool matches(const std::vector<Change>& changes, Revision applied);

 private:
  [[nodiscard]] bool follows(const Change& change, Revision applied);
  [[nodiscard]] bool ends_in_snapshot() const;

  Revision begin_ = 0;
  std::vector<Change> log_;      // begins with a session put
  std::vector<Entry> snapshot_;  // until it is proven
  Revision floor_ = 0;           // the snapshot's revision
  bool proven_ = false;
  size_t shown_ = 0;  // of the log, by the watch that is open
};

}  // namespace vipd
