"""The owner's daemon is killed, stopped or restarted while its host lives on. With the peer lease:
test_peers.py; here, but for 100 VIPs, what holds without it, by the deadline in etcd alone."""

import time

import peers
from case import case
from lab import TIMEOUT
from spaces import wait_for

INHERITED_S = 1.5  # for which an address lives on at least, when its daemon has gone


def up(t, peer_timeout="0s", **options):
    lab = t.lab(settings={"peer.timeout": peer_timeout}, **options)
    lab.start(2)
    return lab


def moved(t, lab, vip, old, moment):
    """Says how the address went from the old owner to the next; returns the new owner."""
    new = lab.wait_owner(vip, 12, besides=old)
    lab.witness.sync()
    removed = lab.witness.find("del", since=moment, vip=vip, host=old.name)[0]
    added = lab.witness.find("add", since=moment, vip=vip, host=new.name)[0]
    by = "kernel" if removed["expired"] else "daemon"
    t.figure(f"removed by the {by} at {removed['t'] - moment:.2f} s, added at "
             f"{added['t'] - moment:.2f} s")
    t.check(removed["t"] <= added["t"], "added before it was removed")
    limit = TIMEOUT * 1e3 + 300
    t.bound_ms("next owner after", (added["t"] - moment) * 1e3, limit, (added["t"] - 1, added["t"]))
    return new


@case(seconds=35)
def test_daemon_killed(t):
    """SIGKILL, and nobody starts it again before the others have taken over."""
    lab = up(t)
    vip = lab.addresses[0]
    for number in range(3):
        old = lab.wait_owner()
        time.sleep(0.13 * number)  # another phase of the heartbeat
        moment = time.monotonic()
        old.vipd.kill()
        moved(t, lab, vip, old, moment)
        old.start_vipd()
        lab.wait_queue(3)
        time.sleep(2)


@case(seconds=40, weight=3)
def test_daemon_killed_100_vips(t):
    lab = up(t, peer_timeout="1s", vips=100)
    vips = list(lab.vips.values())
    peers.settle(lab)
    limit = peers.wait_term(lab)["timeout_ms"] + peers.MANY_SLACK_MS
    old = lab.wait_owner(vips[0])
    mine = [vip for vip in vips if lab.witness.owner(vip) == old.name]
    moment = time.monotonic()
    old.vipd.kill()
    for vip in mine:
        lab.wait_owner(vip, 12, besides=old)
    lab.witness.sync()
    added = max(e["t"] for e in lab.witness.find("add", since=moment))
    t.bound_ms(f"last one of {len(mine)} elsewhere after", (added - moment) * 1e3, limit,
               (added - 1, added))


@case(seconds=50)
def test_daemon_stopped(t):
    """SIGSTOP for longer than the timeout, then SIGCONT: the old owner must find itself fenced."""
    lab = up(t)
    vip = lab.addresses[0]
    for number in range(3):
        old = lab.wait_owner()
        time.sleep(0.13 * number)
        moment = time.monotonic()
        old.vipd.stop()
        new = moved(t, lab, vip, old, moment)
        time.sleep(1)
        resumed = time.monotonic()
        old.vipd.cont()
        lab.wait_queue(3)
        time.sleep(2)
        lab.witness.sync()
        t.equal(lab.witness.owner(vip), new.name, "owner after SIGCONT")
        t.check(not lab.witness.find("add", since=resumed), "the address moved after SIGCONT")


@case(seconds=60)
def test_daemon_stopped_briefly(t):
    """Stopped for about as long as the deadline is away: whoever owns, nobody owns twice."""
    lab = up(t)
    vip = lab.addresses[0]
    for seconds in (1.0, 3.0, 4.0, 4.6, 5.0, 5.4):
        old = lab.wait_owner()
        old.vipd.stop()
        time.sleep(seconds)
        old.vipd.cont()
        lab.wait_queue(3)
        time.sleep(2.5)
        now = lab.wait_owner(vip, 12)
        t.figure(f"{seconds:.1f} s: {'stays' if now is old else 'moves'}")
        if seconds < 2:
            t.check(now is old, "a stop of 1 s moved the address")


@case(seconds=40)
def test_daemon_restarted(t):
    """Killed and started again at once: it takes up its session and keeps the address."""
    lab = up(t)
    vip = lab.addresses[0]
    for _ in range(3):
        owner = lab.wait_owner()
        moment = time.monotonic()
        owner.vipd.kill()
        owner.start_vipd()
        wait_for(owner.status, 10, "its answer")
        took = time.monotonic() - moment
        if took > INHERITED_S:
            t.figure(f"not judged: started again after {took:.1f} s")
            lab.wait_queue(3)
            time.sleep(2)
            continue
        time.sleep(TIMEOUT + 1.5)
        lab.witness.sync()
        t.equal(lab.witness.owner(vip), owner.name, "owner after the restart")
        gone = lab.witness.find("del", since=moment, vip=vip)
        t.check(not gone, "the address was gone meanwhile")
        t.bound_gap("client gap", 20, vip, moment)


@case(seconds=40)
def test_both_others_stopped(t):
    """All daemons but the owner's stand still for a while: nothing happens."""
    lab = up(t)
    vip = lab.addresses[0]
    owner = lab.wait_owner()
    moment = time.monotonic()
    for host in lab.others(owner):
        host.vipd.stop()
    time.sleep(TIMEOUT + 2)
    for host in lab.others(owner):
        host.vipd.cont()
    time.sleep(TIMEOUT)
    lab.witness.sync()
    t.equal(lab.witness.owner(vip), owner.name, "owner")
    t.bound_gap("client gap", 100, vip, moment)
