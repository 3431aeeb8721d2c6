"""Groups: VIPs of both protocols, on two links, that one node owns all of, or none."""

import collections
import os
import signal
import time

import peers
from case import case
from lab import LINK, SUBNET6
from spaces import ip, ip_batch, run, wait_for

FIRST, SECOND = "10.77.0.101", f"{SUBNET6}501"
LINK2 = "eth1"  # of another segment
NEIGHBOUR = f"{SUBNET6}99"  # there
ROUTE = "198.51.100.0/24 via 10.77.0.100"
QUICK = {"session.timeout": "3s"}  # the first owner of a new cluster waits for one
GROUP = {"vip.v1.group": "web", "vip.v2.group": "web"}


def second_link(lab):
    """Another link of each host, all on a bridge of their own."""
    ip_batch(["link add br1 type bridge stp_state 0 mcast_snooping 0", "link set br1 up"],
             ns=lab.lan)
    for host in lab.hosts:
        ip_batch([f"link add {host.name}b type veth peer name {LINK2} "
                  f"address 02:00:00:00:01:{host.number:02x} netns {host.ns}",
                  f"link set {host.name}b master br1 up"], ns=lab.lan)
        ip_batch([f"link set {LINK2} up"], ns=host.ns)


def on_two_links(t, **settings):
    """Three hosts of a group with a member on each of two links."""
    lab = t.lab(vips=[FIRST, SECOND],
                settings={**QUICK, **GROUP, "vip.v2.link": LINK2, **settings})
    second_link(lab)
    lab.start_etcd()
    return lab


def together(lab, besides=None, timeout=10):
    """Until one host has both addresses; that host."""
    def owner():
        names = {lab.witness.owner(vip) for vip in lab.addresses}
        name = names.pop()
        return not names and name and (besides is None or name != besides.name) and name
    return lab.host(lab.witness.wait(owner, timeout, "one host to own both"))


def all_queued(lab):
    for vip in lab.addresses:
        lab.wait_queue(sum(h.vipd is not None and h.vipd.running() for h in lab.hosts), vip)


def splits(lab, since=0.0):
    """What was on two nodes at once, by the kernels."""
    holders, found = collections.defaultdict(set), []
    for event in lab.witness.events:
        if event["ev"] not in ("add", "del"):
            continue
        hosts = holders[event["vip"]]
        (hosts.add if event["ev"] == "add" else hosts.discard)(event["host"])
        names = set().union(*holders.values())
        if len(names) > 1 and event["t"] >= since:
            found.append(f"{event['t']:.3f}: {dict(holders)}")
    return found


def check_move(t, lab, old, new, since):
    """Both were removed before one was added, and added in the configuration's order."""
    lab.witness.sync()
    removed = {vip: lab.witness.find("del", since, vip=vip, host=old.name) for vip in lab.addresses}
    added = {vip: lab.witness.find("add", since, vip=vip, host=new.name) for vip in lab.addresses}
    t.check(all(len(events) == 1 for events in [*removed.values(), *added.values()]),
            f"not one removal and one addition of each: {removed} {added}")
    last = max(removed[vip][0]["t"] for vip in lab.addresses)
    t.check(last <= added[FIRST][0]["t"] <= added[SECOND][0]["t"], f"order: {removed} {added}")


def reason(host, vip):
    status = host.vip_status(vip) or {"state": None, "reason": ""}
    return f"{status['state']}: {status['reason']}"


def slow_program(lab):
    path = f"{lab.folder}/slow"
    with open(path, "w") as file:
        file.write("#!/bin/sh\nsleep 0.2\n")
    os.chmod(path, 0o755)
    return path


def has_route(host):
    return ROUTE in ip("route", "show", ns=host.ns).stdout


