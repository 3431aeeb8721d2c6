#include "net/fence_hooks.hpp"

#include <linux/magic.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <string_view>

#include "net/fence_bpf.hpp"
#include "sys/boot.hpp"
#include "sys/errno_text.hpp"
#include "sys/file.hpp"
#include "sys/sandbox.hpp"

namespace vipd::net {
namespace {

constexpr FenceHook kHooks[] = {FenceHook::Ingress, FenceHook::Egress};
constexpr size_t kLongestList = 64 << 10;  // of thousands of processes that were killed early
constexpr int kLoopback = 1;               // of every network namespace
constexpr char kCameWithUs[] = "+";        // at the end of a filter's name: so did clsact
constexpr int kAttempts = 8;               // at a hook that others change at the same time

bool has(const std::vector<uint32_t>& ids, uint32_t id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

// What is in memory was written since the machine was started.
bool is_in_memory(const std::string& folder) {
  struct statfs info {};
  if (statfs(folder.c_str(), &info) < 0) return false;
  return info.f_type == TMPFS_MAGIC || info.f_type == RAMFS_MAGIC;
}

// FNV-1a: two daemons on one host have two folders, and two names.
uint32_t hash_of(std::string_view text) {
  uint32_t hash = 0x811c9dc5;
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x01000193;
  return hash;
}

bool fail(const char* what, int error, std::string* reason) {
  *reason = sys::errno_text(what, error);
  return false;
}

}  // namespace

// bpf(2) ends a process that lives in the filter of a version without the fence.
FencePlace FenceHooks::best_place() {
  const int version = sys::sandbox_version();
  TcxPrograms programs;
  const bool has_tcx =
      (version == 0 || version >= 2) && tcx_query(kLoopback, FenceHook::Ingress, &programs) == 0;
  return has_tcx ? FencePlace::Tcx : FencePlace::Clsact;
}

FenceHooks::FenceHooks(FencePlace place, std::unique_ptr<Clsact> clsact, std::string state_dir)
    : place_(place),
      uses_clsact_(place == FencePlace::Clsact),
      clsact_(std::move(clsact)),
      state_dir_(std::move(state_dir)) {
  read_former();
}

std::unique_ptr<FenceHooks> FenceHooks::open(FencePlace place, const std::string& state_dir,
                                             std::string* reason) {
  auto clsact = Clsact::open(reason);
  if (clsact == nullptr) return nullptr;
  return std::unique_ptr<FenceHooks>(new FenceHooks(place, std::move(clsact), state_dir));
}

std::string FenceHooks::name() const {
  char text[16];
  snprintf(text, sizeof text, "vipd-%08x", hash_of(state_dir_));
  return text;
}

// "BOOT-ID NUMBER NUMBER ...": after a reboot the numbers mean other programs. Without /proc nobody
// knows the id; then it is empty.
void FenceHooks::read_former() {
  std::string text, reason;
  if (!sys::read_bounded(file(), kLongestList, &text, &reason)) return;
  const std::string boot = text.substr(0, text.find(' '));
  if (!is_in_memory(state_dir_) && (boot.empty() || boot != sys::boot_id())) return;
  const char* at = text.data() + boot.size();
  const char* const end = text.data() + text.size();
  while (at < end && *at == ' ') {
    uint32_t id = 0;
    const auto read = std::from_chars(at + 1, end, id);
    if (read.ec != std::errc() || id == 0) break;
    former_.push_back(id);
    at = read.ptr;
  }
}

bool FenceHooks::write_list(std::string* reason) const {
  std::string text = sys::boot_id();
  for (const auto* ids : {&own_, &former_}) {
    for (const uint32_t id : *ids) text += " " + std::to_string(id);
  }
  return sys::write_by_turns(file(), text + "\n", 0600, reason);
}

bool FenceHooks::remember(const FencePrograms& programs, std::string* reason) {
  if (sys::boot_id().empty() && !is_in_memory(state_dir_)) {
    return *reason = "/proc does not tell the boot id, and state.dir is not in memory", false;
  }
  own_.assign(programs.ids.begin(), programs.ids.end());
  // Handed over by SIGUSR2, they are on the list, and not a former process's.
  std::erase_if(former_, [this](uint32_t id) { return has(own_, id); });
  return write_list(reason);
}

void FenceHooks::forget_former() {
  former_.clear();
  std::string reason;
  // A list that is too long is harmless: no number is used twice.
  (void)write_list(&reason);
}

void FenceHooks::forget_own() {
  own_.clear();
  std::string reason;
  if (has_former()) return (void)write_list(&reason);
  for (const std::string& path : {file(), other_file()}) (void)unlink(path.c_str());
}

// As they run. A former process's lets pass what it does not drop, so at tcx it is left out. Behind
// ours there nothing matters.
std::vector<uint32_t> FenceHooks::ids_at(int link_index, FenceHook hook) {
  std::vector<uint32_t> ids;
  TcxPrograms programs;
  if (has_tcx() && tcx_query(link_index, hook, &programs) != 0) return ids;  // a link that has gone
  for (const uint32_t id : programs.ids) {
    if (has(former_, id)) continue;
    is_tcx_shared_ |= !has(own_, id);
    ids.push_back(id);
  }
  if (!ids.empty() && has(own_, ids.front())) return ids;
  std::vector<ClsactFilter> filters;
  (void)clsact_->list(link_index, hook, &filters);
  for (const ClsactFilter& filter : filters) {
    uses_clsact_ |= has(own_, filter.program_id);
    ids.push_back(filter.program_id);
  }
  return ids;
}

bool FenceHooks::is_first(int link_index, const FencePrograms& programs, std::string* reason) {
  for (size_t i = 0; i < std::size(kHooks); ++i) {
    const std::vector<uint32_t> ids = ids_at(link_index, kHooks[i]);
    if (!ids.empty() && ids.front() == programs.ids[i]) continue;
    *reason = has(ids, programs.ids[i]) ? "bypassed by another filter" : "removed";
    return false;
  }
  return true;
}

// Where clsact cannot be had, tcx may.
bool FenceHooks::attach(int link_index, bool is_fleeting, const FencePrograms& programs,
                        std::string* reason) {
  const bool is_done = is_first(link_index, programs, reason);  // this finds out who shares tcx
  const bool wants_tcx = has_tcx() && (is_tcx_shared_ || !is_fleeting);
  if (!wants_tcx && (is_done || attach_at(FencePlace::Clsact, link_index, programs, reason))) {
    return true;
  }
  return has_tcx() && attach_at(FencePlace::Tcx, link_index, programs, reason);
}

// The new place is taken before the old one is given up.
bool FenceHooks::attach_at(FencePlace place, int link_index, const FencePrograms& programs,
                           std::string* reason) {
  const bool at_tcx = place == FencePlace::Tcx;
  std::string filter_name;
  if (!at_tcx && !make_clsact(link_index, &filter_name, reason)) return false;
  for (size_t i = 0; i < std::size(kHooks); ++i) {
    const bool good =
        at_tcx ? attach_tcx(link_index, kHooks[i], programs.fds[i], programs.ids[i], reason)
               : attach_clsact(link_index, kHooks[i], programs.fds[i], programs.ids[i], filter_name,
                               reason);
    if (!good) return false;
  }
  if (at_tcx) (void)remove_clsact(link_index, own_);
  if (at_tcx && is_tcx_shared_) uses_clsact_ = false;
  return is_first(link_index, programs, reason);
}

// A program is at one place of a hook: to be moved it has to leave.
bool FenceHooks::attach_tcx(int link_index, FenceHook hook, int fd, uint32_t id,
                            std::string* reason) {
  TcxPrograms programs;
  int error = tcx_query(link_index, hook, &programs);
  if (error != 0) return fail("tcx", error, reason);
  if (!programs.ids.empty() && programs.ids.front() == id) return true;
  if (has(programs.ids, id) && !remove_tcx(link_index, hook, {id})) {
    return fail("tcx", EBUSY, reason);
  }
  error = tcx_attach_first(link_index, hook, fd);
  return error == 0 || fail("tcx", error, reason);
}

// The name of our filters there: clsact is ours to remove if it came with us or a former process.
bool FenceHooks::make_clsact(int link_index, std::string* filter_name, std::string* reason) {
  bool came_with_us = false;
  const int error = clsact_->make_qdisc(link_index, &came_with_us);
  if (error == ENOENT) return *reason = "no clsact in this kernel", false;
  if (error == EINVAL) return *reason = "a qdisc of another kind has the place of clsact", false;
  if (error != 0) return fail("clsact", error, reason);
  *filter_name = name();
  for (const FenceHook hook : kHooks) {
    std::vector<ClsactFilter> filters;
    (void)clsact_->list(link_index, hook, &filters);
    for (const ClsactFilter& filter : filters) {
      came_with_us |= filter.name == name() + kCameWithUs;
    }
  }
  if (came_with_us) *filter_name += kCameWithUs;
  return true;
}

// The new place is taken before the old one is given up.
bool FenceHooks::attach_clsact(int link_index, FenceHook hook, int fd, uint32_t id,
                               const std::string& filter_name, std::string* reason) {
  std::vector<ClsactFilter> before;
  int error = clsact_->list(link_index, hook, &before);
  if (error == 0 && !before.empty() && before.front().program_id == id) return true;
  if (error == 0) error = clsact_->add_first(link_index, hook, fd, filter_name);
  if (error == ENOENT) return *reason = "no cls_bpf in this kernel", false;
  if (error == EINVAL) return *reason = "another filter has the first place", false;
  if (error != 0) return fail("clsact", error, reason);
  for (const ClsactFilter& filter : before) {
    if (filter.program_id == id) (void)clsact_->remove(link_index, hook, filter);
  }
  return true;
}

bool FenceHooks::detach(int link_index, const FencePrograms& programs) {
  return remove(link_index, {programs.ids.begin(), programs.ids.end()});
}

bool FenceHooks::remove_former(int link_index) {
  return former_.empty() || remove(link_index, former_);
}

bool FenceHooks::remove(int link_index, const std::vector<uint32_t>& ids) {
  bool is_gone = remove_clsact(link_index, ids);
  if (!has_tcx()) return is_gone;
  for (const FenceHook hook : kHooks) is_gone &= remove_tcx(link_index, hook, ids);
  return is_gone;
}

bool FenceHooks::remove_tcx(int link_index, FenceHook hook, const std::vector<uint32_t>& ids) {
  for (int i = 0; i < kAttempts; ++i) {
    TcxPrograms programs;
    const int error = tcx_query(link_index, hook, &programs);
    if (error != 0) return error == ENODEV;
    const auto found = std::find_if(programs.ids.begin(), programs.ids.end(),
                                    [&](uint32_t id) { return has(ids, id); });
    if (found == programs.ids.end()) return true;
    const auto place = static_cast<size_t>(found - programs.ids.begin());
    (void)tcx_detach(link_index, hook, programs, place);
  }
  return false;
}

bool FenceHooks::remove_clsact(int link_index, const std::vector<uint32_t>& ids) {
  bool came_with_us = false, is_alone = true, is_gone = true;
  for (const FenceHook hook : kHooks) {
    std::vector<ClsactFilter> filters;
    const int error = clsact_->list(link_index, hook, &filters);
    if (error != 0) return error == ENODEV || error == EINVAL;
    for (const ClsactFilter& filter : filters) {
      if (!has(ids, filter.program_id)) {
        is_alone = false;
        continue;
      }
      came_with_us |= filter.name == name() + kCameWithUs;
      is_gone &= clsact_->remove(link_index, hook, filter) == 0;
    }
  }
  if (came_with_us && is_alone && is_gone) is_gone = clsact_->remove_qdisc(link_index) == 0;
  return is_gone;
}

}  // namespace vipd::net
