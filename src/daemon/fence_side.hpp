// The packet fence as the daemon has it: on every link on which the kernel answers, looked after,
// closed and opened as the core says. Tells the core whether it may be believed. What a former
// process left in the kernel is removed here, and not too early (net/fence.hpp, "Life").
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vipd/action.hpp"
#include "vipd/config.hpp"
#include "vipd/event.hpp"
#include "vipd/in_turns.hpp"
#include "vipd/loop.hpp"

namespace vipd::net {
class Fence;
class FenceHooks;
class FenceMemory;
struct Link;
}  // namespace vipd::net

namespace vipd {

class Network;

class FenceSide {
 public:
  using Descriptors = std::array<int, 3>;  // map, ingress, egress; -1: none
  static constexpr Descriptors kNone = {-1, -1, -1};

  struct Handlers {
    std::function<void(const Event&)> feed;
    std::function<void(const std::string&)> note;  // for the history
  };

  FenceSide(Loop& loop, const Network& network, Handlers handlers);
  ~FenceSide();
  FenceSide(const FenceSide&) = delete;
  FenceSide& operator=(const FenceSide&) = delete;

  // Loads the programs, or takes those of the process in whose place we run. Where there is no
  // fence reason() says why. Before privileges go. REQUIRES: once; state_dir is locked by us.
  void open(const Config& config, const Descriptors& inherited);
  // This process has no fence, and the fence of a former one would silence our VIPs: the former
  // one's addresses must be removed first.
  [[nodiscard]] bool is_in_the_way() const;
  // Puts it on the links that are there, on those that take the kernel long within half a second or
  // as turns come, and tells the core. REQUIRES: the network is open; the core is started.
  void start();
  // Links may have come or gone.
  void links_seen();
  // To be called in each turn, after the core: looks after it once a second, as turns come. It may
  // spend the budget of the turn, so a core that came later would never have any.
  void begin_turn();
  // After the addresses were removed, at the end: takes it off the links, as turns come, and calls
  // `done`. What is still on a link stays behind a closed fence.
  void stop(const Loop::Handler& done);

  void perform(const action::SetFence& a);
  // To be called before the address is added. False: there is no room for it, and it may not be
  // added.
  [[nodiscard]] bool protect(const Address& address);
  // To be called once the kernel has removed it.
  void unprotect(const Address& address);

  // To be called before a request of the peer lease is sent, and when its grant has come: whether
  // the fence saw both (net/fence_memory.hpp).
  void expect(int link_index, uint64_t nonce);
  enum class Sight { Unknown, Missed, Whole };
  [[nodiscard]] Sight sight(int link_index, uint64_t nonce);

  [[nodiscard]] bool is_in_force() const { return is_told_ && told_.empty(); }
  // "tcx", "clsact", or "none".
  [[nodiscard]] const char* kind() const;
  // Why it is not in force, for people; empty: it is.
  [[nodiscard]] const std::string& reason() const { return told_; }
  // Whether the clock was slewed by more than 400 parts in a million within `span`: then no grant
  // may be counted by it.
  [[nodiscard]] static bool is_slewed(const Loop::Slew& before, const Loop::Slew& now,
                                      Duration span);
  // For a program that takes our place.
  [[nodiscard]] Descriptors descriptors() const;

 private:
  // A link on which it is to be.
  struct Guard {
    std::string fault;  // why it is not, in words; empty: it is, and is the first
    MonoTime try_at = MonoTime::long_ago();
    Duration backoff;       // another filter may want the same place
    bool is_moved = false;  // to tcx, which others use
  };

  void guard(const net::Link& link, Guard* guard);
  void guard_new(const net::Link& link, Guard* one);
  bool is_first(int link_index);
  void look(int link_index);
  void look_after();
  void look_at_some();
  void mend();
  void look_at_clocks();
  void tell();
  [[nodiscard]] std::string fault() const;
  [[nodiscard]] bool may_remove_former() const;
  void remove_former();
  [[nodiscard]] bool remove_next_former();
  [[nodiscard]] std::vector<int> links_of_vips_last() const;
  [[nodiscard]] bool detach_next();

  Loop& loop_;
  const Network& network_;
  Handlers handlers_;
  std::unique_ptr<net::FenceHooks> hooks_;
  std::unique_ptr<net::Fence> fence_;
  std::string missing_ = "it is not loaded yet";  // why there is none at all
  std::map<int, Guard> guards_;                   // by link
  std::string clock_fault_;
  std::string room_fault_;
  InTurns removal_;  // of ours or a former process's
  // The links from which that one's is still to be removed, the next one last; none: not begun.
  std::optional<std::vector<int>> to_clear_;
  bool is_clear_ = true;     // of it, those before
  bool is_detached_ = true;  // ours, likewise
  bool is_started_ = false;
  MonoTime started_;
  bool is_told_ = false;
  std::string told_ = missing_;
  bool is_set_ = false;  // the core has set a deadline
  MonoTime look_at_ = MonoTime::long_ago();
  bool is_looking_ = false;
  int looked_at_ = 0;   // the link that was looked at last
  MonoTime clocks_at_;  // when they were compared last
  Loop::Slew clocks_;
  MonoTime clocks_ran_wrong_ = MonoTime::long_ago();
};

}  // namespace vipd
