"""Links of every kind, and what happens to them; what others do to addresses on them."""

import json
import time

from case import case
from kernel import ArpListener, add_address, own_name, remove_address
from lab import LINK
from spaces import ip, ip_batch, run, wait_for

# Of each kind of link one VIP: how the configuration names the link, what it is, how it is made.
KINDS = {
    "10.77.1.1": ("mv0", "mv0", ["link add mv0 link eth0 type macvlan mode bridge",
                                 "link set mv0 up"]),
    "10.77.1.2": ("storage-network", "eth1",  # altname
                  ["link add eth1 type veth peer name peer1", "link set peer1 up",
                   "link set eth1 up", "link property add dev eth1 altname storage-network"]),
    "10.77.1.3": ("mac:02:00:00:00:77:03", "br1",  # its port has the same
                  ["link add port1 address 02:00:00:00:77:03 type veth peer name peer2",
                   "link add br1 address 02:00:00:00:77:03 type bridge stp_state 0",
                   "link set peer2 up", "link set port1 master br1 up", "link set br1 up"]),
    "10.77.1.4": ("eth0.7", "eth0.7", ["link add eth0.7 link eth0 type vlan id 7",
                                       "link set eth0.7 up"]),
    "10.77.1.5": ("bond0", "bond0",
                  ["link add bond0 type bond mode active-backup miimon 20",
                   "link add port2 type veth peer name peer3", "link set peer3 up",
                   "link set port2 master bond0", "link set port2 up", "link set bond0 up"]),
}


def build_links(t, host):
    """The VIPs of those links that this kernel can make."""
    made = {}
    for vip, (name, link, lines) in KINDS.items():
        try:
            ip_batch(lines, ns=host.ns)
            made[vip] = (name, link)
        except RuntimeError:
            t.figure(f"this kernel has no {link}")
    return made


def link_of(host, address):
    """The link that has the address, by the kernel's word."""
    shown = json.loads(ip("-j", "addr", "show", "to", f"{address}/32", ns=host.ns).stdout)
    return next((link["ifname"] for link in shown if link.get("addr_info")), None)


def state(host, vip):
    status = host.vip_status(vip) or {"state": None, "reason": ""}
    return status["state"], status["reason"]


@case(seconds=30)
def test_links_of_every_kind(t):
    lab = t.lab(vips=list(KINDS), hosts=1)
    host = lab.hosts[0]
    lab.start_etcd()
    made = build_links(t, host)
    names = {f"vip__v{n}__link": name for n, (name, *_) in enumerate(KINDS.values(), 1)}
    host.start_vipd(**names)
    for vip, (name, link) in made.items():
        lab.wait_owner(vip, 15)
        t.equal(link_of(host, vip), link, f"{vip} on {name}")
    moved = "10.77.1.1"
    time.sleep(0.5)

    ip_batch(["link set mv0 down", "link set mv0 name other0", "link set other0 up"], ns=host.ns)
    wait_for(lambda: state(host, moved) == ("fault", "there is no link mv0"), 5, "fault")
    t.check(link_of(host, moved) is None, "left behind on a link that was renamed")
    ip_batch(["link set other0 down", "link set other0 name mv0", "link set mv0 up"], ns=host.ns)
    wait_for(lambda: state(host, moved)[0] == "owner", 8, "owner again after the renaming")
    ip("link", "del", "mv0", ns=host.ns)
    wait_for(lambda: state(host, moved)[0] == "fault", 5, "fault without the link")
    ip_batch(["link add mv0 link eth0 index 777 type macvlan mode bridge", "link set mv0 up"],
             ns=host.ns)
    wait_for(lambda: state(host, moved)[0] == "owner", 8, "owner on the link that came back")
    said = host.vipd.text().count("there is no link mv0 (there are: ")
    t.equal(said, 2, "times that the missing link was said")
    removed = {e["vip"] for e in lab.witness.find("del")}
    t.equal(removed, {moved}, "removed")


@case(seconds=30)
def test_announces_after_a_new_mac_and_a_stall(t):
    lab = t.lab(hosts=1, settings={"announce.count": "1", "announce.refresh": "0s",
                                   "announce.form": "request"})
    host, vip = lab.hosts[0], lab.addresses[0]
    lab.start_etcd()
    host.start_vipd()
    lab.wait_owner()
    time.sleep(1)
    for what, change in (
            ("another MAC", lambda: ip("link", "set", LINK, "address", "02:00:00:00:00:77",
                                       ns=host.ns)),
            ("a stall", lambda: (host.vipd.stop(), time.sleep(2), host.vipd.cont()))):
        ear = ArpListener(lab.lan)
        change()
        heard = []
        wait_for(lambda: heard.extend(ear.announcements(vip, 0.5)) or heard, 5, "a word of it")
        heard += ear.announcements(vip, 0.5)
        ear.close()
        t.check([kind for _, kind, _ in heard] == ["request"], f"after {what}: {heard}")
    t.equal(heard[0][2], "02:00:00:00:00:77", "announced from")
    t.equal(lab.witness.find("del"), [], "removals")


