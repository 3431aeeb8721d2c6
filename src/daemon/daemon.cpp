// The daemon: its parts, put together. What is done for each action of the core stands in
// perform(); a part knows only what it is given here, so this is the one file that sees them all.
#include "daemon/daemon.hpp"

#include <signal.h>

#include <cassert>
#include <cstdio>
#include <memory>
#include <optional>
#include <utility>

#include "check/probe.hpp"
#include "daemon/api.hpp"
#include "daemon/commands.hpp"
#include "daemon/engine.hpp"
#include "daemon/etcd_side.hpp"
#include "daemon/gate.hpp"
#include "daemon/journal.hpp"
#include "daemon/kept.hpp"
#include "daemon/ledger.hpp"
#include "daemon/network.hpp"
#include "daemon/peers.hpp"
#include "daemon/privileges.hpp"
#include "daemon/programs.hpp"
#include "daemon/replacement.hpp"
#include "daemon/reports.hpp"
#include "daemon/settings.hpp"
#include "daemon/status.hpp"
#include "daemon/vips.hpp"
#include "sys/background.hpp"
#include "sys/log_repeats.hpp"
#include "sys/notify.hpp"
#include "sys/pidfile.hpp"
#include "sys/random.hpp"
#include "sys/wall_clock.hpp"

namespace vipd {
namespace {

// How long the end waits for notifications, once no address is left.
constexpr Duration kLastNotifications = Duration::seconds(5);

class Daemon {
 public:
  Daemon(const DaemonOptions& options, Config config, sys::Notify notify);

  // False and a reason: exit status 1.
  [[nodiscard]] bool start(std::string* reason);
  // Reports that the daemon is ready, to whoever waits for it.
  void ready(sys::Background* background);
  [[nodiscard]] int run();

 private:
  void perform(const Action& action);
  void feed(const Event& event) { engine_.feed(event); }
  void etcd_showed(const Event& event);
  void add_address(const action::AddAddress& a);
  void report_state(const action::ReportState& change);
  void report(const action::Report& report);
  void finish();

  [[nodiscard]] Settings settings(bool uses_peers = true) const;
  [[nodiscard]] Parts parts() const;
  void remember_figures();
  void open_log() const;
  void hear_signals();
  void stop();
  void feed_watchdog();
  [[nodiscard]] Reread reload();
  void take_next();
  void take(Config next);

  [[nodiscard]] Network::Handlers network_handlers();
  [[nodiscard]] FenceSide::Handlers fence_handlers();
  [[nodiscard]] Gate::Handlers gate_handlers();
  [[nodiscard]] check::Tools check_tools();
  [[nodiscard]] Journal::Sources journal_sources();
  [[nodiscard]] Commands::Needs command_needs();
  [[nodiscard]] Api::Sources api_sources();
  [[nodiscard]] Replacement::Needs replacement_needs();

  DaemonOptions options_;
  Config config_;
  sys::Notify supervisor_;
  std::string instance_ = sys::random_text();
  std::string started_ = sys::wall_clock_text();
  Loop loop_;
  std::optional<Config> next_;
  std::unique_ptr<sys::PidFile> pidfile_;

