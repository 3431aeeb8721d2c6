// What has been asked of etcd and not been answered, the highest revision that it has shown, and
// whether it answers at all. Never sends anything.
#pragma once

#include <algorithm>
#include <map>
#include <utility>

#include "vipd/event.hpp"
#include "vipd/types.hpp"

namespace vipd {

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
  // Of a cluster that is gone: whatever answers it gives are nobody's.
  void forget();

  // etcd answers, or shows something of ours. True when it was said to be out of reach.
  bool heard(MonoTime now);
  // A request failed. True when this is news: nothing was heard for so long, and nobody said it
  // yet.
  [[nodiscard]] bool lost(MonoTime now, Duration patience);

 private:
  RequestId last_ = 0;
  std::map<RequestId, Revision> asked_at_;
  Revision revision_ = 0;
  MonoTime heard_at_ = MonoTime::long_ago();
  bool lost_ = false;
};

}  // namespace vipd
