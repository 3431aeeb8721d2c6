#include "daemon/reports.hpp"

#include "vipd/log.hpp"

namespace vipd {

namespace {

log::Level level_of(ReportKind kind) {
  switch (kind) {
    case ReportKind::Connected:
    case ReportKind::SessionOpened:
    case ReportKind::SessionTakenUp:
    case ReportKind::TakeoverTried:
    case ReportKind::TakeoverDone:
    case ReportKind::HandedOver:
    case ReportKind::OrphanRevoked:
    case ReportKind::TermEntered:
    case ReportKind::TermExpired:
    case ReportKind::TermLeft:
    case ReportKind::TermRefused:
    case ReportKind::MarkDeleted:
    case ReportKind::GrantsEnded:
      return log::Level::Info;
    case ReportKind::TakeoverRefused:
    case ReportKind::WatchReplaced:
      return log::Level::Debug;
    case ReportKind::HoldBegun:
    case ReportKind::HoldEnded:
    case ReportKind::HoldRefused:
    case ReportKind::Unreachable:
    case ReportKind::Fenced:
    case ReportKind::AuthorityLost:
    case ReportKind::HistoryLost:
    case ReportKind::ClusterUnclear:
    case ReportKind::ClusterChanged:
    case ReportKind::AddressFailed:
    case ReportKind::AddressRestored:
    case ReportKind::NoSpace:
    case ReportKind::TransferGivenUp:
    case ReportKind::SpaceAgain:
    case ReportKind::ConflictSeen:
    case ReportKind::ConflictDefended:
    case ReportKind::ConflictOver:
    case ReportKind::ReleaseGivenUp:
    case ReportKind::NodesDiffer:
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

}  // namespace

void log_report(const action::Report& report, const VipConfig* vip) {
  const std::string about = vip == nullptr ? "" : "vip " + vip->name + ": ";
  write_log(level_of(report.kind), (about + report.text).c_str());
}

bool belongs_in_history(const action::Report& report) {
  return level_of(report.kind) != log::Level::Debug;
}

}  // namespace vipd
