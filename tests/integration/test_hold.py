"""Holding on without etcd: long outages, and what goes wrong meanwhile (make check-hold).

In every one of them the wire says that no two hosts ever answered (case.py).
"""

import contextlib
import json
import os
import shutil
import signal
import time

import gateway
import holding
import peers
import spaces
import test_replace
from case import Skip, case
from lab import TIMEOUT, VIPD
from spaces import wait_for

AWAY = 60  # s
EXPIRED = ": not renewed for"


@case(seconds=140)
def test_hold_stopped_for_a_minute(t):
    """A leader that goes on after longer than a lease lives may end them all at once."""
    lab = holding.up(t)
    holding.outage(t, lab, "etcd stopped", holding.stop_etcd, holding.go_on_with_etcd, AWAY,
                   stays=False)


@case(seconds=140)
def test_hold_killed_for_a_minute(t):
    lab = holding.up(t)
    holding.outage(t, lab, "etcd killed", holding.kill_etcd, holding.start_etcd_again, AWAY)


@case(seconds=60)
def test_hold_two_nodes(t):
    lab = holding.up(t, hosts=2, vips=10)
    holding.outage(t, lab, "etcd killed", holding.kill_etcd, holding.start_etcd_again, 3 * TIMEOUT)


@case(seconds=60)
def test_hold_four_nodes(t):
    lab = holding.up(t, hosts=4)
    holding.outage(t, lab, "etcd stopped", holding.stop_etcd, holding.go_on_with_etcd, 3 * TIMEOUT)


@case(seconds=60)
def test_hold_owner_cut_off_meanwhile(t):
    """Nobody takes over without etcd, and somebody does once it is back."""
    lab = holding.up(t)
    vip = lab.addresses[0]
    owner = lab.wait_owner(vip)
    holding.stop_etcd(lab)
    holding.wait_hold(owner)
    owner.cut()
    moment = time.monotonic()
    wait_for(lambda: not holding.holds(owner), 3, f"{owner} to let go")
    holding.silent(t, lab, vip)
    for host in lab.others(owner):
        host.etcd.cont()
    new, gap = peers.served_by(lab, vip, moment, owner, timeout=30)
    t.figure(f"owner cut off while etcd is away: gap {gap['ms'] / 1e3:.1f} s")
    owner.etcd.cont()
    owner.mend()
    lab.wait_etcd()
    peers.settle(lab)
    t.equal(lab.wait_owner(vip).name, new.name, "owner afterwards")


def grantor_fails(t, fail, mend):
    """The owner lets go, since one that renews its lease is no more; somebody owns after etcd."""
    lab = holding.up(t)
    vip = lab.addresses[0]
    owner = lab.wait_owner(vip)
    grantor = lab.others(owner)[0]
    holding.stop_etcd(lab)
    holding.wait_hold(owner)
    fail(grantor)
    wait_for(lambda: not holding.holds(owner), 3, f"{owner} to let go")
    holding.silent(t, lab, vip)
    mend(grantor)
    time.sleep(1)
    holding.go_on_with_etcd(lab)
    moment = lab.wait_quorum()
    new = lab.wait_owner(vip, timeout=30)
    t.figure(f"{new} owns {time.monotonic() - moment:.1f} s after etcd is back")
    time.sleep(2 * TIMEOUT)
    t.equal(lab.wait_owner(vip).name, new.name, "owner afterwards")


@case(seconds=70)
def test_hold_grantor_killed_and_restarted(t):
    grantor_fails(t, lambda g: g.vipd.kill(), lambda g: g.start_vipd())


@case(seconds=70)
def test_hold_grantor_stopped(t):
    grantor_fails(t, lambda g: g.vipd.stop(), lambda g: g.vipd.cont())


@case(seconds=70)
def test_hold_grantor_cut_off(t):
    grantor_fails(t, lambda g: g.cut(), lambda g: g.mend())


