// The seam's parts. daemon.cpp starts and ends it and hears signals; actions.cpp performs what the
// core wants; kernel.cpp looks at the kernel; links.cpp and addresses.cpp tell the core what it
// shows, checks.cpp what is down; control.cpp answers people, and people.cpp does what they ask
// for; replace.cpp makes room for another program.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "check/checks.hpp"
#include "ctl/metrics.hpp"
#include "ctl/server.hpp"
#include "daemon/daemon.hpp"
#include "daemon/memory.hpp"
#include "daemon/notify.hpp"
#include "daemon/store.hpp"
#include "etcd/client.hpp"
#include "etcd/history.hpp"
#include "net/address_book.hpp"
#include "net/claims.hpp"
#include "net/netlink.hpp"
#include "net/packet.hpp"
#include "run/runner.hpp"
#include "sys/background.hpp"
#include "sys/notify.hpp"
#include "sys/pidfile.hpp"
#include "sys/state_dir.hpp"
#include "sys/user.hpp"
#include "vipd/core.hpp"
#include "vipd/log.hpp"
#include "vipd/loop.hpp"
#include "vipd/status.hpp"

namespace vipd {

// Whether a helper is needed that can fork.
[[nodiscard]] bool runs_programs(const Config& config);

class Daemon {
 public:
  Daemon(const DaemonOptions& options, Config config);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  // False and a reason: exit status 1.
  [[nodiscard]] bool start(std::string* reason);
  [[nodiscard]] int run();
  // Reports that the daemon is ready, to whoever waits for it.
  void ready(sys::Background* background, sys::Notify* notify);

 private:
  // Where an address was put, so that it is removed from there whatever the configuration says by
  // then.
  struct Place {
    int link_index = 0;
    unsigned prefix_length = 32;
    bool is_up = false;  // as far as we know
  };
  // A link that the configuration names, as the core was told of it. index 0: there is none.
  struct LinkState {
    int index = 0;
    bool up = false;
    MacAddress mac;
    bool operator==(const LinkState&) const = default;
  };
  struct Ear {
    std::vector<Address> addresses;
    std::unique_ptr<net::ClaimListener> listener;
  };
  // What keeps an address away, as the core is told.
  struct Blocked {
    std::string reason;
    bool for_owner = false;
    bool operator==(const Blocked&) const = default;
  };
  // What the core does not need to know of a VIP.
  struct Record {
    uint64_t transitions = 0;
    std::string since;
    std::string last_change;  // why
    std::string owner;        // as last noted
    ctl::VipCounts counts;
    MonoTime claimed_at = MonoTime::long_ago();
    std::string obstacle;  // on this host
    std::string oddity;
    std::string transfer_failed;  // why the last one was given up
    Blocked told;
    bool is_nobodys = false;  // no node is in its queue, and a check keeps this one out
    // A change after it was configured away is told to the program that it had.
    std::string name;
    std::string notify;
  };

  // What explains a change.
  struct Figures {
    LeaseId session = LeaseId::None;
    MonoTime deadline = MonoTime::long_ago();
    Revision revision = 0;
  };

  // --- daemon.cpp
  [[nodiscard]] Input input() const;
  void feed(const Event& event);
  void arm();
  void disarm();
  void hear_signals();
  void open_log(log::Level level) const;
  void feed_watchdog();
  [[nodiscard]] std::vector<std::string> reload();
  [[nodiscard]] Settings settings() const;
  [[nodiscard]] etcd::Options etcd_options() const;
  [[nodiscard]] const VipConfig* vip_at(const Address& address) const;
  [[nodiscard]] const VipConfig* vip_named(const std::string& name) const;
  void index_config();

  // --- actions.cpp
  void perform_all();
  void perform(const action::GrantLease& a);
  void perform(const action::KeepLease& a);
  void perform(const action::RevokeLease& a);
  void perform(const action::SendTxn& a);
  void perform(const action::ReadPrefix& a);
  void perform(const action::OpenWatch& a);
  void perform(const action::AddAddress& a);
  void perform(const action::RemoveAddress& a);
  void perform(const action::SendAnnouncement& a);
  void perform(const action::SendProbe& a);
  void perform(const action::ReportState& a);
  void perform(const action::Report& a);
  void perform(const action::Remember& a);
  void perform(const action::Finish& a);
  void reset_connections(const Address& first);
  void notify_of(const action::ReportState& change);
  void request_failed(RequestId request, const etcd::Error& error);

  // --- kernel.cpp
  [[nodiscard]] bool open_kernel(std::string* reason);
  // False when the kernel would not say; first: nothing may be there that we did not put there.
  [[nodiscard]] bool look_at_kernel(bool first);
  void look_again();
  void look_within(Duration wait);

  // --- links.cpp
  void link_changed(const net::Link& link);
  void link_removed(int index);
  void tell_links();
  void doubt_link(const std::string& name);
  void say_missing(const std::string& name);
  [[nodiscard]] const net::Link* link_named(const std::string& text) const;
  void listen_for_claims();
  void hear_neighbours();
  void claimed(int link_index, const Address& address, const MacAddress& mac);

  // --- addresses.cpp
  void meet_leftovers(const net::AddressBook& book);
  void remove_stray(const VipConfig& vip, const net::AddressInfo& info, const char* what);
  void address_added(const net::AddressInfo& info);
  void address_removed(const net::AddressInfo& info);
  [[nodiscard]] bool is_in_place(const net::AddressInfo& info) const;
  void lose(const Address& address, bool expired, uint32_t by_port);
  void find_lost(const net::AddressBook& book);
  void find_strays(const net::AddressBook& book);
  void judge_addresses(const net::AddressBook& book);

