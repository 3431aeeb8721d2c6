"""The address itself: how it is put on the link, announced, and cleaned up."""

import json
import time
from signal import SIGUSR2

from case import case
from kernel import IFA_PROTO_OURS, ArpListener, add_address
from lab import LINK, TIMEOUT
from spaces import ip, wait_for


def addresses(host):
    """Address -> what iproute2 shows of it."""
    shown = json.loads(ip("-j", "addr", "show", "dev", LINK, ns=host.ns).stdout)
    return {f"{a['local']}/{a['prefixlen']}": a for a in shown[0]["addr_info"]
            if a["family"] == "inet"}


@case(seconds=30)
def test_address_and_announcements(t):
    """/32, marked, deprecated, no prefix route, a lifetime that fits; then the ARP schedule."""
    lab = t.lab()
    vip = lab.addresses[0]
    lab.start_etcd()
    ear = ArpListener(lab.lan)
    lab.start_vipd()
    owner = lab.wait_owner()
    heard = ear.announcements(vip, 5.5)
    added = lab.witness.find("add", vip=vip)[0]
    t.equal((added["len"], added["proto"]), (32, IFA_PROTO_OURS), "prefix length and mark")
    shown = addresses(owner)[f"{vip}/32"]
    t.check(shown.get("deprecated"), "not deprecated: may be chosen as source address")
    t.check(shown.get("noprefixroute"), "without NOPREFIXROUTE")
    lifetimes = []
    for _ in range(30):
        lifetimes.append(addresses(owner)[f"{vip}/32"]["valid_life_time"])
        time.sleep(0.05)
    t.check(1 <= min(lifetimes) and max(lifetimes) <= TIMEOUT - 1.3, f"lifetimes {set(lifetimes)}")
    t.check({mac for *_, mac in heard} == {owner.mac}, f"announced by {heard}")
    first = [kind for _, kind, _ in heard[:2]]
    t.equal(sorted(first), ["reply", "request"], "the first announcement")
    delay = (heard[1][0] - added["t"]) * 1e3
    t.bound_speed("announced after", delay, 10, (added["t"], heard[1][0]))
    rounds = sorted({round(moment - heard[0][0]) for moment, *_ in heard})
    t.equal(rounds, [0, 1, 2, 3, 4], "seconds at which it was announced")
    ear.close()


@case(seconds=25)
def test_announces_when_the_link_comes_up(t):
    lab = t.lab(hosts=1)
    vip = lab.addresses[0]
    lab.start_etcd()
    lab.start_vipd()
    owner = lab.wait_owner()
    time.sleep(6)  # the first schedule is over
    ear = ArpListener(lab.lan)
    owner.unplug()
    time.sleep(0.5)
    owner.plug()
    lab.wait_owner(vip, 10)
    kinds = set()
    wait_for(lambda: kinds.update(kind for _, kind, _ in ear.announcements(vip, 0.5)) or
             kinds >= {"request", "reply"}, 5, "both kinds of announcement")
    ear.close()


@case(seconds=25)
def test_refreshes_announcements(t):
    lab = t.lab(hosts=1, settings={"announce.count": "1", "announce.refresh": "2s"})
    lab.start_etcd()
    ear = ArpListener(lab.lan)
    lab.start_vipd()
    lab.wait_owner()
    heard = [m for m, kind, _ in ear.announcements(lab.addresses[0], 7) if kind == "request"]
    t.check(len(heard) in (3, 4), f"heard at {heard}")
    for before, after in zip(heard, heard[1:]):
        off = abs(after - before - 2.0) * 1e3
        t.bound_ms("off its time by", off, 150, (before - 0.1, after))
    ear.close()


@case(seconds=30)
def test_leftover_address_goes_at_start(t):
    """Of ours (by its mark), whatever its prefix length, before etcd is even asked; others stay."""
    lab = t.lab(vips=2)
    n1 = lab.hosts[0]
    marked, plain = lab.vips.values()
    for length in (32, 24, 28):
        add_address(n1, marked, length)
    ip("addr", "add", f"{plain}/24", "dev", LINK, ns=n1.ns)
    lab.witness.sync()
    moment = time.monotonic()
    n1.start_vipd()
    lab.witness.wait(lambda: marked not in str(addresses(n1)), 5, "the addresses to go")
    lab.witness.sync()
    removed = lab.witness.find("del", since=moment, vip=marked)
    t.equal(sorted(e["len"] for e in removed), [24, 28, 32], "prefix lengths removed")
    last = max(e["t"] for e in removed)
    t.bound_ms("gone after", (last - moment) * 1e3, 1000, (moment, last))
    time.sleep(2)
    t.check(f"{plain}/24" in addresses(n1), "an address without our mark was removed")


