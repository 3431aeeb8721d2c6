#include "sys/pidfile.hpp"

#include <unistd.h>

#include <utility>

#include "sys/file.hpp"

namespace vipd::sys {

PidFile::PidFile(std::string path, Fd lock)
    : path_(std::move(path)), lock_(std::move(lock)), owner_(getpid()) {}

PidFile::~PidFile() {
  // Removed while still locked: nobody else can have put a file of theirs there.
  if (getpid() != owner_) return;
  // As another user than the folder's we cannot; then at least nobody's pid is in it.
  if (unlink(path_.c_str()) < 0 && ftruncate(lock_.get(), 0) < 0) return;
}

std::unique_ptr<PidFile> PidFile::open(const std::string& path, std::string* reason) {
  Fd lock = lock_file(path, reason);
  if (!lock.is_open()) return nullptr;
  return std::unique_ptr<PidFile>(new PidFile(path, std::move(lock)));
}

}  // namespace vipd::sys