  Vips vips_;
  Programs programs_;
  Kept kept_;
  Ledger ledger_;
  Engine engine_;
  EtcdSide etcd_;
  Network network_;
  FenceSide fence_;
  Peers peers_;
  Gate gate_;
  Journal journal_;
  Commands commands_;
  Api api_;
  Replacement replacement_;
};

Daemon::Daemon(const DaemonOptions& options, Config config, sys::Notify notify)
    : options_(options),
      config_(std::move(config)),
      supervisor_(std::move(notify)),
      vips_(config_.vips),
      programs_(loop_),
      kept_(config_.etcd.prefix),
      engine_(loop_, {[this] { remember_figures(); }, [this](const Action& a) { perform(a); },
                      [this](const Event& event) { etcd_showed(event); }}),
      etcd_(loop_, config_.etcd.prefix, [this](const Event& event) { feed(event); }),
      network_(loop_, vips_, network_handlers()),
      fence_(loop_, network_, fence_handlers()),
      peers_(loop_, vips_, network_, fence_, [this](const Event& event) { feed(event); }),
      gate_(loop_, vips_, gate_handlers()),
      journal_(loop_, vips_, journal_sources()),
      commands_(command_needs()),
      api_(loop_, api_sources()),
      replacement_(loop_, replacement_needs()) {}

// --- what the core wants, done

// What else a new one needs: ARCHITECTURE.md, "Where to add what".
void Daemon::perform(const Action& action) {
  std::visit(Visitor{
                 [this](const action::UseCluster& a) {
                   etcd_.perform(a);
                   peers_.set_cluster(a.cluster, config_.etcd.prefix);
                 },
                 [this](const action::GrantLease& a) { etcd_.perform(a); },
                 [this](const action::KeepLease& a) { etcd_.perform(a); },
                 [this](const action::RevokeLease& a) { etcd_.perform(a); },
                 [this](const action::SendTxn& a) {
                   replacement_.txn_sent(engine_.core().heartbeats().echoed);
                   etcd_.perform(a);
                 },
                 [this](const action::ReadPrefix& a) { etcd_.perform(a); },
                 [this](const action::OpenWatch& a) { etcd_.perform(a); },
                 [this](const action::AddAddress& a) { add_address(a); },
                 [this](const action::RemoveAddress& a) {
                   network_.perform(a, engine_.removals(), engine_.core().fencing_deadline());
                   if (!network_.has(a.address)) fence_.unprotect(a.address);
                 },
                 [this](const action::Acquire& a) { programs_.perform(a); },
                 [this](const action::EndAcquire& a) { programs_.perform(a); },
                 [this](const action::SendAnnouncement& a) {
                   if (network_.perform(a, config_.announce)) ledger_.announced(a.address);
                 },
                 [this](const action::SendProbe& a) { network_.perform(a); },
                 [this](const action::SetFence& a) { fence_.perform(a); },
                 [this](const action::SendPeerFrame& a) { peers_.perform(a); },
                 [this](const action::Remember& a) { kept_.remember(a.memory); },
                 [this](const action::ReportState& a) { report_state(a); },
                 [this](const action::Report& a) { report(a); },
                 [this](const action::Finish&) { finish(); },
             },
             action);
}

// [safety] The fence protects the address before it is added.
void Daemon::add_address(const action::AddAddress& a) {
  if (fence_.protect(a.address)) return network_.perform(a);
  feed(event::AddressAdded{.address = a.address, .lifetime_s = a.lifetime_s, .error = ENOSPC});
}

void Daemon::report_state(const action::ReportState& change) {
  const VipConfig* vip = vips_.at(change.address);
  log::info("vip %s: %s -> %s: %s",
            vip == nullptr ? change.address.text().c_str() : vip->name.c_str(),
            name_of(change.from).data(), name_of(change.to).data(), change.reason.c_str());
  ledger_.take(change);
  journal_.note(change);
  programs_.told(change);
}

void Daemon::report(const action::Report& report) {
  ledger_.take(report);
  if (belongs_in_history(report)) journal_.note(report);
  log_report(report, vips_.at(report.address));
}

void Daemon::finish() {
  engine_.finish();
  gate_.stop();
  fence_.stop([this] {
    (void)loop_.add_timer(loop_.now() + kLastNotifications, [this] {
      log::warn("stopped before all programs had ended and all tracked connections were deleted");
      loop_.stop(0);
    });
    programs_.when_idle([this] { network_.when_idle([this] { loop_.stop(0); }); });
  });
}

// --- what the core is told

void Daemon::remember_figures() {
  const Core& core = engine_.core();
  journal_.before_step({.session = core.session(),
                        .deadline = core.fencing_deadline(),
                        .confirmed = core.confirmed(),
                        .revision = core.revision()});
}

void Daemon::etcd_showed(const Event& event) {
  if (const auto* shown = std::get_if<event::WatchAdvanced>(&event)) journal_.after(*shown);
  if (const auto* read = std::get_if<event::PrefixRead>(&event)) journal_.after(*read);
}

Settings Daemon::settings(bool uses_peers) const {
  Settings settings = settings_of(config_);
  if (!uses_peers) settings.peer_timeout = Duration();
  settings.instance = instance_;
  settings.memory = kept_.former();
  settings.boot = Kept::boot();
  settings.paused = kept_.is_paused() || options_.program.was_paused();
  for (size_t i = 0; i < settings.vips.size(); i++) {
    settings.vips[i].blocked = gate_.reason(config_.vips[i]);
  }
  return settings;
}

// --- what the parts are given of each other

Network::Handlers Daemon::network_handlers() {
  return {.feed = [this](const Event& event) { feed(event); },
          .obstacle = [this](const VipConfig& v, const std::string& o) { gate_.obstructed(v, o); },
          .links_seen =
              [this] {
                fence_.links_seen();
                gate_.links_seen();
              },
          .has_authority = [this] { return loop_.now() < engine_.core().fencing_deadline(); },
          .reachable = [this](const Address& a, bool is) { ledger_.reachable(a, is); }};
}

FenceSide::Handlers Daemon::fence_handlers() {
  return {.feed = [this](const Event& event) { feed(event); },
          .note = [this](const std::string& what) { journal_.note(what); }};
}

Gate::Handlers Daemon::gate_handlers() {
  return {.feed = [this](const Event& event) { feed(event); },
          .queues = [this] { return engine_.core().vips(loop_.now()); },
          .is_connected = [this] { return etcd_.is_connected(); }};
}

check::Tools Daemon::check_tools() {
  return {.loop = loop_,
          .runner = programs_.runner(),
          .environment = programs_.environment(),
          .packet = network_.packet(),
          .claims = network_.listener(),
          .link_of = [this](const std::string& check) -> const net::Link* {
            const VipConfig* vip = vips_.first_with(check);
            return vip == nullptr ? nullptr : network_.link_of(*vip);
          },
          .link_named = [this](const std::string& link) { return network_.links().named(link); },
          .node = config_.node_name,
          .read_key = [this](const std::string& key, auto read,
                             auto failed) { etcd_.read(key, std::move(read), std::move(failed)); }};
}

Journal::Sources Daemon::journal_sources() {
  return {.owner = [this](const Address& vip) { return engine_.core().owner(vip, loop_.now()); },
          .how = [this](const Address& vip) { return engine_.core().how(vip); },
          .endpoint = [this] { return etcd_.endpoint(); },
          .is_heard = [this] { return api_.is_heard(); },
          .publish = [this](std::string_view line) { api_.publish(line); }};
}

Commands::Needs Daemon::command_needs() {
  return {.vips = vips_,
          .kept = kept_,
          .node = config_.node_name,
          .core = [this]() -> const Core& { return engine_.core(); },
          .view = [this](const Address& vip) { return engine_.core().vip(vip, loop_.now()); },
          .feed = [this](const Event& event) { feed(event); },
          .note = [this](const std::string& what) { journal_.note(what); },
          .transfer_asked = [this](const Address& vip) { ledger_.transfer_asked(vip); },
          .override_check =
              [this](const std::string& name, const std::string& word) {
                return gate_.override_check(name, word);
              },
          .reload = [this] { return reload(); }};
}

Api::Sources Daemon::api_sources() {
  return {.status = [this] { return status_of(parts()); },
          .metrics = [this] { return metrics_of(parts()); },
          .vips = [this](size_t first, size_t most) { return vips_of(parts(), first, most); },
          .counts = [this](size_t first, size_t most) { return counts_of(parts(), first, most); },
          .state = [this] { return name_of(engine_.core().node_state()); },
          .unhealthy = [this] { return unhealthy(parts()); },
          .moves = [this] { return moves_in(journal_.entries()); },
          .history = journal_.entries(),
          .commands = commands_};
}

Replacement::Needs Daemon::replacement_needs() {
  return {.config = config_,
          .sources = options_.sources,
          .pidfile = options_.pidfile,
          .program = options_.program,
          .programs = programs_,
          .kept = kept_,
          .notify = supervisor_,
          .fence = [this] { return fence_.descriptors(); },
          .situation =
              [this] {
                const Core& core = engine_.core();
                return Replacement::Situation{
                    .node = core.node_state(),
                    .is_busy = etcd_.txns_under_way() > 0 || engine_.is_behind() ||
                               programs_.is_acquiring() || !core.is_remembered(),
                    .owns_anything = network_.owns_anything(),
                    .has_etcd = etcd_.is_connected(),
                    .echoed = core.heartbeats().echoed,
                    .timeout = core.timeout(),
                    .peers = core.peers(loop_.now())};
              },
          .use_peers = [this](bool wanted) { feed(event::Reconfigured{settings(wanted)}); }};
}

Parts Daemon::parts() const {
  const auto network = [this](const VipConfig& vip) { return network_.in_words(vip); };
  return {loop_,  config_, vips_,   engine_, etcd_,   fence_,
          peers_, gate_,   network, kept_,   ledger_, started_};
}

// --- from the start to the end

bool Daemon::start(std::string* reason) {
  const Replacement::Inherited inherited = Replacement::inherited(options_.program);
  if (!programs_.start(config_, inherited.helper, reason)) return false;
  if (!options_.pidfile.empty()) {
    pidfile_ = sys::PidFile::open(options_.pidfile, reason);
    if (pidfile_ == nullptr) return false;
  }
  if (!kept_.open(config_.state_dir, reason)) {
    *reason = "state.dir: " + *reason;
    return false;
  }
  fence_.open(config_, inherited.fence);
  Memory former = kept_.former();
  if (fence_.is_in_the_way()) former.lease = LeaseId::None;
  if (!network_.open(former, reason) || !peers_.open(reason)) return false;
  if (!api_.open(config_.control_socket, reason)) return false;
  api_.listen(config_.http_listen);  // its port may be one of root's
  if (!drop_privileges(config_, kept_, options_.pidfile, reason)) return false;
  etcd_.start(config_);
  hear_signals();

  engine_.start(settings());
  programs_.on_acquired([this](const event::AcquireEnded& ended) { feed(ended); });
  gate_.start(check_tools(), config_.checks);
  fence_.start();
  network_.start();
  loop_.on_turn_start([this] {
    network_.hear();
    peers_.hear();
    engine_.begin_turn();
    fence_.begin_turn();
    take_next();
  });
  loop_.on_turn_end([this] {
    engine_.end_turn();
    replacement_.end_turn();
    log::tell_repeats();
  });
  engine_.end_turn();
  return true;
}

void Daemon::ready(sys::Background* background) {
  open_log();
  background->ready();
  supervisor_.ready();
  feed_watchdog();
}

int Daemon::run() {
  log::info("vipd on %s: VIPs: %zu, session timeout %s, etcd at %s", config_.node_name.c_str(),
            config_.vips.size(), in_seconds(config_.session_timeout).c_str(),
            config_.etcd.endpoints.front().c_str());
  const int status = loop_.run();
  log::forget_repeats();
  log::info("stopped");
  return status;
}

void Daemon::open_log() const {
  // In the background nobody reads stderr.
  const bool unread = options_.daemonize && config_.log_target == log::Target::Stderr;
  log::open(unread ? log::Target::Syslog : config_.log_target, log::level());
}

// Fed from the loop, so that a loop that stands still is noticed.
void Daemon::feed_watchdog() {
  const Duration interval = supervisor_.watchdog_interval();
  if (interval == Duration()) return;
  supervisor_.watchdog();
  (void)loop_.add_timer(loop_.now() + interval, [this] { feed_watchdog(); });
}

void Daemon::hear_signals() {
  for (const int signal : {SIGTERM, SIGINT}) loop_.on_signal(signal, [this] { stop(); });
  loop_.on_signal(SIGHUP, [this] { (void)reload(); });
  loop_.on_signal(SIGUSR1, [this] {
    log::forget_repeats();  // a person wants to see them all
    api_.log_status();
  });
  loop_.on_signal(SIGUSR2, [this] { replacement_.asked(); });
}

void Daemon::stop() {
  log::info("asked to stop: releasing every VIP");
  supervisor_.stopping();
  feed(event::StopAsked{});
}

// --- another configuration
// It is read in this turn, taken at the start of the next, and the one before forgotten in a third:
// with thousands of VIPs each takes long. Whoever asks after the answer sees it in force.
Reread Daemon::reload() {
  supervisor_.reloading();
  Reread read = read_again(options_.sources, programs_.runner() != nullptr, config_, &next_);
  if (!read.errors.empty()) supervisor_.ready();
  (void)loop_.add_timer(loop_.now(), [] {});  // the next turn is at once
  return read;
}

void Daemon::take_next() {
  if (!next_) return;
  if (engine_.core().node_state() == NodeState::Releasing) return next_.reset();
  take(*std::exchange(next_, std::nullopt));
  journal_.note("configuration read again");
  log::info("configuration read again, VIPs: %zu", config_.vips.size());
  supervisor_.ready();
}

void Daemon::take(Config next) {
  for (const VipConfig& vip : next.vips) {
    if (vips_.at(vip.address) == nullptr) ledger_.added(vip.address);
  }
  Config before = std::exchange(config_, std::move(next));
  vips_.changed();
  network_.vips_changed();
  programs_.configure(config_);
  if (config_.log_target != before.log_target) open_log();
  if (config_.log_level != before.log_level && !options_.verbose) log::set_level(config_.log_level);
  if (config_.etcd != before.etcd) etcd_.reconfigure(config_);
  gate_.configure(config_.checks);
  feed(event::Reconfigured{settings()});
  gate_.reconfigured(before.vips);
  network_.reconfigured();
  api_.listen(config_.http_listen);
  (void)loop_.add_timer(loop_.now(), [old = std::make_shared<Config>(std::move(before))] {});
}

}  // namespace

int run_daemon(const DaemonOptions& options) {
  conf::Result loaded = conf::load(options.sources);
  for (const std::string& error : loaded.errors) fprintf(stderr, "%s\n", error.c_str());
  const bool is_replacement = options.program.is_replacement();
  if (!loaded.errors.empty()) {
    if (is_replacement && options.daemonize) Replacement::refused(loaded.errors);
    return 2;
  }
  std::string reason;
  sys::Background background;
  sys::Notify notify = sys::Notify::from_environment();
  if (options.ready_fd >= 0) notify.set_ready_fd(options.ready_fd);
  if (options.daemonize && !is_replacement && !background.start(&reason)) {
    fprintf(stderr, "vipd: %s\n", reason.c_str());
    return 1;
  }
  const bool unread =
      options.daemonize && is_replacement && loaded.config.log_target == log::Target::Stderr;
  log::open(unread ? log::Target::Syslog : loaded.config.log_target,
            options.verbose ? log::Level::Debug : loaded.config.log_level);
  for (const std::string& warning : loaded.warnings) log::warn("%s", warning.c_str());
  // Started again, this one fails again; but in a replacement's place root may be started.
  if (!is_replacement && !can_become_user(loaded.config)) return 2;
  Daemon daemon(options, std::move(loaded.config), std::move(notify));
  if (!daemon.start(&reason)) {
    log::error("%s", reason.c_str());
    return 1;
  }
  daemon.ready(&background);
  return daemon.run();
}

}  // namespace vipd
