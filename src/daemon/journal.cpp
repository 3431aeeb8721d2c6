// The history: the last changes and the figures that explain them, for vipctl history and
// GET /v1/events.
#include <algorithm>

#include "ctl/history.hpp"
#include "daemon/impl.hpp"
#include "sys/wall_clock.hpp"

namespace vipd {

// As they are before a step: what it changes is explained by what was there, and a session that was
// lost has no figures any more.
void Daemon::remember_figures() {
  before_ = {.session = core_->session(),
             .deadline = core_->fencing_deadline(),
             .revision = core_->revision()};
}

void Daemon::note(HistoryEntry entry) {
  entry.time = sys::wall_clock_text();
  if (before_.session != LeaseId::None) entry.session = lease_hex(before_.session);
  entry.endpoint = etcd_->endpoint();
  entry.revision = before_.revision;
  if (before_.deadline != MonoTime::long_ago()) {
    const Duration left = before_.deadline - loop_.now();
    entry.heartbeat_ms = (core_->timeout() - left).ms();
    entry.authority_ms = std::max<int64_t>(0, left.ms());
  }
  server_->publish(ctl::entry_json(entry));
  journal_.push_back(std::move(entry));
  if (journal_.size() > ctl::kMostHistory) journal_.pop_front();
}

void Daemon::note(const std::string& what) {
  HistoryEntry entry;
  entry.kind = "event";
  entry.reason = what;
  note(std::move(entry));
}

void Daemon::note(const action::Report& a) {
  HistoryEntry entry;
  entry.kind = "event";
  const VipConfig* vip = vip_at(a.address);
  if (vip != nullptr) entry.vip = vip->name;
  if (vip != nullptr) entry.address = a.address.text();
  entry.reason = a.text;
  note(std::move(entry));
}

void Daemon::note(const action::ReportState& a) {
  const VipConfig* vip = vip_at(a.address);
  Record& record = records_[a.address];
  record.owner = core_->owner(a.address, loop_.now());
  HistoryEntry entry;
  entry.kind = "state";
  entry.vip = vip == nullptr ? a.address.text() : vip->name;
  entry.address = a.address.text();
  entry.from = name_of(a.from);
  entry.to = name_of(a.to);
  entry.owner = record.owner;
  entry.reason = a.reason;
  note(std::move(entry));
}

// Who owns it elsewhere, as the watch has just shown.
void Daemon::note_owner(const Address& address) {
  const VipConfig* vip = vip_at(address);
  if (vip == nullptr) return;
  Record& record = records_[address];
  const std::string owner = core_->owner(address, loop_.now());
  if (record.owner == owner) return;
  HistoryEntry entry;
  entry.kind = "owner";
  entry.vip = vip->name;
  entry.address = address.text();
  entry.from = std::exchange(record.owner, owner);
  entry.to = entry.owner = owner;
  entry.reason = core_->how(address);
  note(std::move(entry));
}

void Daemon::note_owners(const std::vector<Change>& changes) {
  for (const Change& change : changes) {
    if (change.entry.key.kind == KeyKind::Candidate) note_owner(change.entry.key.vip);
  }
}

}  // namespace vipd