@case(seconds=90)
def test_hold_grantor_rebooted_owner_gone(t):
    """The owner dies as well, and the other grantor stays away: the host that has booted since
    says that its former process grants no more, which no state.dir tells it."""
    lab = holding.up(t)
    owner = lab.wait_owner(lab.addresses[0])
    grantor, other = lab.others(owner)
    holding.kill_etcd(lab)
    holding.wait_hold(owner)
    grantor.crash()
    wait_for(lambda: not holding.holds(owner), 3, f"{owner} to let go")
    owner.crash()
    other.vipd.kill()
    grantor.before_vipd = spaces.another_boot(f"{grantor.folder}/boot_id")
    grantor.boot()
    other.start_etcd()
    grantor.start_vipd()
    owned_again(t, lab, 75, besides=owner)
    t.check(EXPIRED in grantor.vipd.text(), "the rebooted host says nothing")


@case(seconds=50)
def test_hold_program_replaced(t):
    """Whoever holds on, or agrees, is not replaced before etcd is back: no SIGUSR2 costs a VIP."""
    def own_program(host):
        host.program = f"{host.folder}/vipd"
        test_replace.install(host.program)
    lab = holding.up(t, prepare=own_program)
    vip = lab.addresses[0]
    owner = lab.wait_owner(vip)
    since = time.monotonic()
    holding.kill_etcd(lab)
    holding.wait_hold(owner)
    programs = {host: test_replace.install(host.program) for host in lab.hosts}
    for host in lab.hosts:
        host.vipd.send(signal.SIGUSR2)
    for host in lab.hosts:
        wait_for(lambda: "not replaced: etcd " in host.vipd.text(), TIMEOUT + 10,
                 f"{host} to say that it is not replaced")
    t.check(holding.holds(owner), f"{owner} holds on")
    holding.start_etcd_again(lab)
    lab.wait_etcd()
    wait_for(lambda: not holding.holds(owner), 10, f"{owner} to have etcd again")
    for host in lab.hosts:
        host.vipd.send(signal.SIGUSR2)
        wait_for(lambda: test_replace.program_of(host.vipd.pid) == programs[host], 10,
                 f"{host} to be replaced")
    time.sleep(TIMEOUT + 1)
    lab.witness.sync()
    t.bound_gap("replaced once etcd is back: gap", holding.NO_GAP_MS, vip, since)
    t.equal(lab.wait_owner(vip).name, owner.name, "owner afterwards")


def all_killed_while_held(t):
    """Etcd and all daemons are killed while the owner holds on: the laboratory and that owner."""
    lab = holding.up(t)
    owner = lab.wait_owner(lab.addresses[0])
    holding.kill_etcd(lab)
    holding.wait_hold(owner)
    for host in lab.hosts:
        host.vipd.kill()
    return lab, owner


def owned_again(t, lab, timeout, besides=None):
    moment = lab.wait_quorum()
    new = lab.wait_owner(lab.addresses[0], timeout=timeout, besides=besides)
    t.figure(f"{new} owns {time.monotonic() - moment:.1f} s after etcd is back")


@case(seconds=70)
def test_hold_all_killed_and_restarted(t):
    """The former processes have granted, and nobody else can say that they grant no more."""
    lab, _ = all_killed_while_held(t)
    time.sleep(TIMEOUT)
    holding.start_etcd_again(lab)
    for host in lab.hosts:
        host.start_vipd()
    owned_again(t, lab, 45)


@case(seconds=90)
def test_hold_both_grantors_restarted_owner_gone(t):
    """The owner stays away: those that were started again speak for who granted before."""
    lab, owner = all_killed_while_held(t)
    owner.cut()
    time.sleep(TIMEOUT)
    for host in lab.others(owner):
        host.start_etcd()
        host.start_vipd()
    owned_again(t, lab, 75, besides=owner)


