"""What namespaces on one kernel cannot show: whole machines that lose power, are paused by their
hypervisor or sleep, with a VIP on every kind of link, and a LAN that loses and delays."""

import time

import image
from spaces import wait_for
from vmcase import NEXT_OWNER_NO_LEADER_MS, TIMEOUT_MS
from vmlab import API, VLAN, VmLab

ON_VLAN, ON_MACVLAN, ON_BOND, ON_BRIDGE = (f"10.{n}.0.101" for n in (87, 88, 89, 90))
LINKS = {API: ("eth0", None), ON_VLAN: ("eth0.7", VLAN), ON_MACVLAN: ("mac0", None),
         ON_BOND: ("bond0", None), ON_BRIDGE: ("br0", None)}
DEBOUNCE_MS = 1000.0  # a link that is down for less changes nothing
LINKWATCH_MS = 1000.0  # the kernel tells of a lost carrier once a second (net/core/link_watch.c)
SETTLED_S = 2.0
AWAY_S = 9.0  # longer than the timeout and the wait for it
QUEUED_S = 0.5  # cards are put to sleep one after the other, by then


def machines(logs):
    return VmLab(logs, LINKS, nics=4, boot="links=all", modules=image.LINKS, tools=["tc"],
                 interval=0.05)


def owner_of_all(t):
    """The machine that has API, when it has every other address as well."""
    owner = t.vms.wait_owner()
    for address, (link, _) in LINKS.items():
        if t.vms.owner(address) is not owner:
            t.note(f"{address} is on {t.vms.owner(address)}, not {owner}: handed over")
            t.vms.owner(address).run(f"vipctl transfer {address} {owner.name}")
            wait_for(lambda a=address: t.vms.owner(a) is owner, 10, f"{address} to move")
    time.sleep(SETTLED_S)
    return owner


def all_taken_over(t, what, owner, moment):
    """Every address answered by another machine, in time."""
    took = []
    for address, (link, _) in LINKS.items():
        t.vms.wait_owner(address, 20, besides=owner)
        first = t.vms.asker.first(address, moment, besides=owner.name)
        t.bound_ms(f"{what}: {link} after", (first.t - moment) * 1e3, NEXT_OWNER_NO_LEADER_MS,
                   (moment, first.t))
        took.append((first.t - moment) * 1e3)
    t.row(f"{what}: next owner, of the last of five addresses", max(took))


def answered_wrongly(t, old, since):
    """For how long after the moment the machine that came back answered beside its successor."""
    longest = 0.0
    for address, (link, _) in LINKS.items():
        last = t.vms.asker.last_of(address, old.name)
        length = max(0.0, last - since) * 1e3
        t.figure(f"{link}: {length:.0f} ms")
        longest = max(longest, length)
    return longest


def peer_timeout_ms(t, owner):
    """Of the peer lease in force: of both others, if they answer quickly enough. Emulated machines
    may not; the daemon then takes the quicker one alone, and a longer timeout."""
    def lease():
        return (owner.status() or {}).get("peer_lease", {"state": "no answer"})

    def renewed_by(others):
        found = lease()
        is_so = found["state"] == "in force" and len(found["grantors"]) >= others
        return found if is_so else None
    try:
        found = wait_for(lambda: renewed_by(2), 60, "a peer lease from both others", step=0.5)
    except TimeoutError:
        t.note(f"no peer lease from both others: {lease()}")
        found = wait_for(lambda: renewed_by(1), 60, "a peer lease", step=0.5)
    t.figure(f"peer lease of {found['timeout_ms']} ms from {len(found['grantors'])}")
    return found["timeout_ms"]


def test_two_owners_are_seen(t):
    """By the instrument that judges all the others: somebody adds an owner's address by hand."""
    owner = owner_of_all(t)
    other = t.vms.others(owner)[0]
    moment = time.monotonic()
    other.run(f"ip addr add {API}/32 dev eth0")
    wait_for(t.doubles, 3, "two owners to be seen")
    other.run(f"ip addr del {API}/32 dev eth0")
    t.overlaps_until = time.monotonic() + 0.5
    t.figure(f"seen after {(time.monotonic() - moment) * 1e3:.0f} ms")
    t.check(t.vms.asker.first(API, moment, besides=owner.name).machine == other.name, "not whose")


