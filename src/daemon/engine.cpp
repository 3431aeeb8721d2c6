#include "daemon/engine.hpp"

#include <algorithm>
#include <cassert>
#include <iterator>
#include <utility>

#include "sys/random.hpp"

namespace vipd {

Engine::Engine(Loop& loop, Handlers handlers) : loop_(loop), handlers_(std::move(handlers)) {}

Engine::~Engine() = default;

void Engine::start(const Settings& settings) {
  assert(core_ == nullptr);
  Actions actions;
  core_ = std::make_unique<Core>(settings, input(), &actions);
  actions_.assign(std::make_move_iterator(actions.begin()), std::make_move_iterator(actions.end()));
  perform_all();
}

const Core& Engine::core() const {
  assert(core_ != nullptr);
  return *core_;
}

// [safety] Both clocks as of one moment: an earlier `now` would let waits that begin anew after a
// suspension begin before it.
Input Engine::input() const {
  Input input;
  input.random = sys::random_u64();
  do {
    input.suspended = loop_.suspended();
    input.now = loop_.now();
  } while (loop_.suspended() != input.suspended);
  return input;
}

void Engine::feed(const Event& event) {
  assert(core_ != nullptr);
  if (is_finished_) return;
  Actions actions;
  handlers_.before_step();
  core_->step(input(), event, &actions);
  // What is said of the fence last holds, and comes first: an older word is not to undo it.
  const auto is_of_fence = [](const Action& a) {
    return std::holds_alternative<action::SetFence>(a);
  };
  if (std::any_of(actions.begin(), actions.end(), is_of_fence))
    std::erase_if(actions_, is_of_fence);
  actions_.insert(actions_.begin(), std::make_move_iterator(actions.begin()),
                  std::make_move_iterator(actions.end()));
  perform_all();
}

void Engine::perform_all() {
  if (is_performing_) return;
  is_performing_ = true;
  while (!actions_.empty()) {
    const Action action = std::move(actions_.front());
    actions_.pop_front();
    handlers_.perform(action);
  }
  is_performing_ = false;
}

void Engine::begin_turn() {
  if (loop_.now() < armed_) return;
  arm(MonoTime::never());
  feed(event::Ticked{});
}

void Engine::end_turn() {
  arm(is_finished_ ? MonoTime::never() : core().next_deadline());
}

// The timer only makes a turn begin; the turn's start does the work.
void Engine::arm(MonoTime deadline) {
  if (deadline == armed_) return;
  loop_.cancel_timer(timer_);
  timer_ = Loop::Timer::None;
  armed_ = deadline;
  if (!deadline.is_never()) timer_ = loop_.add_timer(deadline, [] {});
}

}  // namespace vipd
