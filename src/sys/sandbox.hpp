// The system calls that this process may make from now on: a seccomp filter in classic BPF.
//
// What vipd has no use for fails with EPERM (and is logged where the kernel audits): a call that
// was forgotten here costs a function, never an address. What only an intruder asks for ends the
// process, and the kernel then takes the addresses down in time. No new process can be started;
// execve(2) replaces this one, for SIGUSR2, and takes the filter along.
#pragma once

#include <string>

namespace vipd::sys {

// For good. Once only: a program that was executed inside finds itself there. False and a reason to
// tell people when the kernel has no such filters, or when we live in the filter of another
// version. REQUIRES: no_new_privs is set; one thread.
[[nodiscard]] bool enter_sandbox(std::string* reason);

// Of the filter that we live in: at the start of a program that was executed inside, perhaps
// another one than ours. 0: none of ours. From 2 on it lets the packet fence be attached and
// detached by bpf(2); before, such a call ends the process.
[[nodiscard]] int sandbox_version();

}  // namespace vipd::sys
