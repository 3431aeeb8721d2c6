"""Programs that manage the host's own addresses, beside a VIP on the same link: Debian's DHCP
clients, systemd-networkd and NetworkManager, each against a real DHCP server.

`make check-managers` unpacks them and runs this; /etc and /run are theirs alone, in mounts of
their own.
"""

import os
import signal
import time

from case import case
from lab import ROOT
from spaces import Process, ip, run, wait_for
from test_subnets import answers, has

OTHERS = os.path.abspath(os.environ.get("OTHERS", os.path.join(ROOT, "build", "others")))
LINK = "lan0"
VIP = "10.66.0.80"
LEASE = 10  # s; a client renews it after half of that

SERVER = """
start 10.66.0.20
end 10.66.0.29
interface lan1
lease_file {folder}/leases
pidfile {folder}/udhcpd.pid
option subnet 255.255.255.0
option lease {lease}
min_lease {lease}
"""

# Nothing that is written below these is this machine's.
MOUNTS = """
for d in /run /var/lib/dhcp /var/lib/NetworkManager /etc/systemd/network /etc/NetworkManager
do [ -d $d ] && mount -t tmpfs tmpfs $d; done
mount --bind {folder}/resolv.conf /etc/resolv.conf
mount -t sysfs -o ro sysfs /sys
mkdir -p /run/netns /run/systemd/netif /run/systemd/network
"""

NETWORKD = "[Match]\nName=lan0\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\n{more}"

NETWORK_MANAGER = """
[connection]
id=lan0
type=ethernet
interface-name=lan0
[ipv4]
method=auto
[ipv6]
method=ignore
"""

NM_CONF = """
[main]
plugins=keyfile
dhcp=internal
[keyfile]
path=/run/system-connections
[device]
match-device=interface-name:lan0
managed=1
"""

BUS = """<busconfig><type>system</type><listen>unix:path=/run/bus</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
<allow own="*"/></policy></busconfig>"""


class Site:
    """A host whose link lan0 has the VIP alone, and a DHCP server on the other end."""

    def __init__(self, t):
        self.t, self.lab = t, t.lab(hosts=1)
        self.host = self.lab.hosts[0]
        self.folder = self.host.folder
        ip("link", "add", LINK, "type", "veth", "peer", "name", "lan1", "netns", self.lab.lan,
           ns=self.host.ns)
        ip("link", "set", LINK, "up", ns=self.host.ns)
        ip("addr", "add", "10.66.0.1/24", "dev", "lan1", ns=self.lab.lan)
        ip("link", "set", "lan1", "up", ns=self.lab.lan)
        self.write("udhcpd.conf", SERVER.format(folder=self.folder, lease=LEASE))
        self.write("leases", "")
        self.write("resolv.conf", "")
        self.lab.start_etcd()
        self.server = Process(["busybox", "udhcpd", "-f", f"{self.folder}/udhcpd.conf"],
                              self.lab.lan, self.lab.log_path("udhcpd.log"))
        self.host.start_vipd(vip__lan__address=f"{VIP}/24", vip__lan__link=LINK)
        wait_for(lambda: has(self.host, f"{VIP}/32", LINK), 15, "the VIP")
        self.vip_answers("alone on its link")

    def write(self, name, text):
        with open(f"{self.folder}/{name}", "w") as file:
            file.write(text)

    def start(self, script):
        """In mounts of its own."""
        text = MOUNTS.format(folder=self.folder) + script
        return Process(["unshare", "-m", "sh", "-ec", text], self.host.ns,
                       self.lab.log_path("manager.log"))

    def own(self):
        shown = ip("-4", "-o", "addr", "show", "dev", LINK, ns=self.host.ns).stdout.split()
        return next((w for w in shown if w.startswith("10.66.0.2") and w.endswith("/24")), None)

    def vip_answers(self, when):
        moment = time.monotonic()
        wait_for(lambda: has(self.host, f"{VIP}/32", LINK) and answers(self.lab, VIP), 10,
                 f"the VIP, {when}")
        self.t.note(f"the VIP answers after {time.monotonic() - moment:.1f} s, {when}")

    def both_answer(self, when):
        wait_for(self.own, 20, f"an address by DHCP, {when}")
        wait_for(lambda: answers(self.lab, self.own().split("/")[0]), 5, f"the host, {when}")
        self.vip_answers(when)
        shown = ip("-4", "addr", "show", "dev", LINK, ns=self.host.ns).stdout
        self.t.check("secondary" not in shown, f"a secondary, {when}: {shown}")
        wait_for(lambda: "proto 118" not in self.routes(), 5, f"the host's route alone, {when}")

    def routes(self):
        return ip("-4", "route", ns=self.host.ns).stdout

    def leave(self):
        """The VIP goes, and nothing of the host's with it."""
        own = self.own()
        self.host.vipctl("pause")
        wait_for(lambda: not has(self.host, f"{VIP}/32", LINK), 5, "the VIP to go")
        self.t.equal(self.own(), own, "the host's own address")
        self.t.check(answers(self.lab, own.split("/")[0]), "the host is off its network")
        self.host.vipctl("resume")
        self.vip_answers("resumed")

    def live_through(self, script, restart=None):
        """Twice: started beside the VIP, a renewal, the VIP goes and comes back, ended."""
        for _ in range(2):
            manager = self.start(script)
            self.both_answer("after its start")
            time.sleep(LEASE * 0.7)
            self.both_answer("after a renewal")
            self.leave()
            manager.send(signal.SIGTERM)
            wait_for(lambda: not manager.running(), 5, "its end")
            if self.own():
                ip("-4", "addr", "flush", "dev", LINK, ns=self.host.ns, check=False)
            self.vip_answers("after its end")
            wait_for(lambda: "proto 118" in self.routes(), 5, "the route of the subnet")


