// What the watch has shown since the last session put. A watch that is opened anew begins there and
// must show the same again: nonces are never used twice, so whatever shows something else follows
// another history, whatever its revisions say (a restored backup may have grown past all that we
// know). A snapshot is held in the same way: what came between its last session put and it must end
// in what it shows. Where there is no session put, nothing can be held, and nothing is proven.
#pragma once

#include <vector>

#include "vipd/store.hpp"

namespace vipd {

class Replay {
 public:
  // A snapshot of that revision. Nothing is proven until a watch has gone past it.
  void load(Revision revision, const std::vector<Entry>& entries);
  // Whole revisions, in order, that were applied.
  void add(const std::vector<Change>& changes);

  // Where a watch must begin; 0: there is nothing to hold it by.
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
