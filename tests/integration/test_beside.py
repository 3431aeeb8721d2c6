"""The same two faults for vipd and for keepalived, on the same hosts, one after the other."""

import contextlib
import os
import signal
import time

import keepalived
import peers
from case import case
from spaces import wait_for

FROZEN_S = 6.0
PHASES = {"10.77.0.91": "1", "10.77.0.92": "0.1"}  # address -> advert_int


def answering(lab, vip):
    found = lab.witness.answering(vip)
    return lab.host(found[0]) if len(found) == 1 else None


def both_s(lab, vip, since):
    """For how long two hosts answered the same questions."""
    times = [event["t"] for event in lab.witness.find("both", since=since, vip=vip)]
    return times[-1] - times[0] if times else 0.0


def say(t, who, what, gap, both):
    t.figure(f"{who}: {what}: gap {gap['ms']:.0f} ms, two answered for {both:.1f} s")


def two_faults(t, lab, who, vip, freeze, thaw):
    owner = wait_for(lambda: answering(lab, vip), 20, f"an owner by {who}")
    lab.move_leader(lab.others(owner)[0])
    time.sleep(1)
    moment = owner.crash()
    crashed, (owner, gap) = owner, peers.served_by(lab, vip, moment, owner, 20)
    say(t, who, "host dies", gap, both_s(lab, vip, moment))
    crashed.boot()
    lab.wait_etcd()
    time.sleep(2)
    if who == "vipd":
        crashed.start_vipd()
        peers.settle(lab)
    moment = time.monotonic()
    freeze(owner)
    # Where two answer, a client has no gap; it reaches the one or the other.
    with contextlib.suppress(TimeoutError):
        _, gap = peers.served_by(lab, vip, moment, owner, FROZEN_S)
    time.sleep(max(0.0, moment + FROZEN_S - time.monotonic()))
    thaw(owner)
    time.sleep(1)
    found, *_ = lab.witness.longest_gap(vip, since=moment)
    both = both_s(lab, vip, moment)
    say(t, who, f"stands still for {FROZEN_S:.0f} s", {"ms": found}, both)
    return both


@case(seconds=80)
def test_beside_keepalived(t):
    program = f"{os.environ['OTHERS']}/usr/sbin/keepalived"
    lab = t.lab(extra_vips=list(PHASES))
    t.overlap_expected = True
    lab.start_etcd()
    lab.start_vipd()
    lab.wait_all_owned()
    peers.settle(lab)
    vip = lab.addresses[0]
    two_faults(t, lab, "vipd", vip, lambda host: host.vipd.stop(), lambda host: host.vipd.cont())
    t.check(not lab.witness.find("both", vip=vip), "two hosts answered for vipd's address")
    for host in lab.hosts:
        host.vipd.end()
    for other, interval in PHASES.items():
        others = {host: keepalived.start(host, program, keepalived.instance(
            "beside", 51, host, interval, [other])) for host in lab.hosts}
        who = f"keepalived, advert_int {interval}"
        both = two_faults(t, lab, who, other, lambda h: keepalived.send(others[h], signal.SIGSTOP),
                          lambda h: keepalived.send(others[h], signal.SIGCONT))
        t.check(both > 1, "the witness does not see keepalived's two owners")
        for one in others.values():
            one.end()
