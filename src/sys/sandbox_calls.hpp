// Which system calls are which, by the kernel's own numbers: a processor that lacks a call lacks
// its name. Those of our own code and of the libraries in it, as the integration tests need them,
// which all run inside the filter; and each with its neighbours: another version of a library may
// ask for the newer or the older form of the same.
#pragma once

#include <asm/unistd.h>
#include <linux/bpf.h>

#include <cstdint>

namespace vipd::sys {

// One name a line otherwise:
// clang-format off
constexpr uint32_t kAllowedCalls[] = {
    // the loop, first: the kernel compares one after the other
    __NR_epoll_pwait, __NR_epoll_ctl, __NR_epoll_create1, __NR_timerfd_settime, __NR_recvmsg,
    __NR_sendto, __NR_recvfrom, __NR_sendmsg, __NR_read, __NR_write, __NR_clock_gettime,
    __NR_getrandom, __NR_ppoll, __NR_timerfd_create, __NR_timerfd_gettime, __NR_signalfd4,
    __NR_eventfd2, __NR_pselect6,
#ifdef __NR_epoll_wait
    __NR_epoll_wait, __NR_epoll_create, __NR_poll, __NR_signalfd, __NR_eventfd,
#endif
#ifdef __NR_epoll_pwait2
    __NR_epoll_pwait2,
#endif
#ifdef __NR_select
    __NR_select,
#endif
#ifdef __NR__newselect
    __NR__newselect,
#endif
    // connections
    __NR_socket, __NR_socketpair, __NR_bind, __NR_listen, __NR_accept, __NR_accept4, __NR_connect,
    __NR_shutdown, __NR_getsockname, __NR_getpeername, __NR_getsockopt, __NR_setsockopt,
    __NR_recvmmsg, __NR_sendmmsg,
#ifdef __NR_recv
    __NR_recv, __NR_send,
#endif
    // files
    __NR_close, __NR_readv, __NR_writev, __NR_pread64, __NR_pwrite64, __NR_openat, __NR_lseek,
    __NR_fstat, __NR_statfs, __NR_fstatfs, __NR_statx, __NR_faccessat, __NR_readlinkat,
    __NR_getdents64, __NR_getcwd, __NR_mkdirat, __NR_unlinkat, __NR_renameat2, __NR_ftruncate,
    __NR_fchmod, __NR_fchmodat, __NR_umask, __NR_flock, __NR_fcntl, __NR_dup, __NR_dup3, __NR_pipe2,
    __NR_ioctl, __NR_fsync, __NR_fdatasync,
#ifdef __NR_newfstatat
    __NR_newfstatat,
#endif
#ifdef __NR_renameat
    __NR_renameat,
#endif
#ifdef __NR_open
    __NR_open, __NR_stat, __NR_lstat, __NR_access, __NR_readlink, __NR_mkdir, __NR_rmdir,
    __NR_unlink, __NR_rename, __NR_chmod, __NR_dup2, __NR_pipe,
#endif
#ifdef __NR_faccessat2
    __NR_faccessat2,
#endif
#ifdef __NR_close_range
    __NR_close_range,
#endif
    // memory
    __NR_brk, __NR_munmap, __NR_mremap, __NR_mprotect, __NR_madvise, __NR_membarrier,
#ifdef __NR_mmap
    __NR_mmap,
#endif
    // time
    __NR_clock_getres, __NR_clock_nanosleep, __NR_nanosleep, __NR_gettimeofday,
#ifdef __NR_time
    __NR_time,
#endif
    // the process itself
    __NR_exit, __NR_exit_group, __NR_restart_syscall, __NR_rt_sigaction, __NR_rt_sigprocmask,
    __NR_rt_sigreturn, __NR_sigaltstack, __NR_getpid, __NR_getppid, __NR_gettid, __NR_getuid,
    __NR_geteuid, __NR_getgid, __NR_getegid, __NR_getgroups, __NR_setsid, __NR_getpgid, __NR_getsid,
    __NR_uname, __NR_sysinfo, __NR_prlimit64, __NR_setrlimit, __NR_getrusage,
    __NR_sched_getaffinity, __NR_sched_yield, __NR_wait4, __NR_waitid, __NR_futex,
    __NR_set_tid_address, __NR_set_robust_list, __NR_execve, __NR_capget, __NR_capset,
#ifdef __NR_getrlimit
    __NR_getrlimit,
#endif
#ifdef __NR_getpgrp
    __NR_getpgrp,
#endif
#ifdef __NR_rseq
    __NR_rseq,
#endif
#ifdef __NR_arch_prctl
    __NR_arch_prctl,
#endif
// 32 bits: what has a wider twin there
#ifdef __NR_mmap2
    __NR_mmap2, __NR__llseek, __NR_fcntl64, __NR_stat64, __NR_lstat64, __NR_fstat64, __NR_fstatat64,
    __NR_statfs64, __NR_fstatfs64, __NR_ftruncate64, __NR_ugetrlimit, __NR_getuid32, __NR_geteuid32,
    __NR_getgid32, __NR_getegid32, __NR_getgroups32, __NR_sigreturn,
#endif
#ifdef __NR_clock_gettime64
    __NR_clock_gettime64, __NR_clock_getres_time64, __NR_clock_nanosleep_time64,
    __NR_timerfd_gettime64, __NR_timerfd_settime64, __NR_ppoll_time64, __NR_pselect6_time64,
    __NR_recvmmsg_time64, __NR_futex_time64,
#endif
#ifdef __ARM_NR_set_tls
    __ARM_NR_set_tls, __ARM_NR_cacheflush,
#endif
};

// Of bpf(2): the packet fence is attached to links that appear, and looked after. These load
// nothing; whoever has CAP_NET_ADMIN may remove what filters packets anyway.
constexpr uint32_t kAllowedBpf[] = {BPF_PROG_ATTACH, BPF_PROG_DETACH, BPF_PROG_QUERY};

// Other processes, the kernel, what is mounted, keys, namespaces, the clock.
constexpr uint32_t kHostileCalls[] = {
    __NR_ptrace, __NR_process_vm_readv, __NR_process_vm_writev, __NR_mount, __NR_umount2,
    __NR_pivot_root, __NR_chroot, __NR_init_module, __NR_finit_module, __NR_delete_module, __NR_bpf,
    __NR_perf_event_open, __NR_userfaultfd, __NR_keyctl, __NR_add_key, __NR_request_key, __NR_setns,
    __NR_unshare, __NR_reboot, __NR_swapon, __NR_swapoff, __NR_acct, __NR_quotactl,
    __NR_settimeofday, __NR_clock_settime, __NR_open_by_handle_at,
#ifdef __NR_clock_settime64
    __NR_clock_settime64,
#endif
#ifdef __NR_kexec_load
    __NR_kexec_load,
#endif
#ifdef __NR_kexec_file_load
    __NR_kexec_file_load,
#endif
#ifdef __NR_fsmount
    __NR_open_tree, __NR_move_mount, __NR_fsopen, __NR_fsconfig, __NR_fsmount,
#endif
#ifdef __NR_iopl
    __NR_iopl, __NR_ioperm,
#endif
};
// clang-format on

}  // namespace vipd::sys
