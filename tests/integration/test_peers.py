"""The peer lease, row by row: who is silent for its timeout is replaced; nobody else is."""

import time

import bpf
import peers
from case import case
from lab import LINK, TIMEOUT
from spaces import run, wait_for

NO_GAP_MS = 20
RESTART_GAP_MS = 5


# ---- the owner is lost --------------------------------------------------------------------------


def crash(host):
    host.crash()


def reboot(host):
    host.boot()
    host.lab.wait_etcd()
    host.start_vipd()


LOST = {
    "cut off": (lambda host: host.cut(), lambda host: host.mend()),
    "daemon stopped": (lambda host: host.vipd.stop(), lambda host: host.vipd.cont()),
    "daemon killed": (lambda host: host.vipd.kill(), lambda host: host.start_vipd()),
    "host dies": (crash, reboot),
}


def lose_owner(t, lab, what, with_leader=False):
    """One take-over. The term tells its own length: it is longer where the nodes answer slowly."""
    fault, mend = LOST[what]
    vip = lab.addresses[0]
    old = lab.wait_owner(vip)
    lab.move_leader(old if with_leader else lab.others(old)[0])
    limit = peers.wait_term(lab)["timeout_ms"] + peers.SLACK_MS
    election = peers.Election(lab, old) if with_leader else None
    moment = time.monotonic()
    fault(old)
    if election:
        elected = (election.wait() - moment) * 1e3
        t.figure(f"etcd's next leader after {elected:.0f} ms")
        limit = max(limit, elected + peers.ELECTION_SLACK_MS)
    new, gap = peers.served_by(lab, vip, moment, old)
    name = f"{what}{' with the leader' if with_leader else ''}: gap"
    t.bound_ms(name, gap["ms"], limit, (gap["t"], gap["to"]))
    silent, spoke = peers.prove_order(t, lab, vip, old, new, moment)
    t.note(f"{old} silent after {silent:.3f} s, {new} answers after {spoke:.3f} s")
    mend(old)
    lab.wait_etcd()
    peers.settle(lab)
    t.equal(lab.wait_owner(vip).name, new.name, "owner afterwards")


def owner_lost(t, timeout, rounds):
    lab = peers.up(t, timeout)
    for _ in range(rounds):
        for what in LOST:
            lose_owner(t, lab, what)
        lose_owner(t, lab, "host dies", with_leader=True)


@case(seconds=30)
def test_peer_owner_lost(t):
    owner_lost(t, "1s", rounds=1)


# ---- nothing is lost that matters ---------------------------------------------------------------


def waited_ms(lab):
    """For how long each daemon had to wait for a processor, since it began (proc(5), schedstat)."""
    found = {}
    for host in lab.hosts:
        if host.vipd and host.vipd.running():
            with open(f"/proc/{host.vipd.pid}/schedstat") as file:
                found[host.vipd.pid] = int(file.read().split()[1]) / 1e6
    return found


class Quiet:
    """Nothing may happen to the address meanwhile: unless the machine kept a daemon from running
    for a quarter of the peer lease, which may then end by rights."""

    def __init__(self, t, lab, what, f):
        self.t, self.lab, self.what, self.f = t, lab, what, f
        self.vip = lab.addresses[0]

    def __enter__(self):
        self.owner = self.lab.wait_owner(self.vip)
        self.since, self.waited = time.monotonic(), waited_ms(self.lab)
        return self.owner

    def __exit__(self, kind, *_):
        if kind:
            return
        witness = self.lab.witness
        witness.sync()
        gap, *window = witness.longest_gap(self.vip, since=self.since)
        owner = self.lab.wait_owner(self.vip).name
        moved = [event["host"] for kind in ("add", "del")
                 for event in witness.find(kind, since=self.since, vip=self.vip)]
        if (moved or gap > NO_GAP_MS) and self.starved():
            return
        self.t.bound_ms(f"{self.what}: gap", gap, NO_GAP_MS, window)
        self.t.equal(owner, self.owner.name, "owner")
        self.t.check(not moved, f"{self.what}: the address changed on {moved}")

    def starved(self):
        """By the kernel, or the whole machine by whoever runs it."""
        longest = max(now - self.waited.get(pid, 0) for pid, now in waited_ms(self.lab).items())
        stalled = self.lab.witness.longest_stall_ms(self.since)
        if max(longest, stalled) < self.f * 1e3 / 4:
            return False
        self.t.figure(f"{self.what}: not judged, a daemon waited {longest:.0f} ms for a processor, "
                      f"the machine stood still for {stalled:.0f} ms at a stretch")
        return True