@case(seconds=90)
def test_managers_udhcpc(t):
    site = Site(t)
    site.live_through(f"exec busybox udhcpc -f -R -i {LINK} -s {OTHERS}/etc/udhcpc/default.script")


@case(seconds=90)
def test_managers_dhclient(t):
    site = Site(t)
    script = f"{OTHERS}/usr/sbin/dhclient-script"
    site.live_through(f"exec {OTHERS}/usr/sbin/dhclient -d -sf {script} -cf /dev/null "
                      f"-lf /run/leases -pf /run/pid {LINK}")


@case(seconds=90)
def test_managers_networkd(t):
    """Its default is to remove what it did not set."""
    site = Site(t)
    network = NETWORKD.format(more="")
    site.live_through(f"printf %s '{network}' > /run/systemd/network/lan0.network\n"
                      f"export LD_LIBRARY_PATH={OTHERS}/usr/lib/x86_64-linux-gnu/systemd\n"
                      f"exec {OTHERS}/usr/lib/systemd/systemd-networkd")


@case(seconds=90)
def test_managers_network_manager(t):
    site = Site(t)
    site.write("lan0.nmconnection", NETWORK_MANAGER)
    site.write("bus.conf", BUS)
    site.write("nm.conf", NM_CONF)
    libraries = f"{OTHERS}/usr/lib/x86_64-linux-gnu"
    site.live_through(
        "mkdir -p /run/system-connections /run/none\n"
        f"install -m 600 {site.folder}/lan0.nmconnection /run/system-connections\n"
        f"dbus-daemon --config-file={site.folder}/bus.conf --fork\n"
        f"export DBUS_SYSTEM_BUS_ADDRESS=unix:path=/run/bus LD_LIBRARY_PATH={libraries}\n"
        f"exec {OTHERS}/usr/sbin/NetworkManager --no-daemon --config={site.folder}/nm.conf "
        "--config-dir=/run/none")


@case(seconds=30)
def test_managers_flush(t):
    """`ip addr flush` again and again: the VIP comes back each time."""
    site = Site(t)
    own = "10.66.0.30/24"
    for _ in range(5):
        ip("addr", "add", own, "dev", LINK, ns=site.host.ns)
        wait_for(lambda: "proto 118" not in site.routes(), 5, "the host's own route alone")
        run("ip", "-n", site.host.ns, "addr", "flush", "dev", LINK, check=False)
        t.check(not has(site.host, own, LINK), "the flush left the host's own address")
        site.vip_answers("after a flush")
