#include "ctl/table.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <vector>

#include "ctl/json_text.hpp"
#include "ctl/status_text.hpp"

namespace vipd::ctl {
namespace {

constexpr const char* kGreen = "\033[32m";
constexpr const char* kYellow = "\033[33m";
constexpr const char* kRed = "\033[31m";
constexpr const char* kBold = "\033[1m";
constexpr const char* kPlain = "";
constexpr const char* kReset = "\033[0m";

constexpr size_t kColumns = 10;
constexpr std::string_view kGap = "  ";

struct Cell {
  std::string text;
  const char* colour = kPlain;
};
using Row = std::array<Cell, kColumns>;

const char* colour_of(std::string_view state) {
  if (state == "owner" || state == "running") return kGreen;
  if (state == "fault") return kRed;
  return state == "standby" ? kPlain : kYellow;
}

std::string painted(const Cell& cell, bool colours) {
  if (!colours || *cell.colour == '\0') return cell.text;
  return cell.colour + cell.text + kReset;
}

std::string or_dash(std::string_view text) {
  return text.empty() ? "-" : harmless(text);
}

// "4.4s": nobody reads more digits of a number that changes all the time.
std::string seconds(int64_t ms) {
  char text[32];
  if (ms % 1000 == 0) {
    snprintf(text, sizeof text, "%llds", static_cast<long long>(ms / 1000));
  } else {
    snprintf(text, sizeof text, "%.1fs", static_cast<double>(ms) / 1000);
  }
  return text;
}

// Milliseconds are for programs.
std::string since_text(std::string_view since) {
  const size_t dot = since.find('.');
  return or_dash(dot == std::string_view::npos ? since : std::string(since.substr(0, dot)) + "Z");
}

std::string queue_text(const std::vector<QueueStatus>& queue) {
  std::string text;
  for (const QueueStatus& candidate : queue) {
    if (!text.empty()) text += ", ";
    text += or_dash(candidate.node);
  }
  return text.empty() ? "-" : text;
}

// Those that are not up are what matters.
Cell checks_cell(const std::vector<CheckStatus>& checks) {
  std::string text;
  const char* colour = kPlain;
  for (const CheckStatus& check : checks) {
    if (check.state == "up" && !check.overridden) continue;
    if (!text.empty()) text += ", ";
    text += or_dash(check.name) + " " + or_dash(check.state) + (check.overridden ? " (set)" : "");
    if (check.state != "up") colour = check.state == "down" ? kRed : kYellow;
  }
  if (text.empty() && !checks.empty()) return {std::to_string(checks.size()) + " up", kGreen};
  return {text.empty() ? "-" : text, colour};
}

Row row_of(const VipStatus& vip, bool has_groups) {
  return {Cell{or_dash(vip.name)},
          Cell{or_dash(vip.address)},
          Cell{or_dash(vip.link)},
          Cell{has_groups ? or_dash(vip.group) : ""},
          Cell{or_dash(vip.state), colour_of(vip.state)},
          Cell{or_dash(vip.owner)},
          Cell{since_text(vip.since)},
          Cell{queue_text(vip.queue)},
          checks_cell(vip.checks),
          Cell{harmless(vip.reason.empty() ? vip.last_change : vip.reason)}};
}

// In characters, not bytes: UTF-8 continuation bytes take no column.
size_t width(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

std::array<size_t, kColumns> widths(const std::vector<Row>& rows) {
  std::array<size_t, kColumns> result{};
  for (const Row& row : rows) {
    for (size_t i = 0; i < kColumns; ++i) result[i] = std::max(result[i], width(row[i].text));
  }
  return result;
}

std::string line_of(const Row& row, const std::array<size_t, kColumns>& columns, bool colours) {
  std::string line;
  size_t owed = 0;  // blanks are written only before something else
  for (size_t i = 0; i < kColumns; ++i) {
    if (columns[i] == 0) continue;  // of groups, where there is none
    if (!row[i].text.empty()) {
      line.append(owed, ' ').append(painted(row[i], colours));
      owed = 0;
    }
    owed += columns[i] - width(row[i].text) + kGap.size();
  }
  return line + "\n";
}

std::string etcd_text(const Status& status) {
  if (status.etcd_endpoint.empty()) return "etcd not reached";
  std::string text = "etcd " + harmless(status.etcd_endpoint);
  if (!status.etcd_version.empty()) text += " (" + harmless(status.etcd_version) + ")";
  if (!status.etcd_cluster_id.empty()) text += ", cluster " + harmless(status.etcd_cluster_id);
  return status.etcd_connected ? text : text + ", not connected";
}

std::string daemon_line(const Status& status, bool colours) {
  std::string line = "node " + painted(Cell{or_dash(status.node), kBold}, colours) + ": " +
                     painted(Cell{or_dash(status.state), colour_of(status.state)}, colours);
  if (status.pause_persists) line += " until resumed";
  line += ", session timeout " + seconds(status.timeout_ms);
  line += status.authority_ms > 0 ? ", authority " + seconds(status.authority_ms) + " left"
                                  : ", no authority";
  const Cell etcd{etcd_text(status), status.etcd_connected ? kPlain : kRed};
  line += ", " + painted(etcd, colours) + "\n";
  if (!status.etcd_error_matters) return line;
  return line + painted(Cell{"etcd: " + harmless(etcd_error_of(status)), kRed}, colours) + "\n";
}

}  // namespace

std::string harmless(std::string_view text) {
  std::string result = valid_utf8(text);
  for (char& c : result) {
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = '?';
  }
  // U+0080 to U+009F are control characters too (ECMA-48, 8-bit forms of ESC sequences).
  for (size_t i = 0; i + 1 < result.size(); ++i) {
    if (result[i] == '\xc2' && static_cast<unsigned char>(result[i + 1]) < 0xa0) {
      result.replace(i, 2, "?");
    }
  }
  return result;
}

std::string status_table(const Status& status, bool colours) {
  const bool has_groups = std::any_of(status.vips.begin(), status.vips.end(),
                                      [](const VipStatus& vip) { return !vip.group.empty(); });
  std::vector<Row> rows;
  rows.push_back({Cell{"VIP", kBold}, Cell{"ADDRESS", kBold}, Cell{"LINK", kBold},
                  Cell{has_groups ? "GROUP" : "", kBold}, Cell{"STATE", kBold},
                  Cell{"OWNER", kBold}, Cell{"SINCE", kBold}, Cell{"QUEUE", kBold},
                  Cell{"CHECKS", kBold}, Cell{"REASON", kBold}});
  for (const VipStatus& vip : status.vips) rows.push_back(row_of(vip, has_groups));
  const std::array<size_t, kColumns> columns = widths(rows);
  std::string text = daemon_line(status, colours);
  const std::string peers = peer_line(status);
  if (!peers.empty()) text += harmless(peers) + "\n";
  for (const std::string& line : trouble_lines(status)) {
    text += painted(Cell{harmless(line), kRed}, colours) + "\n";
  }
  text += "\n";
  for (const Row& row : rows) text += line_of(row, columns, colours);
  return text;
}

}  // namespace vipd::ctl
