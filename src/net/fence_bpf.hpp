// The calls of bpf(2) that the packet fence needs. By hand and without libbpf: we have two fixed
// programs and one map, and no object file to read; libbpf with libelf and zlib would be a third of
// the whole daemon.
//
// Loading needs CAP_BPF and CAP_NET_ADMIN (before Linux 5.8, which we need: CAP_SYS_ADMIN), and
// happens before privileges are dropped. What is named tcx_* needs CAP_NET_ADMIN alone and happens
// at any time; the filter of system calls lets BPF_PROG_ATTACH, _DETACH and _QUERY through, and no
// other command.
//
// Source: bpf(2), linux/bpf.h, kernel/bpf/{syscall,arraymap,mprog,tcx}.c.
#pragma once

#include <linux/bpf.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "net/fence_program.hpp"
#include "sys/fd.hpp"

namespace vipd::net {

// Memory that a map lends us.
class SharedMemory {
 public:
  SharedMemory() = default;
  ~SharedMemory();
  SharedMemory(SharedMemory&& other) noexcept
      : start_(std::exchange(other.start_, nullptr)), size_(other.size_) {}
  SharedMemory& operator=(SharedMemory&& other) noexcept {
    std::swap(start_, other.start_);
    std::swap(size_, other.size_);
    return *this;
  }
  // Not open and a reason when the kernel refuses.
  static SharedMemory of_map(int map_fd, size_t size, std::string* reason);
  [[nodiscard]] void* get() const { return start_; }

 private:
  void* start_ = nullptr;
  size_t size_ = 0;
};

// An array of one element that can be mapped (Linux 5.5). Not open and a reason otherwise, such as
// "no BPF_SYSCALL in this kernel" and "no CAP_BPF".
[[nodiscard]] sys::Fd bpf_create_map(size_t size, std::string* reason);
[[nodiscard]] sys::Fd bpf_load(std::span<const bpf_insn> code, const char* name,
                               std::string* reason);
// As the kernel numbers its programs; never twice while it runs. 0 when it would not say.
[[nodiscard]] uint32_t bpf_program_id(int program_fd);

// The programs of one hook of a link, in the order in which they run, before all of clsact.
struct TcxPrograms {
  std::vector<uint32_t> ids;
  uint64_t revision = 0;
};
// 0 or an errno: EINVAL where the kernel has no tcx (before 6.6), ENODEV for a link that has gone.
[[nodiscard]] int tcx_query(int link_index, FenceHook hook, TcxPrograms* programs);
[[nodiscard]] int tcx_attach_first(int link_index, FenceHook hook, int program_fd);
// The one at that place, if nothing has changed since it was queried (else ESTALE).
[[nodiscard]] int tcx_detach(int link_index, FenceHook hook, const TcxPrograms& programs,
                             size_t place);

}  // namespace vipd::net
