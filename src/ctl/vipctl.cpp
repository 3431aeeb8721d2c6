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

namespace vipd::ctl {
namespace {

constexpr size_t kHelpColumn = 30;
constexpr char kUsageLine[] = "usage: vipctl [-s SOCKET] COMMAND\n\n";

constexpr char kHelpEnd[] =
    "\n"
    "Exit status: 0 done, 1 the daemon said no, 2 usage, 3 no daemon at that socket.\n"
    "See vipctl(8).\n";

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

std::string help() {
  std::string text = kUsageLine;
  for (const Command& command : commands()) {
    std::string left = "  " + std::string(command.name);
    if (!command.arguments.empty()) left.append(" ").append(command.arguments);
    left.resize(kHelpColumn, ' ');
    text.append(left).append(command.help).append("\n");
  }
  return text + "\n" + sys::options_help(kOptions) + kHelpEnd;
}

int usage(const char* words, std::string_view what) {
  if (words != nullptr) {
    fprintf(stderr, "vipctl: %s%.*s\n", words, static_cast<int>(what.size()), what.data());
  }
  fprintf(stderr, "See vipctl --help.\n");
  return kUsage;
}

bool takes(const Command& command, std::string_view option) {
  return command.arguments.find(option) != std::string_view::npos;
}

bool takes_words(const Command& command) {
  return !command.arguments.empty() && !command.arguments.starts_with("[--");
}

const Command* find_command(std::string_view name) {
  for (const Command& command : commands()) {
    if (command.name == name) return &command;
  }
  return nullptr;
}

int unknown_command(const std::string& name) {
  std::string known;
  for (const Command& command : commands()) known.append(" ").append(command.name);
  fprintf(stderr, "vipctl: unknown command: %s\nCommands:%s\n", name.c_str(), known.c_str());
  return usage(nullptr, "");
}

int run_command(const std::vector<std::string>& words, CommandLine* line) {
  if (words.empty()) return usage("which command?", "");
  const Command* const command = find_command(words[0]);
  if (command == nullptr) return unknown_command(words[0]);
  if (line->is_json && !takes(*command, "[--json]")) {
    return usage("--json is not for ", command->name);
  }
  if (line->is_watch && !takes(*command, "[--watch]")) {
    return usage("--watch is not for ", command->name);
  }
  if (line->is_persistent && !takes(*command, "[--persist]")) {
    return usage("--persist is for pause, not for ", command->name);
  }
  line->words.assign(words.begin() + 1, words.end());
  if (!line->words.empty() && !takes_words(*command)) {
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
        return fputs(help().c_str(), stdout) < 0 ? kRefused : kDone;
      default:
        return usage(nullptr, "");  // getopt_long has said why
    }
  }
  return run_command(std::vector<std::string>(argv + optind, argv + argc), &line);
}

}  // namespace vipd::ctl
