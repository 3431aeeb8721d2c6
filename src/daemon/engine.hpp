// Runs the core: its steps, what it wants done in order, and the one timer for all that it waits
// for. Decides nothing, and performs nothing itself. Actions that exist once for each VIP take no
// more of a turn than the loop's budget (ARCHITECTURE.md, "No turn is long").
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>

#include "vipd/core.hpp"
#include "vipd/loop.hpp"

namespace vipd {

// One function for each kind of action: std::visit(Visitor{...}, action). One that is missing does
// not compile.
template <typename... Cases>
struct Visitor : Cases... {
  using Cases::operator()...;
};
template <typename... Cases>  // clang 14 does not deduce it for an aggregate
Visitor(Cases...)->Visitor<Cases...>;

class Engine {
 public:
  struct Handlers {
    // Called before each step, for figures that the step may change.
    std::function<void()> before_step;
    // Called for one action after the other, never from inside itself. It may feed().
    std::function<void(const Action&)> perform;
    // Called after a step, with the event that it was for.
    std::function<void(const Event&)> after_step = nullptr;
  };

  Engine(Loop& loop, Handlers handlers);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Makes the core and performs what it wants first. REQUIRES: once, before all that follows.
  void start(const Settings& settings);
  // One step. Actions that follow from a completion inside a kernel call come before all other
  // pending actions. What the host shows (event::HostChanged) is gathered, and so is what the watch
  // shows; the step for it is made before the next one of another event, or at the end of the turn.
  // Nothing happens after finish().
  void feed(const Event& event);
  // To be called at the start of each turn, and at its end.
  void begin_turn();
  void end_turn();
  // The core is done: it takes no further step.
  void finish() { is_finished_ = true; }

  [[nodiscard]] const Core& core() const;
  // Removals that were asked for and are not performed yet.
  [[nodiscard]] const std::deque<action::RemoveAddress>& removals() const { return removals_; }
  // Something is still to be performed.
  [[nodiscard]] bool is_behind() const;

 private:
  [[nodiscard]] Input input() const;
  void step(const Event& event);
  void step_for_host();
  void gather(const event::WatchAdvanced& more);
  void step_for_watch();
  void take(Actions actions);
  [[nodiscard]] std::optional<Action> next();
  void perform_all();
  void arm(MonoTime deadline);

  Loop& loop_;
  Handlers handlers_;
  std::unique_ptr<Core> core_;
  std::deque<Action> actions_;  // still to be performed, in order
  std::deque<action::RemoveAddress> removals_;
  std::deque<Action> words_;                   // for people, and the end
  event::HostChanged seen_;                    // the core is told at the end of the turn
  std::optional<event::WatchAdvanced> shown_;  // likewise
  bool is_performing_ = false;
  bool is_finished_ = false;
  Loop::Timer timer_ = Loop::Timer::None;
  MonoTime armed_ = MonoTime::never();
};

}  // namespace vipd
