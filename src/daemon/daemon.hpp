// The daemon: turns what the adapters see into events, steps the core, and performs its actions.
#pragma once

#include <string>

#include "conf/conf.hpp"
#include "sys/program.hpp"

namespace vipd {

struct DaemonOptions {
  conf::Sources sources;
  bool verbose = false;    // log.level = debug, whatever the files say
  bool daemonize = false;  // go to the background once ready
  std::string pidfile;     // empty: none
  int ready_fd = -1;       // s6's readiness notification; -1: none
  sys::Program program;    // what runs, and how it was started
};

// Runs until TERM or INT, or until it cannot go on. Returns the exit status of vipd(8):
// 0 stopped as asked, 1 failed at run time, 2 bad configuration (reported on stderr).
[[nodiscard]] int run_daemon(const DaemonOptions& options);

}  // namespace vipd
