"""Hosts outside the election that have a VIP, or say so."""

import threading
import time

from case import NO_WAIT_MS, case
from kernel import ArpListener, NeighbourListener, claim
from lab import LINK, SUBNET6
from spaces import ip, wait_for

VIP, VIP6 = "10.77.0.101", f"{SUBNET6}501"


def fault_names(host, vip, mac):
    status = host.vip_status(vip) or {}
    return status.get("state") == "fault" and mac in status["reason"]


@case(seconds=30)
def test_foreign_host_is_left_alone_then_defended_against(t):
    """A host without vipd has both addresses: fault with its MAC. It lets go: owner. It claims
    them again: defended once, after etcd was asked."""
    lab = t.lab(vips=[VIP, VIP6], hosts=2)
    t.overlap_expected = True  # made by hand
    lab.start_etcd()
    n1, n2 = lab.hosts
    stranger = [f"{VIP}/32", f"{VIP6}/128"]
    ip("addr", "add", stranger[0], "dev", LINK, ns=n2.ns)
    ip("addr", "add", stranger[1], "dev", LINK, "nodad", ns=n2.ns)
    n1.start_vipd()
    for vip in (VIP, VIP6):
        wait_for(lambda: fault_names(n1, vip, n2.mac), 12, f"{vip} in fault, naming {n2.mac}")
    time.sleep(1)
    t.check("conflict.probe = no" in n1.vip_status(VIP)["reason"], "no word of proxies")
    t.equal(lab.witness.find("add", host="n1"), [], "taken from a stranger")
    for address in stranger:
        ip("addr", "del", address, "dev", LINK, ns=n2.ns)
    moment = time.monotonic()
    for vip in (VIP, VIP6):
        lab.wait_owner(vip, 12)
    t.figure(f"owner {time.monotonic() - moment:.1f} s after the stranger let go")
    time.sleep(5.5)  # the first announcements are over; the next ones come after 9 s
    for vip, listener in ((VIP, ArpListener), (VIP6, NeighbourListener)):
        ear = listener(lab.lan)
        moment = time.monotonic()
        claim(n2, vip)
        claim(n2, vip)
        heard = [h for h in ear.announcements(vip, 1) if h[2] == n1.mac]
        t.check(heard, f"{vip} was not defended")
        t.bound_speed(f"{vip} defended after", (heard[0][0] - moment) * 1e3, 200,
                      (moment, heard[0][0]))
        kinds = [kind for _, kind, _ in heard]
        t.check(len(kinds) == len(set(kinds)), f"{vip} was defended more than once: {kinds}")
        ear.close()
    t.equal(n1.vipd.text().count("which is ours; verifying"), 2, "claims in the log")
    t.check(f"the host with {n2.mac} claims {VIP6}" in n1.vipd.text(), "the MAC is not in the log")


@case(seconds=25)
def test_answers_of_a_fabric(t):
    """It answers each probe with the MAC of a node that is in the queue: no stranger has it."""
    lab = t.lab(vips=[VIP], hosts=2)
    lab.start_etcd()
    n1, n2 = lab.hosts
    n1.start_vipd()
    lab.wait_queue(1)
    n2.start_vipd()
    lab.wait_queue(2)
    is_over = threading.Event()

    def answer():
        while not is_over.wait(0.05):
            claim(n2, VIP)
    fabric = threading.Thread(target=answer)
    fabric.start()
    try:
        t.equal(lab.wait_owner(VIP, 10), n1, "owner")
    finally:
        is_over.set()
        fabric.join()
    t.check("outside the election" not in n1.vipd.text(), "a node was taken for a stranger")


@case(seconds=25)
def test_probe_costs_a_take_over_nothing(t):
    """Neither the first owner nor a hand-over waits for a probe, and nobody else answers one."""
    lab = t.lab(hosts=3)
    lab.start_etcd()
    lab.start_vipd()
    owner = lab.wait_owner()
    added = lab.witness.find("add", vip=VIP)[0]["t"]
    begun = owner.said_at("for a possible former owner")
    # With the probes it would be 5.6 s and more.
    t.bound_ms("first owner after", (added - begun) * 1e3, 5500, (begun, added))
    lab.wait_queue(3)
    time.sleep(1.5)
    moment = time.monotonic()
    owner.vipctl("resign")
    lab.wait_owner(besides=owner)
    time.sleep(0.3)
    gap, start, end = lab.witness.longest_gap(VIP, moment - 0.1)
    t.bound_ms("hand-over: gap", gap, NO_WAIT_MS, (start, end))
    for host in lab.hosts:
        t.check("claims" not in host.vipd.text(), f"{host} took a neighbour for a stranger")


@case(seconds=20)
def test_claim_from_before_the_probe_is_no_answer(t):
    """It waits in the socket of a daemon that stands still until it is time to probe."""
    lab = t.lab(hosts=2)
    lab.start_etcd()
    n1, stranger = lab.hosts
    n1.start_vipd()
    lab.wait_queue(1)
    time.sleep(2.5)
    n1.vipd.stop()
    claim(stranger, VIP)
    time.sleep(2.5)
    n1.vipd.cont()
    lab.wait_owner(VIP, 3)
    t.check("claims" not in n1.vipd.text(), "taken for an answer")


@case(seconds=40)
def test_claim_is_yielded_to_or_ignored(t):
    """conflict = release: the owner lets go, and another takes over, which it queues up behind.
    conflict = ignore: a line in the log, and nothing else."""
    lab = t.lab(hosts=3)
    lab.start_etcd()
    n1, n2, stranger = lab.hosts
    n1.start_vipd(conflict="release")
    lab.wait_owner()
    n2.start_vipd(conflict="ignore")
    lab.wait_queue(2)
    time.sleep(5.5)  # the first announcements are over
    claim(stranger, VIP)
    lab.wait_owner(besides=n1)
    why = f"owner -> fault: the host with {stranger.mac} has the address"
    wait_for(lambda: why in n1.vipd.text(), 5, f"'{why}' in the log")
    wait_for(lambda: "is free again: n2 has it" in n1.vipd.text(), 5, "n1 to queue up again")
    lab.wait_queue(2)
    added = lab.witness.find("add", vip=VIP, host="n2")[-1]["t"]
    # It announces until 4 s, and again after 9 s.
    time.sleep(max(0.0, added + 5.5 - time.monotonic()))
    ear, moment = ArpListener(lab.lan), time.monotonic()
    claim(stranger, VIP)
    wait_for(lambda: stranger.mac in n2.vipd.text(), 5, "the claim in the log")
    t.equal([h for h in ear.announcements(VIP, 1) if h[2] == n2.mac], [], "answers to the claim")
    ear.close()
    t.equal(lab.witness.find("del", host="n2", since=moment), [], "the address went")
