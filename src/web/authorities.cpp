#include "web/authorities.hpp"

#include <unistd.h>

namespace vipd::web {

std::string system_authorities(std::span<const char* const> bundles, std::string* reason) {
  std::string tried;
  for (const char* path : bundles) {
    if (access(path, R_OK) == 0) return path;
    tried += (tried.empty() ? "" : ", ") + std::string(path);
  }
  *reason = "no file of the system's authorities can be read (" + tried + ")";
  return "";
}

}  // namespace vipd::web
