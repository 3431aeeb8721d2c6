"""Who is first in the queue: priorities, transfers, VIPs that spread by themselves, pauses."""

import collections
import os
import time

from case import NO_WAIT_MS, case
from lab import TIMEOUT
from spaces import wait_for


def up(t, **options):
    lab = t.lab(**options)
    lab.start(TIMEOUT / 2)  # the second in the queue has shown heartbeats
    return lab


def refused(t, done, *words):
    t.equal(done.returncode, 1, f"exit status with {done.stderr!r}")
    for word in words:
        t.check(word in done.stderr, f"{word!r} is not in {done.stderr!r}")


@case(seconds=30)
def test_preempted_by_priority(t):
    """After the delay, by a clean hand-over, and only to the higher one."""
    delay = 7
    settings = {"vip.v1.preempt": "yes", "vip.v1.preempt_delay": f"{delay}s"}
    lab = t.lab(settings=settings)
    lab.start_etcd()
    first, second, better = lab.hosts
    first.start_vipd()
    lab.wait_owner()
    second.start_vipd()
    lab.wait_queue(2)
    better.start_vipd(vip__v1__priority=200)
    lab.wait_queue(3)
    moment = better.vipd_started
    lab.wait_owner(timeout=delay + 6, besides=first)
    lab.witness.sync()
    added = lab.witness.find("add", since=moment)[0]
    t.equal(added["host"], better.name, "the next owner")
    t.figure(f"handed over {added['t'] - moment:.1f} s after it was started")
    t.check(added["t"] - moment >= delay, "before the delay was over")
    time.sleep(0.5)
    t.bound_gap("client gap", NO_WAIT_MS, lab.addresses[0], moment)
    priorities = [c["priority"] for c in better.vip_status(lab.addresses[0])["queue"]]
    t.equal(priorities[0], 200, "priority of the first in the queue")


@case(seconds=35)
def test_priority_changed_by_reload(t):
    """A standby gets a higher priority: it moves up, and nothing of the owner's is touched."""
    lab = up(t)
    vip = lab.addresses[0]
    owner = lab.wait_owner()
    moment = time.monotonic()
    last = lab.host(owner.vip_status(vip)["queue"][2]["node"])
    last.write_config(vip__v1__priority=150)
    t.equal(last.vipctl("reload").returncode, 0, "exit status of reload")
    wait_for(lambda: [c["node"] for c in owner.vip_status(vip)["queue"]][1:2] == [last.name], 5,
             "the standby of higher priority to be the second")
    owner.write_config(vip__v1__priority=90)
    t.equal(owner.vipctl("reload").returncode, 0, "exit status of reload at the owner")
    wait_for(lambda: owner.vip_status(vip)["queue"][0]["priority"] == 90, 5, "the new priority")
    time.sleep(1)
    lab.witness.sync()
    t.equal(lab.witness.find("del", since=moment), [], "removals")
    t.bound_gap("client gap", 20, vip, moment)


@case(seconds=40)
def test_transfer(t):
    """To the last in the queue, at once; refused with a reason where it cannot be."""
    lab = up(t)
    vip = lab.addresses[0]
    owner = lab.wait_owner()
    nodes = [c["node"] for c in owner.vip_status(vip)["queue"]]
    second, last = lab.host(nodes[1]), lab.host(nodes[2])
    refused(t, second.vipctl("transfer", "v1", last.name), "does not own", owner.name)
    refused(t, owner.vipctl("transfer", "nosuch", last.name), "nosuch")
    refused(t, owner.vipctl("transfer", "v1", "n9"), "n9", second.name, last.name)
    refused(t, owner.vipctl("transfer", vip, owner.name), "already")
    t.equal(owner.vipctl("transfer", "v1").returncode, 2, "exit status without a node")

    moment = time.monotonic()
    done = owner.vipctl("transfer", vip, last.name)
    took = time.monotonic() - moment
    t.equal(done.returncode, 0, f"exit status with {done.stderr!r}")
    t.bound_ms("transfer took", took * 1e3, TIMEOUT * 1e3, (moment, moment + took))
    lab.witness.wait(lambda: lab.witness.owner(vip) == last.name, 5, f"{last} to own it")
    time.sleep(0.5)
    t.bound_gap("client gap", NO_WAIT_MS, vip, moment)


