// What the core wants, done. Every request to etcd ends in exactly one event.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "daemon/impl.hpp"
#include "net/connections.hpp"
#include "sys/wall_clock.hpp"
#include "vipd/log.hpp"

namespace vipd {

namespace {

// A turn should not take longer: heartbeats wait meanwhile.
constexpr Duration kLastNotifications = Duration::seconds(5);
constexpr Duration kMostForResets = Duration::milliseconds(80);

log::Level level_of(ReportKind kind) {
  switch (kind) {
    case ReportKind::Connected:
    case ReportKind::SessionOpened:
    case ReportKind::SessionTakenUp:
    case ReportKind::TakeoverTried:
    case ReportKind::TakeoverDone:
    case ReportKind::HandedOver:
    case ReportKind::OrphanRevoked:
      return log::Level::Info;
    case ReportKind::TakeoverRefused:
    case ReportKind::WatchReplaced:
      return log::Level::Debug;
    case ReportKind::Unreachable:
    case ReportKind::Fenced:
    case ReportKind::AuthorityLost:
    case ReportKind::HistoryLost:
    case ReportKind::ClusterChanged:
    case ReportKind::AddressFailed:
    case ReportKind::AddressRestored:
    case ReportKind::NoSpace:
    case ReportKind::TransferGivenUp:
    case ReportKind::SpaceAgain:
    case ReportKind::ConflictSeen:
    case ReportKind::ConflictOver:
    case ReportKind::ReleaseGivenUp:
    case ReportKind::NeedsRestart:
      return log::Level::Warn;
  }
  return log::Level::Warn;
}

void write_log(log::Level level, const char* text) {
  switch (level) {
    case log::Level::Error:
      return log::error("%s", text);
    case log::Level::Warn:
      return log::warn("%s", text);
    case log::Level::Info:
      return log::info("%s", text);
    case log::Level::Debug:
      return log::debug("%s", text);
  }
}

void log_failure(const char* what, const etcd::Error& error) {
  const std::string where = error.endpoint.empty() ? "" : error.endpoint + ": ";
  log::debug("etcd: %s: %s%s", what, where.c_str(), error.text.c_str());
}

}  // namespace

// What follows from a completion inside the kernel comes before what else was to be done.
void Daemon::perform_all() {
  if (performing_) return;
  performing_ = true;
  while (!actions_.empty()) {
    const Action action = std::move(actions_.front());
    actions_.pop_front();
    std::visit([this](const auto& a) { perform(a); }, action);
  }
  performing_ = false;
}

void Daemon::request_failed(RequestId request, const etcd::Error& error) {
  log_failure("request failed", error);
  feed(event::RequestFailed{.request = request,
                            .reason = error.endpoint + ": " + error.text,
                            .no_space = error.no_space()});
}

void Daemon::perform(const action::GrantLease& a) {
  const int64_t ttl_s = a.ttl / Duration::seconds(1);
  etcd_->grant(ttl_s,
               [this, request = a.request](const etcd::Granted* granted, const etcd::Error* error) {
                 if (granted == nullptr) return request_failed(request, *error);
                 feed(event::LeaseGranted{.request = request,
                                          .header = Store::header(granted->header),
                                          .lease = static_cast<LeaseId>(granted->lease)});
               });
}

void Daemon::perform(const action::KeepLease& a) {
  etcd_->keep_alive(static_cast<int64_t>(a.lease),
                    [this, lease = a.lease](const etcd::KeptAlive* kept, const etcd::Error* error) {
                      // The next keepalive comes long before the lease ends.
                      if (kept == nullptr) return log_failure("keepalive", *error);
                      feed(event::LeaseKept{.lease = lease, .alive = kept->ttl_s > 0});
                    });
}

void Daemon::perform(const action::RevokeLease& a) {
  etcd_->revoke(static_cast<int64_t>(a.lease),
                [this, request = a.request](const etcd::Header* header, const etcd::Error* error) {
                  if (header == nullptr) return request_failed(request, *error);
                  feed(event::LeaseRevoked{.request = request});
                });
}

void Daemon::perform(const action::SendTxn& a) {
  txns_under_way_++;
  deadline_at_txn_ = core_->fencing_deadline();
  etcd_->txn(store_.request(a.txn), a.group,
             [this, request = a.request](const etcd::TxnAnswer* answer, const etcd::Error* error) {
               txns_under_way_--;
               if (answer == nullptr) return request_failed(request, *error);
               feed(event::TxnAnswered{.request = request,
                                       .header = Store::header(answer->header),
                                       .succeeded = answer->succeeded,
                                       .entries = store_.entries(answer->kvs)});
             });
}

void Daemon::perform(const action::ReadPrefix& a) {
  etcd_->snapshot(store_.ranges(), [this, request = a.request](const etcd::RangeAnswer* answer,
                                                               const etcd::Error* error) {
    if (answer == nullptr) return request_failed(request, *error);
    feed(event::PrefixRead{.request = request,
                           .header = Store::header(answer->header),
                           .entries = store_.entries(answer->kvs)});
    for (const VipConfig& vip : config_.vips) note_owner(vip.address);
  });
}

void Daemon::perform(const action::OpenWatch& a) {
  etcd::WatchHandlers handlers;
  handlers.created = [this](const etcd::Header& header) {
    feed(event::WatchCreated{Store::header(header)});
  };
  handlers.events = [this](const etcd::Header& header,
                           const std::vector<etcd::WatchEvent>& events) {
    std::vector<Change> changes = store_.changes(events);
    feed(event::WatchAdvanced{.header = Store::header(header), .changes = changes});
    note_owners(changes);
  };
  handlers.ended = [this](const etcd::Error& error, int64_t compacted) {
    log_failure("watch ended", error);
    feed(event::WatchEnded{.compacted = compacted > 0, .reason = error.text});
  };
  etcd_->watch(store_.watched(), a.from, a.avoid_current, std::move(handlers));
}

// The kernel acts inside the call; whatever held it up has passed when the clock is read again.
void Daemon::perform(const action::AddAddress& a) {
  const VipConfig* vip = vip_at(a.address);
  const net::Link* link = vip == nullptr ? nullptr : link_named(vip->link);
  int error = ENODEV;
  if (link != nullptr) {
    Place& place = places_[a.address];
    const bool moved = place.is_up && place.link_index != link->index;
    if (moved) (void)netlink_->remove_address(place.link_index, a.address, place.prefix_length);
    error = netlink_->add_address(link->index, a.address, vip->prefix_length,
                                  static_cast<uint32_t>(a.lifetime_s), vip->source);
    place = {.link_index = link->index, .prefix_length = vip->prefix_length, .is_up = true};
  }
  if (error == ENODEV && vip != nullptr) doubt_link(vip->link);
  feed(event::AddressAdded{.address = a.address, .lifetime_s = a.lifetime_s, .error = error});
}

// Before the address goes, or the resets never leave; and well before somebody else may have it.
// What is about to be removed along with it is looked for in the same go.
void Daemon::reset_connections(const Address& first) {
  if (reset_.erase(first) != 0) return;
  std::vector<Address> locals;
  const auto consider = [&](const Address& address) {
    const VipConfig* vip = vip_at(address);
    const auto place = places_.find(address);
    const bool is_up = place != places_.end() && place->second.is_up;
    if (vip != nullptr && vip->kill_connections && is_up) locals.push_back(address);
  };
  consider(first);
  for (const Action& next : actions_) {
    if (const auto* remove = std::get_if<action::RemoveAddress>(&next)) consider(remove->address);
  }
  const Duration left = core_->fencing_deadline() - loop_.now();
  const Duration budget = std::min(kMostForResets, left / 3);
  if (locals.empty() || budget <= Duration()) return;
  const net::Killed killed = net::kill_connections(loop_, locals, budget);
  if (killed.error != 0) log::debug("resetting connections: %s", strerror(killed.error));
  if (killed.connections != 0) {
    log::info("%zu connections to %zu addresses reset%s", killed.connections, locals.size(),
              killed.is_complete ? "" : ", and no time for more");
  }
  reset_.insert(locals.begin(), locals.end());
  reset_.erase(first);
}

void Daemon::perform(const action::RemoveAddress& a) {
  int error = 0;
  reset_connections(a.address);
  const auto place = places_.find(a.address);
  if (place != places_.end()) {
    error =
        netlink_->remove_address(place->second.link_index, a.address, place->second.prefix_length);
  }
  if (error == 0 && place != places_.end()) place->second.is_up = false;
  feed(event::AddressRemoved{.address = a.address, .error = error});
}

void Daemon::perform(const action::SendAnnouncement& a) {
  const VipConfig* vip = vip_at(a.address);
  const net::Link* link = vip == nullptr ? nullptr : link_named(vip->link);
  if (link == nullptr) return;
  const net::Sender sender = {.link_index = link->index,
                              .mac = link->mac,
                              .is_router = a.address.is_v6() && net::forwards_ipv6(link->name)};
  const int error = packet_->announce(sender, a.address, config_.announce.form);
  if (error != 0) {
    log::debug("vip %s: announcement on %s: %s", vip->name.c_str(), vip->link.c_str(),
               strerror(error));
    return;
  }
  records_[a.address].counts.announcements++;
}

void Daemon::perform(const action::SendProbe& a) {
  const VipConfig* vip = vip_at(a.address);
  const net::Link* link = vip == nullptr ? nullptr : link_named(vip->link);
  if (link == nullptr) return;
  (void)packet_->probe({.link_index = link->index, .mac = link->mac}, a.address);
}

void Daemon::perform(const action::ReportState& a) {
  const VipConfig* vip = vip_at(a.address);
  const std::string name = vip == nullptr ? a.address.text() : vip->name;
  log::info("vip %s: %s -> %s: %s", name.c_str(), name_of(a.from).data(), name_of(a.to).data(),
            a.reason.c_str());
  Record& record = records_[a.address];
  record.transitions++;
  record.since = sys::wall_clock_text();
  record.last_change = a.reason;
  count(a);
  note(a);
  notify_of(a);
}

void Daemon::perform(const action::Report& a) {
  if (a.kind == ReportKind::TransferGivenUp) records_[a.address].transfer_failed = a.text;
  count(a);
  if (level_of(a.kind) != log::Level::Debug) note(a);
  write_log(level_of(a.kind), a.text.c_str());
}

// A state directory that cannot be written costs a gap at the next restart, and nothing now.
void Daemon::perform(const action::Remember& a) {
  std::string reason;
  remembered_ = a.memory;
  const std::string path = state_dir_->file(kMemoryFile);
  if (!write_memory(path, config_.etcd.prefix, a.memory, &reason)) {
    log::warn("%s: the session could not be remembered for a restart", reason.c_str());
  }
}

void Daemon::notify_of(const action::ReportState& change) {
  const Record& record = records_[change.address];
  if (record.notify.empty()) return;
  std::vector<std::string> environment = program_environment();
  environment.push_back("VIPD_FROM=" + std::string(name_of(change.from)));
  notifier_->take({.program = record.notify,
                   .name = record.name,
                   .address = change.address.text(),
                   .state = std::string(name_of(change.to)),
                   .reason = change.reason,
                   .environment = std::move(environment)});
}

// Nothing is ours any more; what is still to be told to programs gets a little time.
void Daemon::perform(const action::Finish&) {
  is_finished_ = true;
  checks_->stop();
  if (notifier_->is_idle()) return loop_.stop(0);
  notifier_->on_idle([this] { loop_.stop(0); });
  finish_timer_ = loop_.add_timer(loop_.now() + kLastNotifications, [this] {
    log::warn("stopped before every notification was given out");
    loop_.stop(0);
  });
}

}  // namespace vipd
