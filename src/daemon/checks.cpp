// Health checks and the VIPs that need them: what is down keeps a VIP's address away, as whatever
// else on this host stands in its way.
#include <algorithm>

#include "daemon/impl.hpp"
#include "vipd/log.hpp"

namespace vipd {

namespace {

constexpr Duration kLookForOthers = Duration::seconds(1);

}  // namespace

bool runs_programs(const Config& config) {
  return std::any_of(config.checks.begin(), config.checks.end(),
                     [](const CheckConfig& c) { return c.kind == CheckKind::Exec; }) ||
         std::any_of(config.vips.begin(), config.vips.end(),
                     [](const VipConfig& vip) { return !vip.notify.empty(); });
}

// Before anything else: the helper is to have nothing that is opened or locked later.
bool Daemon::start_runner(std::string* reason) {
  const int inherited = options_.program.inherited_fd();
  if (inherited >= 0) {
    runner_ = run::Runner::adopt(loop_, inherited);
    if (runner_ != nullptr) return true;
  }
  if (!runs_programs(config_)) return true;
  sys::User user;
  const bool changes = !config_.user.empty();
  if (changes && !sys::find_user(config_.user, &user, reason)) {
    *reason = "user " + config_.user + ": " + *reason;
    return false;
  }
  runner_ = run::Runner::start(loop_, changes ? &user : nullptr, reason);
  return runner_ != nullptr;
}

void Daemon::start_checks() {
  check::Tools tools{.loop = loop_,
                     .runner = runner_.get(),
                     .environment = program_environment(),
                     .packet = packet_.get(),
                     .link_of = [this](const std::string& name) { return link_of_check(name); }};
  checks_ = std::make_unique<check::Checks>(std::move(tools), [this] { tell_all_blocked(); });
  checks_->configure(config_.checks);
  tell_all_blocked();
}

std::vector<std::string> Daemon::program_environment() const {
  return {"VIPD_NODE=" + config_.node_name, "VIPD_SOCKET=" + config_.control_socket};
}

// Of the first VIP that needs the check.
const net::Link* Daemon::link_of_check(const std::string& name) const {
  for (const VipConfig& vip : config_.vips) {
    if (std::find(vip.checks.begin(), vip.checks.end(), name) != vip.checks.end()) {
      return link_named(vip.link);
    }
  }
  return nullptr;
}

// The core has forgotten a VIP that was away, and what it was told of it.
void Daemon::reload_checks(const Config& before) {
  if (runner_ == nullptr && runs_programs(config_)) {
    log::warn("the first check or notification that runs a program needs a restart of the daemon");
  }
  std::set<Address> known;
  for (const VipConfig& vip : before.vips) known.insert(vip.address);
  for (const VipConfig& vip : config_.vips) {
    if (!known.contains(vip.address)) records_[vip.address].told = {};
  }
  tell_all_blocked();
}

// A check that is down is minded by an owner, too. One without a result yet keeps nobody from what
// he owns.
Daemon::Blocked Daemon::blocked(const VipConfig& vip) const {
  const auto record = records_.find(vip.address);
  Blocked found{.reason = record == records_.end() ? "" : record->second.obstacle};
  for (const std::string& name : vip.checks) {
    switch (checks_->state(name)) {
      case check::State::Up:
        break;
      case check::State::Down:
        return {.reason = "check " + name + " is down: " + checks_->reason(name),
                .for_owner = true};
      case check::State::Unknown:
        found.reason = "check " + name + " has not been good yet: " + checks_->reason(name);
    }
  }
  return found;
}

void Daemon::tell_blocked(const VipConfig& vip) {
  if (checks_ == nullptr) return;
  Record& record = records_[vip.address];
  const Blocked now = blocked(vip);
  if (record.told == now) return;
  record.told = now;
  if (!now.for_owner) record.is_nobodys = false;
  if (now.for_owner) look_for_others(kLookForOthers);
  feed(event::AddressBlocked{
      .address = vip.address, .reason = now.reason, .for_owner = now.for_owner});
}

void Daemon::tell_all_blocked() {
  const std::vector<VipConfig> vips = config_.vips;
  for (const VipConfig& vip : vips) tell_blocked(vip);
}

// While a check keeps this node away: whether anybody else is there. Said once.
void Daemon::look_for_others(Duration wait) {
  if (others_timer_ != Loop::Timer::None) return;
  others_timer_ = loop_.add_timer(loop_.now() + wait, [this] {
    others_timer_ = Loop::Timer::None;
    bool goes_on = false;
    for (const VipView& view : core_->vips(loop_.now())) {
      Record& record = records_[view.address];
      const VipConfig* vip = vip_at(view.address);
      if (vip == nullptr || !record.told.for_owner) continue;
      goes_on = true;
      const bool is_nobodys = etcd_->connected() && view.queue.empty();
      if (is_nobodys && !record.is_nobodys) {
        log::warn(
            "vip %s: no node is fit to own it: each has a check that is down, is paused, or "
            "is away",
            vip->name.c_str());
      }
      record.is_nobodys = is_nobodys;
    }
    if (goes_on) look_for_others(kLookForOthers);
  });
}

std::vector<CheckStatus> Daemon::checks_of(const VipConfig& vip) const {
  std::vector<CheckStatus> list;
  for (const std::string& name : vip.checks) list.push_back(checks_->status(name));
  return list;
}

bool Daemon::override_check(const std::string& name, const std::string& word) {
  std::optional<check::State> state;
  if (word == "up") state = check::State::Up;
  if (word == "down") state = check::State::Down;
  if (!checks_->override_with(name, state)) return false;
  log::info("check %s: %s by vipctl", name.c_str(),
            state ? ("set " + word).c_str() : "by its results again");
  return true;
}

}  // namespace vipd
