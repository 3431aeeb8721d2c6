// The reads of all keys: whether what was read still holds, which read is under way, and when the
// next one is due. Never sends anything.
#pragma once

#include <cassert>
#include <utility>

#include "core/timing.hpp"
#include "vipd/event.hpp"
#include "vipd/types.hpp"

namespace vipd {

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
  MonoTime read_at_ = MonoTime::long_ago();
  Duration backoff_;
};

}  // namespace vipd
