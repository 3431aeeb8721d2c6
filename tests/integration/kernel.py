"""What iproute2 cannot say or see: IFA_PROTO, ARP packets, what a process costs."""

import os
import select
import socket
import struct
import time

from lab import LINK
from spaces import inside

IFA_PROTO_OURS = 0x76
RTM_NEWADDR, RTM_DELADDR = 20, 21
NLM_F_REQUEST, NLM_F_ACK, NLM_F_CREATE, NLM_F_REPLACE = 0x1, 0x4, 0x400, 0x100
IFA_ADDRESS, IFA_LOCAL, IFA_PROTO = 1, 2, 11
ETH_P_ARP = 0x0806
ETH_P_IPV6 = 0x86DD


def _attribute(kind, data):
    return struct.pack("HH", 4 + len(data), kind) + data + b"\0" * (-len(data) % 4)


def add_address(host, vip, length, proto=IFA_PROTO_OURS):
    """A permanent address that carries a mark."""
    _change_address(host, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, vip, length,
                    _attribute(IFA_PROTO, bytes([proto])))


def remove_address(host, vip, length):
    """As `ip addr del`, by a process that is still there when somebody wants to know who it was."""
    _change_address(host, RTM_DELADDR, 0, vip, length, b"")


def own_name():
    """Of this process, as the kernel has it."""
    with open("/proc/self/comm") as file:
        return file.read().strip()


def _change_address(host, kind, flags, vip, length, more):
    with inside(host.ns):
        index = socket.if_nametoindex(LINK)
        out = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    packed = socket.inet_aton(vip)
    body = struct.pack("BBBBI", socket.AF_INET, length, 0, 0, index)
    body += _attribute(IFA_LOCAL, packed) + _attribute(IFA_ADDRESS, packed) + more
    flags |= NLM_F_REQUEST | NLM_F_ACK
    with out:
        out.send(struct.pack("IHHII", 16 + len(body), kind, flags, 1, 0) + body)
        error = struct.unpack_from("i", out.recv(4096), 16)[0]
    if error:
        raise OSError(-error, os.strerror(-error))


def _checksum(words):
    total = sum(struct.unpack(f"!{len(words) // 2}H", words))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def claim(host, vip):
    """The host says that it has the address, by whatever its family says it."""
    mac = bytes.fromhex(host.mac.replace(":", ""))
    if ":" in vip:
        target, all_nodes = socket.inet_pton(socket.AF_INET6, vip), b"\xff\2" + b"\0" * 13 + b"\1"
        body = struct.pack("!BBHI", 136, 0, 0, 0x20000000) + target + b"\2\1" + mac
        pseudo = target + all_nodes + struct.pack("!II", len(body), 58)
        body = body[:2] + struct.pack("!H", _checksum(pseudo + body)) + body[4:]
        head = b"\x33\x33\0\0\0\1" + mac + struct.pack("!H", ETH_P_IPV6)
        head += struct.pack("!IHBB", 0x60000000, len(body), 58, 255) + target + all_nodes
    else:
        party = mac + socket.inet_aton(vip)
        head = b"\xff" * 6 + mac + struct.pack("!H", ETH_P_ARP)
        body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + party + party
    with inside(host.ns):
        out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    with out:
        out.bind((LINK, 0))
        out.send(head + body)


SO_TIMESTAMPNS = 35  # asm-generic/socket.h


def stamped(sock):
    """A frame, and when the kernel got it, by time.monotonic(): when we woke up says nothing."""
    frame, ancillary, *_ = sock.recvmsg(256, 64)
    late = time.time()
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
            seconds, nanoseconds = struct.unpack("qq", data[:16])
            return frame, time.monotonic() - (late - seconds - nanoseconds / 1e9)
    raise OSError("a frame without a time stamp")


class ArpListener:
    """Hears every ARP packet that reaches the client's link."""

    def __init__(self, ns, link="br0"):
        with inside(ns):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ARP))
            self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            self._socket.bind((link, ETH_P_ARP))

    def announcements(self, vip, seconds):
        """[(time, "request" or "reply", sender's mac)] of gratuitous ones, for so long."""
        found, deadline = [], time.monotonic() + seconds
        wanted = socket.inet_aton(vip)
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([self._socket], [], [], left)[0]:
                break
            frame, now = stamped(self._socket)
            operation, = struct.unpack_from("!H", frame, 20)
            if frame[28:32] == wanted and frame[38:42] == wanted and frame[:6] == b"\xff" * 6:
                kind = {1: "request", 2: "reply"}.get(operation)
                found.append((now, kind, frame[22:28].hex(":")))
        return found

    def probes(self, vip, seconds):
        """The times of the questions for it by a host without a name (RFC 5227), for so long."""
        found, deadline = [], time.monotonic() + seconds
        wanted = b"\0\1", b"\0" * 4, socket.inet_aton(vip)
        while (left := deadline - time.monotonic()) > 0:
            if select.select([self._socket], [], [], left)[0]:
                frame, now = stamped(self._socket)
                if (frame[20:22], frame[28:32], frame[38:42]) == wanted:
                    found.append(now)
        return found

    def close(self):
        self._socket.close()


class NeighbourListener:
    """Hears every neighbour advertisement that reaches the client's link."""

    def __init__(self, ns, link="br0"):
        with inside(ns):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW,
                                         socket.htons(ETH_P_IPV6))
            self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            self._socket.bind((link, ETH_P_IPV6))

    def announcements(self, vip, seconds):
        """[(time, flags, sender's mac)] of those to all nodes, for so long; flags of "RSO"."""
        found, deadline = [], time.monotonic() + seconds
        wanted = socket.inet_pton(socket.AF_INET6, vip)
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([self._socket], [], [], left)[0]:
                break
            frame, now = stamped(self._socket)
            if len(frame) < 86 or frame[20] != 58 or frame[54] != 136 or frame[62:78] != wanted:
                continue
            if frame[:6] != b"\x33\x33\0\0\0\x01":
                continue
            flags = "".join(f for f, bit in (("R", 128), ("S", 64), ("O", 32)) if frame[58] & bit)
            found.append((now, flags, frame[80:86].hex(":")))
        return found

    def close(self):
        self._socket.close()


def process_status(pid):
    with open(f"/proc/{pid}/status") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def threads(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


def rss_mb(pid):
    return int(process_status(pid)["VmRSS"].split()[0]) / 1024


def forget_peak(pid):
    """From now on peak_mb() counts."""
    with open(f"/proc/{pid}/clear_refs", "w") as file:
        file.write("5")


def peak_mb(pid):
    return int(process_status(pid)["VmHWM"].split()[0]) / 1024


def rss_parts(pid):
    status = process_status(pid)
    return ", ".join(f"{part} {int(status['Rss' + part].split()[0]) / 1024:.1f}"
                     for part in ("Anon", "File"))


def switches(pid):
    """How often the process has gone to sleep: each is a wake-up later."""
    return int(process_status(pid)["voluntary_ctxt_switches"])


def waited_seconds(pid):
    """How long it was ready to run and no processor was free (the kernel's sched-stats.rst)."""
    with open(f"/proc/{pid}/schedstat") as file:
        return int(file.read().split()[1]) / 1e9


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
