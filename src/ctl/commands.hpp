// The commands of vipctl, and what each does. Blocking; for the command line only.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vipd::ctl {

// The exit statuses of vipctl(8).
constexpr int kDone = 0;
constexpr int kRefused = 1;
constexpr int kUsage = 2;
constexpr int kNoDaemon = 3;

struct CommandLine {
  std::string socket;
  bool is_json = false;
  bool is_watch = false;
  bool is_persistent = false;
  std::vector<std::string> words;  // after the command: VIPs, a node, a check, a level
};

struct Command {
  std::string_view name;
  std::string_view arguments;  // as the help shows them; options in brackets
  std::string_view help;
  int (*run)(const CommandLine& line);
};

// In the order of the help. The completion scripts are made of it, and vipctl(8) is checked against
// it.
[[nodiscard]] std::span<const Command> commands();

}  // namespace vipd::ctl
