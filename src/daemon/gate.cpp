#include "daemon/gate.hpp"

#include <algorithm>
#include <cassert>
#include <optional>
#include <set>
#include <utility>

#include "check/checks.hpp"
#include "daemon/vips.hpp"
#include "vipd/log.hpp"

namespace vipd {

namespace {

constexpr Duration kLookForOthers = Duration::seconds(1);
constexpr size_t kLooks = 16;  // between two looks at the clock

}  // namespace

Gate::Gate(Loop& loop, const Vips& vips, Handlers handlers)
    : loop_(loop), vips_(vips), handlers_(std::move(handlers)) {}

Gate::~Gate() = default;

void Gate::start(const check::Tools& tools, const std::vector<CheckConfig>& checks) {
  assert(checks_ == nullptr);
  checks_ = std::make_unique<check::Checks>(tools, [this] { tell_all(); });
  checks_->configure(checks);
  tell_all();
}

void Gate::stop() {
  checks_->stop();
}

void Gate::links_seen() {
  if (checks_ != nullptr) checks_->links_changed();
}

void Gate::configure(const std::vector<CheckConfig>& checks) {
  checks_->configure(checks);
}

void Gate::reconfigured(const std::vector<VipConfig>& before) {
  std::set<Address> known;
  for (const VipConfig& vip : before) known.insert(vip.address);
  for (const VipConfig& vip : vips_.all()) {
    const auto state = states_.find(vip.address);
    if (!known.contains(vip.address) && state != states_.end()) state->second.told = {};
  }
  tell_all();
}

void Gate::obstructed(const VipConfig& vip, const std::string& obstacle) {
  if (obstacle.empty() && !states_.contains(vip.address)) return;
  State& state = states_[vip.address];
  if (state.obstacle == obstacle) return;
  state.obstacle = obstacle;
  if (!obstacle.empty()) log::warn("vip %s: %s", vip.name.c_str(), obstacle.c_str());
  tell(vip);
}

// A check that is down makes an owner release, too. One without a result yet does not.
Gate::Blocked Gate::blocked(const VipConfig& vip) const {
  const auto state = states_.find(vip.address);
  Blocked found{.reason = state == states_.end() ? "" : state->second.obstacle};
  for (const std::string& name : vip.checks) {
    if (const int weight = checks_->weight(name); weight > 0) {
      if (checks_->state(name) == check::State::Down) found.lowered += weight;
      continue;
    }
    switch (checks_->state(name)) {
      case check::State::Up:
        break;
      case check::State::Down:
        return {.reason = "check " + name + " is down: " + checks_->reason(name),
                .for_owner = true,
                .lowered = found.lowered};
      case check::State::Unknown:
        found.reason = "check " + name + " has not been good yet: " + checks_->reason(name);
    }
  }
  return found;
}

std::string Gate::reason(const VipConfig& vip) const {
  return checks_ == nullptr ? "" : blocked(vip).reason;
}

void Gate::tell(const VipConfig& vip) {
  if (checks_ == nullptr) return;
  const Blocked now = blocked(vip);
  if (now == Blocked{} && !states_.contains(vip.address)) return;
  State& state = states_[vip.address];
  if (state.told == now) return;
  if (now.lowered != state.told.lowered) {
    const std::string words =
        now.lowered == 0 ? "no longer lowered"
                         : "lowered by " + std::to_string(now.lowered) + ": checks are down";
    log::info("vip %s: priority %s", vip.name.c_str(), words.c_str());
  }
  state.told = now;
  if (!now.for_owner) state.has_no_candidate = false;
  if (now.for_owner) look_for_others();
  handlers_.feed(event::AddressBlocked{.address = vip.address,
                                       .reason = now.reason,
                                       .for_owner = now.for_owner,
                                       .lowered = now.lowered});
}

void Gate::tell_all() {
  left_ = vips_.all().size();
  tell_some();
}

// The walk goes round, so it also meets VIPs whose checks change meanwhile. Each VIP may need many
// checks.
void Gate::tell_some() {
  const std::vector<VipConfig>& all = vips_.all();
  left_ = std::min(left_, all.size());
  for (; left_ > 0 && !(left_ % kLooks == 0 && loop_.budget_is_spent()); left_--) {
    place_ = place_ + 1 < all.size() ? place_ + 1 : 0;
    tell(all[place_]);
  }
  if (left_ == 0 || rest_timer_ != Loop::Timer::None) return;
  rest_timer_ = loop_.add_timer(loop_.now(), [this] {
    rest_timer_ = Loop::Timer::None;
    tell_some();
  });
}

// While a check keeps this node away: whether anybody else is there.
void Gate::look_for_others() {
  if (others_timer_ != Loop::Timer::None) return;
  others_timer_ = loop_.add_timer(loop_.now() + kLookForOthers, [this] {
    others_timer_ = Loop::Timer::None;
    bool goes_on = false;
    for (const VipView& view : handlers_.queues()) goes_on |= look_for_candidates(view);
    if (goes_on) look_for_others();
  });
}

// Logs once that no node is queued. Returns whether to look again.
bool Gate::look_for_candidates(const VipView& view) {
  const VipConfig* vip = vips_.at(view.address);
  const auto found = states_.find(view.address);
  if (vip == nullptr || found == states_.end() || !found->second.told.for_owner) return false;
  State& state = found->second;
  const bool has_no_candidate = handlers_.is_connected() && view.queue.empty();
  if (has_no_candidate && !state.has_no_candidate) {
    log::warn("vip %s: no node can own it: each is paused, is away or has a check that is down",
              vip->name.c_str());
  }
  state.has_no_candidate = has_no_candidate;
  return true;
}

bool Gate::has_no_candidate(const Address& vip) const {
  const auto state = states_.find(vip);
  return state != states_.end() && state->second.has_no_candidate;
}

CheckStatus Gate::check(const std::string& name) const {
  return checks_->status(name);
}

bool Gate::override_check(const std::string& name, const std::string& word) {
  std::optional<check::State> state;
  if (word == "up") state = check::State::Up;
  if (word == "down") state = check::State::Down;
  if (!checks_->override_with(name, state)) return false;
  log::info("check %s: %s by vipctl", name.c_str(),
            state ? ("set " + word).c_str() : "judged by its results again");
  return true;
}

}  // namespace vipd
