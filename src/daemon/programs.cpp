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
constexpr size_t kAcquiresAtOnce = 32;  // the helper has room for these

}  // namespace

Programs::Programs(Loop& loop) : loop_(loop) {}

Programs::~Programs() = default;

std::string Programs::first_of(const Config& config) {
  for (const CheckConfig& check : config.checks) {
    if (check.kind == CheckKind::Exec) return "check." + check.name + ".exec";
  }
  for (const VipConfig& vip : config.vips) {
    if (!vip.acquire.empty()) return "vip." + vip.name + ".acquire";
    if (!vip.notify.empty()) return "vip." + vip.name + ".notify";
  }
  return "";
}

bool Programs::start(const Config& config, int inherited_fd, std::string* reason) {
  assert(notifier_ == nullptr);
  environment_ = {"VIPD_NODE=" + config.node_name, "VIPD_SOCKET=" + config.control_socket};
  if (inherited_fd >= 0) runner_ = run::Runner::adopt(loop_, inherited_fd);
  if (runner_ == nullptr && !first_of(config).empty()) {
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
  for (const VipConfig& vip : config.vips) {
    told_.erase(vip.address);
    if (vip.notify.empty() && vip.acquire.empty()) continue;
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

// [safety] A run that has ended is not begun again: what the core said of it came too late.
void Programs::perform(const action::Acquire& a) {
  if (a.goes_on) return move_end(a);
  acquiring_[a.run] = {.address = a.address, .until = a.until};
  if (told_[a.address].acquire.empty()) return not_run(a.run, "no longer configured");
  assert(runner_ != nullptr);
  waiting_.push_back(a.run);
  acquire_some();
}

void Programs::move_end(const action::Acquire& a) {
  const auto found = acquiring_.find(a.run);
  if (found == acquiring_.end()) return;
  Acquiring& one = found->second;
  one.until = a.until;
  if (one.id != 0) runner_->end_at(static_cast<run::Runner::Id>(one.id), a.until);
}

void Programs::perform(const action::EndAcquire& a) {
  const auto found = acquiring_.find(a.run);
  if (found == acquiring_.end()) return;
  if (found->second.id == 0) {
    std::erase(waiting_, a.run);
    return not_run(a.run, "not run");
  }
  runner_->end_at(static_cast<run::Runner::Id>(found->second.id), loop_.now());
}

void Programs::not_run(uint64_t run, const std::string& why) {
  (void)loop_.add_timer(loop_.now(), [this, run, why] { acquired(run, why); });
}

// Thousands at once would leave the helper no room for checks.
void Programs::acquire_some() {
  while (acquires_running_ < kAcquiresAtOnce && !waiting_.empty()) {
    const auto found = acquiring_.find(waiting_.front());
    waiting_.pop_front();
    if (found == acquiring_.end()) continue;  // ended meanwhile
    const Told& vip = told_[found->second.address];
    const auto ended = [this, run = found->first,
                        whose = "vip " + vip.name + ": acquire"](const run::Ended& program) {
      log_output(whose, program);
      acquires_running_--;
      acquired(run, program.fault());
      acquire_some();
    };
    const run::Job job = {.words = {vip.acquire, vip.name, found->second.address.text()},
                          .environment = environment_,
                          .timeout = kAcquire,
                          .until = found->second.until};
    acquires_running_++;
    found->second.id = static_cast<uint64_t>(runner_->run(job, ended));
  }
}

void Programs::acquired(uint64_t run, const std::string& fault) {
  const auto node = acquiring_.extract(run);
  if (node.empty()) return;
  acquire_ended_(event::AcquireEnded{.address = node.mapped().address, .run = run, .fault = fault});
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
