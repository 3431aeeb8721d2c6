"""What an owner tells and asks again on the network, minute by minute."""

import time

from case import case
from kernel import ArpListener
from lab import CLIENT, LINK
from spaces import ip, wait_for
from test_network import CHAIN, VIP, nft, reachable


@case(seconds=130)
def test_asked_and_looked_at_again(t):
    """An owner probes for 40 s after its start, each 5 s; and looks each minute whether its port
    lets the VIP through."""
    lab = t.lab(vips=[VIP], hosts=1)
    lab.start_etcd()
    host = lab.hosts[0]
    ip("route", "add", "default", "via", CLIENT, "dev", LINK, ns=host.ns)
    started = time.monotonic()
    host.start_vipd()
    lab.wait_owner()
    ear = ArpListener(lab.lan)
    asked = [moment - started for moment in ear.probes(VIP, started + 52 - time.monotonic())]
    ear.close()
    t.figure("probes after " + ", ".join(f"{moment:.0f}" for moment in asked) + " s")
    t.check(5 <= len(asked) <= 9 and asked[-1] < 46, "not each 5 s until 40 s")
    t.equal(reachable(host), {"v1": "1"}, "the metric")
    nft(lab, CHAIN.format("netdev", "ingress", f"device {host.port}", f"arp saddr ip {VIP} drop"))
    moment = time.monotonic()
    wait_for(lambda: reachable(host) == {"v1": "0"}, 75, "the filter to be found")
    t.figure(f"found after {time.monotonic() - moment:.0f} s")
