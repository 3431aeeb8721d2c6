// What each command of vipctl does. Blocking; for the command line only.
#pragma once

#include <string>
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
  std::vector<std::string> vips;  // or what else the command is about
};

int show_status(const CommandLine& line);
int watch_status(const CommandLine& line);
int resign(const CommandLine& line);
int transfer(const CommandLine& line);
int set_log_level(const CommandLine& line);
int pause_node(const CommandLine& line);
int override_check(const CommandLine& line);
int resume_node(const CommandLine& line);
int reload(const CommandLine& line);
int show_history(const CommandLine& line);
int show_metrics(const CommandLine& line);
int show_version(const CommandLine& line);

}  // namespace vipd::ctl
