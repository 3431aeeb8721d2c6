// The checked contents of the configuration files, with the defaults filled in. Plain data:
// src/conf makes it, src/daemon/daemon.cpp hands the parts on.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "vipd/event.hpp"
#include "vipd/log.hpp"
#include "vipd/types.hpp"

namespace vipd {

// Its source is the VIP.
struct RouteConfig {
  Address destination;  // without host bits; unset with length 0: default
  unsigned length = 0;
  Address gateway;
  uint32_t table = 0;  // 0: main

  bool operator==(const RouteConfig&) const = default;
};

// Names of checks. VIPs that need the same ones share one list: there may be hundreds of checks,
// and all of them are needed by each of thousands of VIPs.
class CheckNames {
 public:
  CheckNames() = default;
  CheckNames(std::initializer_list<std::string> names)
      : CheckNames(std::vector<std::string>(names)) {}
  explicit CheckNames(std::vector<std::string> names)
      : names_(std::make_shared<const std::vector<std::string>>(std::move(names))) {}

  [[nodiscard]] std::span<const std::string> all() const {
    return names_ == nullptr ? std::span<const std::string>() : *names_;
  }
  [[nodiscard]] auto begin() const { return all().begin(); }
  [[nodiscard]] auto end() const { return all().end(); }
  bool operator==(const CheckNames& other) const {
    return names_ == other.names_ || std::equal(begin(), end(), other.begin(), other.end());
  }

 private:
  std::shared_ptr<const std::vector<std::string>> names_;
};

struct VipConfig {
  std::string name;
  Address address;
  unsigned prefix_length = 32;  // of its subnet; the address is set as /32 or /128
  std::string link;
  std::vector<RouteConfig> routes;
  std::string group;                  // owned with all others of it, or not at all; empty: none
  std::optional<int> priority = 100;  // none: auto
  bool preempt = false;
  Duration preempt_delay = Duration::seconds(30);
  bool source = false;  // may be chosen for outgoing connections
  bool kill_connections = true;
  CheckNames checks;    // every one must be up
  std::string notify;   // path of a program; empty: none
  std::string acquire;  // likewise; must succeed before the address is set

  bool operator==(const VipConfig&) const = default;
};

enum class CheckKind { None, Http, Tcp, Exec, File, Arp, Link, Etcd };

// Of HTTP, both ends included.
struct StatusRange {
  int first = 200;
  int last = 299;

  bool operator==(const StatusRange&) const = default;
};

struct CheckConfig {
  std::string name;
  CheckKind kind = CheckKind::None;
  // A URL, "HOST:PORT", a program with its arguments (one blank between them), a path, an address,
  // a link, "KEY" or "KEY = VALUE".
  std::string target;
  Duration interval = Duration::seconds(1);
  Duration timeout = Duration::seconds(1);
  int rise = 2;
  int fall = 3;
  int weight = 0;      // down, it lowers priorities by this; 0: it keeps VIPs away
  std::string cacert;  // paths; empty: none
  std::string cert;
  std::string key;
  bool insecure = false;
  std::vector<StatusRange> statuses = {StatusRange{}};  // Http: that are good
  std::string header_file;                              // Http: path; empty: none

  bool operator==(const CheckConfig&) const = default;
};

// IPv4: some devices take only requests, some only replies.
enum class AnnounceForm { Request, Reply, Both };

struct AnnounceConfig {
  AnnounceForm form = AnnounceForm::Both;
  int count = 5;
  Duration interval = Duration::seconds(1);
  Duration refresh = Duration::seconds(60);  // 0: never
  std::vector<std::string> targets;          // addresses that are told besides

  bool operator==(const AnnounceConfig&) const = default;
};

// The packet fence: where the kernel has it, or never.
enum class FenceChoice { Auto, None };

struct EtcdConfig {
  std::vector<std::string> endpoints;  // "https://HOST:PORT", "unix:/PATH", in order of preference
  std::string cluster = "auto";        // its id in hexadecimal, or what the endpoints say
  bool discover = false;               // further members, from etcd's own list
  std::string cacert;                  // paths; empty: none
  std::string cert;
  std::string key;
  std::string servername;  // empty: the host of the endpoint
  std::string user;        // empty: no authentication
  std::string password_file;
  std::string prefix;  // starts with '/', no '/' at the end

  bool operator==(const EtcdConfig&) const = default;
};

struct Config {
  std::string node_name;
  EtcdConfig etcd;
  Duration session_timeout;
  Duration session_heartbeat;
  Duration peer_timeout;  // 0: this node enters no term of the peer lease
  bool peer_hold = false;
  FenceChoice fence = FenceChoice::Auto;
  std::vector<VipConfig> vips;      // in the order of the files
  std::vector<CheckConfig> checks;  // in the order of the files
  AnnounceConfig announce;
  ConflictPolicy conflict = ConflictPolicy::Defend;
  bool conflict_probe = true;
  std::string control_socket;
  std::string http_listen;  // "ADDRESS:PORT", "[ADDRESS]:PORT"; empty: off
  std::string state_dir;
  log::Level log_level = log::Level::Info;
  log::Target log_target = log::Target::Stderr;
  std::string user;  // empty: whoever started us

  bool operator==(const Config&) const = default;
};

}  // namespace vipd
