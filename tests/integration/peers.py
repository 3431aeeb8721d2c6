"""The peer lease as the tests see it: who renews it, its frames and their loss, take-overs."""

import contextlib
import json
import socket
import struct
import time

import gateway
from lab import TIMEOUT
from spaces import inside, run, wait_for

ETHER_TYPE = 0x88B5
RENEW, GRANT, EXPIRED = 1, 2, 3
FRAME = struct.Struct("!6s6sHBBQQQQQQ")  # src/net/peer_frame.hpp
SLACK_MS = 100  # beyond the peer lease: a commit, an announcement
MANY_SLACK_MS = 300  # with 100 addresses
ELECTION_SLACK_MS = 200


def up(t, timeout="1s", vips=1, **settings):
    """Three hosts whose owner has its peer lease from both others."""
    lab = t.lab(vips=vips, settings={"peer.timeout": timeout, **settings})
    lab.start_etcd()
    lab.start_vipd()
    lab.wait_all_owned()
    settle(lab)
    return lab


def term(lab):
    """The peer lease in force, as etcd has it, or None: it says that there is none."""
    def asked():
        for host in lab.hosts:
            with contextlib.suppress(gateway.Unavailable):
                return [host.gateway.range("/vipd/peers/", timeout=0.3)]
        return None
    found, = wait_for(asked, 20, "etcd to tell of the peer lease")
    return json.loads(found[-1][1]) if found else None


def wait_term(lab, grantors=2, timeout=12, f_ms=None):
    """Until the peer lease is renewed by so many; the term."""
    def found():
        now = term(lab)
        good = now and len(now["grantors"]) == grantors and f_ms in (None, now["timeout_ms"])
        return now if good else None
    return wait_for(found, timeout, f"a peer lease from {grantors}", step=0.05)


def settle(lab):
    """Everybody is in the queue and in the peer lease, and the next owner has waited out whoever
    may have been there before it."""
    vip = list(lab.vips.values())[-1]
    lab.wait_queue(len(lab.hosts), vip)
    def second():
        queue = (lab.wait_owner(vip).vip_status(vip) or {"queue": []})["queue"]
        return queue[1]["node"] if len(queue) == len(lab.hosts) else None
    started = lab.host(wait_for(second, 20, "the owner to see the queue")).vipd_started
    time.sleep(max(0.0, started + TIMEOUT + 0.5 - time.monotonic()))
    wait_term(lab, len(lab.hosts) - 1)


# ---- frames -------------------------------------------------------------------------------------


def lose(lab, source, target):
    """From now on no frame of the peer lease gets from one host to the other."""
    port = target.port
    run("tc", "-n", lab.lan, "qdisc", "add", "dev", port, "clsact", check=False)
    # Ethernet type, then the last four bytes of the sender's address; TC_ACT_SHOT or TC_ACT_UNSPEC.
    code = (f"6,40 0 0 12,21 0 3 {ETHER_TYPE},32 0 0 8,21 0 1 {source.number},"
            "6 0 0 2,6 0 0 4294967295")
    run("tc", "-n", lab.lan, "filter", "add", "dev", port, "egress", "protocol", "all", "prio",
        str(source.number), "bpf", "da", "bytecode", code)


def lose_all(lab):
    for source in lab.hosts:
        for target in lab.others(source):
            lose(lab, source, target)


def lose_none(lab):
    for host in lab.hosts:
        run("tc", "-n", lab.lan, "qdisc", "del", "dev", host.port, "clsact", check=False)


class Ear:
    """Hears the frames that a host sends."""

    def __init__(self, lab, host):
        with inside(lab.lan):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            self._socket.bind((host.port, 3))
        self._socket.settimeout(0.2)

    def frame(self, kind, timeout=3):
        """The next one of that kind, as a tuple (FRAME)."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            with contextlib.suppress(TimeoutError):
                data, where = self._socket.recvfrom(256)
                if where[2] != socket.PACKET_OUTGOING and data[12:14] == b"\x88\xb5":
                    frame = FRAME.unpack(data[:FRAME.size])
                    if frame[4] == kind:
                        return frame
        raise TimeoutError(f"no frame of kind {kind} in {timeout} s")

    def close(self):
        self._socket.close()


def send(lab, host, frames):
    """Puts frames onto the host's cable, towards it."""
    with inside(lab.lan):
        out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    with out:
        out.bind((host.port, 0))
        for frame in frames:
            out.send(frame)


# ---- take-overs ---------------------------------------------------------------------------------


class Election:
    """When etcd's next leader was known, asked many times a second."""

    def __init__(self, lab, died):
        self._hosts = lab.others(died)
        self._old = died.gateway.status()["header"]["member_id"]

    def wait(self, timeout=20):
        def elected():
            new = any(host.gateway.leader() not in ("0", self._old) for host in self._hosts)
            return time.monotonic() if new else None
        return wait_for(elected, timeout, "etcd to elect a leader", step=0.005)


def served_by(lab, vip, moment, besides, timeout=12):
    """The next host that answers for the address, and the gap of the client's service in ms."""
    witness = lab.witness
    gap = witness.wait(
        lambda: next((e for e in witness.gaps(vip, since=moment)
                      if e["after"] not in ("?", besides.name)), None),
        timeout, f"{vip} to be served by another host than {besides}")
    return lab.host(gap["after"]), gap


def prove_order(t, lab, vip, old, new, moment):
    """By the answers on the wire: the old owner was silent before the new one spoke."""
    witness = lab.witness
    witness.wait(lambda: witness.answering(vip) == [new.name], 3, f"{new} alone to answer")
    last = witness.last_answer(vip, old.name, moment - 1)
    first = witness.first_answer(vip, new.name, moment)
    t.check(last and first and last < first, f"{old} answered until {last}, {new} from {first} on")
    return last - moment, first - moment