def test_power_loss(t):
    owner = owner_of_all(t)
    peer_timeout_ms(t, owner)
    all_taken_over(t, "power loss", owner, owner.kill())


def hold(t, wanted):
    """peer.hold = yes, or no again, on all machines; after a power loss as well."""
    for one in t.vms.machines:
        one.run(("touch /data/hold" if wanted else "rm -f /data/hold") + "; sync")
        one.run("/etc/init.d/S90vipd restart")
        wait_for(t.vms.is_settled, 60, "everybody to be back in every queue", step=0.5)


def would_hold(one):
    status = one.status() or {"peer_lease": {}}
    return status["peer_lease"].get("would_hold", False)


def test_power_loss_of_all(t):
    """The marks outlive it. The first daemon that is back speaks for itself before it, since its
    host has booted, and so every VIP is free. It is alone: the owner's machine stays off, and of
    the third only etcd comes back."""
    hold(t, True)
    owner = owner_of_all(t)
    wait_for(lambda: would_hold(owner), 90, "the owner to be able to hold on", step=0.5)
    first, third = t.vms.others(owner)
    third.run("touch /data/mute; sync")
    for one in t.vms.machines:
        one.kill()
    third.start()
    third.wait_ready()
    first.start()
    first.wait_ready()
    ready = time.monotonic()
    for address in LINKS:
        t.equal(t.vms.wait_owner(address, 90), first, f"owner of {address}")
    t.row("power loss of all, one daemon is back: it owns all", (time.monotonic() - ready) * 1e3)
    t.figure(f"{first} owns all {time.monotonic() - ready:.1f} s after it has booted")
    t.note(first.run("grep -v debug /run/messages | tail -n 40"))
    third.run("rm /data/mute; /etc/init.d/S90vipd start")
    owner.start()
    owner.wait_ready()
    wait_for(t.vms.is_settled, 60, "everybody to be back in every queue", step=0.5)
    t.equal(t.vms.owner(), first, "owner afterwards")
    hold(t, False)


def test_paused(t):
    """By the hypervisor: all clocks of the machine stand still, so neither the daemon nor the fence
    can know. Both go on with what was left of the peer lease."""
    owner = owner_of_all(t)
    limit = peer_timeout_ms(t, owner)
    moment = owner.pause()
    all_taken_over(t, "paused machine", owner, moment)
    time.sleep(max(0.0, moment + AWAY_S - time.monotonic()))
    resumed = owner.resume()
    t.overlaps_until = resumed + limit / 1e3  # judged below
    time.sleep(TIMEOUT_MS / 1e3 + 1)
    longest = answered_wrongly(t, owner, resumed)
    t.row("paused machine goes on: answers beside its successor for", longest)
    t.note(owner.run("tail -n 25 /run/messages"))
    t.check(t.vms.owner() is not owner, "the address went back")
    t.bound_ms("answered beside its successor for", longest, limit, (resumed, resumed + 1))


def test_suspended(t):
    """To memory (S3): the fence sees that the machine slept, before the daemon runs again. So no
    question that was asked from the moment on when it slept may be answered. An answer that had
    left the fence before may still be in the card's queue, where nothing stops it any more."""
    owner = owner_of_all(t)
    peer_timeout_ms(t, owner)
    moment = owner.suspend()
    all_taken_over(t, "suspended machine", owner, moment)
    time.sleep(max(0.0, moment + AWAY_S - time.monotonic()))
    woken = owner.wake()
    owner.wait_shell()
    time.sleep(3)
    mine = [a for address in LINKS for a in list(t.vms.asker.answers[address])
            if a.machine == owner.name and a.t > woken]
    queued = [a for a in mine if a.asked < moment]
    for answer in queued:
        t.note(f"{answer.t - woken:.3f} s after waking: an answer to a question that was asked "
               f"{moment - answer.asked:.3f} s before it slept")
    t.figure(f"{len(queued)} answers of before were still queued")
    t.note(owner.run("tail -n 30 /run/messages"))
    t.equal(len(mine) - len(queued), 0, "questions that a machine answered when it woke")
    t.check(all(moment - a.asked < QUEUED_S for a in queued), "an answer that was no queued one")
    t.check(len(queued) <= len(LINKS), f"{len(queued)} answers were queued")
    t.check(t.vms.owner() is not owner, "the address went back")
    owner.kill()  # emulated firmware cannot switch off any more


