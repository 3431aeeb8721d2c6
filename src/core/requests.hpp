// What has been asked of etcd: the requests without an answer, and the reads of all keys. Never
// sends anything.
#pragma once

#include <algorithm>
#include <cassert>
#include <map>
#include <utility>
#include <vector>

#include "core/timing.hpp"
#include "core/view.hpp"
#include "vipd/event.hpp"
#include "vipd/types.hpp"

namespace vipd {

// The requests that were not answered, the highest revision that etcd has shown, and whether it
// answers at all.
class Requests {
 public:
  // The number of a new one, which is never used twice.
  [[nodiscard]] RequestId next();
  [[nodiscard]] RequestId last() const { return last_; }
  // Sent, and neither answered nor forgotten.
  [[nodiscard]] bool awaits(RequestId request) const { return asked_at_.contains(request); }
  void done(RequestId request) { asked_at_.erase(request); }
  // [safety] The highest revision that was known when it was sent: a true answer is not older. 0
  // for one that is not awaited.
  [[nodiscard]] Revision floor(RequestId request) const;
  void shown(Revision revision) { revision_ = std::max(revision_, revision); }
  // The cluster is another one: answers to requests of before are ignored.
  void forget();

  // etcd answers, or shows something of ours. True when it was said to be out of reach.
  bool heard(MonoTime now);
  // A request failed. True when that is to be reported: nothing was heard for `patience`, and it
  // was not reported yet.
  [[nodiscard]] bool lost(MonoTime now, Duration patience);

 private:
  RequestId last_ = 0;
  std::map<RequestId, Revision> asked_at_;
  Revision revision_ = 0;
  MonoTime heard_at_ = MonoTime::long_ago();
  bool lost_ = false;
};

// The reads of all keys: whether what was read still holds, which read is under way, and when the
// next one is due.
class Snapshot {
 public:
  // One has been applied, and the watch goes on from it.
  [[nodiscard]] bool loaded() const { return loaded_; }
  // One was read since the cluster is known.
  [[nodiscard]] bool answered() const { return answered_; }
  // No watch was opened since the last one.
  [[nodiscard]] bool fresh() const { return fresh_; }

  // --- reading
  [[nodiscard]] bool wanted() const { return !loaded_ && reading_ == 0; }
  [[nodiscard]] MonoTime read_at() const { return read_at_; }
  void read_at(MonoTime time) { read_at_ = time; }
  // REQUIRES: wanted().
  void reading(RequestId request);
  // A read that only looks at the header. REQUIRES: !is_checking().
  [[nodiscard]] bool is_checking() const { return checking_ != 0; }
  void checking(RequestId request);
  // Whether it is one of these; it is answered or has failed then.
  [[nodiscard]] bool take_read(RequestId request) { return take(&reading_, request); }
  [[nodiscard]] bool take_check(RequestId request) { return take(&checking_, request); }

  // --- answers that come in parts, one answer after another
  // What has come of one. A view is made of it only where it is to be loaded.
  struct Arrived {
    RequestId request = 0;
    std::vector<Entry> entries;
    View view;
  };
  // Takes a part, and decides nothing. What has come of its answer so far, which may be moved from
  // once it is all; good until the next part.
  Arrived& arrives(const event::PrefixRead& part);

  // --- what came of it
  void load();
  void watched() { fresh_ = false; }
  void failed(MonoTime now);
  // What was read holds no more.
  void read_again(MonoTime now);
  // Another cluster answers from now on.
  void start_over(MonoTime now);
  void forget(MonoTime now);

 private:
  static bool take(RequestId* which, RequestId request) {
    return request != 0 && *which == request && std::exchange(*which, 0) != 0;
  }

  bool loaded_ = false;
  bool answered_ = false;
  bool fresh_ = false;
  RequestId reading_ = 0;
  RequestId checking_ = 0;
  Arrived arrived_;
  MonoTime read_at_ = MonoTime::long_ago();
  Duration backoff_;
};

}  // namespace vipd
