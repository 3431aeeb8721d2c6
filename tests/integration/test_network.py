"""What switches, fabrics and hypervisors do to what an owner says of its address."""

import time

from case import case
from kernel import ArpListener
from lab import SUBNET
from spaces import ip, run

VIP = f"{SUBNET}.101"
ONCE = {"announce.count": "1", "announce.refresh": "0s"}


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
    ear = ArpListener(lab.lan)
    ip("link", "set", host.port, "down", ns=lab.lan)
    ip("link", "set", host.port, "up", ns=lab.lan)
    moment = time.monotonic()
    heard = ear.announcements(VIP, 6.5)
    t.check(heard, "nothing was heard")
    t.check(heard[0][0] - moment > 3.5, "the port forwarded at once")
    t.figure(f"heard {heard[0][0] - moment:.1f} s after the port was up")
    t.check(len(heard) <= 2, f"told too often: {heard}")
    t.equal(lab.witness.find("del"), [], "removals")
    ear.close()