@case(seconds=15)
def test_group_has_one_owner(t):
    """Added in order, also where the first takes longer. The owner is stopped, hands one of them
    over, crashes: one other takes all, and the routes come and go with them."""
    lab = on_two_links(t, **{"vip.v1.routes": ROUTE})
    lab.start_vipd(vip__v1__acquire=slow_program(lab))
    owner = together(lab)
    first, second = (lab.witness.find("add", vip=vip)[0] for vip in lab.addresses)
    t.check(first["t"] <= second["t"], f"added in another order: {first} {second}")
    t.equal([owner.vip_status(vip)["group"] for vip in lab.addresses], ["web", "web"], "groups")
    t.check(" web " in owner.vipctl("status").stdout, "no group in the table")
    wait_for(lambda: has_route(owner), 3, "its route")
    all_queued(lab)

    moment = time.monotonic()
    owner.vipd.send(signal.SIGTERM)
    new = together(lab, besides=owner)
    check_move(t, lab, owner, new, moment)
    t.check(not has_route(owner), "the route stays where the group was")
    wait_for(lambda: has_route(new), 3, "its route at the next owner")
    owner.vipd.child.wait(10)
    owner.start_vipd(vip__v1__acquire=slow_program(lab))
    all_queued(lab)

    moment = time.monotonic()
    t.equal(new.vipctl("transfer", "v2", owner.name).returncode, 0, "exit status of transfer")
    t.equal(together(lab, besides=new), owner, "owner after the transfer")
    check_move(t, lab, new, owner, moment)
    t.equal(splits(lab), [], "on two nodes")
    all_queued(lab)
    peers.wait_term(lab)

    moment = time.monotonic()
    ip_batch([f"link set {owner.name}b down"], ns=lab.lan)
    owner.crash()
    new = together(lab, besides=owner)
    added = {vip: lab.witness.find("add", moment, vip=vip)[0] for vip in lab.addresses}
    t.equal({event["host"] for event in added.values()}, {new.name}, "added on")
    t.check(added[FIRST]["t"] <= added[SECOND]["t"], f"order after a crash: {added}")
    t.figure(f"all added {(added[SECOND]['t'] - moment) * 1e3:.0f} ms after a crash")


@case(seconds=15)
def test_what_keeps_one_away_keeps_all_away(t):
    """A link, a check, a neighbour on one link, an address deleted by hand: of one member each."""
    quick = {"check.up.interval": "100ms", "check.up.rise": "1", "check.up.fall": "1",
             "check.near.interval": "200ms", "check.near.timeout": "500ms", "check.near.fall": "2"}
    lab = on_two_links(t, **quick, **{"vip.v2.checks": "up, near", "check.near.arp": NEIGHBOUR})
    ip("addr", "add", f"{NEIGHBOUR}/64", "dev", "br1", "nodad", ns=lab.lan)
    for host in lab.hosts:
        open(f"{host.folder}/up", "w").close()
        host.start_vipd(check__up__file=f"{host.folder}/up")
    owner = together(lab)
    all_queued(lab)

    moment = time.monotonic()
    ip("addr", "del", f"{SECOND}/128", "dev", LINK2, ns=owner.ns)
    lab.witness.wait(lambda: lab.witness.find("add", moment, vip=SECOND), 3, "it to be back")
    t.equal(lab.witness.find("add", moment, vip=SECOND)[0]["host"], owner.name, "back on")
    time.sleep(0.3)
    t.equal(lab.witness.find("del", moment, vip=FIRST), [], "the other member was removed")

    moment = time.monotonic()
    ip("link", "set", LINK2, "down", ns=owner.ns)
    new = together(lab, besides=owner)
    check_move(t, lab, owner, new, moment)
    wait_for(lambda: reason(owner, FIRST) == f"fault: v2: link {LINK2} is down", 3,
             "the other member's reason to name it")
    t.equal(reason(owner, SECOND), f"fault: link {LINK2} is down", "its own reason")
    ip("link", "set", LINK2, "up", ns=owner.ns)
    all_queued(lab)

    moment = time.monotonic()
    os.unlink(f"{new.folder}/up")
    third = together(lab, besides=new)
    check_move(t, lab, new, third, moment)
    wait_for(lambda: "check up is down" in reason(new, FIRST), 3, "the check to be named")

    moment = time.monotonic()
    run("bridge", "-n", lab.lan, "link", "set", "dev", f"{third.name}b", "state", "0")
    t.equal(together(lab, besides=third), owner, "the only node that is left")
    check_move(t, lab, third, owner, moment)
    wait_for(lambda: "fault: v2: check near is down" in reason(third, FIRST), 3,
             "the check on the other link to be named")
    t.equal(splits(lab), [], "on two nodes")


