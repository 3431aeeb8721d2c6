"""The laboratory itself: a witness that cannot see a fault proves nothing."""

import time

from case import case
from lab import LINK
from spaces import ip

V4, OTHER, V6 = "10.77.0.101", "10.77.0.102", "fd77::101"


def give(host, vip, *more):
    ip("addr", "add", vip, "dev", LINK, *more, ns=host.ns)


def take(host, vip):
    ip("addr", "del", vip, "dev", LINK, ns=host.ns)


@case(seconds=5)
def test_witness_sees_two_owners(t):
    """Made by hand: must be seen, from the first moment to the last, in the hosts' lists and in
    their answers to each kind of question."""
    t.overlap_expected = True
    lab = t.lab(vips=[V4, OTHER, V6])
    n1, n2, _ = lab.hosts
    for vip in (V4, OTHER, V6):
        give(n1, vip, "nodad")
    time.sleep(0.3)
    for vip in (V4, V6):
        give(n2, vip, "nodad")
    time.sleep(0.2)
    for vip in (V4, V6):
        take(n1, vip)
    time.sleep(0.1)
    lab.witness.sync()
    overlaps = lab.witness.overlaps()
    t.equal(len(overlaps), 2, "overlaps in the lists")
    begin = lab.witness.find("add", vip=V4, host="n2")[0]["t"]
    end = lab.witness.find("del", vip=V4, host="n1")[0]["t"]
    t.check(overlaps[0].startswith(f"{V4} on n1 and n2 for "), overlaps[0])
    length = float(overlaps[0].split()[-2])
    t.bound_ms("overlap in the lists: off by", abs(length - (end - begin) * 1e3), 5, (begin, end))
    t.check(end - begin > 0.19, "shorter than it was made")
    t.equal(lab.witness.owner(V4), "n2", "owner of the first address")
    t.equal(lab.witness.owner(OTHER), "n1", "owner of the second address")
    answered = lab.witness.two_answered()
    t.equal(len(answered), 2, "overlaps in the answers")
    t.figure("; ".join([*overlaps, *answered]))
    for vip, kinds in ((V4, ["arp", "icmp"]), (V6, ["icmp6", "nd"])):
        found = lab.witness.find("both", vip=vip, hosts=["n1", "n2"])
        t.equal(sorted({event["kind"] for event in found}), kinds, "kinds of questions")
        begin = lab.witness.find("add", vip=vip, host="n2")[0]["t"]
        end = lab.witness.find("del", vip=vip, host="n1")[0]["t"]
        for what, at, wanted in (("first", found[0]["t"], begin), ("last", found[-1]["t"], end)):
            t.bound_ms(f"{vip}: {what} seen to be answered by two, off by",
                       abs(at - wanted) * 1e3, 50, (wanted - 0.1, wanted + 0.1))
        lab.witness.wait(lambda: lab.witness.answering(vip) == ["n2"], 5, "n2 alone to answer")


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


@case(seconds=5)
def test_witness_asks_the_unheard(t):
    """A host that is cut off, and one whose address answers nobody: no client could tell."""
    t.overlap_expected = True
    lab = t.lab(vips=[V4])
    n1, n2, _ = lab.hosts
    give(n1, V4)
    time.sleep(0.3)
    n1.cut()
    give(n2, V4)
    time.sleep(0.2)
    lab.witness.wait(lambda: lab.witness.answering(V4) == ["n1", "n2"], 5, "both to answer")
    t.check(lab.witness.two_answered(), "two owners in two parts of a network were not seen")
    moment = time.monotonic()
    ip("link", "set", LINK, "down", ns=n1.ns)
    down = time.monotonic()
    lab.witness.wait(lambda: lab.witness.answering(V4) == ["n2"], 2, "n1 to be silent")
    silent = lab.witness.last_answer(V4, "n1", since=moment - 0.1)
    t.check(moment - 0.05 < silent < down + 0.05, f"silent at {silent - moment:.3f} s")


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
    gap, *window = lab.witness.longest_gap(vip, since=start)
    t.figure(f"address away {away:.1f} ms, gap {gap:.1f} ms")
    t.bound_ms("off by", abs(gap - away), 4, window)
    start = time.monotonic()
    n1.cut()
    cut = time.monotonic()
    time.sleep(0.2)
    least = time.monotonic() - cut
    n1.mend()
    most = time.monotonic() - start
    time.sleep(0.3)
    gap, *window = lab.witness.longest_gap(vip, since=start)
    t.figure(f"cut off for {least * 1e3:.0f} to {most * 1e3:.0f} ms, gap {gap:.1f} ms")
    t.check(least * 1e3 - 1 <= gap, "shorter than the time without the host")
    t.bound_ms("longer by", gap - most * 1e3, 20, window)
