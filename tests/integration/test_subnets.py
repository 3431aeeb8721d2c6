"""A VIP and the host's own addresses: subnets, routes, and what others do to both."""

import re
import signal
import time

import peers
from case import case
from kernel import add_address
from lab import LINK, VIPD
from spaces import ip, run, wait_for

WAN = "203.0.113.5"
WAN6 = "2001:db8:5::5"
WAN_LINK = "wan0"
QUICK = {"session.timeout": "3s"}  # the first owner of a new cluster waits for one


def warnings(host, **settings):
    """The keys that `vipd -n` warns of there."""
    path = host.write_config(**settings)
    done = run("ip", "netns", "exec", host.ns, VIPD, "-n", "-c", path, check=False, timeout=10)
    return [line.split()[1].rstrip(":") for line in done.stderr.splitlines()]


def routes(host, *words):
    return ip(*words, "route", "show", "table", "all", ns=host.ns).stdout


def has(host, address, link=LINK):
    return f" {address} " in ip("-o", "addr", "show", "dev", link, ns=host.ns).stdout


def answers(lab, address):
    return run("ip", "netns", "exec", lab.lan, "ping", "-c1", "-W1", "-n", address,
               check=False).returncode == 0


def wan(lab, host):
    """A link of the host without any address; its other end is a neighbour of that subnet."""
    ip("link", "add", WAN_LINK, "type", "veth", "peer", "name", "wan1", "netns", lab.lan,
       ns=host.ns)
    ip("link", "set", WAN_LINK, "up", ns=host.ns)
    ip("addr", "add", "203.0.113.1/24", "dev", "wan1", ns=lab.lan)
    ip("-6", "addr", "add", "2001:db8:5::1/64", "dev", "wan1", "nodad", ns=lab.lan)
    ip("link", "set", "wan1", "up", ns=lab.lan)


@case(seconds=25)
def test_routes_come_and_go_with_the_address(t):
    """The only address of its subnet is reached; killed, the daemon's kernel removes all of it."""
    lab = t.lab(hosts=1, settings=QUICK)
    host = lab.hosts[0]
    wan(lab, host)
    lab.start_etcd()
    host.start_vipd(vip__wan__address=f"{WAN}/24", vip__wan__link=WAN_LINK,
                    vip__wan__routes="default via 203.0.113.1 table 77, "
                                     "10.9.0.0/16 via 198.51.100.1",
                    vip__six__address=f"{WAN6}/64", vip__six__link=WAN_LINK)
    wait_for(lambda: has(host, f"{WAN}/32", WAN_LINK) and has(host, f"{WAN6}/128", WAN_LINK), 15,
             "the addresses")
    wait_for(lambda: answers(lab, WAN) and answers(lab, WAN6), 5, "answers to its neighbour")
    shown = routes(host)
    t.check(f"default via 203.0.113.1 dev {WAN_LINK} table 77" in shown, f"routes {shown}")
    reason = host.vip_status(WAN)["reason"]
    t.check("10.9.0.0/16 via 198.51.100.1: the gateway is in no subnet" in reason, reason)
    t.equal(host.vip_status(WAN)["state"], "owner", "a route that is refused costs the VIP")
    host.vipd.kill()
    wait_for(lambda: not has(host, f"{WAN}/32", WAN_LINK), 8, "the kernel to remove the address")
    t.check("proto 118" not in routes(host, "-4"), f"left behind: {routes(host, '-4')}")
    wait_for(lambda: not has(host, f"{WAN6}/128", WAN_LINK), 8, "the IPv6 address to go")
    got = ip("-6", "route", "get", "2001:db8:5::9", ns=host.ns, check=False).stdout
    t.check(WAN_LINK not in got, f"an IPv6 route outlived its address: {got}")


