// Options, and whom to hand them to. One binary, two names: vipd and vipctl.
#ifdef NDEBUG
#error "asserts stay on: what they end loses its address in time, what runs on may keep it"
#endif

#include <fcntl.h>
#include <getopt.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "conf/conf.hpp"
#include "ctl/vipctl.hpp"
#include "daemon/beforehand.hpp"
#include "daemon/daemon.hpp"
#include "daemon/online.hpp"
#include "sys/background.hpp"
#include "sys/number.hpp"
#include "sys/options.hpp"
#include "sys/user.hpp"
#include "vipd/paths.hpp"
#include "web/tls_trial.hpp"

namespace vipd {
namespace {

constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kUsage = 2;

enum class Task { Run, Check, Print, Version, Help };

struct Options {
  Task task = Task::Run;
  bool online = false;
  DaemonOptions daemon;
};

constexpr int kPrintConfig = sys::kNoLetter;
constexpr int kReadyFd = sys::kNoLetter + 1;
constexpr int kOnline = sys::kNoLetter + 2;

constexpr sys::Option kOptions[] = {
    {'c', "config", "FILE",
     "configuration file, or a folder of *.conf files\n(default: " VIPD_SYSCONFDIR
     "/vipd.conf, then " VIPD_SYSCONFDIR "/vipd.d/*.conf)"},
    {'o', "option", "KEY=VALUE", "set a key, whatever the files say"},
    {'n', "check", nullptr, "check the configuration and exit"},
    {kOnline, "online", nullptr, "with -n: ask each endpoint of etcd, too"},
    {kPrintConfig, "print-config", nullptr, "print the effective configuration and exit"},
    {'d', "daemonize", nullptr, "go to the background once ready"},
    {'p', "pidfile", "FILE", "write the pid there and lock the file"},
    {'v', "verbose", nullptr, "log.level = debug"},
    {kReadyFd, "ready-fd", "N", "write a line to this descriptor once ready"},
    {'V', "version", nullptr, "print the version and exit"},
    {'h', "help", nullptr, "print this and exit"},
};

std::string help() {
  return "usage: vipd [-c FILE]... [-o KEY=VALUE]... [-n] [-d] [-p PIDFILE] [-v]\n\n"
         "Shares IP addresses between machines through etcd; each has one owner at a time.\n\n" +
         sys::options_help(kOptions) + "\nSee vipd(8), vipd.conf(5) and vipctl(8).\n";
}

bool parse_ready_fd(std::string_view text, int* fd) {
  *fd = sys::parse_number<int>(text).value_or(-1);
  const bool is_open = *fd >= 0 && fcntl(*fd, F_GETFD) >= 0;
  if (!is_open) fprintf(stderr, "vipd: --ready-fd %s: no open descriptor\n", text.data());
  return is_open;
}

bool take_option(int option, Options* options) {
  DaemonOptions& daemon = options->daemon;
  switch (option) {
    case 'c':
      daemon.sources.paths.emplace_back(optarg);
      return true;
    case 'o':
      daemon.sources.overrides.emplace_back(optarg);
      return true;
    case 'n':
      options->task = Task::Check;
      return true;
    case kOnline:
      options->online = true;
      return true;
    case kPrintConfig:
      options->task = Task::Print;
      return true;
    case 'd':
      daemon.daemonize = true;
      return true;
    case 'p':
      daemon.pidfile = optarg;
      return true;
    case 'v':
      daemon.verbose = true;
      return true;
    case kReadyFd:
      // A replacement's supervisor has been told, and the descriptor is gone; as in its trial.
      return daemon.program.is_replacement() || options->task == Task::Check ||
             parse_ready_fd(optarg, &daemon.ready_fd);
    case 'V':
      options->task = Task::Version;
      return true;
    case 'h':
      options->task = Task::Help;
      return true;
    default:
      return false;  // getopt_long has said why
  }
}

bool parse_options(int argc, char** argv, Options* options) {
  const std::string letters = sys::short_options(kOptions);
  const std::vector<option> names = sys::long_options(kOptions);
  int option = 0;
  while ((option = getopt_long(argc, argv, letters.c_str(), names.data(), nullptr)) != -1) {
    if (!take_option(option, options)) return false;
    if (options->task == Task::Version || options->task == Task::Help) return true;
  }
  if (optind < argc) {
    fprintf(stderr, "vipd: unexpected argument '%s'\n", argv[optind]);
  } else if (options->online && options->task != Task::Check) {
    fprintf(stderr, "vipd: --online goes with -n\n");
  } else {
    return true;
  }
  return false;
}

int say(const std::string& text) {
  const bool is_written = fputs(text.c_str(), stdout) >= 0 && fflush(stdout) == 0;
  if (!is_written) perror("vipd: standard output");
  return is_written ? kDone : kFailed;
}

std::string tls_fault(const conf::TlsFilesNamed& files) {
  return web::tls_fault({.cacert = files.cacert,
                         .cert = files.cert,
                         .key = files.key,
                         .servername = "",
                         .verifies = true});
}

// Only root can be somebody else for a while.
void say_who_judged(const Config& config) {
  sys::User user;
  std::string reason;
  if (geteuid() == 0 || !sys::find_user(config.user, &user, &reason)) return;
  if (user.uid == geteuid()) return;
  fprintf(stderr, "vipd: what user %s may read and write was not checked; run vipd -n as root\n",
          config.user.c_str());
}

bool etcd_can_be_used(const Config& config) {
  bool is_good = true;
  for (const EndpointReport& report : ask_endpoints(config)) {
    if (report.fault.empty()) {
      printf("etcd.endpoints: %s: cluster %s\n", report.endpoint.c_str(), report.cluster.c_str());
      continue;
    }
    is_good = false;
    fflush(stdout);
    fprintf(stderr, "etcd.endpoints: %s: %s\n", report.endpoint.c_str(), report.fault.c_str());
  }
  return is_good;
}

int check_configuration(const Options& options) {
  conf::Result result = conf::load(options.daemon.sources);
  for (const std::string& error : result.errors) fprintf(stderr, "%s\n", error.c_str());
  if (!result.errors.empty()) return kUsage;
  for (const std::string& each : result.warnings) fprintf(stderr, "warning: %s\n", each.c_str());
  if (options.task == Task::Check) {
    for (const std::string& each : lacks(result.config)) {
      fprintf(stderr, "warning: %s\n", each.c_str());
    }
  }
  say_who_judged(result.config);
  if (options.online && !etcd_can_be_used(result.config)) return kFailed;
  if (options.task == Task::Check) return say("configuration OK\n");
  if (options.daemon.verbose) result.config.log_level = log::Level::Debug;
  return say(conf::print(result.config));
}

int vipd_main(int argc, char** argv) {
  Options options;
  options.daemon.sources.try_tls = tls_fault;
  options.daemon.program = sys::Program::started(argv);
  if (!parse_options(argc, argv, &options)) {
    fprintf(stderr, "See vipd --help.\n");
    return kUsage;
  }
  switch (options.task) {
    case Task::Run:
      break;
    case Task::Check:
    case Task::Print:
      return check_configuration(options);
    case Task::Version:
      return say("vipd " VIPD_VERSION "\n");
    case Task::Help:
      return say(help());
  }
  return run_daemon(options.daemon);
}

struct Program {
  std::string_view name;
  int (*main)(int argc, char** argv);
};

// The first is what the binary is under any other name.
constexpr Program kPrograms[] = {{"vipd", vipd_main}, {"vipctl", ctl::vipctl_main}};

}  // namespace
}  // namespace vipd

int main(int argc, char** argv) {
  vipd::sys::fill_standard_descriptors();
  // A client or a log reader that goes away is an error of one write, not the end of the process.
  signal(SIGPIPE, SIG_IGN);
  std::string_view name = argc > 0 ? argv[0] : "";
  name.remove_prefix(name.rfind('/') + 1);
  for (const vipd::Program& program : vipd::kPrograms) {
    if (name == program.name) return program.main(argc, argv);
  }
  return vipd::kPrograms[0].main(argc, argv);
}
