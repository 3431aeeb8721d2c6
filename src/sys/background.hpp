// `-d`: going to the background in two steps, so that the command returns only when the daemon is
// ready, and with its exit status when it is not.
#pragma once

#include <string>

#include "sys/fd.hpp"

namespace vipd::sys {

// Puts /dev/null where one of the descriptors 0, 1 and 2 is closed: otherwise a socket would get
// its number, and with it whatever is written to stderr. To be called first of all.
void fill_standard_descriptors();

class Background {
 public:
  // Forks. The parent never returns from here: it exits with 0 once the child has called ready(),
  // or with the status with which the child ended before. Call it before anything is opened: locks,
  // timers and epoll sets do not survive a fork as one would wish. False and a reason when the fork
  // failed.
  [[nodiscard]] bool start(std::string* reason);

  // In the child: a session of its own, the standard descriptors on /dev/null, the parent lets go.
  // Does nothing when start() was not called, and the second time.
  void ready();

 private:
  Fd parent_;
};

}  // namespace vipd::sys
