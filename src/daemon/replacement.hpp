// SIGUSR2: the program on disk is run in our place, and takes our session up as after a restart
// (ARCHITECTURE.md, "Taking up one's own session after a restart"). Handed over are the helper's
// socket and the packet fence. Whatever stands in the way is logged, and we go on.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "daemon/fence_side.hpp"
#include "vipd/config.hpp"
#include "vipd/loop.hpp"
#include "vipd/peer_view.hpp"
#include "vipd/state.hpp"

namespace vipd::conf {
struct Sources;
}
namespace vipd::sys {
class Notify;
class Program;
}  // namespace vipd::sys

namespace vipd {

class Kept;
class Programs;

class Replacement {
 public:
  // How the daemon stands at this moment.
  struct Situation {
    NodeState node = NodeState::Starting;
    bool is_busy = false;  // a txn is under way, or something is still to be performed
    bool owns_anything = false;
    bool has_etcd = true;
    uint64_t echoed = 0;  // heartbeats that gave authority
    Duration timeout;
    PeersView peers;
  };
  struct Needs {
    const Config& config;  // in force
    const conf::Sources& sources;
    const std::string& pidfile;  // empty: none
    const sys::Program& program;
    Programs& programs;
    Kept& kept;
    sys::Notify& notify;
    std::function<FenceSide::Descriptors()> fence;
    std::function<Situation()> situation;
    // false: the peer lease is left, and no other is tried; true: as the configuration has it.
    std::function<void(bool)> use_peers;
  };

  // Descriptors that the program in whose place we run left open.
  struct Inherited {
    int helper = -1;  // -1: there is none
    FenceSide::Descriptors fence = FenceSide::kNone;
  };
  [[nodiscard]] static Inherited inherited(const sys::Program& program);
  // The new program itself, in the background, finds these faults in its configuration, and ends.
  // They go to syslog: nobody reads its stderr.
  static void refused(const std::vector<std::string>& errors);

  Replacement(Loop& loop, Needs needs);

  // SIGUSR2 came. The new program is tried out first, if there is a helper that can run it.
  void asked();
  // A txn was sent. `echoed`: how many heartbeats had given authority by then.
  void txn_sent(uint64_t echoed) { echoed_at_txn_ = echoed; }
  // To be called at the end of each turn: replaces this process as soon as nothing is under way.
  void end_turn();

 private:
  [[nodiscard]] bool is_possible(std::string* reason) const;
  void wait_for_quiet();
  void replace();
  void go_on(const std::string& reason);

  Loop& loop_;
  Needs needs_;
  MonoTime by_ = MonoTime::never();  // given up then; never: nobody asked
  uint64_t echoed_at_txn_ = 0;
};

}  // namespace vipd
