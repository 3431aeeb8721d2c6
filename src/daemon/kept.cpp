#include "daemon/kept.hpp"

#include <unistd.h>

#include <cassert>
#include <cerrno>
#include <utility>

#include "daemon/memory.hpp"
#include "sys/errno_text.hpp"
#include "sys/file.hpp"
#include "sys/privileges.hpp"
#include "sys/state_dir.hpp"
#include "sys/user.hpp"
#include "sys/wall_clock.hpp"
#include "vipd/log.hpp"

namespace vipd {

namespace {

constexpr char kPauseFile[] = "paused";

}  // namespace

Kept::Kept(std::string prefix) : prefix_(std::move(prefix)) {}

Kept::~Kept() = default;

bool Kept::open(const std::string& folder, std::string* reason) {
  assert(folder_ == nullptr);
  folder_ = sys::StateDir::open(folder, reason);
  if (folder_ == nullptr) return false;
  former_ = read_memory(folder_->file(kMemoryFile), prefix_);
  remembered_ = former_;
  is_paused_ = access(folder_->file(kPauseFile).c_str(), F_OK) == 0;
  if (is_paused_) log::warn("paused by an earlier vipctl pause --persist; vipctl resume ends it");
  return true;
}

// Each may have been another user's, by an earlier configuration; without CAP_DAC_OVERRIDE root
// needs its own files as anybody else does.
void Kept::give_to(const sys::User& user) const {
  assert(folder_ != nullptr);
  if (folder_->is_new() || folder_->path().ends_with("/vipd")) sys::give_to(user, folder_->path());
  for (const char* file : kStateFiles) sys::give_to(user, folder_->file(file));
}

uint64_t Kept::boot() {
  return this_boot();
}

void Kept::remember(const Memory& memory) {
  std::string reason;
  remembered_ = memory;
  if (!write(&reason)) {
    log::warn("%s: the session could not be remembered for a restart", reason.c_str());
  }
}

bool Kept::write(std::string* reason) const {
  assert(folder_ != nullptr);
  return write_memory(folder_->file(kMemoryFile), prefix_, remembered_, reason);
}

bool Kept::pause(std::string* reason) {
  assert(folder_ != nullptr);
  const std::string text = sys::wall_clock_text() + "\n";
  if (!sys::write_atomically(folder_->file(kPauseFile), text, 0644, reason)) return false;
  is_paused_ = true;
  return true;
}

bool Kept::resume(std::string* reason) {
  assert(folder_ != nullptr);
  const std::string path = folder_->file(kPauseFile);
  if (unlink(path.c_str()) < 0 && errno != ENOENT) {
    *reason = sys::errno_text(path);
    return false;
  }
  is_paused_ = false;
  return true;
}

}  // namespace vipd
