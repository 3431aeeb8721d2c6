// The history as JSON, as people read it, and read back. Pure. What is missing in the JSON stays
// empty.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "vipd/status.hpp"

namespace vipd::ctl {

constexpr size_t kMostHistory = 256;

[[nodiscard]] std::string entry_json(const HistoryEntry& entry);
// {"history":[...]}, oldest first.
[[nodiscard]] std::string history_json(const std::deque<HistoryEntry>& history);
[[nodiscard]] std::optional<std::deque<HistoryEntry>> read_history(std::string_view json);
// One line for each, with nothing in it that a terminal would act on.
[[nodiscard]] std::string history_line(const HistoryEntry& entry);

}  // namespace vipd::ctl