  // --- checks.cpp
  [[nodiscard]] bool start_runner(std::string* reason);
  void start_checks();
  void reload_checks(const Config& before);
  [[nodiscard]] std::vector<std::string> program_environment() const;
  [[nodiscard]] const net::Link* link_of_check(const std::string& name) const;
  [[nodiscard]] Blocked blocked(const VipConfig& vip) const;
  void tell_blocked(const VipConfig& vip);
  void tell_all_blocked();
  void look_for_others(Duration wait);
  [[nodiscard]] std::vector<CheckStatus> checks_of(const VipConfig& vip) const;
  [[nodiscard]] bool override_check(const std::string& name, const std::string& word);

  // --- history.cpp: once in an hour
  void look_at_history();

  // --- privileges.cpp
  [[nodiscard]] bool drop_privileges(std::string* reason);
  void give_files_to(const sys::User& user);

  // --- replace.cpp
  void replace_asked();
  void trial_ended(const run::Ended& ended);
  void wait_for_quiet();
  [[nodiscard]] bool may_be_replaced(std::string* reason) const;
  [[nodiscard]] bool owns_anything() const;
  [[nodiscard]] bool is_quiet() const;
  void replace_when_quiet();
  void replace();

  // --- metrics.cpp
  [[nodiscard]] ctl::Response metrics() const;
  void count(const action::ReportState& a);
  void count(const action::Report& a);

  // --- http.cpp
  [[nodiscard]] ctl::Response health() const;
  [[nodiscard]] ctl::Response handle_public(const ctl::Request& request);
  [[nodiscard]] Status public_status() const;
  void listen_http();

  // --- journal.cpp
  void remember_figures();
  void note(HistoryEntry entry);
  void note(const std::string& what);
  void note(const action::Report& a);
  void note(const action::ReportState& a);
  void note_owner(const Address& address);
  void note_owners(const std::vector<Change>& changes);

  // --- control.cpp
  [[nodiscard]] ctl::Response handle(const ctl::Request& request);
  [[nodiscard]] ctl::Response command(const std::string& name, const std::string& body);
  [[nodiscard]] ctl::Response resign(const std::string& body);
  [[nodiscard]] ctl::Response check(const std::string& body);
  [[nodiscard]] Status status() const;

  // --- people.cpp
  [[nodiscard]] bool read_pause() const;
  [[nodiscard]] ctl::Response pause(const std::string& body);
  [[nodiscard]] ctl::Response resume();
  [[nodiscard]] ctl::Response transfer(const std::string& body);
  [[nodiscard]] ctl::Response transfer(const VipConfig& vip, const VipView& view,
                                       const std::string& node);
  [[nodiscard]] ctl::Response set_log_level(const std::string& body);

  DaemonOptions options_;
  Config config_;
  Store store_;
  std::string instance_;
  std::string started_;
  Loop loop_;
  std::unique_ptr<sys::PidFile> pidfile_;
  std::unique_ptr<sys::StateDir> state_dir_;
  std::unique_ptr<net::Netlink> netlink_;
  std::unique_ptr<net::PacketSocket> packet_;
  std::unique_ptr<etcd::Client> etcd_;
  etcd::History history_;
  Loop::Timer history_timer_ = Loop::Timer::None;
  std::unique_ptr<ctl::Server> server_;
  std::unique_ptr<ctl::Server> http_;
  std::string http_at_;
  Loop::Timer http_timer_ = Loop::Timer::None;
  std::unique_ptr<run::Runner> runner_;  // only when there was something to run at the start
  std::unique_ptr<check::Checks> checks_;
  std::unique_ptr<Notifier> notifier_;
  Loop::Timer others_timer_ = Loop::Timer::None;
  std::unique_ptr<Core> core_;
  Loop::Timer finish_timer_ = Loop::Timer::None;
  bool is_finished_ = false;    // everything is released; the last notifications are given out
  std::deque<Action> actions_;  // still to be performed, in order
  bool performing_ = false;
  sys::Notify* notify_ = nullptr;

  Loop::Timer timer_ = Loop::Timer::None;
  MonoTime armed_ = MonoTime::never();
  std::map<int, net::Link> links_;
  std::map<std::string, LinkState> link_states_;  // by what the configuration calls them
  std::vector<std::string> link_names_;           // each once
  std::map<Address, size_t> vip_index_;
  std::map<int, Ear> ears_;  // by link
  std::map<Address, Place> places_;
  std::set<Address> reset_;    // their connections; they are about to be removed
  std::set<Address> expired_;  // by a notice that may be out of date
  Loop::Timer look_timer_ = Loop::Timer::None;
  MonoTime look_at_ = MonoTime::never();
  std::map<Address, Record> records_;
  std::deque<HistoryEntry> journal_;
  Figures before_;
  std::map<std::string_view, uint64_t> takeovers_;  // by cause
  uint64_t fenced_ = 0;
  uint64_t authority_lost_ = 0;
  bool no_space_ = false;
  Memory memory_;                   // of a former process, at the start
  std::vector<Address> inherited_;  // that it left on a link
  bool pause_persists_ = false;
  // For a replacement: its trial, when to give it up, and what a next program is to know.
  run::Runner::Id trial_ = run::Runner::Id::None;
  MonoTime replace_by_ = MonoTime::never();
  Memory remembered_;
  size_t txns_under_way_ = 0;
  MonoTime deadline_at_txn_ = MonoTime::long_ago();  // when the last of them was sent
};

}  // namespace vipd
