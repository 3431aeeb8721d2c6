#include "daemon/replacement.hpp"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "conf/conf.hpp"
#include "daemon/kept.hpp"
#include "daemon/programs.hpp"
#include "sys/file.hpp"
#include "sys/notify.hpp"
#include "sys/program.hpp"
#include "vipd/log.hpp"

namespace vipd {

namespace {

// From the last renewal by one program to the first by the next: loading, and answers of etcd.
constexpr Duration kLongEnough = Duration::milliseconds(500);

bool is_short(const PeersView& peers) {
  return peers.state != TermState::None && peers.timeout < kLongEnough;
}

}  // namespace

Replacement::Replacement(Loop& loop, Needs needs) : loop_(loop), needs_(std::move(needs)) {}

Replacement::Inherited Replacement::inherited(const sys::Program& program) {
  Inherited inherited;
  const std::vector<int>& fds = program.inherited_fds();
  if (!fds.empty()) inherited.helper = fds.front();
  const bool has_fence = fds.size() > inherited.fence.size();
  if (has_fence) std::copy_n(fds.begin() + 1, inherited.fence.size(), inherited.fence.begin());
  return inherited;
}

void Replacement::asked() {
  std::string reason;
  if (needs_.situation().node == NodeState::Releasing) return;
  if (!is_possible(&reason)) return log::error("not replaced: %s", reason.c_str());
  by_ = MonoTime::never();
  if (!needs_.programs.can_run()) return wait_for_quiet();
  // It may be older or newer than the configuration.
  needs_.programs.try_out(needs_.program.trial(), [this](const std::string& fault) {
    if (needs_.situation().node == NodeState::Releasing) return;
    if (fault.empty()) return wait_for_quiet();
    go_on(needs_.program.path() + " -n failed on the configuration: " + fault);
  });
}

void Replacement::wait_for_quiet() {
  log::info("%s is about to replace this process", needs_.program.path().c_str());
  by_ = loop_.now() + needs_.situation().timeout;
  if (is_short(needs_.situation().peers)) needs_.use_peers(false);
  (void)loop_.add_timer(by_, [] {});  // so that there is a turn by then
}

// What would end the new program at once, or make it open another session.
bool Replacement::is_possible(std::string* reason) const {
  if (!needs_.program.is_sound(reason)) return false;
  const std::string& pidfile = needs_.pidfile;
  if (!sys::can_be_replaced(needs_.config.control_socket, reason) ||
      (!pidfile.empty() && access(pidfile.c_str(), W_OK) < 0 &&
       !sys::can_be_replaced(pidfile, reason))) {
    *reason +=
        ", where the next program has to make its socket and its pidfile; let the daemon's "
        "user write there, or restart the daemon";
    return false;
  }
  const conf::Result next = conf::load(needs_.sources);
  if (!next.errors.empty()) {
    *reason = next.errors.front();
    return false;
  }
  const Config& config = next.config;
  const Config& now = needs_.config;
  if (config.session_timeout != now.session_timeout || config.etcd.prefix != now.etcd.prefix ||
      config.state_dir != now.state_dir) {
    *reason =
        "session.timeout, etcd.prefix or state.dir has changed in the configuration, which would "
        "cost the session; restart the daemon instead";
    return false;
  }
  // By then no helper can be forked any more.
  if (!Programs::first_of(config).empty() && !needs_.programs.can_run()) {
    *reason = "there is no helper to run the configured programs; restart the daemon";
    return false;
  }
  return true;
}

// Nothing of ours may be under way: a heartbeat that commits behind the new program's back fences
// it. And the addresses must have as much of their lifetimes left as possible.
void Replacement::end_turn() {
  if (by_.is_never()) return;
  const Situation now = needs_.situation();
  if (now.node == NodeState::Releasing) return;
  const bool is_confirmed = !now.owns_anything || now.echoed != echoed_at_txn_;
  // The next program grants in no term that lists this one.
  const bool is_needed = now.peers.others_may_hold && !now.has_etcd;
  if (!now.is_busy && is_confirmed && !is_needed && !is_short(now.peers)) return replace();
  if (loop_.now() < by_) return;
  go_on(is_needed ? "etcd is away, and another node may keep its VIPs as long as this one agrees"
                  : "etcd did not confirm a heartbeat in time");
}

void Replacement::go_on(const std::string& reason) {
  by_ = MonoTime::never();
  log::error("not replaced: %s", reason.c_str());
  needs_.use_peers(true);
}

void Replacement::refused(const std::vector<std::string>& errors) {
  log::open(log::Target::Syslog, log::Level::Info);
  for (const std::string& error : errors) log::error("%s", error.c_str());
}

void Replacement::replace() {
  std::string reason;
  if (!needs_.kept.write(&reason)) return go_on(reason);
  log::info("running %s", needs_.program.path().c_str());
  needs_.notify.reloading();
  needs_.notify.restore_environment();
  std::vector<int> kept = {needs_.programs.socket()};
  for (const int fd : needs_.fence()) kept.push_back(fd);
  needs_.program.replace(needs_.situation().node == NodeState::Paused, kept, &reason);
  needs_.notify.clear_environment();
  needs_.notify.ready();
  go_on(reason);
}

}  // namespace vipd
