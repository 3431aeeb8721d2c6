#include "sys/random.hpp"

#include <sys/random.h>

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>

namespace vipd::sys {

uint64_t random_u64() {
  uint64_t value = 0;
  ssize_t size;
  // Waits only in the first moments of a boot, when there is nothing to own yet; up to 256 bytes
  // come whole (getrandom(2)).
  do {
    size = getrandom(&value, sizeof value, 0);
  } while (size < 0 && errno == EINTR);
  if (size != sizeof value) {
    perror("vipd: getrandom");
    abort();
  }
  return value;
}

std::string random_text() {
  char text[17];
  snprintf(text, sizeof text, "%016" PRIx64, random_u64());
  return text;
}

}  // namespace vipd::sys
