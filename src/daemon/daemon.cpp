#include "daemon/daemon.hpp"

#include <signal.h>

#include <cinttypes>
#include <cstdio>
#include <iterator>

#include "core/timing.hpp"
#include "ctl/history.hpp"
#include "ctl/status_text.hpp"
#include "daemon/impl.hpp"
#include "sys/log_repeats.hpp"
#include "sys/random.hpp"
#include "sys/wall_clock.hpp"
#include "vipd/log.hpp"

namespace vipd {

namespace {

std::string random_text() {
  char text[17];
  snprintf(text, sizeof text, "%016" PRIx64, sys::random_u64());
  return text;
}

}  // namespace

Daemon::Daemon(const DaemonOptions& options, Config config)
    : options_(options),
      config_(std::move(config)),
      store_(config_.etcd.prefix),
      instance_(random_text()),
      started_(sys::wall_clock_text()) {
  index_config();
}

Daemon::~Daemon() = default;

Settings Daemon::settings() const {
  Settings settings;
  settings.node = config_.node_name;
  settings.instance = instance_;
  settings.timeout = config_.session_timeout;
  settings.heartbeat = config_.session_heartbeat;
  settings.announce_count = config_.announce.count;
  settings.announce_interval = config_.announce.interval;
  settings.announce_refresh = config_.announce.refresh;
  settings.conflict = config_.conflict;
  settings.conflict_probe = config_.conflict_probe;
  settings.memory = memory_;
  settings.paused = pause_persists_ || options_.program.was_paused();
  for (const VipConfig& vip : config_.vips) {
    settings.vips.push_back({.name = vip.name,
                             .address = vip.address,
                             .link = vip.link,
                             .prefix_length = vip.prefix_length,
                             .priority = vip.priority,
                             .preempt = vip.preempt,
                             .preempt_delay = vip.preempt_delay,
                             .blocked = checks_ == nullptr ? "" : blocked(vip).reason});
  }
  return settings;
}

etcd::Options Daemon::etcd_options() const {
  etcd::Options options;
  options.endpoints = config_.etcd.endpoints;
  options.discover = config_.etcd.discover;
  options.tls = {.cacert = config_.etcd.cacert,
                 .cert = config_.etcd.cert,
                 .key = config_.etcd.key,
                 .servername = config_.etcd.servername};
  options.user = config_.etcd.user;
  options.password_file = config_.etcd.password_file;
  options.needs = "readwrite from " + store_.begin() + " to " + store_.end() +
                  " (etcdctl role grant-permission ROLE readwrite --prefix " + store_.begin() + ")";
  options.wanted = [this](std::string_view key) { return store_.is_ours(key); };
  options.room = etcd::kRoomBase + config_.vips.size() * etcd::kRoomForVip;
  options.request_timeout = timing::request_timeout(config_.session_timeout);
  return options;
}

const VipConfig* Daemon::vip_at(const Address& address) const {
  const auto found = vip_index_.find(address);
  return found == vip_index_.end() ? nullptr : &config_.vips[found->second];
}

void Daemon::index_config() {
  vip_index_.clear();
  std::set<std::string> names;
  for (const VipConfig& vip : config_.vips) {
    vip_index_.emplace(vip.address, vip_index_.size());
    names.insert(vip.link);
    Record& record = records_[vip.address];
    record.name = vip.name;
    record.notify = vip.notify;
  }
  link_names_.assign(names.begin(), names.end());
  std::erase_if(link_states_, [&](const auto& item) { return !names.contains(item.first); });
}

const VipConfig* Daemon::vip_named(const std::string& name) const {
  const std::optional<Address> address = Address::parse(name);
  for (const VipConfig& vip : config_.vips) {
    if (vip.name == name || (address && vip.address == *address)) return &vip;
  }
  return nullptr;
}

bool Daemon::start(std::string* reason) {
  if (!start_runner(reason)) return false;
  notifier_ = std::make_unique<Notifier>(runner_.get());
  if (!options_.pidfile.empty()) {
    pidfile_ = sys::PidFile::open(options_.pidfile, reason);
    if (pidfile_ == nullptr) return false;
  }
  state_dir_ = sys::StateDir::open(config_.state_dir, reason);
  if (state_dir_ == nullptr) return false;
  memory_ = read_memory(state_dir_->file(kMemoryFile), config_.etcd.prefix);
  remembered_ = memory_;
  pause_persists_ = read_pause();
  if (pause_persists_) log::warn("paused, as vipctl pause --persist said; vipctl resume ends it");
  if (!open_kernel(reason)) return false;
  server_ = ctl::Server::open(
      loop_, config_.control_socket, [this](const ctl::Request& r) { return handle(r); }, reason);
  if (server_ == nullptr) return false;
  listen_http();  // its port may be one of root's
  if (!drop_privileges(reason)) return false;
  etcd_ = std::make_unique<etcd::Client>(loop_, etcd_options());
  hear_signals();

  Actions actions;
  core_ = std::make_unique<Core>(settings(), input(), &actions);
  actions_.assign(actions.begin(), actions.end());
  perform_all();
  start_checks();
  for (const Address& address : inherited_) feed(event::AddressFound{address});
  look_again();
  loop_.on_turn_start([this] {
    hear_neighbours();
    if (loop_.now() < armed_) return;
    disarm();
    feed(event::Ticked{});
  });
  loop_.on_turn_end([this] {
    arm();
    replace_when_quiet();
    log::tell_repeats();
  });
  history_timer_ =
      loop_.add_timer(loop_.now() + etcd::History::kInterval, [this] { look_at_history(); });
  arm();
  return true;
}

void Daemon::ready(sys::Background* background, sys::Notify* notify) {
  notify_ = notify;
  open_log(log::level());
  background->ready();
  notify->ready();
  feed_watchdog();
}

void Daemon::open_log(log::Level level) const {
  // In the background nobody reads stderr.
  const bool unread = options_.daemonize && config_.log_target == log::Target::Stderr;
  log::open(unread ? log::Target::Syslog : config_.log_target, level);
}

// From the loop: what stands still is not fed.
void Daemon::feed_watchdog() {
  const Duration interval = notify_->watchdog_interval();
  if (interval == Duration()) return;
  notify_->watchdog();
  (void)loop_.add_timer(loop_.now() + interval, [this] { feed_watchdog(); });
}

int Daemon::run() {
  log::info("vipd on %s: %zu VIPs, session timeout %s, etcd at %s", config_.node_name.c_str(),
            config_.vips.size(), in_seconds(config_.session_timeout).c_str(),
            config_.etcd.endpoints.front().c_str());
  const int status = loop_.run();
  log::forget_repeats();
  log::info("stopped");
  return status;
}

Input Daemon::input() const {
  return {.now = loop_.now(), .random = sys::random_u64(), .suspended = loop_.suspended()};
}

void Daemon::feed(const Event& event) {
  if (is_finished_) return;
  Actions actions;
  remember_figures();
  core_->step(input(), event, &actions);
  actions_.insert(actions_.begin(), std::make_move_iterator(actions.begin()),
                  std::make_move_iterator(actions.end()));
  perform_all();
}

// One timer for all that the core waits for; the turn's start does the work.
void Daemon::arm() {
  const MonoTime deadline = is_finished_ ? MonoTime::never() : core_->next_deadline();
  if (deadline == armed_) return;
  disarm();
  armed_ = deadline;
  if (!deadline.is_never()) timer_ = loop_.add_timer(deadline, [] {});
}

void Daemon::disarm() {
  loop_.cancel_timer(timer_);
  timer_ = Loop::Timer::None;
  armed_ = MonoTime::never();
}

void Daemon::hear_signals() {
  const auto stop = [this] {
    log::info("asked to stop: releasing every VIP");
    if (notify_ != nullptr) notify_->stopping();
    feed(event::StopAsked{});
  };
  loop_.on_signal(SIGTERM, stop);
  loop_.on_signal(SIGINT, stop);
  loop_.on_signal(SIGHUP, [this] { (void)reload(); });
  loop_.on_signal(SIGUSR2, [this] { replace_asked(); });
  loop_.on_signal(SIGUSR1, [this] {
    log::forget_repeats();  // a person wants to see them all
    for (const std::string& line : ctl::status_lines(status())) log::info("%s", line.c_str());
    for (const HistoryEntry& entry : journal_) {
      log::info("history: %s", ctl::history_line(entry).c_str());
    }
  });
}

// A faulty file changes nothing. What a living session cannot change waits for a restart.
std::vector<std::string> Daemon::reload() {
  if (notify_ != nullptr) notify_->reloading();
  conf::Result result = conf::load(options_.sources);
  if (!result.errors.empty()) {
    for (const std::string& error : result.errors) log::error("%s", error.c_str());
    log::error("the configuration was not changed");
  } else {
    Config& next = result.config;
    if (next.etcd.prefix != config_.etcd.prefix || next.control_socket != config_.control_socket ||
        next.state_dir != config_.state_dir || next.user != config_.user) {
      log::warn("etcd.prefix, control.socket, state.dir and user stay as they are until a restart");
    }
    next.etcd.prefix = config_.etcd.prefix;
    next.control_socket = config_.control_socket;
    next.state_dir = config_.state_dir;
    next.user = config_.user;
    const Config before = std::exchange(config_, next);
    index_config();
    if (config_.log_target != before.log_target) open_log(log::level());
    const bool other_level = config_.log_level != before.log_level && !options_.verbose;
    if (other_level) log::set_level(config_.log_level);
    if (config_.etcd != before.etcd) etcd_->reconfigure(etcd_options());
    checks_->configure(config_.checks);
    feed(event::Reconfigured{settings()});
    reload_checks(before);
    config_.node_name = before.node_name;
    config_.session_timeout = before.session_timeout;
    config_.session_heartbeat = before.session_heartbeat;
    listen_for_claims();
    look_again();
    listen_http();
    note("configuration read again");
    log::info("configuration read again: %zu VIPs", config_.vips.size());
  }
  if (notify_ != nullptr) notify_->ready();
  return result.errors;
}

int run_daemon(const DaemonOptions& options) {
  const conf::Result loaded = conf::load(options.sources);
  for (const std::string& error : loaded.errors) fprintf(stderr, "%s\n", error.c_str());
  if (!loaded.errors.empty()) return 2;

  std::string reason;
  sys::Background background;
  sys::Notify notify = sys::Notify::from_environment();
  if (options.ready_fd >= 0) notify.set_ready_fd(options.ready_fd);
  // A replacement is in the background already, where nobody reads stderr.
  const bool is_replacement = options.program.is_replacement();
  if (options.daemonize && !is_replacement && !background.start(&reason)) {
    fprintf(stderr, "vipd: %s\n", reason.c_str());
    return 1;
  }
  const bool unread =
      options.daemonize && is_replacement && loaded.config.log_target == log::Target::Stderr;
  log::open(unread ? log::Target::Syslog : loaded.config.log_target,
            options.verbose ? log::Level::Debug : loaded.config.log_level);
  Daemon daemon(options, loaded.config);
  if (!daemon.start(&reason)) {
    log::error("%s", reason.c_str());
    return 1;
  }
  daemon.ready(&background, &notify);
  return daemon.run();
}

}  // namespace vipd
