"""IPv6 addresses: the same promises as for IPv4, by neighbour advertisements."""

import json
import time

import peers
from case import NO_WAIT_MS, case
from kernel import IFA_PROTO_OURS, NeighbourListener
from lab import LINK, SUBNET6, TIMEOUT
from spaces import ip, run

VIP6 = f"{SUBNET6}501"


def addresses(host):
    """Address/length -> what iproute2 shows of it."""
    shown = json.loads(ip("-j", "-6", "addr", "show", "dev", LINK, ns=host.ns).stdout)
    return {f"{a['local']}/{a['prefixlen']}": a for a in shown[0]["addr_info"]}


@case(seconds=25)
def test_ipv6_address_and_announcements(t):
    """/128, deprecated, usable at once, a lifetime that fits; the schedule of ARP; a hand-over."""
    lab = t.lab(vips=["10.77.0.101", VIP6])
    lab.start_etcd()
    forwarding = f"net.ipv6.conf.{LINK}.forwarding=1"
    run("ip", "netns", "exec", lab.hosts[0].ns, "sysctl", "-qw", forwarding)
    ear = NeighbourListener(lab.lan)
    lab.start_vipd()
    owner = lab.wait_owner(VIP6)
    heard = ear.announcements(VIP6, 5.5)
    ear.close()
    added = lab.witness.find("add", vip=VIP6)[0]
    t.equal((added["len"], added["proto"]), (128, IFA_PROTO_OURS), "prefix length and mark")
    shown = addresses(owner)[f"{VIP6}/128"]
    t.check(shown.get("deprecated") and shown.get("noprefixroute"), f"not as wanted: {shown}")
    t.check(not shown.get("tentative"), "still being checked for duplicates")
    t.check(1 <= shown["valid_life_time"] <= TIMEOUT - 1.3, f"lifetime {shown['valid_life_time']}")
    rounds = [round(moment - heard[0][0]) for moment, *_ in heard]
    t.equal(rounds, [0, 1, 2, 3, 4], "seconds at which it was announced")
    router = "R" if owner is lab.hosts[0] else ""
    t.equal({(flags, mac) for _, flags, mac in heard}, {(router + "O", owner.mac)}, "announced as")
    delay = (heard[0][0] - added["t"]) * 1e3
    t.bound_speed("announced after", delay, 10, (added["t"], heard[0][0]))
    lab.wait_queue(3, VIP6)
    time.sleep(1)
    moment = time.monotonic()
    owner.vipctl("resign", "v2")
    lab.wait_owner(VIP6, 5, besides=owner)
    time.sleep(0.5)
    gap, start, end = lab.witness.longest_gap(VIP6, moment - 0.1)
    t.bound_ms("hand-over: gap", gap, NO_WAIT_MS, (start, end))


@case(seconds=25)
def test_ipv6_survives_what_happens(t):
    """Removed by hand: back. Owner killed: silent when its peer lease is over, and elsewhere; gone
    by the kernel's lifetime later."""
    lab = t.lab(vips=[VIP6])
    lab.start_etcd()
    lab.start_vipd()
    owner = lab.wait_owner(VIP6)
    lab.wait_queue(3, VIP6)
    time.sleep(1)
    moment = time.monotonic()
    ip("addr", "del", f"{VIP6}/128", "dev", LINK, ns=owner.ns)
    lab.witness.wait(lambda: lab.witness.find("add", since=moment, vip=VIP6), 5, "it to be back")
    back = lab.witness.find("add", since=moment, vip=VIP6)[0]
    t.equal(back["host"], owner.name, "back on")
    t.bound_ms("back after", (back["t"] - moment) * 1e3, NO_WAIT_MS, (moment, back["t"]))
    time.sleep(1)
    t.equal(len(lab.witness.find("add", since=moment, vip=VIP6)), 1, "times it was put back")
    peers.settle(lab)
    limit = peers.wait_term(lab)["timeout_ms"] + peers.SLACK_MS
    moment = time.monotonic()
    owner.vipd.kill()
    new, gap = peers.served_by(lab, VIP6, moment, owner)
    t.bound_ms("killed: gap", gap["ms"], limit, (gap["t"], gap["to"]))
    peers.prove_order(t, lab, VIP6, owner, new, moment)
    lab.witness.wait(lambda: lab.witness.find("del", since=moment, vip=VIP6), 8, "it to be removed")
    gone = lab.witness.find("del", since=moment, vip=VIP6)[0]
    t.equal((gone["host"], gone["expired"]), (owner.name, True), "removed by the kernel's lifetime")
    t.figure(f"removed by the kernel after {gone['t'] - moment:.1f} s")
