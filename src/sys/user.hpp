// The account that `user` names, looked up directly in /etc/passwd and /etc/group, since the name
// services of the C library may ask the network, and differ between C libraries.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

namespace vipd::sys {

struct User {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;  // the supplementary ones
};

// A name; or UID or UID:GID, for which no file is needed (the group of a UID alone is the same
// number, without supplementary groups). False and a reason when there is no such user.
[[nodiscard]] bool find_user(std::string_view text, User* user, std::string* reason,
                             const std::string& folder = "/etc");

}  // namespace vipd::sys
