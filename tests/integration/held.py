"""Stops a process at a chosen system call, by ptrace: here between the start of a turn of the
daemon's loop and the reading of its watch."""

import ctypes
import os
import platform
import signal
import struct
import time

SEIZE, INTERRUPT, SYSCALL, DETACH, SYSCALL_INFO = 0x4206, 0x4207, 24, 17, 0x420e  # linux/ptrace.h
TRACESYSGOOD = 1
ENTRY, EXIT = 1, 2  # ptrace_syscall_info.op
WALL = 0x40000000
SYSCALL_STOP = signal.SIGTRAP | 0x80
# asm/unistd.h: recvfrom, and what epoll_wait(3) calls
RECVFROM, EPOLL = {"x86_64": (45, (232, 281)), "aarch64": (207, (22,))}[platform.machine()]

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


class Held:
    """Traces a process of one thread. Used by one thread, which must call release()."""

    def __init__(self, pid):
        self.pid = pid
        self._ptrace(SEIZE, 0, TRACESYSGOOD)
        self._ptrace(INTERRUPT, 0, 0)  # a seized process runs on
        os.waitpid(pid, WALL)

    def _ptrace(self, request, address, data):
        result = _libc.ptrace(request, self.pid, address, data)
        if result < 0:
            raise OSError(ctypes.get_errno(), f"ptrace {request:#x}")
        return result

    def _next_call(self):
        """Runs it to its next entry of a system call or exit from one: (op, numbers)."""
        deliver = 0
        while True:
            self._ptrace(SYSCALL, 0, deliver)
            _, status = os.waitpid(self.pid, WALL)
            if not os.WIFSTOPPED(status):
                raise RuntimeError("the traced process ended")
            number = os.WSTOPSIG(status)
            if number == SYSCALL_STOP:
                break
            # An event of ptrace's own has a number above; everything else is a signal.
            deliver = 0 if status >> 16 or number in (signal.SIGSTOP, signal.SIGTRAP) else number
        info = ctypes.create_string_buffer(88)
        self._ptrace(SYSCALL_INFO, len(info), ctypes.cast(info, ctypes.c_void_p))
        return info.raw[0], struct.unpack_from("=7q", info.raw, 24)

    def _memory(self, address, size):
        with open(f"/proc/{self.pid}/mem", "rb", buffering=0) as memory:
            memory.seek(address)
            return memory.read(size)

    def until_it_reads(self, sign, timeout=20):
        """Stops it before it reads from a socket on which it has just read `sign`, in the first
        reading of a turn: epoll has said that there is something, and it is not read yet."""
        deadline = time.monotonic() + timeout
        wanted, call, fresh = None, None, False
        while time.monotonic() < deadline:
            op, numbers = self._next_call()
            if op == ENTRY:
                call = numbers
                if call[0] == RECVFROM and call[1] == wanted and fresh:
                    return
            elif op == EXIT and call and call[0] == RECVFROM:
                size = numbers[0]
                if size > 0 and sign in self._memory(call[2], size):
                    wanted = call[1]
                fresh = fresh and call[1] != wanted
            elif op == EXIT and call and call[0] in EPOLL:
                fresh = True
        raise TimeoutError(f"{sign!r} is not read within {timeout:g} s")

    def release(self):
        self._ptrace(DETACH, 0, 0)
