"""Frames of the peer lease that no daemon sent: each is dropped, counted, and costs nothing."""

import re
import time

import peers
from case import case
from kernel import cpu_seconds, rss_mb
from spaces import wait_for
from test_peers import Quiet

BROADCAST = b"\xff" * 6
FLOOD = 10_000


def dropped(host):
    """reason -> how many, as `vipctl metrics` says."""
    text = host.vipctl("metrics").stdout
    found = re.findall(r'vipd_peer_frames_dropped_total\{reason="(\w+)"\} (\d+)', text)
    return {reason: int(count) for reason, count in found}


def crooked(grant):
    """reason -> a frame that is wrong in that respect alone."""
    frame = dict(zip(("to", "from", "type", "version", "kind", "tag", "term", "sender", "receiver",
                      "nonce", "secret"), grant))

    def but(**changes):
        return peers.FRAME.pack(*{**frame, **changes}.values())

    return {"length": but() + b"\0" * 36, "version": but(version=2), "cluster": but(tag=4711),
            "kind": but(kind=9), "field": but(term=0), "nonce": but(nonce=4711)}


@case(seconds=25)
def test_peer_frames_that_are_wrong(t):
    lab = peers.up(t)
    owner = lab.wait_owner()
    ear = peers.Ear(lab, lab.others(owner)[0])
    frames = crooked(ear.frame(peers.GRANT))
    ear.close()
    before = dropped(owner)
    t.check(set(frames) <= set(before), f"counted: {before}")
    with Quiet(t, lab, "wrong frames", 1.0):
        term = peers.wait_term(lab)["term"]
        for frame in frames.values():
            peers.send(lab, owner, [frame] * 3)
        wait_for(lambda: sum(dropped(owner).values()) >= sum(before.values()) + 3 * len(frames), 5,
                 "as many to be dropped")
        now = dropped(owner)
        for reason in frames:
            t.equal(now[reason] - before[reason], 3, f"dropped for {reason}")
        flooded(t, lab, owner, frames)
        t.equal(peers.wait_term(lab)["term"], term, "the term")
    status = owner.vipctl("status").stdout
    t.check("peer lease: in force, renewed by " in status, f"status: {status}")


def flooded(t, lab, owner, frames):
    spent, size = cpu_seconds(owner.vipd.pid), rss_mb(owner.vipd.pid)
    peers.send(lab, owner, [frames["nonce"], frames["cluster"]] * (FLOOD // 2))
    time.sleep(1)
    t.figure(f"{FLOOD} frames cost {(cpu_seconds(owner.vipd.pid) - spent) * 1e3:.0f} ms of a "
             f"processor, {rss_mb(owner.vipd.pid) - size:.1f} MB")
    t.check(rss_mb(owner.vipd.pid) - size < 0.5, "a flood is kept in memory")
