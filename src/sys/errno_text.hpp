// "WHAT: the system's words for this errno", for messages to people.
#pragma once

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>

namespace vipd::sys {

[[nodiscard]] inline std::string errno_text(std::string_view what, int error = errno) {
  return std::string(what) + ": " + std::strerror(error);
}

}  // namespace vipd::sys
