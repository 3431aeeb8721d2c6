// The file of `-p`: our pid, locked while we run, removed when we go.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "sys/fd.hpp"

namespace vipd::sys {

class PidFile {
 public:
  // nullptr and a reason when it cannot be written, or when another instance has the lock.
  static std::unique_ptr<PidFile> open(const std::string& path, std::string* reason);
  // Removes the file, unless this is a forked copy of the process that made it.
  ~PidFile();
  PidFile(const PidFile&) = delete;
  PidFile& operator=(const PidFile&) = delete;

 private:
  PidFile(std::string path, Fd lock);
  std::string path_;
  Fd lock_;
  pid_t owner_;
};

}  // namespace vipd::sys
