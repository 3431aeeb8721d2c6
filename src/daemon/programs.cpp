#include "daemon/programs.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

#include "daemon/notify.hpp"
#include "run/runner.hpp"
#include "sys/user.hpp"
#include "vipd/log.hpp"

namespace vipd {

namespace {

constexpr Duration kTrial = Duration::seconds(10);
constexpr Duration kAcquire = Duration::seconds(60);

}  // namespace

Programs::Programs(Loop& loop) : loop_(loop) {}

Programs::~Programs() = default;

bool Programs::needed_by(const Config& config) {
  return std::any_of(config.checks.begin(), config.checks.end(),
                     [](const CheckConfig& c) { return c.kind == CheckKind::Exec; }) ||
         std::any_of(config.vips.begin(), config.vips.end(), [](const VipConfig& vip) {
           return !vip.notify.empty() || !vip.acquire.empty();
         });
}

bool Programs::start(const Config& config, int inherited_fd, std::string* reason) {
  assert(notifier_ == nullptr);
  environment_ = {"VIPD_NODE=" + config.node_name, "VIPD_SOCKET=" + config.control_socket};
  if (inherited_fd >= 0) runner_ = run::Runner::adopt(loop_, inherited_fd);
  if (runner_ == nullptr && needed_by(config)) {
    sys::User user;
    const bool changes = !config.user.empty();
    if (changes && !sys::find_user(config.user, &user, reason)) {
      *reason = "user " + config.user + ": " + *reason;
      return false;
    }
    runner_ = run::Runner::start(loop_, changes ? &user : nullptr, reason);
    if (runner_ == nullptr) return false;
  }
  notifier_ = std::make_unique<Notifier>(runner_.get());
  configure(config);
  return true;
}

void Programs::configure(const Config& config) {
  if (runner_ == nullptr && needed_by(config)) {
    log::warn("the first program to be run needs a restart of the daemon");
  }
  for (const VipConfig& vip : config.vips) {
    told_[vip.address] = {.name = vip.name, .program = vip.notify, .acquire = vip.acquire};
  }
}

void Programs::told(const action::ReportState& change) {
  assert(notifier_ != nullptr);
  const auto told = told_.find(change.address);
  if (told == told_.end() || told->second.program.empty()) return;
  std::vector<std::string> environment = environment_;
  environment.push_back("VIPD_FROM=" + std::string(name_of(change.from)));
  notifier_->take({.program = told->second.program,
                   .name = told->second.name,
                   .address = change.address.text(),
                   .state = std::string(name_of(change.to)),
                   .reason = change.reason,
                   .environment = std::move(environment)});
}

void Programs::on_acquired(std::function<void(const event::AcquireEnded&)> ended) {
  acquire_ended_ = std::move(ended);
}

// A run that is known has its end moved.
void Programs::perform(const action::Acquire& a) {
  if (const auto found = acquiring_.find(a.run); found != acquiring_.end()) {
    if (found->second != 0) runner_->end_at(static_cast<run::Runner::Id>(found->second), a.until);
    return;
  }
  uint64_t& id = acquiring_[a.run];
  const Told& vip = told_[a.address];
  if (runner_ == nullptr || vip.acquire.empty()) {
    (void)loop_.add_timer(loop_.now(), [this, a] {
      acquired(a.address, a.run, "not run; that needs a restart of the daemon");
    });
    return;
  }
  const auto ended = [this, a, whose = "vip " + vip.name + ": acquire"](const run::Ended& program) {
    log_output(whose, program);
    acquired(a.address, a.run, program.fault());
  };
  run::Job job = {.words = {vip.acquire, vip.name, a.address.text()},
                  .environment = environment_,
                  .timeout = kAcquire,
                  .until = a.until};
  id = static_cast<uint64_t>(runner_->run(job, ended));
}

void Programs::perform(const action::EndAcquire& a) {
  const auto found = acquiring_.find(a.run);
  if (found == acquiring_.end() || found->second == 0) return;
  runner_->end_at(static_cast<run::Runner::Id>(found->second), loop_.now());
}

void Programs::acquired(const Address& address, uint64_t run, const std::string& fault) {
  acquiring_.erase(run);
  acquire_ended_(event::AcquireEnded{.address = address, .run = run, .fault = fault});
}

void Programs::when_idle(std::function<void()> handler) {
  assert(notifier_ != nullptr);
  if (notifier_->is_idle()) return handler();
  notifier_->on_idle(std::move(handler));
}

bool Programs::can_run() const {
  return runner_ != nullptr && runner_->is_alive();
}

int Programs::socket() const {
  return runner_ == nullptr ? -1 : runner_->socket();
}

void Programs::try_out(const std::vector<std::string>& arguments,
                       std::function<void(const std::string& fault)> done) {
  assert(can_run() && !arguments.empty());
  runner_->cancel(static_cast<run::Runner::Id>(trial_));  // of the file that was there before
  const auto ended = [whose = arguments.front() + " -n",
                      done = std::move(done)](const run::Ended& trial) {
    if (trial.is_good()) return done("");
    log_output(whose, trial);
    done(trial.text());
  };
  trial_ = static_cast<uint64_t>(runner_->run({arguments, {}, kTrial}, ended));
}

}  // namespace vipd