@case(seconds=30)
def test_leftover_address_with_another_owner(t):
    """The address is still on a rebooted daemon's link while somebody else has become owner."""
    lab = t.lab()
    t.overlap_expected = True  # made by hand
    vip = lab.addresses[0]
    lab.start_etcd()
    n1, n2, n3 = lab.hosts
    n2.start_vipd()
    n3.start_vipd()
    owner = lab.wait_owner()
    moment = time.monotonic()
    add_address(n1, vip, 24)
    n1.start_vipd()
    wait_for(lambda: lab.witness.owner(vip) == owner.name, 5, "one owner again")
    lab.witness.sync()
    t.figure(f"gone {(lab.witness.find('del', since=moment)[0]['t'] - moment) * 1e3:.0f} ms after")
    t.check(not lab.witness.find("del", since=moment, host=owner.name), "the owner let go")


@case(seconds=30)
def test_address_deleted_by_hand_comes_back(t):
    lab = t.lab()
    vip = lab.addresses[0]
    lab.start_etcd()
    lab.start_vipd()
    owner = lab.wait_owner()
    lab.wait_queue(3)
    time.sleep(1)
    moment = time.monotonic()
    ip("addr", "del", f"{vip}/32", "dev", LINK, ns=owner.ns)
    lab.witness.wait(lambda: lab.witness.find("add", since=moment, vip=vip), 8, "an owner again")
    back = lab.witness.find("add", since=moment, vip=vip)[0]
    t.figure(f"back on {back['host']} ({owner} owned) after {(back['t'] - moment) * 1e3:.0f} ms")


@case(seconds=40)
def test_address_deleted_after_a_restart_comes_back(t):
    """Just after a crash, and after SIGUSR2: the new process had nobody to wait for. (With a peer
    lease the others may take over from a daemon that is away for a second.)"""
    lab = t.lab(settings={"peer.timeout": "0s"})
    vip = lab.addresses[0]
    lab.start_etcd()
    lab.start_vipd()
    owner = lab.wait_owner()
    lab.wait_queue(3)
    time.sleep(TIMEOUT / 2)

    def crash():
        owner.vipd.kill()
        owner.start_vipd()

    def lose(what, restart, times, *words):
        restart()
        begin = time.monotonic()
        wait_for(lambda: owner.vipd.text().count("is resumed") == times, TIMEOUT, "the session")
        wait_for(lambda: (owner.vip_status(vip) or {}).get("state") == "owner", TIMEOUT, "the VIP")
        moment = time.monotonic()
        ip("addr", *words, "dev", LINK, ns=owner.ns)
        lab.witness.wait(lambda: lab.witness.find("add", since=moment, vip=vip, host=owner.name),
                         8, f"the address again after {what}")
        t.figure(f"removed {moment - begin:.2f} s after {what}")
        t.check(moment - begin < TIMEOUT / 2, f"removed too late after {what}")
        time.sleep(0.5)
        t.bound_gap("client gap", 300, vip, moment)

    lose("a crash", crash, 1, "del", f"{vip}/32")
    time.sleep(2)
    lose("SIGUSR2", lambda: owner.vipd.send(SIGUSR2), 2, "flush", "to", vip)
    t.equal(owner.vipd.end(), 0, "exit status")


@case(seconds=30)
def test_link_appears_later(t):
    """A configured link that is not there: fault, out of the election until it comes."""
    lab = t.lab(hosts=1)
    host = lab.hosts[0]
    lab.start_etcd()
    host.start_vipd(vip__v2__address="10.77.0.150", vip__v2__link="late0")
    lab.wait_owner()
    late = "10.77.0.150"
    wait_for(lambda: host.vip_status(late)["state"] == "fault", 5, "fault")
    t.check(host.vip_status(late)["reason"], "a fault without a reason")
    ip("link", "add", "late0", "type", "veth", "peer", "name", "late1", ns=host.ns)
    ip("link", "set", "late1", "up", ns=host.ns)
    ip("link", "set", "late0", "up", ns=host.ns)
    wait_for(lambda: host.vip_status(late)["state"] == "owner", 15, "owner on the new link")
    t.equal(lab.witness.find("del"), [], "removals of the other address")
