// The program that runs, as it was started, to be found again on disk and run in our place
// (SIGUSR2). The process stays the same: its id, its arguments, its environment, its folder.
#pragma once

#include <sys/types.h>

#include <array>
#include <string>
#include <vector>

namespace vipd::sys {

class Program {
 public:
  // To be called first of all, with what main() was given.
  static Program started(char** argv);

  // We were run in the place of a former program: by its replace().
  [[nodiscard]] bool is_replacement() const { return is_replacement_; }
  // What was said at that time.
  [[nodiscard]] bool was_paused() const { return was_paused_; }
  // What replace() was given, in that order; -1: none.
  [[nodiscard]] const std::vector<int>& inherited_fds() const { return inherited_fds_; }
  [[nodiscard]] const std::string& path() const { return path_; }

  // An executable file for the same machine, and all of it. Not a proof that it runs.
  [[nodiscard]] bool is_sound(std::string* reason) const;
  // What tries it on the configuration (-n) with the arguments that it would be given.
  [[nodiscard]] std::vector<std::string> trial() const;
  // Returns only when it failed, and then nothing has changed. Besides the three standard ones only
  // these descriptors (-1: none) live on: with the others go locks and connections.
  void replace(bool is_paused, const std::vector<int>& kept, std::string* reason) const;

 private:
  // e_ident up to the byte order, and e_machine (elf(5)).
  using Kind = std::array<unsigned char, 8>;
  static bool read_kind(const std::string& path, Kind* kind);
  // REQUIRES: it is of the kind of this program.
  static bool is_whole(const std::string& path, off_t size);

  char** argv_ = nullptr;
  std::string path_;  // empty: not found
  Kind kind_{};
  bool is_replacement_ = false;
  bool was_paused_ = false;
  std::vector<int> inherited_fds_;
};

}  // namespace vipd::sys
