#include "ctl/vipctl.hpp"

#include <curl/curl.h>
#include <getopt.h>

#include <csignal>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "ctl/commands.hpp"
#include "sys/options.hpp"
#include "vipd/paths.hpp"

#ifndef VIPD_VERSION
#define VIPD_VERSION "unknown"
#endif

namespace vipd::ctl {
namespace {

constexpr char kHelp[] =
    "usage: vipctl [-s SOCKET] COMMAND\n"
    "\n"
    "  status [--json] [--watch]   what this node knows\n"
    "  resign [VIP...]             release VIPs (all of them) to the next in the queue\n"
    "  transfer VIP NODE           hand a VIP over to that node\n"
    "  pause [--persist]           release all VIPs and stay out of every election\n"
    "  resume                      take part again\n"
    "  check NAME up|down|auto     override a health check, or let it judge again\n"
    "  reload                      read the configuration again\n"
    "  log-level LEVEL             error, warn, info or debug, until it is changed again\n"
    "  history [--json]            what changed last, and why\n"
    "  metrics                     what the daemon counts, as Prometheus reads it\n"
    "  version                     the versions of vipctl and of the daemon\n"
    "\n";

constexpr char kHelpEnd[] =
    "\n"
    "Exit status: 0 done, 1 the daemon said no, 2 usage, 3 no daemon at that socket.\n"
    "See vipctl(8).\n";

struct Command {
  std::string_view name;
  int (*run)(const CommandLine& line);
  bool takes_vips;
  bool takes_json;
  bool takes_watch;
};

int run_status(const CommandLine& line) {
  return line.is_watch ? watch_status(line) : show_status(line);
}

constexpr Command kCommands[] = {
    {"status", run_status, false, true, true},
    {"resign", resign, true, false, false},
    {"transfer", transfer, true, false, false},
    {"pause", pause_node, false, false, false},
    {"resume", resume_node, false, false, false},
    {"check", override_check, true, false, false},
    {"reload", reload, false, false, false},
    {"log-level", set_log_level, true, false, false},
    {"history", show_history, false, true, false},
    {"metrics", show_metrics, false, false, false},
    {"version", show_version, false, false, false},
};

constexpr int kJson = sys::kNoLetter;
constexpr int kWatch = sys::kNoLetter + 1;
constexpr int kPersist = sys::kNoLetter + 2;

constexpr sys::Option kOptions[] = {
    {'s', "socket", "SOCKET",
     "the daemon's control socket\n(default: " VIPD_RUNDIR "/vipd/vipd.sock)"},
    {kJson, "json", nullptr, "for programs, as JSON"},
    {kWatch, "watch", nullptr, "go on with every change"},
    {kPersist, "persist", nullptr, "also after a restart of the daemon"},
    {'V', "version", nullptr, "print vipctl's version and exit"},
    {'h', "help", nullptr, "print this and exit"},
};

int usage(const char* words, std::string_view what) {
  if (words != nullptr) {
    fprintf(stderr, "vipctl: %s%.*s\n", words, static_cast<int>(what.size()), what.data());
  }
  fprintf(stderr, "See vipctl --help.\n");
  return kUsage;
}

const Command* find_command(std::string_view name) {
  for (const Command& command : kCommands) {
    if (command.name == name) return &command;
  }
  return nullptr;
}

int unknown_command(const std::string& name) {
  std::string known;
  for (const Command& command : kCommands) known.append(" ").append(command.name);
  fprintf(stderr, "vipctl: unknown command: %s\nCommands:%s\n", name.c_str(), known.c_str());
  return usage(nullptr, "");
}

int run_command(const std::vector<std::string>& words, CommandLine* line) {
  if (words.empty()) return usage("which command?", "");
  const Command* const command = find_command(words[0]);
  if (command == nullptr) return unknown_command(words[0]);
  if (line->is_json && !command->takes_json) return usage("--json is not for ", command->name);
  if (line->is_watch && !command->takes_watch) return usage("--watch is not for ", command->name);
  if (line->is_persistent && command->name != "pause") {
    return usage("--persist is for pause, not for ", command->name);
  }
  line->vips.assign(words.begin() + 1, words.end());
  if (!line->vips.empty() && !command->takes_vips) {
    return usage("too many words after ", command->name);
  }
  return command->run(*line);
}

}  // namespace

int vipctl_main(int argc, char** argv) {
  // `vipctl status --watch | head` is to end like any other filter; libcurl looks after its own.
  signal(SIGPIPE, SIG_DFL);
  curl_global_init(CURL_GLOBAL_NOTHING);
  CommandLine line;
  line.socket = kDefaultSocket;
  const std::string letters = sys::short_options(kOptions);
  const std::vector<option> names = sys::long_options(kOptions);
  int option = 0;
  while ((option = getopt_long(argc, argv, letters.c_str(), names.data(), nullptr)) != -1) {
    switch (option) {
      case 's':
        line.socket = optarg;
        break;
      case kJson:
        line.is_json = true;
        break;
      case kWatch:
        line.is_watch = true;
        break;
      case kPersist:
        line.is_persistent = true;
        break;
      case 'V':
        return puts("vipctl " VIPD_VERSION) < 0 ? kRefused : kDone;
      case 'h':
        return fputs((kHelp + sys::options_help(kOptions) + kHelpEnd).c_str(), stdout) < 0
                   ? kRefused
                   : kDone;
      default:
        return usage(nullptr, "");  // getopt_long has said why
    }
  }
  return run_command(std::vector<std::string>(argv + optind, argv + argc), &line);
}

}  // namespace vipd::ctl
