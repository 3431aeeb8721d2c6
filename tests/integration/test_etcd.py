"""etcd in trouble: members die or hang, the quorum goes, keys vanish, a backup is restored."""

import contextlib
import os
import re
import shutil
import time

import gateway
from case import case
from lab import TIMEOUT
from spaces import ip, wait_for

STAYS_MS = 100  # client gap while the owner stays
BACK_MS = (3 + TIMEOUT) * 1e3
ELECTION_S = 2.5  # 1 to 2 s until a leader is missed, and a vote; a split one costs as much again


def up(t, **options):
    lab = t.lab(**options)
    lab.start(2)
    return lab


def stays(t, lab, owner, since, what):
    """The owner has kept every address since then, and the client has hardly noticed. False where
    etcd took too long to elect a leader: then this is not judged."""
    vip = lab.addresses[0]
    lab.witness.sync()
    election = lab.longest_election(since)
    if election > ELECTION_S:  # then no heartbeat can be confirmed in time
        t.figure(f"{what}: etcd had no leader for {election:.1f} s, not judged")
        lab.wait_owner()
        return False
    removed = lab.witness.find("del", since=since)
    t.check(not removed, f"{what}: {removed[:1]} after {removed[0]['t'] - since:.1f} s"
            if removed else "")
    t.equal(lab.witness.owner(vip), owner.name, f"{what}: owner")
    t.bound_gap(f"{what}: gap", STAYS_MS, vip, since)
    return True


@case(seconds=60)
def test_etcd_leader_dies_elsewhere(t):
    """Killed, then hanging; on a host that does not own."""
    lab = up(t)
    for what in ("killed", "stopped"):
        owner = lab.wait_owner()
        leader = lab.others(owner)[0]
        lab.move_leader(leader)
        time.sleep(1)
        moment = time.monotonic()
        leader.etcd.kill() if what == "killed" else leader.etcd.stop()
        time.sleep(12)
        stays(t, lab, owner, moment, f"leader {what}")
        leader.start_etcd() if what == "killed" else leader.etcd.cont()
        lab.wait_etcd()
        time.sleep(3)
        stays(t, lab, owner, moment, f"leader {what} and back")


def own_member(t, hang):
    lab = up(t)
    for leads in (False, True):
        owner = lab.wait_owner()
        lab.move_leader(owner if leads else lab.others(owner)[0])
        time.sleep(1)
        moment = time.monotonic()
        owner.etcd.stop() if hang else owner.etcd.kill()
        time.sleep(12)
        what = f"own {'leader' if leads else 'follower'} {'stopped' if hang else 'killed'}"
        stays(t, lab, owner, moment, what)
        owner.etcd.cont() if hang else owner.start_etcd()
        lab.wait_etcd()
        time.sleep(3)
        stays(t, lab, owner, moment, f"{what} and back")


@case(seconds=60)
def test_own_member_killed(t):
    own_member(t, hang=False)


@case(seconds=60)
def test_own_member_stopped(t):
    own_member(t, hang=True)


@case(seconds=60)
def test_own_member_cut_off_from_its_leader(t):
    """It lives and answers, but has no leader: no echo comes from it, and no heartbeat passes."""
    lab = up(t)
    owner = lab.wait_owner()
    leader = lab.others(owner)[0]
    lab.move_leader(leader)
    time.sleep(1)
    moment = time.monotonic()
    route = ["blackhole", f"{leader.address}/32"]
    ip("route", "add", *route, ns=owner.ns)
    wait_for(lambda: not owner.has_leader(), 10, "the owner's member to miss its leader")
    time.sleep(8)
    stays(t, lab, owner, moment, "cut off")
    # Its election, once it is heard again, may cost more than an owner's authority.
    ip("route", "del", *route, ns=owner.ns)
    lab.wait_etcd()
    time.sleep(3)
    lab.wait_owner()


