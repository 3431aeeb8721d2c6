#include "sys/boot.hpp"

#include "sys/file.hpp"

namespace vipd::sys {

std::string boot_id() {
  std::string text, reason;
  (void)read_bounded("/proc/sys/kernel/random/boot_id", 64, &text, &reason);
  return text.substr(0, text.find('\n'));
}

}  // namespace vipd::sys
