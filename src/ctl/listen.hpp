// The sockets that a server listens on: opened, bound, listening, never blocking. A closed
// descriptor and a reason on failure.
#pragma once

#include <string>

#include "sys/fd.hpp"

namespace vipd::ctl {

// A Unix socket of mode 0660: its folder is made if missing, a stale socket of a dead daemon
// replaced.
[[nodiscard]] sys::Fd listen_at_path(const std::string& path, std::string* reason);
// TCP, at "ADDRESS:PORT" or "[ADDRESS]:PORT".
[[nodiscard]] sys::Fd listen_at_address(const std::string& where, std::string* reason);

}  // namespace vipd::ctl
