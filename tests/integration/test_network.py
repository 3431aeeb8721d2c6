"""What switches, fabrics and hypervisors do to what an owner says of its address."""

import fcntl
import json
import os
import struct
import time

from case import case
from kernel import ArpListener
from lab import CLIENT, CLIENT6, LINK, SUBNET, SUBNET6
from spaces import inside, ip, run, wait_for

VIP, OTHER, VIP6 = f"{SUBNET}.101", f"{SUBNET}.102", f"{SUBNET6}501"
CHAIN = """table {} t {{
  chain c {{
    type filter hook {} {} priority 0
    {}
  }}
}}
"""
TUNSETIFF, IFF_TUN = 0x400454ca, 1  # linux/if_tun.h
ONCE = {"announce.count": "1", "announce.refresh": "0s"}


def nft(lab, rules):
    run("nsenter", f"--net=/run/netns/{lab.lan}", "--", "nft", "-f", "-", stdin=rules)


@case(seconds=25)
def test_announces_until_the_port_forwards(t):
    """Spanning tree: a port that is plugged in says nothing of it, and forwards 4 s later (30 s by
    default)."""
    lab = t.lab(vips=[VIP], hosts=1, settings={**ONCE, "announce.form": "request"})
    host = lab.hosts[0]
    run("ip", "-n", lab.lan, "link", "set", "br0", "type", "bridge", "stp_state", "1",
        "forward_delay", "200")
    lab.start_etcd()
    host.start_vipd()
    lab.wait_owner()
    ip("link", "set", host.port, "down", ns=lab.lan)
    ear = ArpListener(lab.lan)  # what the new owner announced is not heard any more
    ip("link", "set", host.port, "up", ns=lab.lan)
    moment = time.monotonic()
    heard = ear.announcements(VIP, 6.5)
    t.check(heard, "nothing was heard")
    t.check(heard[0][0] - moment > 3.5, "the port forwarded at once")
    t.figure(f"heard {heard[0][0] - moment:.1f} s after the port was up")
    t.check(len(heard) <= 2, f"told too often: {heard}")
    t.equal(lab.witness.find("del"), [], "removals")
    ear.close()


@case(seconds=25)
def test_a_link_that_is_no_ethernet_is_told(t):
    """Nobody can be told there who has the address: said once, and the address is set."""
    lab = t.lab(vips=[VIP], hosts=1, settings={"announce.count": "3"})
    host = lab.hosts[0]
    with inside(host.ns):
        tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH", b"tun9", IFF_TUN))
    ip("link", "set", "tun9", "up", ns=host.ns)
    lab.start_etcd()
    host.start_vipd(vip__v1__link="tun9")
    wait_for(lambda: (host.vip_status(VIP) or {}).get("state") == "owner", 12, "an owner")
    said = "vip v1: tun9 is not an Ethernet link"
    wait_for(lambda: said in host.vipd.text(), 3, f"'{said}' in the log")
    time.sleep(2.5)
    t.equal(host.vipd.text().count(said), 1, "times that it was said")
    os.close(tun)


def neighbour(host, address):
    shown = json.loads(ip("-j", "neigh", "show", address, "dev", LINK, ns=host.ns).stdout or "[]")
    return shown[0]["lladdr"] if shown else None


@case(seconds=25)
def test_targets_are_told_besides(t):
    """A router behind a fabric that suppresses broadcasts: it still has the former owner's MAC."""
    router, absent = f"{SUBNET}.2", f"{SUBNET}.250"
    router6 = f"{SUBNET6}2"
    lab = t.lab(vips=[VIP, VIP6], hosts=2,
                settings={**ONCE, "announce.targets": f"{router}, {absent}, {router6}"})
    owner, routing = lab.hosts
    to = f'oifname "{routing.port}" ether daddr'
    nft(lab, CHAIN.format("bridge", "forward", "",
                          f"{to} ff:ff:ff:ff:ff:ff arp saddr ip {VIP} drop\n"
                          f"{to} 33:33:00:00:00:01 ip6 saddr {VIP6} drop"))
    for vip in (VIP, VIP6):
        ip("neigh", "replace", vip, "lladdr", "02:00:00:00:00:77", "nud", "stale", "dev", LINK,
           ns=routing.ns)
    lab.start_etcd()
    owner.start_vipd()
    lab.wait_owner(VIP)
    for vip in (VIP, VIP6):
        wait_for(lambda: neighbour(routing, vip) == owner.mac, 5, f"the router to learn {vip}")
    said = f"announce.targets: {absent} does not answer"
    wait_for(lambda: said in owner.vipd.text(), 8, f"'{said}' in the log")
    t.equal(owner.vipd.text().count("does not answer"), 1, "times that it was said")


def reachable(host):
    """VIP's name -> what the metric says."""
    lines = host.vipctl("metrics").stdout.splitlines()
    values = [line for line in lines if line.startswith("vipd_reachable{")]
    return {line.split('"')[1]: line.split()[-1] for line in values}


@case(seconds=25)
def test_a_port_that_drops_a_vip_is_told(t):
    """Port security knows the host's own addresses and two VIPs, not the third."""
    lab = t.lab(vips=[VIP, OTHER, VIP6], hosts=1)
    host = lab.hosts[0]
    for gateway in (CLIENT, CLIENT6):
        ip("route", "add", "default", "via", gateway, "dev", LINK, ns=host.ns)
    nft(lab, CHAIN.format("netdev", "ingress", f"device {host.port}", f"arp saddr ip {VIP} drop"))
    lab.start_etcd()
    host.start_vipd()
    lab.wait_all_owned()
    moment = time.monotonic()
    wait_for(lambda: reachable(host) == {"v1": "0", "v2": "1", "v3": "1"}, 8, "the metric")
    t.figure(f"found out {time.monotonic() - moment:.1f} s after it was taken")
    said = f"vip v1: {CLIENT} answers this host, but not {VIP}: the port or the hypervisor"
    t.equal(host.vipd.text().count(said), 1, "times that it was said")
    t.check("vip v2: " + CLIENT not in host.vipd.text(), "said of the other")
    t.equal(lab.witness.owner(VIP), host.name, "owner")
    nft(lab, "delete table netdev t")
    host.vipctl("resign", "v1")
    wait_for(lambda: reachable(host) == {"v1": "1", "v2": "1", "v3": "1"}, 8, "the metric again")
