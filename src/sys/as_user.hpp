// Finds out what the daemon may do with files once it has given up root's rights, while it still
// has them. For the lifetime of an object the process acts as that user, without the capabilities
// that look past owners and modes. The kernel judges, so groups, ACLs and the folders on the way
// count as they will later.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "sys/user.hpp"

namespace vipd::sys {

class AsUser {
 public:
  // nullptr: root itself, without those capabilities. Does nothing where there is nothing to give
  // up: who is not root, or was reduced already, is judged as it is. REQUIRES: one thread.
  explicit AsUser(const User* user);
  ~AsUser();
  AsUser(const AsUser&) = delete;
  AsUser& operator=(const AsUser&) = delete;

 private:
  bool is_changed_ = false;
  uint32_t effective_ = 0;  // the first 32 capabilities, before
  gid_t gid_ = 0;
  std::vector<gid_t> groups_;
};

}  // namespace vipd::sys