@case(seconds=25)
def test_hosts_own_address_comes_and_goes(t):
    """Three VIPs of /24, the first goes; the host's own goes and comes back: each by itself."""
    lab = t.lab(hosts=1, vips=3, settings=QUICK)
    host = lab.hosts[0]
    own = f"{host.address}/24"
    lab.start_etcd()
    for promotes in (0, 1):
        run("ip", "netns", "exec", host.ns, "sysctl", "-qw",
            f"net.ipv4.conf.{LINK}.promote_secondaries={promotes}")
        host.start_vipd(**{f"vip__{name}__address": f"{vip}/24"
                           for name, vip in lab.vips.items()})
        first, *others = lab.addresses
        wait_for(lambda: all(has(host, f"{vip}/32") for vip in lab.addresses), 15, "the VIPs")
        ip("addr", "del", own, "dev", LINK, ns=host.ns)
        ip("addr", "add", own, "dev", LINK, ns=host.ns)
        t.check("secondary" not in ip("addr", "show", "dev", LINK, ns=host.ns).stdout,
                "something became a secondary")
        wait_for(lambda: f"dev {LINK} proto kernel" in routes(host, "-4") and
                 "proto 118" not in routes(host, "-4"), 5, "the host's own route alone")
        host.write_config(vip__v1__address=None, vip__v1__link=None)
        host.vipd.send(signal.SIGHUP)
        wait_for(lambda: not has(host, f"{first}/32"), 5, "the first to go")
        t.check(all(has(host, f"{vip}/32") for vip in others), "it took others along")
        t.check(has(host, own), "the host's own address went with it")
        host.vipd.kill()


@case(seconds=25)
def test_address_of_a_former_version(t):
    """Left with the length of its subnet, the first of it: the host's own outlives it."""
    lab = t.lab(hosts=1, settings=QUICK)
    host, vip = lab.hosts[0], lab.addresses[0]
    own = f"{host.address}/24"
    lab.start_etcd()
    host.start_vipd(vip__v1__address=f"{vip}/24")
    lab.wait_owner()
    host.vipd.kill()
    ip("addr", "del", own, "dev", LINK, ns=host.ns)
    add_address(host, vip, 24)
    ip("addr", "del", f"{vip}/32", "dev", LINK, ns=host.ns)
    ip("addr", "add", own, "dev", LINK, ns=host.ns)
    host.start_vipd(vip__v1__address=f"{vip}/24")
    wait_for(lambda: has(host, f"{vip}/32") and not has(host, f"{vip}/24"), 10,
             "the address as /32")
    t.check(has(host, own), "the host's own address went with it")
    t.check(f"dev {LINK} proto kernel" in routes(host, "-4"), "and its route")
    time.sleep(1)
    t.check(has(host, f"{vip}/32"), "it is not kept")


@case(seconds=20)
def test_address_that_every_node_has(t):
    """On lo or a dummy (LVS, anycast) it is in nobody's way; the host's own address is."""
    lab = t.lab(hosts=1, settings=QUICK)
    host, vip = lab.hosts[0], lab.addresses[0]
    ip("addr", "add", f"{vip}/32", "dev", "lo", ns=host.ns)
    ip("link", "add", "kube-ipvs0", "type", "veth", "peer", "name", "peer0", ns=host.ns)
    ip("link", "set", "kube-ipvs0", "arp", "off", ns=host.ns)  # as a dummy is
    ip("addr", "add", f"{vip}/32", "dev", "kube-ipvs0", ns=host.ns)
    lab.start_etcd()
    t.equal(warnings(host, vip__own__address=host.address, vip__own__link=LINK,
                     vip__auto__address=f"{host.address.rpartition('.')[0]}.250",
                     vip__auto__link="auto", vip__far__address=WAN, vip__far__link="auto"),
            ["vip.own.address", "vip.far.link"], "vipd -n")
    host.start_vipd(vip__own__address=host.address, vip__own__link=LINK)
    wait_for(lambda: has(host, f"{vip}/32"), 15, "the VIP on its link")
    wait_for(lambda: host.vip_status(host.address)["state"] == "fault", 5, "fault")
    reason = host.vip_status(host.address)["reason"]
    t.check("this host's own address" in reason and "del" not in reason, reason)
    host.vipctl("pause")
    wait_for(lambda: not has(host, f"{vip}/32"), 5, "the VIP to go")
    t.check(has(host, f"{vip}/32", "lo") and has(host, f"{vip}/32", "kube-ipvs0"),
            "the others went with it")


