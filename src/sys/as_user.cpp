#include "sys/as_user.hpp"

#include <grp.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace vipd::sys {
namespace {

constexpr uint32_t bit(int capability) {
  return 1U << static_cast<unsigned>(capability);
}
constexpr uint32_t kOverFiles = bit(CAP_DAC_OVERRIDE) | bit(CAP_DAC_READ_SEARCH);
constexpr uint32_t kToChange = bit(CAP_SETUID) | bit(CAP_SETGID);

struct Sets {
  __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};

  bool get() { return syscall(SYS_capget, &head, data) == 0; }
  bool set_effective(uint32_t effective) {
    if (!get()) return false;
    data[0].effective = effective;
    return syscall(SYS_capset, &head, data) == 0;
  }
};

// To go on as somebody who is neither of the two would make every later judgement wrong.
void must(bool done) {
  if (done) return;
  perror("vipd: acting as the configured user");
  abort();
}

}  // namespace

AsUser::AsUser(const User* user) {
  Sets sets;
  if (geteuid() != 0 || !sets.get()) return;
  effective_ = sets.data[0].effective;
  const bool may_change = (effective_ & kToChange) == kToChange;
  if (!may_change && (effective_ & kOverFiles) == 0) return;
  is_changed_ = true;
  gid_ = getegid();
  groups_.resize(static_cast<size_t>(getgroups(0, nullptr)));
  must(getgroups(static_cast<int>(groups_.size()), groups_.data()) >= 0);
  const bool becomes = user != nullptr && may_change;
  if (becomes) must(setgroups(user->groups.size(), user->groups.data()) == 0);
  if (becomes) must(setegid(user->gid) == 0);
  must(sets.set_effective(effective_ & ~kOverFiles));
  if (becomes) must(seteuid(user->uid) == 0);
}

AsUser::~AsUser() {
  if (!is_changed_) return;
  must(seteuid(0) == 0);
  must(Sets().set_effective(effective_));
  if ((effective_ & kToChange) != kToChange) return;
  must(setegid(gid_) == 0);
  must(setgroups(groups_.size(), groups_.data()) == 0);
}

}  // namespace vipd::sys
