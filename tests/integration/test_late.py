"""What comes late: a heartbeat that is read late, and one that is executed late."""

import time

from case import case
from held import Held
from spaces import run

TIMEOUT = 6.0  # session.timeout, s
HELD = 2.5     # s; a second is silent for up to 2.8 s by itself
OUTAGE = 60.0  # s

# After so many repetitions, some 13 s, TCP gives a connection up. etcd 3.5 leaves it to TCP to find
# that a member is silent; by default TCP waits up to a minute more when all is well again.
GIVEN_UP = "net.ipv4.tcp_retries2=5"


def queue(host, vip):
    return [candidate["node"] for candidate in host.vip_status(vip)["queue"]]


@case(seconds=30)
def test_late_reading(t):
    """The second in the queue stands still between the start of its turn and the reading of its
    watch. Meanwhile the owner beats, and is cut off just before the second goes on: the heartbeats
    that it finds in its socket were sent after the turn began."""
    lab = t.lab(settings={"session.timeout": f"{TIMEOUT:g}s"})
    vip = lab.addresses[0]
    lab.start_etcd()
    lab.start_vipd()
    owner = lab.wait_owner(vip)
    lab.wait_queue(3)
    second = lab.host(queue(owner, vip)[1])
    lab.move_leader(second)  # or the owner takes it along
    held = Held(second.vipd.pid)
    try:
        held.until_it_reads(b'"events"')
        t.note(f"{second} is held before it reads its watch")
        time.sleep(HELD)
        owner.cut()
        cut_at = time.monotonic()
        time.sleep(0.05)  # what was under way has come
    finally:
        held.release()
    lab.wait_owner(vip, TIMEOUT + 5, besides=owner)
    taken_after = time.monotonic() - cut_at
    t.figure(f"next owner {taken_after:.2f} s after the cut, of {TIMEOUT:g} s")
    t.check(not lab.witness.overlaps(), "two owners")
    owner.mend()


@case(seconds=90)
def test_late_commit(t):
    """Members do not hear each other for a minute. The leader keeps what its own daemon asked of it
    before it stepped down. Of two members that hear each other again only it can be elected,
    because its log is the longer one; then it executes that. The session must know it for its own.
    (The sessions of others may be ended: after an outage nobody was heard for a timeout.)"""
    lab = t.lab()
    vip = lab.addresses[0]
    for host in lab.hosts:
        run("ip", "netns", "exec", host.ns, "sysctl", "-qw", GIVEN_UP)
    lab.start_etcd()
    lab.start_vipd()
    owner = lab.wait_owner(vip)
    lab.wait_queue(3)
    lab.move_leader(owner)
    session = owner.status()["session"]["id"]
    for host in lab.hosts:
        host.cut()
    time.sleep(OUTAGE)
    first, last = lab.others(owner)
    for host in (owner, first):
        host.mend()
    healed_at = time.monotonic()
    lab.wait_owner(vip, 30)
    t.figure(f"owner again {time.monotonic() - healed_at:.2f} s after an outage of {OUTAGE:g} s")
    last.mend()
    time.sleep(2)
    t.check("is lost" not in owner.vipd.text(), "the owner lost its session")
    t.equal(owner.status()["session"]["id"], session, "session")
    t.equal(lab.witness.owner(vip), owner.name, "owner")
