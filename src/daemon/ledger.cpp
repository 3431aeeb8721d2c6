#include "daemon/ledger.hpp"

#include "sys/wall_clock.hpp"

namespace vipd {

void Ledger::take(const action::ReportState& change) {
  OfVip& vip = vips_[change.address];
  vip.transitions++;
  vip.since = sys::wall_clock_text();
  vip.last_change = change.reason;
  vip.counts.to[static_cast<size_t>(change.to)]++;
  vip.counts.reachable.reset();
  if (change.to == VipState::Owner && !change.again) node_.takeovers[name_of(change.cause)]++;
}

void Ledger::take(const action::Report& report) {
  const ReportKind kind = report.kind;
  if (kind == ReportKind::TransferGivenUp) vips_[report.address].transfer_failed = report.text;
  if (kind == ReportKind::ConflictSeen) vips_[report.address].counts.conflicts++;
  if (kind == ReportKind::AddressRestored) vips_[report.address].counts.restored++;
  if (kind == ReportKind::Fenced) node_.fenced++;
  if (kind == ReportKind::AuthorityLost) node_.authority_lost++;
  if (kind == ReportKind::NoSpace) node_.no_space = true;
  // With its session the core forgets that there was no space, until it is told so again.
  const bool forgotten = kind == ReportKind::Fenced || kind == ReportKind::ClusterChanged;
  if (kind == ReportKind::SpaceAgain || forgotten) node_.no_space = false;
}

void Ledger::added(const Address& vip) {
  vips_[vip].since = sys::wall_clock_text();
  vips_[vip].last_change.clear();
}

const Ledger::OfVip& Ledger::of(const Address& vip) const {
  static const OfVip kNothing;
  const auto found = vips_.find(vip);
  return found == vips_.end() ? kNothing : found->second;
}

}  // namespace vipd
