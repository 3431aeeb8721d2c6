"""Holding on without etcd, as the tests see it: marks, outages, who says that it holds on."""

import contextlib
import json
import time

import gateway
import peers
from lab import TIMEOUT
from spaces import wait_for

NO_GAP_MS = 200  # a machine may stall; an owner that let go would be away for longer than F


def up(t, hosts=3, vips=1, prepare=None, **settings):
    """prepare: called with each host before its daemon is started."""
    lab = t.lab(hosts=hosts, vips=vips,
                settings={"peer.timeout": "1s", "peer.hold": "yes", **settings})
    lab.start_etcd()
    for host in lab.hosts:
        if prepare:
            prepare(host)
        host.start_vipd()
    lab.wait_all_owned()
    ready(lab)
    return lab


def ready(lab):
    """Everybody is there, and the owner would hold on."""
    peers.settle(lab)
    wait_mark(lab)


def marks(lab):
    """The marks in etcd, or None while it is away."""
    for host in lab.hosts:
        with contextlib.suppress(gateway.Unavailable):
            return [json.loads(value)
                    for _, value, *_ in host.gateway.range("/vipd/hold/", timeout=0.5)]
    return None


def wait_mark(lab):
    """Until the owner may hold on: the mark is that of the term in force, and stays it."""
    def settled():
        before = marks(lab)
        term = (peers.term(lab) or {}).get("term")
        return bool(before) and before[-1]["term"] == term
    since = [time.monotonic()]

    def stays():
        if not settled():
            since[0] = time.monotonic()
        return time.monotonic() - since[0] > 2.5  # longer than a term lasts that is to be changed
    wait_for(stays, 20, "the owner's mark", step=0.2)


def holds(host):
    status = host.status()
    return bool(status) and status["peer_lease"]["holds"]


def wait_hold(host):
    wait_for(lambda: holds(host), TIMEOUT + 3, f"{host} to hold on")


def stop_etcd(lab):
    for host in lab.hosts:
        host.etcd.stop()


def go_on_with_etcd(lab):
    for host in lab.hosts:
        host.etcd.cont()


def kill_etcd(lab):
    for host in lab.hosts:
        host.etcd.kill()


def start_etcd_again(lab):
    for host in lab.hosts:
        host.start_etcd()


def outage(t, lab, what, away, back, seconds, stays=True):
    """All of etcd is away for so long, and no client notices; unless its sessions are gone then,
    the owner stays."""
    witness, vip = lab.witness, lab.addresses[0]
    owner = lab.wait_owner(vip)
    since = time.monotonic()
    away(lab)
    wait_hold(owner)
    words = owner.status()["peer_lease"]["reason"]
    t.check("etcd has been away for" in words and "this node keeps v1" in words, words)
    t.check(len(lab.vips) == 1 or words.endswith(f", v8 and {len(lab.vips) - 8} more"), words)
    time.sleep(max(0.0, since + seconds - time.monotonic()))
    t.check(holds(owner), f"{owner} holds on after {seconds} s")
    back(lab)
    lab.wait_etcd()
    wait_for(lambda: not holds(owner), 10, f"{owner} to have etcd again")
    time.sleep(TIMEOUT + 1)  # nobody takes the silence before for anything
    witness.sync()
    gap, *window = witness.longest_gap(vip, since=since)
    t.bound_ms(f"{what} for {seconds:.0f} s: gap", gap, NO_GAP_MS, window)
    after = lab.wait_owner(vip)
    t.figure(f"owner before and after: {owner}, {after}")
    t.check(after is owner or not stays, "another owner")


def silent(t, lab, vip):
    """Nobody answers while etcd is away, for longer than anybody waits."""
    time.sleep(TIMEOUT + 1)
    lab.witness.sync()
    t.equal(lab.witness.answering(vip), [], "who answers while etcd is away")
