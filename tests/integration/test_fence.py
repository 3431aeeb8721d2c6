"""The packet fence: where it stands, who may take it away, and what is so without it."""

import time
from signal import SIGUSR2

import bpf
import older
import peers
from bench_scale import Bench
from case import ALONE, case
from kernel import process_status
from lab import LINK, TIMEOUT
from spaces import ip, ip_batch, run, wait_for
from test_peers import Quiet, fence_removed, judge_restart, lose_owner, restarted
from test_replace import install, program_of
from turns import Turns

NO_GAP_MS = 20
LINKS = 100


def filters(host, link=LINK):
    """What stands at the ingress of the link: ids of programs, or a word of tc about each."""
    found = bpf.programs(host, link)
    if found:
        return found
    shown = run("tc", "-n", host.ns, "filter", "show", "dev", link, "ingress", check=False).stdout
    return [line for line in shown.splitlines() if "direct-action" in line]


def lease(host):
    return (host.status() or {}).get("peer_lease", {})


def history(host):
    return host.vipctl("history").stdout


def start_as_user(host):
    host.start_vipd(state__dir=f"{host.folder}/run/vipd", control__socket=host.socket)


# ---- its life -----------------------------------------------------------------------------------


@case(seconds=30)
def test_fence_lives_as_long_as_the_daemon(t):
    """A link that appears gets one; SIGUSR2 keeps it; a kill leaves it, closed; the next start
    replaces it; a clean stop takes it away. As another user, with two capabilities."""
    lab = t.lab(settings={"peer.timeout": "1s", "user": "nobody"})
    lab.start_etcd()
    for host in lab.hosts:
        host.program, host.socket = f"{host.folder}/vipd", f"{host.folder}/run/vipd/vipd.sock"
        install(host.program)
        start_as_user(host)
    lab.wait_all_owned()
    peers.settle(lab)
    vip, owner = lab.addresses[0], lab.wait_owner()
    t.equal(process_status(owner.vipd.pid)["Uid"].split()[0], "65534", "user")
    t.equal(owner.status()["fence"]["in_force"], True, "fence in force")
    kind = owner.status()["fence"]["kind"]
    first = filters(owner)
    t.equal(len(first), 1, "filters on eth0")
    with Quiet(t, lab, "another link", 1.0):
        ip_batch(["link add late0 type veth peer name late1", "link set late0 up"], ns=owner.ns)
        wait_for(lambda: len(filters(owner, "late0")) == 1, 5, "a fence on a link that appears")
        wait_for(lambda: lease(owner).get("state") == "in force", 5,
                 "a peer lease with another link")
        ip("link", "del", "late0", ns=owner.ns)

    wanted = install(owner.program)
    since = time.monotonic()
    owner.vipd.send(SIGUSR2)
    wait_for(lambda: program_of(owner.vipd.pid) == wanted, TIMEOUT, "the new program to run")
    wait_for(lambda: (owner.vip_status(vip) or {}).get("state") in ("owner", "standby"), TIMEOUT,
             "the new program to know etcd")
    judge_restart(t, lab, "SIGUSR2", since, 1.0)
    t.equal(filters(owner), first, "the filter after SIGUSR2")
    t.equal(owner.status()["fence"]["kind"], kind, "fence after SIGUSR2")

    owner, moment = lab.wait_owner(), time.monotonic()
    first = filters(owner)
    owner.vipd.kill()
    new, _ = peers.served_by(lab, vip, moment, owner)
    peers.prove_order(t, lab, vip, owner, new, moment)
    t.equal(filters(owner), first, "the filter of a daemon that was killed")
    start_as_user(owner)
    wait_for(lambda: len(filters(owner)) == 1 and filters(owner) != first, TIMEOUT + 5,
             "the next start to replace the filter")
    for host in lab.hosts:
        t.equal(host.vipd.end(), 0, f"{host}: exit status")
        t.equal(filters(host), [], f"{host}: filters after a clean stop")


