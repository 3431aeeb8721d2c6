"""Frames of the peer lease that no daemon sent: each is dropped, counted, and costs nothing."""

import re
import time

import peers
from case import case
from kernel import cpu_seconds, rss_mb

BROADCAST = b"\xff" * 6
FLOOD = 10_000
NO_GAP_MS = 20


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
    vip, owner = lab.addresses[0], lab.wait_owner()
    ear = peers.Ear(lab, lab.others(owner)[0])
    frames = crooked(ear.frame(peers.GRANT))
    ear.close()
    term, since = peers.term(lab)["term"], time.monotonic()
    before = dropped(owner)
    t.check(set(frames) <= set(before), f"counted: {before}")
    for frame in frames.values():
        peers.send(lab, owner, [frame] * 3)
    time.sleep(0.5)
    now = dropped(owner)
    for reason in frames:
        t.equal(now[reason] - before[reason], 3, f"dropped for {reason}")

    spent, size = cpu_seconds(owner.vipd.pid), rss_mb(owner.vipd.pid)
    peers.send(lab, owner, [frames["nonce"], frames["cluster"]] * (FLOOD // 2))
    time.sleep(1)
    t.figure(f"{FLOOD} frames cost {(cpu_seconds(owner.vipd.pid) - spent) * 1e3:.0f} ms of a "
             f"processor, {rss_mb(owner.vipd.pid) - size:.1f} MB")
    t.check(rss_mb(owner.vipd.pid) - size < 0.5, "a flood is kept in memory")
    gap, *window = lab.witness.longest_gap(vip, since=since)
    t.bound_ms("gap", gap, NO_GAP_MS, window)
    t.equal(lab.wait_owner(vip).name, owner.name, "owner")
    t.equal(peers.term(lab)["term"], term, "the term")
    status = owner.vipctl("status").stdout
    t.check("peer lease: in force, renewed by " in status, f"status: {status}")