def quorum_lost(t, lab, lose, give_back, what):
    vip = lab.addresses[0]
    owner = lab.wait_owner()
    moment = time.monotonic()
    lose(lab.others(owner))
    lab.witness.wait(lambda: lab.witness.find("del", since=moment, vip=vip), 10, "the address gone")
    removed = lab.witness.find("del", since=moment, vip=vip)[0]
    t.bound_ms(f"{what}: down after", (removed["t"] - moment) * 1e3, TIMEOUT * 1e3,
               (removed["t"] - 1, removed["t"]))
    time.sleep(3)
    given_back = time.monotonic()
    give_back(lab.others(owner))
    quorum = lab.wait_quorum()
    lab.wait_owner(vip, 15)
    added = lab.witness.find("add", since=moment, vip=vip)[0]
    # wait_quorum() asks one member after another and may see the quorum later than vipd does.
    t.check(added["t"] > given_back, "up again without a quorum")
    back = max(0.0, added["t"] - quorum) * 1e3
    t.bound_ms(f"{what}: back after", back, BACK_MS, (quorum, added["t"]))


@case(seconds=70)
def test_quorum_lost(t):
    lab = up(t)

    def each(act):
        return lambda hosts: [act(host) for host in hosts]

    quorum_lost(t, lab, each(lambda h: h.etcd.kill()), each(lambda h: h.start_etcd()), "killed")
    lab.wait_etcd()
    lab.wait_queue(3)
    time.sleep(3)
    quorum_lost(t, lab, each(lambda h: h.etcd.stop()), each(lambda h: h.etcd.cont()), "stopped")
    lab.wait_etcd()
    lab.wait_queue(3)


@case(seconds=60)
def test_etcd_away_changes_no_owner(t):
    """All members killed, or stopped so that requests hang, for longer than a session timeout: then
    the owner is the former one, although the others have a higher priority, and everybody has the
    same session."""
    lab = t.lab()
    vip = lab.addresses[0]
    lab.start_etcd()
    for host in lab.hosts:
        host.start_vipd(vip__v1__priority=str(100 + host.number))
        owner = lab.wait_owner()
    lab.wait_queue(3)
    t.equal(owner.name, "n1", "owner, which was first")
    time.sleep(2)
    sessions = [host.status()["session"]["id"] for host in lab.hosts]
    for hangs in (False, True, True):
        moment = time.monotonic()
        for host in lab.hosts:
            host.etcd.stop() if hangs else host.etcd.kill()
        lab.witness.wait(lambda: lab.witness.find("del", since=moment, vip=vip), 10,
                         "the address gone")
        time.sleep(6 if hangs else 4)
        for host in lab.hosts:
            host.etcd.cont() if hangs else host.start_etcd()
        quorum = lab.wait_quorum()
        t.equal(lab.wait_owner(vip, 15).name, owner.name, "owner with etcd")
        added = lab.witness.find("add", since=moment, vip=vip)[0]["t"]
        t.figure(f"back after {max(0.0, added - quorum):.2f} s")
        time.sleep(3)
        t.equal(lab.wait_owner(vip).name, owner.name, "owner 3 s later")
        t.equal([host.status()["session"]["id"] for host in lab.hosts], sessions, "sessions")


def keys(lab):
    return lab.hosts[0].gateway.range("/vipd/")


def deleted(t, what, act):
    """Deletes by hand what `act` picks; one owner again in time, whoever it is."""
    lab = up(t)
    vip = lab.addresses[0]
    for _ in range(2):
        owner = lab.wait_owner()
        head = gateway_keys(lab, f"/vipd/vip/{vip}/")[0]
        moment = time.monotonic()
        act(lab, vip, head)
        time.sleep(TIMEOUT + 3)
        lab.witness.sync()
        now = lab.witness.owner(vip)
        t.check(now, f"{what}: no owner {TIMEOUT + 3:g} s later")
        adds = lab.witness.find("add", since=moment, vip=vip)
        after = f"up on {now} after {(adds[-1]['t'] - moment) * 1e3:.0f} ms" if adds else "kept"
        t.figure(f"owner was {owner}, {after}")
        lab.wait_queue(3)
        time.sleep(2)


def gateway_keys(lab, prefix):
    return lab.hosts[0].gateway.range(prefix)


@case(seconds=40)
def test_session_key_deleted(t):
    deleted(t, "session key", lambda lab, vip, head: t.equal(
        lab.hosts[1].gateway.delete(f"/vipd/session/{head[2]:x}"), 1, "keys deleted"))


@case(seconds=40)
def test_vip_key_deleted(t):
    deleted(t, "VIP key", lambda lab, vip, head: t.equal(
        lab.hosts[1].gateway.delete(head[0]), 1, "keys deleted"))