def lives_at(t, lab, kind):
    """Removed by hand and put again, of a daemon that is killed and comes back, of one that stands
    still."""
    lab.start_vipd()
    lab.wait_all_owned()
    peers.settle(lab)
    owner = lab.wait_owner()
    t.equal(owner.status()["fence"]["kind"], kind, "fence in force")
    fence_removed(t, lab, 1.0)
    restarted(t, lab, 1.0)
    lose_owner(t, lab, "daemon stopped")


@case(seconds=30)
def test_fence_of_older_kernels(t):
    """On a kernel without tcx."""
    lab = t.lab(settings={"peer.timeout": "1s"})
    lab.start_etcd()
    for host in lab.hosts:
        host.before_vipd = older.deny_tcx
    lives_at(t, lab, "clsact")


@case(seconds=30)
def test_fence_at_tcx(t):
    """Beside a program of somebody else, which ends the chain behind ours."""
    lab = t.lab(settings={"peer.timeout": "1s"})
    if bpf.programs(lab.hosts[0], LINK) is None:
        return t.note("this kernel has no tcx")
    lab.start_etcd()
    for host in lab.hosts:
        bpf.put_in_front(host, LINK)
    lives_at(t, lab, "tcx")
    for host in lab.hosts:
        t.equal(len(filters(host)), 2, f"{host}: programs")
        t.equal(host.vipd.end(), 0, f"{host}: exit status")
        t.equal(len(filters(host)), 1, f"{host}: programs after a clean stop")


@case(seconds=20, weight=3)
def test_fence_on_links_that_vanish(t):
    """A hundred with a VIP each, at once, as when a container host is drained: the kernel waits for
    none of them. With the fence at tcx it took 5 s, and no address could be renewed meanwhile."""
    lab = t.lab(vips=LINKS + 1, hosts=1)
    lab.addresses = lab.addresses[:1]
    host = lab.hosts[0]
    lab.start_etcd()
    bench = Bench(lab, LINKS + 1)
    bench.on_links_of_their_own(host)
    bench.start(host)
    bench.wait_count(host, LINKS + 1)
    time.sleep(1)
    turns, start = Turns(host), time.monotonic()
    bench.links_vanish()
    t.figure(f"{LINKS} links are gone, and seen to be, after {time.monotonic() - start - 1:.1f} s")
    lab.witness.sync()
    t.bound_gap("gap of the VIP beside them", NO_GAP_MS, bench.beside, start)
    longest = turns.longest()
    t.figure(f"longest turn {longest}")
    # Other tests may hold the kernel's lock of links as well.
    t.bound_ms("longest turn", longest.ms, 50 if ALONE else 1000, (start, time.monotonic()))


@case(seconds=60, weight=3)
def test_fence_moves_on_many_links(t):
    """Somebody's first program at tcx, of one link of two hundred: the fence of all moves there,
    which takes the kernel up to 50 ms a link. The address is renewed in between."""
    lab = t.lab(vips=1, hosts=1)
    vip, host = lab.addresses[0], lab.hosts[0]
    if bpf.programs(host, LINK) is None:
        return t.note("this kernel has no tcx")
    pairs = range(LINKS)
    ip_batch([f"link add d{n} type veth peer name e{n}" for n in pairs] +
             [f"link set {side}{n} up" for n in pairs for side in "de"], ns=host.ns)
    lab.start()
    links = [LINK] + [f"{side}{n}" for n in pairs for side in "de"]
    wait_for(lambda: all(filters(host, link) for link in links), 5, "the fence on all links")
    t.equal(host.status()["fence"]["kind"], "clsact", "fence in force")
    since = time.monotonic()
    bpf.put_in_front(host, "e0")
    wait_for(lambda: all(len(bpf.programs(host, link)) > (link == "e0") for link in links), 40,
             "the fence at tcx of all links")
    t.figure(f"moved on {len(links)} links after {time.monotonic() - since:.1f} s")
    t.equal(host.status()["fence"]["kind"], "tcx", "fence in force")
    t.bound_gap("gap", NO_GAP_MS, vip, since)


# ---- without it ---------------------------------------------------------------------------------


