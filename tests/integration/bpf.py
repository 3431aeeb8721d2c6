"""Programs on a link's tcx hooks, by the bpf system call: who is there, one off, one in front."""

import contextlib
import ctypes
import os
import platform
import socket
import struct

from spaces import inside, run

NUMBER = {"x86_64": 321, "aarch64": 280}.get(platform.machine())
PROG_LOAD, PROG_ATTACH, PROG_DETACH, PROG_GET_FD_BY_ID, PROG_QUERY = 5, 8, 9, 13, 16
SCHED_CLS = 3
TCX_INGRESS, TCX_EGRESS = 46, 47
F_BEFORE = 1 << 3
END_CHAIN = struct.pack("<BBhi", 0xB7, 0, 0, 0) + struct.pack("<BBhi", 0x95, 0, 0, 0)  # TC_ACT_OK

_libc = ctypes.CDLL(None, use_errno=True)


def _bpf(command, attributes):
    room = ctypes.create_string_buffer(attributes.ljust(128, b"\0"), 128)
    result = _libc.syscall(NUMBER, command, room, 128)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result, room.raw


def programs(host, link, hook=TCX_INGRESS):
    """The ids of the programs on the hook, in their order; None: this kernel has no tcx."""
    ids = (ctypes.c_uint32 * 16)()
    with inside(host.ns), contextlib.suppress(OSError):
        _, out = _bpf(PROG_QUERY, struct.pack("<IIIIQI", socket.if_nametoindex(link), hook, 0, 0,
                                              ctypes.addressof(ids), len(ids)))
        return list(ids)[:struct.unpack_from("<I", out, 24)[0]]
    return None


def detach(host, link, hook=TCX_INGRESS):
    """Takes the first program off."""
    fd, _ = _bpf(PROG_GET_FD_BY_ID, struct.pack("<I", programs(host, link, hook)[0]))
    _change(PROG_DETACH, host, link, fd, hook, 0)


def remove_all(host, link):
    """Every filter on the link, of tcx and of clsact."""
    for hook in (TCX_INGRESS, TCX_EGRESS):
        while programs(host, link, hook):
            detach(host, link, hook)
    run("tc", "-n", host.ns, "qdisc", "del", "dev", link, "clsact", check=False)


def put_in_front(host, link, hook=TCX_INGRESS):
    """A program that ends the chain. It goes with detach()."""
    code = ctypes.create_string_buffer(END_CHAIN)
    licence = ctypes.create_string_buffer(b"GPL")
    fd, _ = _bpf(PROG_LOAD, struct.pack("<IIQQ", SCHED_CLS, len(END_CHAIN) // 8,
                                        ctypes.addressof(code), ctypes.addressof(licence)))
    _change(PROG_ATTACH, host, link, fd, hook, F_BEFORE)


def _change(command, host, link, fd, hook, flags):
    try:
        with inside(host.ns):
            _bpf(command, struct.pack("<IIII", socket.if_nametoindex(link), fd, hook, flags))
    finally:
        os.close(fd)
