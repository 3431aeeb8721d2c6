// The keys as vipd.conf(5) shows them, by task: the page and the parser cannot drift apart.
#pragma once

#include <string>
#include <string_view>

#include "conf/keys.hpp"

namespace manual {

struct Task {
  std::string_view first;  // the key that the section begins with, in the table's order
  std::string_view heading;
  std::string_view example;
};

constexpr Task kTasks[] = {
    {"node.name", "Name this node", "node.name = n1\n"},
    {"etcd.endpoints", "Reach etcd",
     "etcd.endpoints = https://10.0.0.1:2379, https://10.0.0.2:2379\n"
     "etcd.cacert    = /etc/vipd/ca.pem\n"
     "etcd.cert      = /etc/vipd/client.pem\n"
     "etcd.key       = /etc/vipd/client.key\n"},
    {"session.timeout", "Choose how soon a dead owner is replaced",
     "session.timeout = 6s\n"
     "peer.timeout    = 250ms\n"},
    {"vip.NAME.address", "Share an address",
     "vip.api.address       = 192.168.0.15\n"
     "vip.api.link          = eth0\n"
     "vip.api.priority      = 150\n"
     "vip.api.preempt       = yes\n"
     "vip.api.preempt_delay = 1m30s\n"},
    {"check.NAME.http", "Check the service",
     "check.api.http     = https://localhost:6443/healthz\n"
     "check.api.insecure = yes\n"
     "check.api.fall     = 2\n"
     "check.router.arp   = 192.168.0.1\n"},
    {"announce.form", "Tell the network, and mind other hosts",
     "announce.refresh = 30s\n"
     "conflict         = release\n"},
    {"control.socket", "Watch the daemon, and choose its user",
     "http.listen = 192.168.0.1:9300\n"
     "log.level   = warn\n"
     "user        = 812:812\n"},
};

inline std::string section(const Task& task) {
  std::string text(task.first == kTasks[0].first ? "" : ".El\n");
  text.append(".Ss ").append(task.heading).append("\n.Bd -literal -offset indent\n");
  return text.append(task.example).append(".Ed\n.Bl -tag -width Ds\n");
}

inline std::string item(const vipd::conf::Key& key) {
  std::string text(".It Cm ");
  text.append(key.name).append(" No = Ar ").append(argument_words(key)).append("\n");
  text.append(key.help).append("\n");
  const std::string range = range_words(key);
  if (!range.empty()) text.append("Possible: ").append(range).append(".\n");
  if (!key.fallback.empty()) text.append("Default:\n.Li ").append(key.fallback).append(" .\n");
  if (!key.fallback_words.empty()) {
    text.append("Default: ").append(key.fallback_words).append(".\n");
  }
  return text;
}

inline std::string keys() {
  std::string text;
  for (const vipd::conf::Key& key : vipd::conf::keys()) {
    for (const Task& task : kTasks) {
      if (task.first == key.name) text += section(task);
    }
    text += item(key);
  }
  return text + ".El\n";
}

}  // namespace manual