def test_bond_failover(t):
    """The active card of the owner loses its link; the other one takes over, and the clients and
    the switch are told."""
    owner = owner_of_all(t)
    active = owner.run("cat /sys/class/net/bond0/bonding/active_slave")
    since = time.monotonic()
    for number, nic in enumerate([int(active[-1]), 3 - int(active[-1])]):
        moment = owner.set_link(nic, False)
        wait_for(lambda n=nic: owner.run("cat /sys/class/net/bond0/bonding/active_slave")
                 != f"eth{n}", 5, "the bond to fail over")
        time.sleep(2)
        silence = t.vms.asker.silences(ON_BOND, moment)[0][0]
        t.figure(f"failover {number + 1}: silence {silence:.0f} ms")
        t.row("bond loses its active card: silence", silence)
        claims = [c for c in t.vms.asker.claims[ON_BOND] if c.t > moment]
        t.check(claims, "not announced again")
        t.figure(f"announced after {(claims[0].t - moment) * 1e3:.0f} ms")
        owner.set_link(nic, True)
        time.sleep(1)
    other = t.vms.asker.first(ON_BOND, since, besides=owner.name)
    t.check(other is None, f"{other and other.machine} took it")


def test_link_down(t):
    """Of one card: its addresses go elsewhere cleanly, since etcd is reached by another."""
    owner = owner_of_all(t)
    moment = owner.set_link(3, False)
    took = t.handed_over("its address", owner, moment, ON_BRIDGE, DEBOUNCE_MS + LINKWATCH_MS)
    t.row("one card loses its link: gap of its address", took)
    t.stays(owner, 2, "of the others")
    owner.set_link(3, True)


def disturb(vms, words):
    for one in vms.machines:
        for link in range(4):
            one.run(f"/bin/tc qdisc replace dev eth{link} root {words}")


def calm(vms):
    for one in vms.machines:
        for link in range(4):
            one.run(f"/bin/tc qdisc del dev eth{link} root", check=False)


def disturbed(t, what, words, seconds=25):
    owner_of_all(t)
    since = time.monotonic()
    disturb(t.vms, words)
    time.sleep(seconds)
    calm(t.vms)
    ended = time.monotonic()
    wait_for(t.vms.is_settled, 40, "everything in order again", step=0.5)
    for address, (link, _) in LINKS.items():
        owners = []
        for answer in t.vms.asker.answers[address]:
            if since < answer.t < ended and answer.machine not in owners[-1:]:
                owners.append(answer.machine)
        silence = (t.vms.asker.silences(address, since, ended) or [(0.0, 0, 0)])[0][0]
        t.figure(f"{link}: {len(owners) - 1} moves, longest silence {silence:.0f} ms")
    t.row(f"{what}, calm again: all in order", (time.monotonic() - ended) * 1e3)


def test_loss(t):
    """Every fifth frame is lost on its way out of each machine."""
    disturbed(t, "20 % loss", "netem loss 20%")


def test_delay(t):
    """200 ms out of each machine, 400 ms to and fro; etcd's own timeouts suffer first."""
    disturbed(t, "200 ms delay", "netem delay 200ms 50ms")


def test_loss_and_delay(t):
    disturbed(t, "10 % loss and 100 ms delay", "netem loss 10% delay 100ms 30ms")
