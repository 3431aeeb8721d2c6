// The seam: what is given up once everything is open that needs more.
#include "sys/privileges.hpp"
#include "daemon/impl.hpp"
#include "sys/sandbox.hpp"
#include "vipd/log.hpp"

namespace vipd {

namespace {

#ifdef __SANITIZE_ADDRESS__
constexpr bool kIsSandboxed = false;  // its search for leaks starts a process and traces us
#else
constexpr bool kIsSandboxed = true;
#endif

}  // namespace

// Each may have been another user's, by an earlier configuration; without CAP_DAC_OVERRIDE root
// needs its own files as anybody else does.
void Daemon::give_files_to(const sys::User& user) {
  const std::string& folder = state_dir_->path();
  if (state_dir_->is_new() || folder.ends_with("/vipd")) sys::give_to(user, folder);
  for (const char* file : kStateFiles) sys::give_to(user, state_dir_->file(file));
  sys::give_to(user, config_.control_socket);
  if (!options_.pidfile.empty()) sys::give_to(user, options_.pidfile);
}

bool Daemon::drop_privileges(std::string* reason) {
  sys::User user;
  const bool changes = !config_.user.empty();
  if (changes && !sys::find_user(config_.user, &user, reason)) {
    *reason = "user " + config_.user + ": " + *reason;
    return false;
  }
  give_files_to(user);
  if (!sys::drop_privileges(changes ? &user : nullptr, reason)) {
    *reason = (changes ? "user " + config_.user + ": " : "giving up privileges: ") + *reason;
    return false;
  }
  if (kIsSandboxed && !sys::enter_sandbox(reason)) log::warn("%s", reason->c_str());
  return true;
}

}  // namespace vipd