@case(seconds=40)
def test_lease_revoked(t):
    deleted(t, "lease", lambda lab, vip, head: lab.hosts[1].gateway.revoke(head[2]))


@case(seconds=40)
def test_everything_deleted(t):
    deleted(t, "everything", lambda lab, vip, head: t.check(
        lab.hosts[1].gateway.delete_prefix("/vipd/") >= 6, "fewer keys than expected"))


@case(seconds=40)
def test_session_key_overwritten(t):
    """Somebody writes our session key: the chain is broken."""
    deleted(t, "session key overwritten", lambda lab, vip, head: lab.hosts[1].gateway.put(
        f"/vipd/session/{head[2]:x}", "{}"))


@case(seconds=40)
def test_etcd_absent_at_start(t):
    """Waits, says so once, owns soon after."""
    lab = t.lab()
    lab.start_vipd()
    time.sleep(10)
    lab.witness.sync()
    t.check(not lab.witness.find("add"), "an address without etcd")
    for host in lab.hosts:
        t.check(host.vipd.running(), f"{host}: vipd ended without etcd")
        lines = [line for line in host.vipd.text().splitlines()
                 if "etcd" in line and not re.search(r"\bdebug\b", line, re.I)]
        t.check(lines, f"{host}: does not say that it waits for etcd")
        t.check(len(lines) <= 4, f"{host}: {len(lines)} lines about etcd in 10 s")
    for host in lab.hosts:
        host.start_etcd()
    quorum = lab.wait_quorum()
    lab.wait_owner(timeout=20)
    added = lab.witness.find("add")[0]["t"]
    t.bound_ms("owns after the quorum came", (added - quorum) * 1e3, BACK_MS, (quorum, added))


@case(seconds=60)
def test_backup_restored(t):
    """etcd is put back to an hour ago (a snapshot restored on every member) while vipd runs on."""
    lab = up(t)
    vip = lab.addresses[0]
    backup = f"{lab.folder}/backup.db"
    lab.etcdctl(lab.hosts[0], "snapshot", "save", backup)
    time.sleep(3)
    moment = time.monotonic()
    for host in lab.hosts:
        host.etcd.kill()
        shutil.rmtree(f"{host.folder}/etcd")
    peers = ",".join(f"{h.name}=http://{h.address}:2380" for h in lab.hosts)
    for host in lab.hosts:
        lab.etcdctl(host, "snapshot", "restore", backup, "--name", host.name,
                    "--data-dir", f"{host.folder}/etcd", "--initial-cluster", peers,
                    "--initial-advertise-peer-urls", f"http://{host.address}:2380",
                    "--initial-cluster-token", "restored")
    for host in lab.hosts:
        host.start_etcd()
    quorum = lab.wait_quorum()
    t.figure(f"without etcd for {quorum - moment:.1f} s")
    # The restored cluster still has the keys of sessions that are void: their leases must go too.
    # The owner lets go when it finds out, which may be a little after the quorum is back.
    added = lab.witness.wait(lambda: lab.witness.find("add", since=quorum, vip=vip), 30,
                             "somebody to own it anew")[0]["t"]
    lab.wait_owner(vip)
    took = (added - quorum) * 1e3
    # The backup holds three dead sessions. Each node revokes its own; were one of them not there
    # any more, its session would be waited for behind the others.
    t.bound_ms("owner again after", took, BACK_MS + TIMEOUT * 1e3, (quorum, added))
    with contextlib.suppress(OSError):
        os.unlink(backup)


@case(seconds=60)
def test_cluster_replaced_quickly(t):
    """A fresh, empty cluster stands at the same addresses within the timeout."""
    lab = up(t)
    vip = lab.addresses[0]
    for host in lab.hosts:
        host.etcd.kill()
        shutil.rmtree(f"{host.folder}/etcd")
    lab.start_etcd()
    quorum = time.monotonic()
    time.sleep(TIMEOUT + 3)
    lab.witness.sync()
    t.check(lab.witness.owner(vip), f"no owner {TIMEOUT + 3:g} s after the new cluster came")
    adds = lab.witness.find("add", since=quorum - TIMEOUT, vip=vip)
    t.figure(f"owner again {(adds[-1]['t'] - quorum) * 1e3:.0f} ms after the quorum"
             if adds else "kept")
    with contextlib.suppress(gateway.Unavailable):
        t.figure(f"{len(keys(lab))} keys")
