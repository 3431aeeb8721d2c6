#include "sys/state_dir.hpp"

#include <utility>

#include "sys/file.hpp"

namespace vipd::sys {

std::unique_ptr<StateDir> StateDir::open(const std::string& path, std::string* reason) {
  if (!make_folder(path, reason)) return nullptr;
  Fd lock = lock_file(path + "/lock", reason);
  if (!lock.is_open()) return nullptr;
  return std::unique_ptr<StateDir>(new StateDir(path, std::move(lock)));
}

}  // namespace vipd::sys
