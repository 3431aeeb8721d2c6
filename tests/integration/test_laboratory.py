"""The laboratory itself: a witness that cannot see a fault proves nothing."""

import time

from case import case
from lab import LINK
from spaces import ip


def give(host, vip, *more):
    ip("addr", "add", f"{vip}/32", "dev", LINK, *more, ns=host.ns)


def take(host, vip):
    ip("addr", "del", f"{vip}/32", "dev", LINK, ns=host.ns)


@case(seconds=5)
def test_witness_sees_two_owners(t):
    """Made by hand: must be seen, from the first moment to the last."""
    t.overlap_expected = True
    lab = t.lab(vips=2)
    n1, n2, _ = lab.hosts
    first, second = lab.vips.values()
    give(n1, first)
    give(n1, second)
    time.sleep(0.2)
    give(n2, first)
    time.sleep(0.1)
    take(n1, first)
    lab.witness.sync()
    overlaps = lab.witness.overlaps()
    t.equal(len(overlaps), 1, "overlaps seen")
    t.check(overlaps[0].startswith(f"{first} on n1 and n2 for 1"), overlaps[0])
    t.equal(lab.witness.owner(first), "n2", "owner of the first address")
    t.equal(lab.witness.owner(second), "n1", "owner of the second address")
    t.figure(overlaps[0])


@case(seconds=5)
def test_witness_sees_no_overlap_in_a_move(t):
    """As short as a move can be, many times over: the order is the kernels', so no false alarm."""
    lab = t.lab()
    n1, n2, _ = lab.hosts
    vip = lab.addresses[0]
    give(n1, vip)
    for _ in range(20):
        take(n1, vip)
        give(n2, vip)
        take(n2, vip)
        give(n1, vip)
    lab.witness.sync()
    t.equal(len(lab.witness.find("add", vip=vip)), 41, "additions seen")


@case(seconds=8)
def test_witness_tells_expiry_from_deletion(t):
    lab = t.lab()
    n1, vip = lab.hosts[0], lab.addresses[0]
    give(n1, vip, "valid_lft", "1", "preferred_lft", "0")
    lab.witness.wait(lambda: lab.witness.find("del"), 4, "the kernel to remove the address")
    give(n1, vip, "valid_lft", "9", "preferred_lft", "0")
    take(n1, vip)
    lab.witness.sync()
    expired = [e["expired"] for e in lab.witness.find("del", vip=vip)]
    t.equal(expired, [True, False], "removals by the kernel")


@case(seconds=6)
def test_witness_measures_gaps(t):
    """The address is away for 50 ms; then the host is cut off for 200 ms."""
    lab = t.lab()
    n1, vip = lab.hosts[0], lab.addresses[0]
    give(n1, vip)
    lab.witness.wait(lambda: lab.witness.find("answers", vip=vip), 5, "an answer")
    time.sleep(0.5)
    start = time.monotonic()
    take(n1, vip)
    time.sleep(0.05)
    give(n1, vip)
    time.sleep(0.3)
    removed, added = lab.witness.find("del")[-1]["t"], lab.witness.find("add")[-1]["t"]
    away = (added - removed) * 1e3
    gap, *_ = lab.witness.longest_gap(vip, since=start)
    t.figure(f"address away {away:.1f} ms, gap {gap:.1f} ms")
    t.check(abs(gap - away) < 4, "the gap is not the time without the address")
    start = time.monotonic()
    n1.cut()
    time.sleep(0.2)
    n1.mend()
    time.sleep(0.3)
    gap, *_ = lab.witness.longest_gap(vip, since=start)
    t.figure(f"cut off for 200 ms, gap {gap:.1f} ms")
    t.check(199 <= gap <= 260, "the gap is not the time without the host")
