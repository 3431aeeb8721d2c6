#include "sys/state_dir.hpp"

#include <unistd.h>

#include <utility>

#include "sys/file.hpp"

namespace vipd::sys {

std::unique_ptr<StateDir> StateDir::open(const std::string& path, std::string* reason) {
  const bool is_new = access(path.c_str(), F_OK) < 0;
  if (!make_folder(path, reason)) return nullptr;
  Fd lock = lock_file(path + "/lock", reason);
  if (!lock.is_open()) return nullptr;
  return std::unique_ptr<StateDir>(new StateDir(path, std::move(lock), is_new));
}

}  // namespace vipd::sys