def other_dies_with_leader(t, lab, f):
    other = lab.others(lab.wait_owner())[0]
    lab.move_leader(other)
    with Quiet(t, lab, "another host dies with etcd's leader", f):
        other.crash()
        peers.wait_term(lab, grantors=1)
        time.sleep(1)
    reboot(other)
    peers.settle(lab)


def frames_lost(t, lab, f, rounds):
    """Requests to one, all between the owner and the other, grants of the first: so many of these.
    Whoever was silent is asked again after 2 s, then after 4 s."""
    with Quiet(t, lab, "frames between the owner and another lost", f) as owner:
        first, second = lab.others(owner)
        ways = [[(owner, first)], [(owner, second), (second, owner)], [(first, owner)]]
        for pairs in ways[:rounds]:
            for source, target in pairs:
                peers.lose(lab, source, target)
            peers.wait_term(lab, grantors=1)
            time.sleep(0.5)
            peers.lose_none(lab)
            peers.wait_term(lab)


def remove_fence(host):
    """By hand, by whatever it hangs on."""
    if bpf.programs(host, LINK):
        bpf.detach(host, LINK)
    else:
        run("tc", "-n", host.ns, "qdisc", "del", "dev", LINK, "clsact")


def fence_removed(t, lab, f):
    with Quiet(t, lab, "fence removed", f) as owner:
        first = peers.wait_term(lab)["term"]
        remove_fence(owner)
        wait_for(lambda: (peers.term(lab) or {"term": first})["term"] != first, 10, "a new term")
        peers.wait_term(lab)


def stalls(t, lab, f):
    with Quiet(t, lab, f"stalls of {f * 0.4:.2g} s", f) as owner:
        for number in range(3):
            owner.vipd.stop()
            time.sleep(0.4 * f)
            owner.vipd.cont()
            time.sleep(f * (1 + 0.08 * number))  # another phase of the renewal


def judge_restart(t, lab, what, since, f):
    """It has begun at since, and the daemon knows etcd again now. The client waits for nothing if
    that took less than the 11/16 of the peer lease that are left in the worst case."""
    took, vip = time.monotonic() - since, lab.addresses[0]
    lab.wait_owner(vip)
    peers.wait_term(lab)
    time.sleep(1.5)
    lab.witness.sync()
    gap, *window = lab.witness.longest_gap(vip, since=since)
    if gap > RESTART_GAP_MS and took > f * 11 / 16:
        t.figure(f"{what}: not judged, it took {took * 1e3:.0f} ms")
        return False
    t.bound_ms(f"{what}: gap", gap, RESTART_GAP_MS, window)
    return True


def restarted(t, lab, f):
    owner, vip = lab.wait_owner(), lab.addresses[0]
    since = time.monotonic()
    owner.vipd.kill()
    owner.start_vipd()
    wait_for(lambda: (owner.vip_status(vip) or {"state": ""})["state"] in ("owner", "standby"), 12,
             "the daemon that was started again")
    if judge_restart(t, lab, "killed and started again", since, f):
        t.equal(lab.wait_owner().name, owner.name, "owner after the restart")


def all_frames_lost(t, lab, f):
    vip = lab.addresses[0]
    with Quiet(t, lab, "all frames lost", f) as owner:
        peers.lose_all(lab)
        wait_for(lambda: peers.term(lab) is None, 5, "the term to be left")
        time.sleep(1)
    moment = time.monotonic()
    owner.vipd.kill()
    new, gap = peers.served_by(lab, vip, moment, owner)
    after = gap["to"] - moment
    t.bound_ms("killed then: next owner after", after * 1e3, TIMEOUT * 1e3 + 300,
               (gap["to"] - 1, gap["to"]))
    t.check(after > TIMEOUT - 1, "replaced before its timeout, without a term")
    peers.lose_none(lab)
    owner.start_vipd()
    peers.settle(lab)


def nothing_lost(t, timeout, seconds, rounds):
    lab = peers.up(t, timeout)
    restarted(t, lab, seconds)
    stalls(t, lab, seconds)
    fence_removed(t, lab, seconds)
    frames_lost(t, lab, seconds, rounds)
    other_dies_with_leader(t, lab, seconds)
    all_frames_lost(t, lab, seconds)


@case(seconds=45, weight=3)
def test_peer_nothing_lost(t):
    nothing_lost(t, "1s", 1.0, rounds=2)
