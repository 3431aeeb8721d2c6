"""A kernel without tcx, as before Linux 6.6, to the processes that shall believe it."""

import ctypes
import errno
import struct

import bpf

PR_SET_SECCOMP, MODE_FILTER = 22, 2
LOAD, JUMP_EQUAL, ANSWER = 0x20, 0x15, 0x06  # linux/bpf_common.h
NUMBER, FIRST_ARGUMENT = 0, 16  # linux/seccomp.h: struct seccomp_data
ALLOW, ERRNO = 0x7FFF0000, 0x00050000

_libc = ctypes.CDLL(None, use_errno=True)


def deny_tcx():
    """From now on, for this process and all that it starts: the question what stands on tcx fails,
    as it does there. Needs CAP_SYS_ADMIN."""
    rows = [(LOAD, 0, 0, NUMBER), (JUMP_EQUAL, 0, 3, bpf.NUMBER), (LOAD, 0, 0, FIRST_ARGUMENT),
            (JUMP_EQUAL, 0, 1, bpf.PROG_QUERY), (ANSWER, 0, 0, ERRNO | errno.EINVAL),
            (ANSWER, 0, 0, ALLOW)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *row) for row in rows))
    program = struct.pack("<H6xQ", len(rows), ctypes.addressof(code))
    if _libc.prctl(PR_SET_SECCOMP, MODE_FILTER, program, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "no filter of system calls")
