"""Asks the LAN by ARP who has an address, many times a second, and notes every answer.

Each question comes from a hardware address of its own, so that an answer tells which question it
is to: two machines that answer the same question had the address at once. Questions carry a sender
that nobody uses; they change no neighbour entry that matters. Times are those at which the kernel
received a frame, in seconds of CLOCK_MONOTONIC.
"""

import collections
import socket
import struct
import threading
import time

from spaces import inside

ETH_P_ARP = 0x0806
SO_TIMESTAMPNS = 35
SOL_PACKET, PACKET_ADD_MEMBERSHIP, PACKET_MR_PROMISC = 263, 1, 1
ARP = struct.Struct("!HHBBH6s4s6s4s")
OURS = b"\x02\xfe"
FRESH_S = 0.4  # an answer younger than this tells the owner

Answer = collections.namedtuple("Answer", "t machine asked question")
Claim = collections.namedtuple("Claim", "t machine")


def machine_of(mac):
    """By the last byte of the hardware addresses that the machines are given; None: a stranger."""
    return f"n{mac[5]}" if mac[:4] == b"\x02\0\0\0" else None


class Asker:
    def __init__(self, ns, link, interval):
        self.interval = interval
        self.answers = collections.defaultdict(list)  # address -> [Answer]
        self.claims = collections.defaultdict(list)  # address -> [Claim], sent without a question
        self._targets = {}  # address -> (VLAN or None, sender)
        self._sent = {}
        self._next = 0
        self._ending = False
        with inside(ns):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ARP))
            index = socket.if_nametoindex(link)
        self._socket.bind((link, ETH_P_ARP))
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP,
                                struct.pack("iHH8s", index, PACKET_MR_PROMISC, 0, b""))
        self._socket.settimeout(0.2)
        self._threads = [threading.Thread(target=work, daemon=True)
                         for work in (self._ask, self._listen)]
        for thread in self._threads:
            thread.start()

    def close(self):
        self._ending = True
        for thread in self._threads:
            thread.join(2)
        self._socket.close()

    def watch(self, address, vlan=None):
        sender = address.rpartition(".")[0] + ".99"
        self._targets[address] = (vlan, socket.inet_aton(sender))

    # ---- asking and listening ----------------------------------------------------------------

    def _ask(self):
        due = time.monotonic()
        while not self._ending:
            for address, (vlan, sender) in list(self._targets.items()):
                self._send(socket.inet_aton(address), vlan, sender)
            due = max(due + self.interval, time.monotonic() - 0.1)
            time.sleep(max(0.0, due - time.monotonic()))

    def _send(self, address, vlan, sender):
        self._next += 1
        mac = OURS + struct.pack("!I", self._next)
        tag = struct.pack("!HH", 0x8100, vlan) if vlan else b""
        ask = ARP.pack(1, 0x0800, 6, 4, 1, mac, sender, bytes(6), address)
        self._sent[self._next] = time.monotonic()
        self._socket.send(b"\xff" * 6 + mac + tag + struct.pack("!H", ETH_P_ARP) + ask)

    def _listen(self):
        while not self._ending:
            try:
                frame, control, _, _ = self._socket.recvmsg(256, 64)
            except TimeoutError:
                continue
            at = time.monotonic()
            for level, kind, data in control:
                if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
                    seconds, ns = struct.unpack("qq", data[:16])
                    at -= max(0.0, time.time() - (seconds + ns / 1e9))
            self._note(frame, at)

    def _note(self, frame, at):
        if len(frame) < 14 + ARP.size:
            return
        *_, op, sender, ip, target, wanted = ARP.unpack_from(frame, 14)
        machine = machine_of(sender)
        address = socket.inet_ntoa(ip)
        if machine is None or address not in self._targets:
            return
        if op == 2 and target[:2] == OURS:
            question = struct.unpack("!I", target[2:])[0]
            asked = self._sent.get(question, at)
            self.answers[address].append(Answer(at, machine, asked, question))
        elif ip == wanted or op == 2:
            self.claims[address].append(Claim(at, machine))

    # ---- questions to it ---------------------------------------------------------------------

    def owner(self, address):
        """Who answered just now, or None."""
        last = self.answers[address][-1:]
        return last[0].machine if last and time.monotonic() - last[0].t < FRESH_S else None

    def first(self, address, since, besides=None):
        """The first answer after the moment, of anybody but one machine."""
        return next((a for a in list(self.answers[address])
                     if a.t > since and a.machine != besides), None)

    def last_of(self, address, machine, until=float("inf")):
        """When the machine last answered."""
        times = [a.t for a in list(self.answers[address]) if a.machine == machine and a.t <= until]
        return times[-1] if times else 0.0

    def silences(self, address, since, until=float("inf")):
        """(ms, from, to) of the times without an answer that touch the window, longest first."""
        times = [a.t for a in list(self.answers[address]) if a.t <= until]
        pairs = [(b - a, a, b) for a, b in zip(times, times[1:]) if b > since]
        return sorted(((length * 1e3, a, b) for length, a, b in pairs), reverse=True)

    def missed(self, address, own, since, until):
        """How often a machine answered for its own address inside a silence of another address that
        it should have: only then the address was gone, and not the machine out of breath."""
        step = self.interval
        return sum(since + step < a.asked < until - step for a in list(self.answers[own]))

    def doubles(self, address, since=0.0):
        """The moments of questions that two machines answered."""
        first, found = {}, []
        for answer in list(self.answers[address]):
            other = first.setdefault(answer.question, answer.machine)
            if other != answer.machine and answer.t >= since:
                found.append((answer.t, other, answer.machine))
        return found
