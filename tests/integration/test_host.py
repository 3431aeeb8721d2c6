"""The owner's whole host dies, or is cut off: with the peer lease (test_peers.py has more of it),
and without it, by the deadline in etcd alone."""

import time

import peers
from case import case
from lab import TIMEOUT

NO_PEERS = {"peer.timeout": "0s"}

NEXT_OWNER_MS = TIMEOUT * 1e3 + 300
FULL_AUTHORITY_S = 2.0  # a new owner has beaten since


def up(t, vips=1, **options):
    lab = t.lab(vips=vips, **options)
    lab.start()
    return lab


def rejoin(lab, host, vips):
    """The host comes back and queues up again."""
    host.boot()
    lab.wait_etcd()
    host.start_vipd()
    for vip in vips:
        lab.wait_queue(3, vip)
    time.sleep(FULL_AUTHORITY_S)


def taken_over(lab, vips, died, moment, timeout=12):
    """When the last of the addresses came up elsewhere, in ms after the moment."""
    witness = lab.witness

    def all_elsewhere():
        first = {}
        for event in witness.find("add", since=moment):
            if event["host"] != died.name:
                first.setdefault(event["vip"], event["t"])
        return max(first[vip] for vip in vips) if set(vips) <= set(first) else None

    last = witness.wait(all_elsewhere, timeout, f"all {len(vips)} addresses on another host")
    return (last - moment) * 1e3, last


def crashes(t, vips, rounds, with_leader=False, **options):
    lab = up(t, vips, **options)
    addresses = list(lab.vips.values())
    limit = NEXT_OWNER_MS
    for number in range(1, rounds + 1):
        if lab.fenced():
            peers.settle(lab)
            limit = peers.wait_term(lab)["timeout_ms"] + peers.MANY_SLACK_MS
        owner = lab.wait_owner()
        mine = [vip for vip in addresses if lab.witness.owner(vip) == owner.name]
        lab.move_leader(owner if with_leader else lab.others(owner)[0])
        time.sleep(FULL_AUTHORITY_S)
        election = peers.Election(lab, owner) if with_leader else None
        moment = owner.crash()
        # A heartbeat that was under way counts from when the next leader shows it.
        elected = (election.wait() - moment) * 1e3 if with_leader else 0
        took, last = taken_over(lab, mine, owner, moment)
        t.bound_ms(f"crash {number}, {len(mine)} VIP: next owner after", took, limit + elected,
                   (last - 1.0, last))
        time.sleep(0.5)
        gap, *_ = lab.witness.longest_gap(mine[-1], since=moment)
        t.figure(f"client gap {gap:.0f} ms")
        if number < rounds:
            rejoin(lab, owner, [addresses[0], addresses[-1]])


@case(seconds=30)
def test_host_dies(t):
    crashes(t, vips=1, rounds=2)


@case(seconds=40, weight=3)
def test_host_dies_100_vips(t):
    crashes(t, vips=100, rounds=2)


@case(seconds=60)
def test_host_dies_without_peers(t):
    crashes(t, vips=1, rounds=3, settings=NO_PEERS)


@case(seconds=60)
def test_host_dies_with_etcd_leader(t):
    crashes(t, vips=1, rounds=3, with_leader=True, settings=NO_PEERS)


def cut_off_and_mended(t, cut, mend, **options):
    lab = up(t, **options)
    vip = lab.addresses[0]
    for number, leads in enumerate((False, True), 1):
        old = lab.wait_owner()
        lab.move_leader(old if leads else lab.others(old)[0])
        time.sleep(FULL_AUTHORITY_S)
        election = peers.Election(lab, old) if leads else None
        moment = time.monotonic()
        cut(old)
        elected = (election.wait() - moment) * 1e3 if leads else 0
        new = lab.wait_owner(vip, 12, besides=old)
        removed = lab.witness.wait(
            lambda: lab.witness.find("del", since=moment, vip=vip, host=old.name), 5,
            f"{old} to remove it")  # behind a packet fence it may be later
        added = lab.witness.find("add", since=moment, vip=vip, host=new.name)
        t.figure(f"cut {number}{' (leader)' if leads else ''}: down there after "
                 f"{(removed[0]['t'] - moment) * 1e3:.0f} ms, up elsewhere after "
                 f"{(added[0]['t'] - moment) * 1e3:.0f} ms")
        t.bound_ms("next owner after", (added[0]["t"] - moment) * 1e3, NEXT_OWNER_MS + elected,
                   (added[0]["t"] - 1, added[0]["t"]))
        time.sleep(3)
        mended = time.monotonic()
        mend(old)
        lab.wait_queue(3, vip, 20)
        time.sleep(TIMEOUT + 1)
        # A member that comes back with a higher term makes etcd 3.4 elect anew, for seconds where
        # votes are split: longer than the owner's authority lasts.
        t.equal(lab.wait_owner(vip, 12).name, new.name, "owner after mending")
        lab.witness.sync()
        moves = {e["host"] for e in lab.witness.find("add", since=mended, vip=vip)}
        t.check(moves <= {new.name}, f"the address went to {moves} after mending")
        if moves:
            t.figure(f"away for {lab.witness.longest_gap(vip, since=mended)[0]:.0f} ms in the "
                     "election after mending")
        lab.wait_etcd()


@case(seconds=50)
def test_host_cut_off(t):
    """Frames vanish; every link stays up."""
    cut_off_and_mended(t, lambda host: host.cut(), lambda host: host.mend(), settings=NO_PEERS)


@case(seconds=50)
def test_cable_pulled(t):
    """The link goes down. The owner may let go at once, but nobody can hear it say so."""
    cut_off_and_mended(t, lambda host: host.unplug(), lambda host: host.plug())
