#include "net/culprit.hpp"

#include <unistd.h>

#include "sys/file.hpp"

namespace vipd::net {
namespace {

// rtnetlink sockets are mostly numbered by the process that opened them.
std::string command_of(uint32_t port) {
  std::string name, reason;
  if (port == 0 || port > 4'194'304) return "";  // PID_MAX_LIMIT of linux/threads.h
  if (!sys::read_bounded("/proc/" + std::to_string(port) + "/comm", 64, &name, &reason)) return "";
  while (!name.empty() && name.back() == '\n') name.pop_back();
  return name;
}

bool exists(const char* path) {
  return access(path, F_OK) == 0;
}

}  // namespace

// By the port that the kernel names, else by which running program is known to do so.
std::string culprit(uint32_t port) {
  std::string who = command_of(port);
  if (who.empty() && exists("/run/systemd/netif/state")) who = "systemd-networkd (perhaps)";
  if (who.empty() && exists("/run/NetworkManager")) who = "NetworkManager (perhaps)";
  if (who.starts_with("systemd-network")) return who + " (its KeepConfiguration=yes prevents that)";
  if (who.starts_with("NetworkManager")) return who + " (an unmanaged link prevents that)";
  return who.empty() ? "somebody" : who;
}

}  // namespace vipd::net