@case(seconds=45)
def test_fence_bypassed(t):
    """Somebody else's program at tcx, before ours at clsact: that goes to tcx, where it is first.
    Then another one takes the place before ours, again and again: no term, and it is said. Once it
    is gone there is one again."""
    lab = peers.up(t)
    if bpf.programs(lab.hosts[0], LINK) is None:
        return t.note("this kernel has no tcx; test_fence_live.cpp has the same for clsact")
    vip, owner = lab.addresses[0], lab.wait_owner()
    t.equal(owner.status()["fence"]["kind"], "clsact", "fence in force")
    since, term = time.monotonic(), peers.wait_term(lab)["term"]
    reason = f"bypassed on {LINK} by another filter"
    bpf.put_in_front(owner, LINK)
    foreign = filters(owner)[0]
    wait_for(lambda: filters(owner)[0] != foreign, 5, "the fence at the head of tcx")
    t.equal(owner.status()["fence"]["kind"], "tcx", "fence in force")
    wait_for(lambda: (peers.term(lab) or {"term": term})["term"] != term, 10, "a new term")
    t.check(f"peer lease left: {reason}" in history(owner), "not in the history")
    ours = filters(owner)[0]

    def seen():
        """Whoever takes the place has it for longer each time: until there was time to look."""
        if filters(owner)[0] == ours:
            bpf.put_in_front(owner, LINK)
        status, text = owner.status() or {"fence": {}}, owner.vipctl("status").stdout
        left = lease(owner)
        return (left.get("state"), left.get("reason"), status["fence"].get("reason"),
                f"packet fence: none ({reason})" in text)

    wait_for(lambda: seen() == ("none", reason, reason, True), 15, "no fence, no term, and why")
    while filters(owner)[0] != ours:
        bpf.detach(owner, LINK)
    wait_for(lambda: lease(owner).get("state") == "in force", 20, "a term again")
    t.bound_gap("gap", NO_GAP_MS, vip, since)
    t.equal(lab.wait_owner(vip).name, owner.name, "owner")


@case(seconds=30)
def test_fence_switched_off(t):
    """fence = none on the owner, peer.timeout = 0s on the next one: each is replaced as ever, when
    its timeout is over, and a third that has both is replaced when its peer lease is."""
    lab = t.lab(settings={"peer.timeout": "1s"})
    first, second, third = lab.hosts
    vip = lab.addresses[0]
    lab.start_etcd()
    off = {first: {"fence": "none"}, second: {"peer__timeout": "0s"}}
    for host in lab.hosts:
        host.start_vipd(**off.get(host, {}))
        lab.wait_queue(host.number, vip)
    lab.wait_owner(vip)
    t.equal(filters(first), [], "filters with fence = none")
    t.equal(lease(first)["reason"], "switched off", "why there is no peer lease")
    time.sleep(TIMEOUT + 0.5)  # everybody has waited out whoever may have been there
    for owner in (first, second):
        t.equal(lab.wait_owner(vip).name, owner.name, "owner")
        t.check(peers.term(lab) is None, "a term")
        moment = time.monotonic()
        owner.vipd.kill()
        new, gap = peers.served_by(lab, vip, moment, owner)
        after = (gap["to"] - moment) * 1e3
        t.bound_ms(f"{owner} killed: next owner after", after, TIMEOUT * 1e3 + 300,
                   (gap["to"] - 1, gap["to"]))
        t.check(after > TIMEOUT * 1e3 - 1000, "replaced before its timeout")
        owner.start_vipd(fence=None)
        lab.wait_queue(3, vip)
    t.equal(new.name, third.name, "third owner")
    limit = peers.wait_term(lab)["timeout_ms"] + peers.SLACK_MS
    time.sleep(max(0.0, first.vipd_started + TIMEOUT + 0.5 - time.monotonic()))
    moment = time.monotonic()
    third.vipd.stop()
    new, gap = peers.served_by(lab, vip, moment, third)
    t.bound_ms("with a peer lease: next owner after", (gap["to"] - moment) * 1e3, limit,
               (gap["to"] - 1, gap["to"]))
    peers.prove_order(t, lab, vip, third, new, moment)