@case(seconds=70)
def test_hold_back_for_one_side_only(t):
    """The owner's own member stays away, and it knows no other: the others take over."""
    lab = t.lab(settings={"peer.timeout": "1s", "peer.hold": "yes"})
    lab.start_etcd()
    lab.start_vipd(etcd__endpoints="http://127.0.0.1:2379")
    lab.wait_all_owned()
    peers.settle(lab)
    holding.wait_mark(lab)
    vip = lab.addresses[0]
    owner = lab.wait_owner(vip)
    holding.stop_etcd(lab)
    holding.wait_hold(owner)
    moment = time.monotonic()
    for host in lab.others(owner):
        host.etcd.cont()
    new, gap = peers.served_by(lab, vip, moment, owner, timeout=30)
    t.figure(f"{new} serves {gap['to'] - moment:.1f} s after etcd is back for it and not for "
             f"{owner}: gap {gap['ms'] / 1e3:.1f} s")
    owner.etcd.cont()
    lab.wait_etcd()
    time.sleep(2 * TIMEOUT)
    t.equal(lab.wait_owner(vip).name, new.name, "owner afterwards")


@case(seconds=50)
def test_hold_back_for_the_owner_first(t):
    """The third node's own member stays away, and it knows no other: its grants are not missed."""
    lab = t.lab(settings={"peer.timeout": "1s", "peer.hold": "yes"})
    lab.start_etcd()
    lab.start_vipd(etcd__endpoints="http://127.0.0.1:2379")
    lab.wait_all_owned()
    holding.ready(lab)
    owner = lab.wait_owner()
    second, third = lab.others(owner)

    def back(lab):
        owner.etcd.cont()
        second.etcd.cont()
        wait_for(lambda: not holding.holds(owner), 15, f"{owner} to have etcd again")
        time.sleep(TIMEOUT)
        third.etcd.cont()
    holding.outage(t, lab, "etcd stopped, for one longer", holding.stop_etcd, back, TIMEOUT + 3)


@case(seconds=50)
def test_hold_compacted(t):
    """What the watches want to go on with is gone when etcd is back."""
    lab = holding.up(t)

    def back(lab):
        holding.start_etcd_again(lab)
        lab.wait_quorum()
        host = lab.hosts[0]
        revision = host.gateway.status()["header"]["revision"]
        lab.etcdctl(host, "compact", revision)
    holding.outage(t, lab, "etcd killed, compacted", holding.kill_etcd, back, TIMEOUT + 3)


@case(seconds=40)
def test_hold_refused(t):
    """A daemon is in sight that knows of no marks: that is said beforehand, and nothing is held."""
    lab = holding.up(t)
    vip = lab.addresses[0]
    owner = lab.wait_owner(vip)
    t.check(owner.status()["peer_lease"]["would_hold"], f"{owner} would hold on")
    old = json.loads(owner.gateway.range("/vipd/session/")[0][1])
    for key in ("hold", "incarnation", "host"):
        old.pop(key, None)
    lease = lab.etcdctl(owner, "lease", "grant", "600").stdout.split()[1]
    # Keys are named by the lease without the zeros that etcdctl prints before it.
    lab.etcdctl(owner, "put", f"--lease={lease}", f"/vipd/session/{lease.lstrip('0')}",
                json.dumps(old | {"node": "n9"}))
    why = "n9's vipd is too old for peer.hold"
    wait_for(lambda: owner.status()["peer_lease"]["no_hold_because"] == why, 3, why)
    wait_for(lambda: f"lets go of its VIPs: {why}" in owner.vipd.text(), 3, "the log to say so")
    holding.kill_etcd(lab)
    lab.witness.wait(lambda: lab.witness.answering(vip) == [], TIMEOUT + 1, f"{owner} to let go")
    t.check("etcd has been away for" not in owner.vipd.text(), f"{owner} held on")