@case(seconds=30)
def test_others_at_our_address(t):
    """Removed again and again; made permanent; added with another length; on another link."""
    lab = t.lab(hosts=1)
    t.permanent_expected = True
    host, vip = lab.hosts[0], lab.addresses[0]
    lab.start_etcd()
    ip_batch(["link add other0 type veth peer name other1", "link set other0 up"], ns=host.ns)
    host.start_vipd()
    lab.wait_owner()
    time.sleep(0.5)
    for number, (least, most) in enumerate(((0, 150), (190, 300), (390, 600)), 1):
        moment = time.monotonic()
        remove_address(host, vip, 32)
        wait_for(lambda: host.vipd.text().count("owner: taken again") == number, 5, "it to be back")
        lab.witness.sync()  # a renewal that was under way may have set it, too
        back = lab.witness.find("add", since=moment)[-1]["t"]
        t.bound_speed("back after", (back - moment) * 1e3, most, (moment, back))
        t.check((back - moment) * 1e3 >= least, "no back-off")
    wait_for(lambda: "(3 times so far)" in host.vipd.text(), 5, "it to be told")
    t.check(f"v1: {own_name()} had removed {vip} from {LINK}" in host.vipd.text(), "not who it was")

    ip("addr", "replace", f"{vip}/32", "dev", LINK, ns=host.ns)
    wait_for(lambda: "was made permanent" in host.vipd.text(), 5, "it to be told")

    def lifetime():
        shown = json.loads(ip("-j", "addr", "show", "dev", LINK, ns=host.ns).stdout)
        return next(a["valid_life_time"] for a in shown[0]["addr_info"] if a.get("local") == vip)
    wait_for(lambda: lifetime() <= 4, 5, "it to have a lifetime again")

    for where in (f"{vip}/24 dev {LINK}", f"{vip}/32 dev other0"):
        ip("addr", "add", *where.split(), ns=host.ns)
        wait_for(lambda: where.split()[0] in state(host, vip)[1], 3, "the owner to be told")
        t.equal(state(host, vip)[0], "owner", "state of an owner")
        host.vipctl("resign")
        wait_for(lambda: state(host, vip)[0] == "fault", 3, f"fault because of {where}")
        address, _, link = where.split()
        t.check(f"{address} is this host's own address on {link}" in state(host, vip)[1],
                state(host, vip)[1])
        time.sleep(0.5)
        ip("addr", "del", *where.split(), ns=host.ns)  # fails if vipd removed it
        wait_for(lambda: state(host, vip)[0] == "owner", 5, f"owner again after {where}")


@case(seconds=30, weight=3)
def test_lost_netlink_messages(t):
    """More changes than the kernel queues while the daemon stands still, and dumps that are
    interrupted by more: it looks anew and puts back what it missed."""
    lab = t.lab(hosts=1)
    host, vip = lab.hosts[0], lab.addresses[0]
    lab.start_etcd()
    ip_batch(["link add other0 type veth peer name other1", "link set other0 up"], ns=host.ns)
    host.start_vipd()
    lab.wait_owner()
    lines = []
    for n in range(10000):
        address = f"10.99.{n // 250 % 8}.{n % 250 + 1}/32"
        lines += [f"addr add {address} dev other0", f"addr del {address} dev other0"]
    path = f"{lab.folder}/churn"
    with open(path, "w") as file:
        file.write("\n".join(lines) + "\n")
    time.sleep(0.7)
    host.vipd.stop()
    moment = time.monotonic()
    ip("addr", "del", f"{vip}/32", "dev", LINK, ns=host.ns)
    run("ip", "-n", host.ns, "-batch", path)
    churn = host.spawn(["ip", "-batch", path], "churn.log")
    stopped = time.monotonic() - moment
    moment = time.monotonic()
    host.vipd.cont()
    lab.witness.wait(lambda: lab.witness.find("add", since=moment), 3, "the address to be back")
    back = lab.witness.find("add", since=moment)[0]["t"] - moment
    t.figure(f"stopped for {stopped:.1f} s, back after {back * 1e3:.0f} ms")
    wait_for(lambda: "netlink messages were lost" in host.vipd.text(), 5, "messages to be lost")
    churn.end()
    wait_for(lambda: state(host, vip)[0] == "owner", 5, "owner")
    time.sleep(1)
    add_address(host, vip, 28)  # with our mark, and not ours to have there
    wait_for(lambda: f"{vip}/28" not in ip("addr", "show", "dev", LINK, ns=host.ns).stdout, 5,
             "a stray of ours to be removed")
    t.equal(lab.witness.owner(vip), host.name, "owner")
