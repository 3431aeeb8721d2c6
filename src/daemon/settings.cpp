#include "daemon/settings.hpp"

#include <utility>

#include "conf/conf.hpp"
#include "daemon/programs.hpp"
#include "vipd/config.hpp"
#include "vipd/log.hpp"

namespace vipd {

namespace {

// What a living session, or a process without privileges, cannot change. `next` gets the values in
// force; the keys of those that differ.
std::string keep_until_restart(const Config& now, Config* next) {
  std::string keys;
  const auto keep = [&keys](const char* key, const auto& old, auto* wanted) {
    if (*wanted == old) return;
    *wanted = old;
    keys += (keys.empty() ? "" : ", ") + std::string(key);
  };
  keep("node.name", now.node_name, &next->node_name);
  keep("etcd.prefix", now.etcd.prefix, &next->etcd.prefix);
  keep("session.timeout", now.session_timeout, &next->session_timeout);
  keep("session.heartbeat", now.session_heartbeat, &next->session_heartbeat);
  keep("control.socket", now.control_socket, &next->control_socket);
  keep("state.dir", now.state_dir, &next->state_dir);
  keep("user", now.user, &next->user);
  keep("fence", now.fence, &next->fence);
  return keys;
}

}  // namespace

Reread read_again(const conf::Sources& sources, bool has_helper, const Config& now,
                  std::optional<Config>* next) {
  conf::Result result = conf::load(sources);
  Reread read{.errors = std::move(result.errors), .warnings = std::move(result.warnings)};
  const std::string program = Programs::first_of(result.config);
  if (!has_helper && !program.empty()) {
    read.errors.push_back(program +
                          ": vipd was started without a program to run, so nothing was changed; "
                          "restart it, which hands its VIPs over");
  }
  for (const std::string& error : read.errors) log::error("%s", error.c_str());
  if (!read.errors.empty()) {
    log::error("the configuration was not changed");
    return read;
  }
  const std::string keys = keep_until_restart(now, &result.config);
  if (!keys.empty()) read.warnings.push_back("not changed until the daemon is restarted: " + keys);
  for (const std::string& warning : read.warnings) log::warn("%s", warning.c_str());
  *next = std::move(result.config);
  return read;
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

}  // namespace vipd