@case(seconds=90)
def test_hold_restored_from_a_snapshot(t):
    """etcd is killed for good, and what was saved before comes in its place."""
    lab = holding.up(t)
    vip = lab.addresses[0]
    backup = f"{lab.folder}/backup.db"
    lab.etcdctl(lab.hosts[0], "snapshot", "save", backup)
    time.sleep(3)
    owner = lab.wait_owner(vip)
    holding.kill_etcd(lab)
    holding.wait_hold(owner)
    peers_text = ",".join(f"{h.name}=http://{h.address}:2380" for h in lab.hosts)
    for host in lab.hosts:
        shutil.rmtree(f"{host.folder}/etcd")
        lab.etcdctl(host, "snapshot", "restore", backup, "--name", host.name,
                    "--data-dir", f"{host.folder}/etcd", "--initial-cluster", peers_text,
                    "--initial-advertise-peer-urls", f"http://{host.address}:2380",
                    "--initial-cluster-token", "restored")
    holding.start_etcd_again(lab)
    moment = lab.wait_quorum()
    time.sleep(TIMEOUT)
    new = lab.wait_owner(vip, timeout=60)
    t.figure(f"{new} owns {time.monotonic() - moment:.1f} s after the snapshot is there")
    time.sleep(2 * TIMEOUT)
    lab.wait_owner(vip)
    with contextlib.suppress(OSError):
        os.unlink(backup)


@case(seconds=120)
def test_hold_rolling_upgrade(t):
    """OLD: a daemon that knows of no marks. While one takes part, nobody holds on."""
    old = os.environ.get("OLD")
    if not old:
        raise Skip("OLD names no older daemon")
    lab = t.lab(settings={"peer.timeout": "1s"})
    lab.start_etcd()
    for host in lab.hosts:
        host.program = old
        host.start_vipd()
    lab.wait_all_owned()
    vip = lab.addresses[0]
    for number, host in enumerate(lab.hosts, 1):
        peers.settle(lab)
        host.vipd.end()
        host.program = VIPD
        host.start_vipd(peer__hold="yes")
        lab.wait_queue(3, vip)
        peers.settle(lab)
        time.sleep(3)
        owner = lab.wait_owner(vip)
        holding.stop_etcd(lab)
        time.sleep(TIMEOUT + 2)
        lab.witness.sync()
        held = lab.witness.answering(vip)
        t.figure(f"{number} of 3 upgraded, etcd away: {held or 'nobody'} answers")
        t.equal(held, [owner.name] if number == 3 else [], "who answers while etcd is away")
        holding.go_on_with_etcd(lab)
        lab.wait_etcd()
        lab.wait_owner(vip, timeout=30)


@case(seconds=60)
def test_hold_take(t):
    """Nobody is left who could say that the owner let go: a person does."""
    lab = holding.up(t)
    vip = lab.addresses[0]
    owner = lab.wait_owner(vip)
    holding.kill_etcd(lab)
    holding.wait_hold(owner)
    moment = owner.crash()
    for host in lab.others(owner):
        host.vipd.kill()
    for host in lab.others(owner):
        for name in os.listdir(f"{host.folder}/state"):
            os.unlink(f"{host.folder}/state/{name}")
        host.start_etcd()
        host.start_vipd()
    lab.wait_quorum()

    def asked():
        for host in lab.others(owner):
            found = host.vip_status(vip)
            if found and "may still have it" in found["reason"]:
                return host
        return None
    one = wait_for(asked, 60, "somebody to wait for a person")
    t.check(one.vip_status(vip)["state"] == "waiting", "the VIP waits")
    t.equal(lab.witness.answering(vip), [], "who answers")
    with contextlib.suppress(gateway.Unavailable):
        t.note(str(holding.marks(lab)))
    done = one.vipctl("take", vip)
    t.equal(done.returncode, 0, f"vipctl take: {done.stderr}")
    new = lab.wait_owner(vip, timeout=10, besides=owner)
    t.figure(f"{new} owns after vipctl take, {time.monotonic() - moment:.0f} s after the crash")
    t.equal(one.vipctl("take", vip).returncode, 1, "another take")