@case(seconds=40)
def test_transfer_given_up(t):
    """The node that is asked for stands still: the owner keeps the address and says why."""
    lab = up(t)
    vip = lab.addresses[0]
    owner = lab.wait_owner()
    second = lab.host(owner.vip_status(vip)["queue"][1]["node"])
    second.vipd.stop()
    time.sleep(TIMEOUT + 0.5)
    moment = time.monotonic()
    done = owner.vipctl("transfer", "v1", second.name, timeout=20)
    refused(t, done)
    t.figure(f"after {time.monotonic() - moment:.1f} s: {done.stderr.strip()}")
    second.vipd.cont()
    lab.witness.sync()
    t.equal(lab.witness.owner(vip), owner.name, "owner")
    t.equal(lab.witness.find("del", since=moment), [], "removals")


def spread(lab):
    return {vip: lab.witness.owner(vip) for vip in lab.vips.values()}


def settled(lab, moved):
    """Waits until no address has moved for longer than preemption takes; returns who has what."""
    lab.wait_all_owned()
    before, since = spread(lab), time.monotonic()
    while time.monotonic() - since < TIMEOUT + 2.5:
        time.sleep(0.3)
        now = spread(lab)
        if now != before:
            moved.update(vip for vip in now if now[vip] != before[vip] and now[vip])
            before, since = now, time.monotonic()
    return before


@case(seconds=75, weight=3)
def test_auto_spreads(t):
    """30 VIPs over three nodes; those of a node that goes are spread, and come back with it."""
    count = 30
    settings = {}
    for n in range(1, count + 1):
        settings[f"vip.v{n}.priority"] = "auto"
        settings[f"vip.v{n}.preempt"] = "yes"
        settings[f"vip.v{n}.preempt_delay"] = "0s"
    lab = t.lab(vips=count, settings=settings)
    lab.start_etcd()
    lab.start_vipd()
    first = settled(lab, set())
    counts = collections.Counter(first.values())
    t.figure("spread " + ", ".join(f"{node} {n}" for node, n in sorted(counts.items())))
    t.check(len(counts) == 3 and min(counts.values()) >= 5, f"uneven: {counts}")

    leaver = lab.host(max(counts, key=counts.get))
    theirs = {vip for vip, node in first.items() if node == leaver.name}
    moved = set()
    t.equal(leaver.vipd.end(), 0, "exit status")
    lab.wait_all_owned()
    without = spread(lab)
    moved = {vip for vip in without if without[vip] != first[vip]}
    t.equal(moved, theirs, "what moved when a node went")
    t.figure("without it " + ", ".join(
        f"{node} {n}" for node, n in sorted(collections.Counter(without.values()).items())))

    leaver.start_vipd()
    moved = set()
    again = settled(lab, moved)
    t.equal(again, first, "who owns what when it is back")
    t.equal(moved, theirs, "what moved when it came back")


@case(seconds=45)
def test_pause_that_persists(t):
    """It holds after a restart, before anything is installed; one without --persist does not."""
    lab = up(t, hosts=2)
    vip = lab.addresses[0]
    owner = lab.wait_owner()
    other = lab.others(owner)[0]
    t.equal(owner.vipctl("pause", "--persist").returncode, 0, "exit status")
    lab.wait_owner(timeout=5, besides=owner)
    t.equal(owner.status().get("pause_persists"), True, "pause_persists")
    moment = time.monotonic()
    owner.vipd.kill()
    owner.start_vipd()
    wait_for(lambda: (owner.status() or {}).get("state") == "paused", 5, "paused after a restart")
    t.check("until resumed" in owner.vipctl("status").stdout, "the table does not say so")
    time.sleep(2)
    lab.wait_queue(1)
    t.equal(owner.vipctl("resume").returncode, 0, "exit status of resume")
    lab.wait_queue(2)
    t.check("pause_persists" not in owner.status(), "pause_persists after resume")
    t.equal(owner.vipctl("pause").returncode, 0, "exit status of pause")
    owner.vipd.kill()
    owner.start_vipd()
    lab.wait_queue(2)
    t.equal(owner.status()["state"], "running", "state after a restart")
    lab.witness.sync()
    t.equal(lab.witness.find("add", since=moment, host=owner.name), [], "additions meanwhile")

    # An owner that is killed, and paused before it is started: what it left goes at once.
    new = lab.wait_owner()
    t.equal(new.name, other.name, "owner")
    time.sleep(TIMEOUT / 2)
    new.vipd.kill()
    with open(f"{new.folder}/state/paused", "w") as file:
        file.write("by hand\n")
    moment = time.monotonic()
    new.start_vipd()
    lab.wait_owner(vip, 10, besides=new)
    t.figure(f"what it left went, and the other had it, {time.monotonic() - moment:.2f} s later")
    os.unlink(f"{new.folder}/state/paused")