@case(seconds=25)
def test_link_is_found_by_its_subnet(t):
    """link = auto: refused while two links fit, and followed to another one."""
    lab = t.lab(hosts=1, settings=QUICK)
    host, vip = lab.hosts[0], lab.addresses[0]
    wan(lab, host)
    lab.start_etcd()
    ip("addr", "add", "203.0.113.7/24", "dev", WAN_LINK, ns=host.ns)
    host.start_vipd(vip__v1__address=f"{vip}/24", vip__v1__link="auto",
                    vip__wan__address=f"{WAN}/24", vip__wan__link="auto")
    wait_for(lambda: has(host, f"{WAN}/32", WAN_LINK) and has(host, f"{vip}/32"), 15,
             "each VIP on the link of its subnet")
    t.equal(host.vip_status(WAN)["link"], WAN_LINK, "its link in the status")
    ip("link", "add", "wan2", "type", "veth", "peer", "name", "wan3", "netns", lab.lan, ns=host.ns)
    ip("link", "set", "wan3", "up", ns=lab.lan)
    ip("link", "set", "wan2", "up", ns=host.ns)
    ip("addr", "add", "203.0.113.7/24", "dev", "wan2", ns=host.ns)
    time.sleep(1)
    t.check(has(host, f"{WAN}/32", WAN_LINK), "a second link that fits cost the VIP")
    moment = time.monotonic()
    ip("addr", "del", "203.0.113.7/24", "dev", WAN_LINK, ns=host.ns)
    wait_for(lambda: has(host, f"{WAN}/32", "wan2"), 5, "the VIP to follow its subnet")
    t.figure(f"followed after {time.monotonic() - moment:.1f} s")
    t.check(not has(host, f"{WAN}/32", WAN_LINK), "it is on both links")
    ip("addr", "add", "203.0.113.7/24", "dev", WAN_LINK, ns=host.ns)
    host.vipd.kill()
    wait_for(lambda: not has(host, f"{WAN}/32", "wan2"), 8, "the address to expire")
    host.start_vipd(vip__wan__address=f"{WAN}/24", vip__wan__link="auto")
    wait_for(lambda: "the link's name" in (host.vip_status(WAN) or {"reason": ""})["reason"], 8,
             "fault while two links fit")


def renewals(host):
    """The requests for grants that it has sent."""
    found = re.search(r'frames_sent_total.*renew.* (\d+)', host.vipctl("metrics").stdout)
    return int(found.group(1)) if found else 0


@case(seconds=40)
def test_names_of_one_link_are_asked_on_once(t):
    """link = auto without a length: as many names of one link as there are VIPs. The peer lease
    comes into force, and stays, with one request to each node at a time."""
    lab = t.lab(hosts=3, vips=30, settings=QUICK)
    lab.start_etcd()
    lab.start_vipd(**{f"vip__{name}__link": "auto" for name in lab.vips})
    lab.wait_all_owned()
    lab.wait_queue(3)
    peers.wait_term(lab)
    owner = lab.wait_owner()
    before, moment = renewals(owner), time.monotonic()
    time.sleep(3)
    a_second = (renewals(owner) - before) / (time.monotonic() - moment)
    t.figure(f"{a_second:.1f} requests/s")
    t.check(3 < a_second < 12, "not one request to each of two nodes at a time")
    t.check("lease left" not in owner.vipctl("history").stdout, "the peer lease was left")
