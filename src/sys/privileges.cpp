#include "sys/privileges.hpp"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "sys/errno_text.hpp"
#include "sys/fd.hpp"

namespace vipd::sys {
namespace {

constexpr int kKept[] = {CAP_NET_ADMIN, CAP_NET_RAW};

constexpr bool is_kept(int capability) {
  return capability == kKept[0] || capability == kKept[1];
}

bool fail(const char* what, std::string* reason) {
  *reason = errno_text(what);
  return false;
}

// Needs CAP_SETPCAP. Whoever started us without it has seen to this set: what is not permitted now
// comes back by execve(2) of a privileged file only, and no_new_privs ends that.
void drop_bounding_set() {
  for (int capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability) {
    if (!is_kept(capability)) prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
  }
}

bool is_already(const User& user) {
  return getuid() == user.uid && geteuid() == user.uid && getgid() == user.gid &&
         getegid() == user.gid;
}

bool become(const User& user, std::string* reason) {
  if (is_already(user)) return true;
  if (geteuid() != 0) {
    *reason = "only root can become another user";
    return false;
  }
  if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0) return fail("keeping capabilities", reason);
  if (setgroups(user.groups.size(), user.groups.data()) < 0) return fail("setgroups", reason);
  if (setresgid(user.gid, user.gid, user.gid) < 0) return fail("setresgid", reason);
  if (setresuid(user.uid, user.uid, user.uid) < 0) return fail("setresuid", reason);
  return true;
}

bool keep_two(std::string* reason) {
  __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct sets[2] = {};
  if (syscall(SYS_capget, &head, sets) < 0) return fail("capget", reason);
  uint32_t kept = 0;
  for (const int capability : kKept) kept |= sets[0].permitted & (1U << capability);
  sets[0] = {.effective = kept, .permitted = kept, .inheritable = kept};
  sets[1] = {};
  if (syscall(SYS_capset, &head, sets) < 0) return fail("capset", reason);
  // Where it fails (Linux before 4.3) nothing is left in that set, either.
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  for (const int capability : kKept) {
    if ((kept & (1U << capability)) != 0) {
      prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0);
    }
  }
  return true;
}

}  // namespace

void give_to(const User& user, const std::string& path) {
  if (geteuid() != 0) return;
  const Fd fd(open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat info {};
  if (!fd.is_open() || fstat(fd.get(), &info) < 0) return;
  if (S_ISLNK(info.st_mode) || (!S_ISDIR(info.st_mode) && info.st_nlink != 1)) return;
  [[maybe_unused]] const int result =
      fchownat(fd.get(), "", user.uid, user.gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW);
}

int become_plainly(const User& user) {
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  if (is_already(user)) return 0;
  const bool done = setgroups(user.groups.size(), user.groups.data()) == 0 &&
                    setresgid(user.gid, user.gid, user.gid) == 0 &&
                    setresuid(user.uid, user.uid, user.uid) == 0;
  return done ? 0 : errno;
}

// Capabilities do not tell: a user namespace may forbid setgroups(2), or lack the uid.
int try_to_become(const User& user) {
  if (is_already(user)) return 0;
  const pid_t child = fork();
  if (child == 0) _exit(become_plainly(user));
  int status = 0;
  while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  return child > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : EAGAIN;
}

bool drop_privileges(const User* user, std::string* reason) {
  static_assert(CAP_NET_ADMIN < 32 && CAP_NET_RAW < 32);
  drop_bounding_set();
  if (user != nullptr && !become(*user, reason)) return false;
  if (!keep_two(reason)) return false;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return fail("no_new_privs", reason);
  return true;
}

}  // namespace vipd::sys
