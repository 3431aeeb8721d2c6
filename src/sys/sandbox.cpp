#include "sys/sandbox.hpp"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <vector>

#include "sys/errno_text.hpp"
#include "sys/sandbox_calls.hpp"

namespace vipd::sys {
namespace {

// Raised with every change of the lists. Asked of prctl(2), the filter answers with it as an error
// number, which no kernel has: so a program executed inside knows whose filter it is.
constexpr int kVersion = 2;
constexpr int kQuestion = 0x76697064;
constexpr int kAnswer = 3000;

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#elif defined(__arm__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_ARM;
#else
#error "no sandbox for this processor: its AUDIT_ARCH_ is missing here"
#endif
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "where the low half of an argument is");

constexpr uint32_t kAllow = SECCOMP_RET_ALLOW;
constexpr uint32_t kRefuse = SECCOMP_RET_ERRNO | EPERM;
constexpr uint32_t kKill = SECCOMP_RET_KILL_PROCESS;

class Program {
 public:
  Program() {
    load(offsetof(seccomp_data, arch));
    unless_equal(kArchitecture, kKill);
    load(offsetof(seccomp_data, nr));
  }

  void decide(uint32_t call, uint32_t verdict) {
    code_.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1));
    answer(verdict);
  }
  // Only with this first argument; otherwise the rules that follow decide.
  void decide_if(uint32_t call, uint32_t argument, uint32_t verdict) {
    code_.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 4));
    load(offsetof(seccomp_data, args[0]));
    code_.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, argument, 0, 1));
    answer(verdict);
    load(offsetof(seccomp_data, nr));
  }
  void answer(uint32_t verdict) { code_.push_back(BPF_STMT(BPF_RET | BPF_K, verdict)); }

  [[nodiscard]] bool install() {
    const sock_fprog program = {static_cast<unsigned short>(code_.size()), code_.data()};
    if (syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_LOG, &program) == 0) {
      return true;
    }
    // Without the log: Linux before 4.14 has no such flag, and a supervisor may refuse that call.
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
  }

 private:
  void load(uint32_t offset) { code_.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset)); }
  void unless_equal(uint32_t value, uint32_t verdict) {
    code_.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 1, 0));
    answer(verdict);
  }

  std::vector<sock_filter> code_;
};

Program the_filter() {
  Program program;
  for (const uint32_t call : kAllowedCalls) program.decide(call, kAllow);
  program.decide_if(__NR_prctl, kQuestion, SECCOMP_RET_ERRNO | (kAnswer + kVersion));
  program.decide(__NR_prctl, kAllow);
  // abort(3) signals itself; nobody else is to be signalled.
  const auto self = static_cast<uint32_t>(getpid());
  for (const uint32_t call : {__NR_kill, __NR_tkill, __NR_tgkill}) {
    program.decide_if(call, self, kAllow);
  }
  for (const uint32_t command : kAllowedBpf) program.decide_if(__NR_bpf, command, kAllow);
  for (const uint32_t call : kHostileCalls) program.decide(call, kKill);
  program.answer(kRefuse);
  return program;
}

}  // namespace

int sandbox_version() {
  errno = 0;
  prctl(kQuestion, 0, 0, 0, 0);
  return errno > kAnswer ? errno - kAnswer : 0;
}

bool enter_sandbox(std::string* reason) {
  const int inside = sandbox_version();
  if (inside == kVersion) return true;
  if (inside != 0) {
    *reason = "the system calls are still filtered as the version before wanted it";
    return false;
  }
  if (the_filter().install()) return true;
  *reason = errno_text("system calls are not filtered");
  return false;
}

}  // namespace vipd::sys
