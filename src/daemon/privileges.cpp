#include "daemon/privileges.hpp"

#include <cerrno>
#include <cstring>

#include "daemon/kept.hpp"
#include "sys/privileges.hpp"
#include "sys/sandbox.hpp"
#include "sys/user.hpp"
#include "vipd/config.hpp"
#include "vipd/log.hpp"

namespace vipd {

namespace {

#ifdef __SANITIZE_ADDRESS__
constexpr bool kIsSandboxed = false;  // its search for leaks starts a process and traces us
#else
constexpr bool kIsSandboxed = true;
#endif

}  // namespace

bool can_become_user(const Config& config) {
  sys::User user;
  std::string reason;
  if (config.user.empty() || !sys::find_user(config.user, &user, &reason)) return true;
  const int error = sys::try_to_become(user);
  if (error != EPERM && error != EINVAL) return true;  // what may pass fails at the start
  log::error("user %s: vipd cannot become this user: %s; %s", config.user.c_str(), strerror(error),
             error == EPERM ? "under systemd, set User= in the unit instead"
                            : "this user namespace has no such id");
  return false;
}

bool drop_privileges(const Config& config, const Kept& kept, const std::string& pidfile,
                     std::string* reason) {
  sys::User user;
  const bool changes = !config.user.empty();
  if (changes && !sys::find_user(config.user, &user, reason)) {
    *reason = "user " + config.user + ": " + *reason;
    return false;
  }
  kept.give_to(user);
  sys::give_to(user, config.control_socket);
  if (!pidfile.empty()) sys::give_to(user, pidfile);
  if (!sys::drop_privileges(changes ? &user : nullptr, reason)) {
    *reason = (changes ? "user " + config.user + ": " : "giving up privileges: ") + *reason;
    return false;
  }
  if (kIsSandboxed && !sys::enter_sandbox(reason)) log::warn("%s", reason->c_str());
  return true;
}

}  // namespace vipd
