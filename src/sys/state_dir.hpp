// The folder that `state.dir` names: made if need be, and ours alone while this object lives.
#pragma once

#include <memory>
#include <string>

#include "sys/fd.hpp"

namespace vipd::sys {

class StateDir {
 public:
  // nullptr and a reason when it cannot be made, or when another daemon has it.
  static std::unique_ptr<StateDir> open(const std::string& path, std::string* reason);
  StateDir(const StateDir&) = delete;
  StateDir& operator=(const StateDir&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  // Whether it was made by open().
  [[nodiscard]] bool is_new() const { return is_new_; }
  // The path of a file in it.
  [[nodiscard]] std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  StateDir(std::string path, Fd lock, bool is_new)
      : path_(std::move(path)), lock_(std::move(lock)), is_new_(is_new) {}
  std::string path_;
  Fd lock_;  // the file `lock` stays when we go: to remove it would let two hold "the" lock
  bool is_new_;
};

}  // namespace vipd::sys
