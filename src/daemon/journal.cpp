#include "daemon/journal.hpp"

#include <algorithm>
#include <utility>

#include "ctl/history.hpp"
#include "daemon/vips.hpp"
#include "sys/wall_clock.hpp"

namespace vipd {

namespace {

constexpr int kAtOnce = 8;  // VIPs: well below a millisecond

}  // namespace

Journal::Journal(Loop& loop, const Vips& vips, Sources sources)
    : loop_(loop), vips_(vips), sources_(std::move(sources)), work_(loop) {}

void Journal::add(HistoryEntry entry) {
  entry.time = sys::wall_clock_text();
  if (before_.session != LeaseId::None) entry.session = lease_hex(before_.session);
  entry.endpoint = sources_.endpoint();
  entry.revision = before_.revision;
  if (before_.confirmed != MonoTime::long_ago()) {
    entry.heartbeat_ms = (loop_.now() - before_.confirmed).ms();
    entry.authority_ms = std::max<int64_t>(0, (before_.deadline - loop_.now()).ms());
  }
  if (sources_.is_heard()) sources_.publish(ctl::entry_json(entry));
  entries_.push_back(std::move(entry));
  if (entries_.size() > ctl::kMostHistory) entries_.pop_front();
}

void Journal::note(const std::string& what) {
  HistoryEntry entry;
  entry.kind = "event";
  entry.reason = what;
  add(std::move(entry));
}

void Journal::note(const action::Report& report) {
  HistoryEntry entry;
  entry.kind = "event";
  const VipConfig* vip = vips_.at(report.address);
  if (vip != nullptr) entry.vip = vip->name;
  if (vip != nullptr) entry.address = report.address.text();
  entry.reason = report.text;
  add(std::move(entry));
}

void Journal::note(const action::ReportState& change) {
  const VipConfig* vip = vips_.at(change.address);
  std::string& owner = owners_[change.address];
  owner = sources_.owner(change.address);
  HistoryEntry entry;
  entry.kind = "state";
  entry.vip = vip == nullptr ? change.address.text() : vip->name;
  entry.address = change.address.text();
  entry.from = name_of(change.from);
  entry.to = name_of(change.to);
  entry.owner = owner;
  entry.reason = change.reason;
  add(std::move(entry));
}

void Journal::note_owner(const Address& address) {
  const VipConfig* vip = vips_.at(address);
  if (vip == nullptr) return;
  std::string& noted = owners_[address];
  const std::string owner = sources_.owner(address);
  if (noted == owner) return;
  HistoryEntry entry;
  entry.kind = "owner";
  entry.vip = vip->name;
  entry.address = address.text();
  entry.from = std::exchange(noted, owner);
  entry.to = entry.owner = owner;
  entry.reason = sources_.how(address);
  add(std::move(entry));
}

void Journal::after(const event::WatchAdvanced& shown) {
  for (const Change& change : shown.changes) {
    if (change.entry.key.kind == KeyKind::Candidate) shown_.push_back(change.entry.key.vip);
  }
  note_owners();
}

void Journal::after(const event::PrefixRead& read) {
  if (read.goes_on) return;
  for (const VipConfig& vip : vips_.all()) shown_.push_back(vip.address);
  note_owners();
}

void Journal::note_owners() {
  const auto some = [this] {
    for (int i = 0; i < kAtOnce && !shown_.empty(); i++) {
      note_owner(shown_.front());
      shown_.pop_front();
    }
    return !shown_.empty();
  };
  if (!work_.is_busy()) (void)work_.start(some, nullptr);
}

}  // namespace vipd
