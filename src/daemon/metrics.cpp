// What is counted, collected for GET /metrics.
#include "ctl/metrics.hpp"
#include "daemon/impl.hpp"

namespace vipd {

namespace {

std::vector<ctl::RequestCounts> requests_of(const etcd::Tally& tally) {
  std::vector<ctl::RequestCounts> requests;
  for (const auto& [key, counts] : tally.counts()) {
    for (size_t i = 0; i < counts.size(); i++) {
      requests.push_back({.endpoint = key.first,
                          .operation = key.second,
                          .result = etcd::Tally::kResults[i],
                          .count = counts[i]});
    }
  }
  return requests;
}

}  // namespace

// After a change of the configuration counters of a VIP that is gone go, too.
ctl::Response Daemon::metrics() const {
  ctl::Metrics metrics;
  metrics.status = status();
  for (const VipStatus& vip : metrics.status.vips) {
    const auto record = records_.find(*Address::parse(vip.address));
    metrics.vips.push_back(record == records_.end() ? ctl::VipCounts() : record->second.counts);
  }
  metrics.heartbeats = core_->heartbeats();
  metrics.takeovers = takeovers_;
  metrics.fenced = fenced_;
  metrics.authority_lost = authority_lost_;
  metrics.no_space = no_space_;
  metrics.uncompacted = history_.uncompacted();
  metrics.requests = requests_of(etcd_->tally());
  return {.body = ctl::metrics_text(metrics), .content_type = "text/plain; version=0.0.4"};
}

void Daemon::count(const action::ReportState& a) {
  records_[a.address].counts.to[name_of(a.to)]++;
  if (a.to == VipState::Owner) takeovers_[name_of(a.cause)]++;
}

void Daemon::count(const action::Report& a) {
  if (a.kind == ReportKind::ConflictSeen) records_[a.address].counts.conflicts++;
  if (a.kind == ReportKind::AddressRestored) records_[a.address].counts.restored++;
  if (a.kind == ReportKind::Fenced) fenced_++;
  if (a.kind == ReportKind::AuthorityLost) authority_lost_++;
  if (a.kind == ReportKind::NoSpace) no_space_ = true;
  // With its session the core forgets that there was no space, until it is told so again.
  const bool forgotten = a.kind == ReportKind::Fenced || a.kind == ReportKind::ClusterChanged;
  if (a.kind == ReportKind::SpaceAgain || forgotten) no_space_ = false;
}

}  // namespace vipd
