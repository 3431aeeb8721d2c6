// What the watch has shown since the last session put. A watch that is opened anew begins there and
// must show the same again: nonces are never used twice, so whatever shows something else follows
// another history, whatever its revisions say (a restored backup may have grown past all that we
// know).
#pragma once

#include <vector>

#include "vipd/store.hpp"

namespace vipd {

class Replay {
 public:
  // A snapshot of that revision: what came between its last session put and it is not known.
  void load(Revision revision, const std::vector<Entry>& entries);
  // Whole revisions, in order, that were applied.
  void add(const std::vector<Change>& changes);

  // Where a watch must begin; 0: there is nothing to hold it by.
  [[nodiscard]] Revision begin() const { return log_.empty() ? 0 : log_.front().entry.modified; }
  // A watch begins anew, at begin() (held) or elsewhere.
  void restart(bool held);
  // The open watch has shown everything again.
  [[nodiscard]] bool complete() const { return shown_ == log_.size(); }
  // Whether what it shows goes on from, or through, what was applied up to `applied`.
  [[nodiscard]] bool matches(const std::vector<Change>& changes, Revision applied);

 private:
  std::vector<Change> log_;  // begins with a session put
  Revision floor_ = 0;       // of the snapshot
  size_t shown_ = 0;         // of the log, by the watch that is open
};

}  // namespace vipd
