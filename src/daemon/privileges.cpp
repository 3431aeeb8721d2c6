#include "daemon/privileges.hpp"

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
