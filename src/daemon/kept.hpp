// What outlives the daemon, in the folder state.dir: the session, so that a next process takes it
// up, and a pause that is to persist. Holds the folder's lock.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "vipd/event.hpp"

namespace vipd::sys {
class StateDir;
struct User;
}  // namespace vipd::sys

namespace vipd {

class Kept {
 public:
  // Sessions under another prefix are of no use.
  explicit Kept(std::string prefix);
  ~Kept();
  Kept(const Kept&) = delete;
  Kept& operator=(const Kept&) = delete;

  // Makes the folder if it is missing, locks it, and reads what a former process left there. False
  // and a reason when any of that fails. REQUIRES: once, before all that follows.
  [[nodiscard]] bool open(const std::string& folder, std::string* reason);
  // Gives the files to the user, and the folder if it is ours.
  void give_to(const sys::User& user) const;

  // The session that was found by open(); without a lease: none.
  [[nodiscard]] const Memory& former() const { return former_; }
  // Which boot of the host this is; 0 where it cannot be known.
  [[nodiscard]] static uint64_t boot();
  // Replaces what was remembered before. A write that fails is logged, and costs a gap at the next
  // restart only.
  void remember(const Memory& memory);
  // Writes what was remembered last, once more.
  [[nodiscard]] bool write(std::string* reason) const;

  [[nodiscard]] bool is_paused() const { return is_paused_; }
  // False and a reason when the folder would not take it; then nothing has changed.
  [[nodiscard]] bool pause(std::string* reason);
  [[nodiscard]] bool resume(std::string* reason);

 private:
  std::string prefix_;
  std::unique_ptr<sys::StateDir> folder_;
  Memory former_;
  Memory remembered_;
  bool is_paused_ = false;
};

}  // namespace vipd
