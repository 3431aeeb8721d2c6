#include "daemon/settings.hpp"

#include <utility>

#include "conf/conf.hpp"
#include "daemon/programs.hpp"
#include "vipd/config.hpp"
#include "vipd/log.hpp"

namespace vipd {

std::vector<std::string> read_again(const conf::Sources& sources, bool has_helper,
                                    std::optional<Config>* next) {
  conf::Result result = conf::load(sources);
  const std::string program = Programs::first_of(result.config);
  if (!has_helper && !program.empty()) {
    result.errors.push_back(program +
                            ": vipd was started without a program to run; restart it for this one");
  }
  for (const std::string& error : result.errors) log::error("%s", error.c_str());
  for (const std::string& warning : result.warnings) log::warn("%s", warning.c_str());
  if (result.errors.empty()) {
    *next = std::move(result.config);
  } else {
    log::error("the configuration was not changed");
  }
  return result.errors;
}

Settings settings_of(const Config& config) {
  Settings settings;
  settings.node = config.node_name;
  settings.timeout = config.session_timeout;
  settings.heartbeat = config.session_heartbeat;
  settings.peer_timeout = config.peer_timeout;
  settings.hold = config.peer_hold;
  settings.announce_count = config.announce.count;
  settings.announce_interval = config.announce.interval;
  settings.announce_refresh = config.announce.refresh;
  settings.conflict = config.conflict;
  settings.conflict_probe = config.conflict_probe;
  settings.cluster = {.fixed = cluster_from_hex(config.etcd.cluster).value_or(0),  // auto: 0
                      .endpoints = config.etcd.endpoints};
  for (const VipConfig& vip : config.vips) {
    settings.vips.push_back({.name = vip.name,
                             .address = vip.address,
                             .link = vip.link,
                             .priority = vip.priority,
                             .preempt = vip.preempt,
                             .preempt_delay = vip.preempt_delay,
                             .acquires = !vip.acquire.empty(),
                             .group = vip.group});
  }
  return settings;
}

void keep_until_restart(const Config& now, Config* next) {
  if (next->etcd.prefix != now.etcd.prefix || next->control_socket != now.control_socket ||
      next->state_dir != now.state_dir || next->user != now.user || next->fence != now.fence) {
    log::warn(
        "etcd.prefix, control.socket, state.dir, user and fence stay as they are until a restart");
  }
  next->etcd.prefix = now.etcd.prefix;
  next->control_socket = now.control_socket;
  next->state_dir = now.state_dir;
  next->user = now.user;
  next->fence = now.fence;
}

}  // namespace vipd
