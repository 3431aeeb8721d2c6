#include "sys/options.hpp"

namespace vipd::sys {
namespace {

constexpr size_t kHelpColumn = 27;

}  // namespace

std::string short_options(std::span<const Option> options) {
  std::string text;
  for (const Option& row : options) {
    if (row.value >= kNoLetter) continue;
    text += static_cast<char>(row.value);
    if (row.argument != nullptr) text += ':';
  }
  return text;
}

std::vector<option> long_options(std::span<const Option> options) {
  std::vector<option> rows;
  for (const Option& row : options) {
    const int takes = row.argument == nullptr ? no_argument : required_argument;
    rows.push_back({row.name, takes, nullptr, row.value});
  }
  rows.push_back({nullptr, 0, nullptr, 0});
  return rows;
}

std::string options_help(std::span<const Option> options) {
  std::string text;
  for (const Option& row : options) {
    const bool has_letter = row.value < kNoLetter;
    std::string line = has_letter ? std::string("  -") + static_cast<char>(row.value) + ", " : "";
    line.append(has_letter ? 0 : 6, ' ').append("--").append(row.name);
    if (row.argument != nullptr) line.append(" ").append(row.argument);
    if (line.size() < kHelpColumn) line.append(kHelpColumn - line.size(), ' ');
    for (const char* c = row.help; *c != '\0'; ++c) {
      line += *c;
      if (*c == '\n') line.append(kHelpColumn, ' ');
    }
    text += line + "\n";
  }
  return text;
}

}  // namespace vipd::sys
