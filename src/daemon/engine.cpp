#include "daemon/engine.hpp"

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

Input Engine::input() const {
  return {.now = loop_.now(), .random = sys::random_u64(), .suspended = loop_.suspended()};
}

void Engine::feed(const Event& event) {
  assert(core_ != nullptr);
  if (is_finished_) return;
  Actions actions;
  handlers_.before_step();
  core_->step(input(), event, &actions);
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
