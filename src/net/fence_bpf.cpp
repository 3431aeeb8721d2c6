#include "net/fence_bpf.hpp"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cassert>
#include <cerrno>
#include <cstring>

#include "sys/errno_text.hpp"

namespace vipd::net {
namespace {

// Later than the headers that we are built with (Linux 6.6).
constexpr uint32_t kTcxIngress = 46, kTcxEgress = 47;  // BPF_TCX_INGRESS, BPF_TCX_EGRESS
constexpr uint32_t kBefore = 1U << 3;                  // BPF_F_BEFORE
constexpr uint32_t kAfter = 1U << 4;                   // BPF_F_AFTER
constexpr uint32_t kById = 1U << 5;                    // BPF_F_ID

struct TcxAttach {  // union bpf_attr, of BPF_PROG_ATTACH and BPF_PROG_DETACH
  uint32_t target_ifindex;
  uint32_t attach_bpf_fd;
  uint32_t attach_type;
  uint32_t attach_flags;
  uint32_t replace_bpf_fd;
  uint32_t relative_id;
  uint64_t expected_revision;
};

struct TcxQuery {  // union bpf_attr, of BPF_PROG_QUERY
  uint32_t target_ifindex;
  uint32_t attach_type;
  uint32_t query_flags;
  uint32_t attach_flags;
  uint64_t prog_ids;
  uint32_t count;
  uint32_t : 32;
  uint64_t prog_attach_flags;
  uint64_t link_ids;
  uint64_t link_attach_flags;
  uint64_t revision;
};

constexpr uint32_t kMostPrograms = 64;  // BPF_MPROG_MAX

template <typename Attributes>
int call_bpf(int command, Attributes& attributes) {
  return static_cast<int>(syscall(SYS_bpf, command, &attributes, sizeof attributes));
}

uint64_t pointer(const void* at) {
  return reinterpret_cast<uintptr_t>(at);
}

uint32_t attach_type(FenceHook hook) {
  return hook == FenceHook::Ingress ? kTcxIngress : kTcxEgress;
}

sys::Fd refused(const char* what, std::string* reason) {
  if (errno == ENOSYS) {
    *reason = "no BPF_SYSCALL in this kernel";
  } else if (errno == EPERM) {
    *reason = "no CAP_BPF";
  } else {
    *reason = sys::errno_text(what);
  }
  return {};
}

// Before Linux 5.11 maps count as locked memory, of which root has little as well.
void allow_locked_memory() {
  const rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
  setrlimit(RLIMIT_MEMLOCK, &all);
}

}  // namespace

SharedMemory::~SharedMemory() {
  if (start_ != nullptr) munmap(start_, size_);
}

SharedMemory SharedMemory::of_map(int map_fd, size_t size, std::string* reason) {
  SharedMemory memory;
  void* const start = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);
  if (start == MAP_FAILED) {
    *reason = sys::errno_text("mapping the fence's memory");
    return memory;
  }
  memory.start_ = start;
  memory.size_ = size;
  return memory;
}

sys::Fd bpf_create_map(size_t size, std::string* reason) {
  bpf_attr attributes{};
  attributes.map_type = BPF_MAP_TYPE_ARRAY;
  attributes.key_size = sizeof(uint32_t);
  attributes.value_size = static_cast<uint32_t>(size);
  attributes.max_entries = 1;
  attributes.map_flags = BPF_F_MMAPABLE;
  std::memcpy(attributes.map_name, "vipd", sizeof "vipd");
  int fd = call_bpf(BPF_MAP_CREATE, attributes);
  if (fd < 0 && errno == EPERM) {
    allow_locked_memory();
    fd = call_bpf(BPF_MAP_CREATE, attributes);
  }
  if (fd >= 0) return sys::Fd(fd);  // close-on-exec by itself
  if (errno != EINVAL) return refused("bpf map", reason);
  *reason = "no maps to be mapped in this kernel (Linux 5.5)";
  return {};
}

sys::Fd bpf_load(std::span<const bpf_insn> code, const char* name, std::string* reason) {
  bpf_attr attributes{};
  attributes.prog_type = BPF_PROG_TYPE_SCHED_CLS;
  attributes.insn_cnt = static_cast<uint32_t>(code.size());
  attributes.insns = pointer(code.data());
  attributes.license = pointer(kFenceLicense);
  assert(std::strlen(name) < sizeof attributes.prog_name);
  std::strncpy(attributes.prog_name, name, sizeof attributes.prog_name - 1);
  const int fd = call_bpf(BPF_PROG_LOAD, attributes);
  if (fd >= 0) return sys::Fd(fd);
  if (errno != EINVAL) return refused("bpf program", reason);
  *reason = "this kernel refuses the program (it needs Linux 5.8)";
  return {};
}

uint32_t bpf_program_id(int program_fd) {
  bpf_prog_info info{};
  bpf_attr attributes{};
  attributes.info.bpf_fd = static_cast<uint32_t>(program_fd);
  attributes.info.info_len = sizeof info;
  attributes.info.info = pointer(&info);
  return call_bpf(BPF_OBJ_GET_INFO_BY_FD, attributes) == 0 ? info.id : 0;
}

int tcx_query(int link_index, FenceHook hook, TcxPrograms* programs) {
  programs->ids.resize(kMostPrograms);
  TcxQuery query{};
  query.target_ifindex = static_cast<uint32_t>(link_index);
  query.attach_type = attach_type(hook);
  query.prog_ids = pointer(programs->ids.data());
  query.count = kMostPrograms;
  const int error = call_bpf(BPF_PROG_QUERY, query) == 0 ? 0 : errno;
  programs->ids.resize(error == 0 ? std::min(query.count, kMostPrograms) : 0);
  programs->revision = query.revision;
  return error;
}

int tcx_attach_first(int link_index, FenceHook hook, int program_fd) {
  TcxAttach attach{};
  attach.target_ifindex = static_cast<uint32_t>(link_index);
  attach.attach_bpf_fd = static_cast<uint32_t>(program_fd);
  attach.attach_type = attach_type(hook);
  attach.attach_flags = kBefore;  // before nothing in particular: before all
  return call_bpf(BPF_PROG_ATTACH, attach) == 0 ? 0 : errno;
}

// A descriptor of a program that a former process loaded cannot be had without CAP_SYS_ADMIN, but
// one can name its neighbour.
int tcx_detach(int link_index, FenceHook hook, const TcxPrograms& programs, size_t place) {
  assert(place < programs.ids.size());
  TcxAttach detach{};
  detach.target_ifindex = static_cast<uint32_t>(link_index);
  detach.attach_type = attach_type(hook);
  detach.attach_flags = place == 0 ? kBefore : kAfter | kById;
  detach.relative_id = place == 0 ? 0 : programs.ids[place - 1];
  detach.expected_revision = programs.revision;
  return call_bpf(BPF_PROG_DETACH, detach) == 0 ? 0 : errno;
}

}  // namespace vipd::net