@case(seconds=12)
def test_group_whose_keys_are_deleted(t):
    """A candidate of one member, by hand: the owner's, then the next one's. Never on two nodes."""
    lab = on_two_links(t)
    lab.start_vipd()
    owner = together(lab)
    for place in (0, 1):
        all_queued(lab)
        queue = [c["session"] for c in owner.vip_status(SECOND)["queue"]]
        moment = time.monotonic()
        owner.gateway.delete(f"/vipd/vip/{SECOND}/{queue[place]}")
        def in_one_order():
            orders = [[c["session"] for c in owner.vip_status(vip)["queue"]]
                      for vip in lab.addresses]
            return orders[0] == orders[1] and len(orders[0]) == 3 and orders[0] != queue
        wait_for(in_one_order, 8, "queues of one order", step=0.05)
        owner = together(lab)
        t.figure(f"in one order and owned after {time.monotonic() - moment:.1f} s")
    t.equal(splits(lab), [], "on two nodes")


def reload(host, grouped):
    host.write_config(**{key.replace(".", "__"): value if grouped else None
                         for key, value in GROUP.items()})
    host.vipd.send(signal.SIGHUP)
    wait_for(lambda: ("group" in host.vip_status(FIRST)) == grouped, 3, f"{host} to reload")


@case(seconds=15)
def test_single_vips_become_a_group_and_back(t):
    """One node after the other, from VIPs on two nodes. Each address keeps one owner."""
    lab = t.lab(vips=[FIRST, SECOND], settings=QUICK)
    lab.start_etcd()
    lab.start_vipd()
    lab.wait_all_owned()
    all_queued(lab)
    before = lab.wait_owner(SECOND)
    if lab.witness.owner(FIRST) == before.name:
        before.vipctl("resign", "v2")
        lab.wait_owner(SECOND, besides=before)
    all_queued(lab)
    start = time.monotonic()
    for host in lab.hosts:
        reload(host, True)
    moment = time.monotonic()
    together(lab)
    united = time.monotonic()
    t.figure(f"together {united - moment:.1f} s after the last reload")
    all_queued(lab)
    lab.witness.sync()
    t.equal(splits(lab, united), [], "on two nodes")
    grouped = time.monotonic()
    for host in lab.hosts:
        reload(host, False)
    time.sleep(0.5)
    lab.witness.sync()
    t.equal(lab.witness.find("del", grouped), [], "removed while the group is dissolved")
    for vip in lab.addresses:
        t.bound_gap(f"{vip}: longest gap", 1000, vip, start)


@case(seconds=15)
def test_group_gets_a_member_and_is_preempted(t):
    """By reloads, at a standby first: nothing of the others moves. Then a check with a weight at
    one member: the whole group is handed over to a node that is better off."""
    third = "10.77.0.103"
    quick = {"check.w.interval": "100ms", "check.w.rise": "1", "check.w.fall": "1",
             "check.w.weight": "50", "vip.v1.checks": "w", "vip.v2.preempt": "yes",
             "vip.v2.preempt_delay": "0s"}
    lab = t.lab(vips=[FIRST, SECOND], extra_vips=[third], settings={**QUICK, **GROUP, **quick})
    lab.addresses.remove(third)
    lab.start_etcd()
    for host in lab.hosts:
        open(f"{host.folder}/w", "w").close()
        host.start_vipd(check__w__file=f"{host.folder}/w")
    owner = together(lab)
    all_queued(lab)
    moment = time.monotonic()
    for host in [*lab.others(owner), owner]:
        host.write_config(check__w__file=f"{host.folder}/w", vip__v3__address=third,
                          vip__v3__link=LINK, vip__v3__group="web")
        host.vipd.send(signal.SIGHUP)
        wait_for(lambda: host.vip_status(third) is not None, 5, f"{host} to reload")
        time.sleep(0.2)
    lab.addresses.append(third)
    t.equal(together(lab), owner, "owner of the new member as well")
    lab.witness.sync()
    t.equal(lab.witness.find("del", moment), [], "removed")
    all_queued(lab)
    os.unlink(f"{owner.folder}/w")
    moment = time.monotonic()
    together(lab, besides=owner)
    lab.witness.sync()
    t.figure(f"handed over after {time.monotonic() - moment:.1f} s")
    t.equal(splits(lab), [], "on two nodes")
