// What the daemon may do once everything is open: administer the network and send frames, and
// nothing else of what root may.
#pragma once

#include <string>

#include "sys/user.hpp"

namespace vipd::sys {

// Gives a file or folder to a user, as root. What is not there, is a link, or has a second name is
// left alone: another process may have put it there. Does nothing when we are not root.
void give_to(const User& user, const std::string& path);

// Becomes the user (nullptr: stays who it is) and keeps of the capabilities, in every set, at most
// CAP_NET_ADMIN and CAP_NET_RAW; no program run from now on gets more (no_new_privs). The ambient
// set keeps them for execve(2) of our own program. For good. False and a reason when the user could
// not be taken or something could not be given up. REQUIRES: one thread.
[[nodiscard]] bool drop_privileges(const User* user, std::string* reason);

// Whether this process could become the user, by a trial in a child that it waits for: 0, an errno,
// or EAGAIN if it could not be tried. For a start, before the loop runs.
[[nodiscard]] int try_to_become(const User& user);

// For a process that runs programs of that user: becomes the user and keeps no capability at all,
// unless it is root. For good. 0 or an errno.
[[nodiscard]] int become_plainly(const User& user);

}  // namespace vipd::sys
