// SIGUSR2: the program on disk is run in our place, and takes our session up as after a restart
// (ARCHITECTURE.md, "Taking up one's own session after a restart"). Nothing else is handed over.
// Whatever stands in the way, we go on.
#include <unistd.h>

#include <algorithm>

#include "conf/conf.hpp"
#include "daemon/impl.hpp"
#include "sys/file.hpp"
#include "vipd/log.hpp"

namespace vipd {

namespace {

constexpr Duration kTrial = Duration::seconds(10);

}  // namespace

void Daemon::replace_asked() {
  std::string reason;
  if (core_->node_state() == NodeState::Releasing) return;
  if (!may_be_replaced(&reason)) return log::error("not replaced: %s", reason.c_str());
  replace_by_ = MonoTime::never();
  if (runner_ == nullptr || !runner_->is_alive()) return wait_for_quiet();
  runner_->cancel(trial_);  // of the file that was there before
  trial_ = runner_->run({options_.program.trial(), {}, kTrial},
                        [this](const run::Ended& ended) { trial_ended(ended); });
}

// It may be older or newer than the configuration.
void Daemon::trial_ended(const run::Ended& ended) {
  if (core_->node_state() == NodeState::Releasing) return;
  if (ended.is_good()) return wait_for_quiet();
  const char* const path = options_.program.path().c_str();
  log_output(std::string(path) + " -n", ended);
  log::error("not replaced: %s -n, tried on the configuration: %s", path, ended.text().c_str());
}

void Daemon::wait_for_quiet() {
  log::info("%s is about to be run in our place", options_.program.path().c_str());
  replace_by_ = loop_.now() + core_->timeout();
  (void)loop_.add_timer(replace_by_, [] {});  // so that there is a turn by then
}

// What would end the new program at once, or make it open another session.
bool Daemon::may_be_replaced(std::string* reason) const {
  if (!options_.program.is_sound(reason)) return false;
  if (!sys::can_be_replaced(config_.control_socket, reason) ||
      (!options_.pidfile.empty() && access(options_.pidfile.c_str(), W_OK) < 0 &&
       !sys::can_be_replaced(options_.pidfile, reason))) {
    *reason +=
        ", where the next program has to make its socket and its pidfile; let the daemon's "
        "user write there, or restart the daemon";
    return false;
  }
  const conf::Result next = conf::load(options_.sources);
  if (!next.errors.empty()) {
    *reason = next.errors.front();
    return false;
  }
  const Config& config = next.config;
  if (config.session_timeout != config_.session_timeout ||
      config.etcd.prefix != config_.etcd.prefix || config.state_dir != config_.state_dir) {
    *reason =
        "session.timeout, etcd.prefix or state.dir are others in the configuration, which would "
        "cost the session; restart the daemon instead";
    return false;
  }
  // By then no helper can be forked any more.
  if (runs_programs(config) && (runner_ == nullptr || !runner_->is_alive())) {
    *reason = "no helper is there that runs the programs of the configuration; restart the daemon";
    return false;
  }
  return true;
}

bool Daemon::owns_anything() const {
  return std::any_of(places_.begin(), places_.end(), [](const auto& p) { return p.second.is_up; });
}

// Nothing of ours may be under way: a heartbeat that commits behind the new program's back fences
// it. And the addresses must have as much of their lifetimes left as possible.
bool Daemon::is_quiet() const {
  if (txns_under_way_ > 0 || !actions_.empty()) return false;
  return !owns_anything() || core_->fencing_deadline() != deadline_at_txn_;
}

void Daemon::replace_when_quiet() {
  if (replace_by_.is_never() || core_->node_state() == NodeState::Releasing) return;
  if (is_quiet()) {
    replace_by_ = MonoTime::never();
    return replace();
  }
  if (loop_.now() < replace_by_) return;
  replace_by_ = MonoTime::never();
  log::error("not replaced: etcd did not confirm a heartbeat in time");
}

void Daemon::replace() {
  std::string reason;
  const std::string path = state_dir_->file(kMemoryFile);
  if (!write_memory(path, config_.etcd.prefix, remembered_, &reason)) {
    return log::error("not replaced: %s", reason.c_str());
  }
  log::info("running %s", options_.program.path().c_str());
  if (notify_ != nullptr) notify_->reloading();
  if (notify_ != nullptr) notify_->restore_environment();
  options_.program.replace(core_->node_state() == NodeState::Paused,
                           runner_ == nullptr ? -1 : runner_->socket(), &reason);
  log::error("not replaced: %s", reason.c_str());
  if (notify_ == nullptr) return;
  notify_->clear_environment();
  notify_->ready();
}

}  // namespace vipd
