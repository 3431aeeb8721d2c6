#include "daemon/engine.hpp"

#include <algorithm>
#include <cassert>
#include <iterator>
#include <utility>

#include "sys/random.hpp"

namespace vipd {

namespace {

constexpr Duration kTimeForRemovals = Duration::milliseconds(100);

// Reports for people, and Finish, which must come after them.
bool is_word(const Action& action) {
  return std::holds_alternative<action::ReportState>(action) ||
         std::holds_alternative<action::Report>(action) ||
         std::holds_alternative<action::Finish>(action);
}

template <typename T>
std::optional<Action> pop(std::deque<T>* queue) {
  Action first = std::move(queue->front());
  queue->pop_front();
  return first;
}

}  // namespace

Engine::Engine(Loop& loop, Handlers handlers) : loop_(loop), handlers_(std::move(handlers)) {}

Engine::~Engine() = default;

void Engine::start(const Settings& settings) {
  assert(core_ == nullptr);
  Actions actions;
  core_ = std::make_unique<Core>(settings, input(), &actions);
  take(std::move(actions));
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
  input.turn_is_spent = loop_.budget_is_spent();
  do {
    input.suspended = loop_.suspended();
    input.now = loop_.now();
  } while (loop_.suspended() != input.suspended);
  return input;
}

void Engine::feed(const Event& event) {
  assert(core_ != nullptr);
  const bool is_gathered = std::visit(
      [this](const auto& e) {
        using E = std::decay_t<decltype(e)>;
        constexpr bool kIsOfHost =
            std::is_same_v<E, event::LinkChanged> || std::is_same_v<E, event::AddressFound> ||
            std::is_same_v<E, event::AddressLost> || std::is_same_v<E, event::AddressBlocked>;
        if constexpr (kIsOfHost) seen_.changes.emplace_back(e);
        return kIsOfHost;
      },
      event);
  if (is_gathered) return step_for_watch();
  step_for_host();
  if (const auto* shown = std::get_if<event::WatchAdvanced>(&event)) return gather(*shown);
  step_for_watch();
  step(event);
}

// Several messages become one event, as etcd itself does for a watch that catches up. A progress
// notice stays an event of its own.
void Engine::gather(const event::WatchAdvanced& more) {
  const bool goes_on = shown_ && !shown_->changes.empty() && !more.changes.empty();
  if (!goes_on) {
    step_for_watch();
    shown_ = more;
    return;
  }
  shown_->header = more.header;
  shown_->changes.insert(shown_->changes.end(), more.changes.begin(), more.changes.end());
}

void Engine::step_for_watch() {
  if (!shown_) return;
  const Event shown = *std::exchange(shown_, std::nullopt);
  step(shown);
}

void Engine::step_for_host() {
  if (seen_.changes.empty()) return;
  const event::HostChanged seen = std::exchange(seen_, {});
  if (seen.changes.size() > 1) return step(seen);
  std::visit([this](const auto& only) { step(only); }, seen.changes.front());
}

void Engine::step(const Event& event) {
  if (is_finished_) return;
  Actions actions;
  handlers_.before_step();
  {
    const Loop::Part part(loop_, "the core");
    core_->step(input(), event, &actions);
  }
  take(std::move(actions));
  perform_all();
  if (handlers_.after_step) handlers_.after_step(event);
}

// What is newer comes first.
void Engine::take(Actions actions) {
  const auto is_of_fence = [](const Action& a) {
    return std::holds_alternative<action::SetFence>(a);
  };
  // The newest SetFence holds: an older one must not be performed after it.
  if (std::any_of(actions.begin(), actions.end(), is_of_fence))
    std::erase_if(actions_, is_of_fence);
  std::vector<action::RemoveAddress> removals;
  std::erase_if(actions, [&](Action& a) {
    const auto* removal = std::get_if<action::RemoveAddress>(&a);
    if (removal != nullptr) removals.push_back(*removal);
    if (!is_word(a)) return removal != nullptr;
    words_.push_back(std::move(a));
    return true;
  });
  removals_.insert(removals_.begin(), removals.begin(), removals.end());
  actions_.insert(actions_.begin(), std::make_move_iterator(actions.begin()),
                  std::make_move_iterator(actions.end()));
}

// [safety] Near the fencing deadline, and without authority, removals come before anything else,
// however long they take. Otherwise they may take as many turns as they need: the core waits for
// them, and heartbeats must not.
std::optional<Action> Engine::next() {
  const bool hurries =
      !removals_.empty() && loop_.now() >= core().fencing_deadline() - kTimeForRemovals;
  if (!actions_.empty() && !hurries) return pop(&actions_);
  if (!hurries && loop_.budget_is_spent()) return std::nullopt;
  if (!removals_.empty()) return pop(&removals_);
  if (!words_.empty()) return pop(&words_);
  return std::nullopt;
}

bool Engine::is_behind() const {
  return shown_ || !actions_.empty() || !removals_.empty() || !words_.empty();
}

void Engine::perform_all() {
  if (is_performing_) return;
  is_performing_ = true;
  while (const std::optional<Action> action = next()) handlers_.perform(*action);
  is_performing_ = false;
}

void Engine::begin_turn() {
  perform_all();
  if (loop_.now() < armed_) return;
  arm(MonoTime::never());
  feed(event::Ticked{});
}

void Engine::end_turn() {
  step_for_host();
  step_for_watch();
  if (is_behind()) (void)loop_.add_timer(loop_.now(), [] {});
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
