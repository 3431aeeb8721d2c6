"""Endpoints that lead to two etcd clusters: never two owners, however it came about. The cut of
these tests leaves the carrier up: nothing but etcd tells a host that it is alone."""

import re
import shutil
import time

import gateway
from case import case
from kernel import ArpListener, claim
from lab import ETCD, TIMEOUT
from spaces import ip, wait_for

STAYS_MS = 100


def start_member(host, members, token, advertised=None, state="new"):
    """The host's member, of a cluster of these hosts; its data are what the folder `token` has."""
    peers = ",".join(f"{h.name}=http://{h.address}:2380" for h in members)
    peer, client = f"http://{host.address}:2380", f"http://{host.address}:2379"
    host.etcd = host.spawn(
        ["env", "-C", host.folder, ETCD, "--name", host.name, "--data-dir", token,
         "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
         "--listen-client-urls", f"{client},http://127.0.0.1:2379",
         "--advertise-client-urls", advertised or client, "--initial-cluster", peers,
         "--initial-cluster-token", token, "--initial-cluster-state", state, "--logger", "zap",
         "--log-outputs", "stderr"],
        f"{host.name}.{token}.log")


def recreate(host):
    """As somebody does who wipes a member and forgets --initial-cluster-state existing."""
    host.etcd.kill()
    shutil.rmtree(f"{host.folder}/etcd")
    start_member(host, [host], "alone")
    return wait_for(lambda: cluster_of(host), 20, f"{host}'s own cluster")


def cluster_of(host):
    try:
        return f"{int(host.gateway.status()['header']['cluster_id']):x}"
    except gateway.Unavailable:
        return None


def lines(host, text):
    return [line for line in host.vipd.text().splitlines() if text in line]


def etcd_status(host):
    return (host.status() or {}).get("etcd", {})


def mismatched(host):
    return {e["endpoint"]: e for e in etcd_status(host).get("endpoints", []) if e["mismatch"]}


def up(t, **options):
    lab = t.lab(**options)
    lab.start_etcd()
    lab.wait_etcd()
    lab.start_vipd()
    lab.wait_all_owned()
    lab.wait_queue(3)
    time.sleep(2)
    return lab


def owner_is_cut_off(t, lab, owner, cut, mend):
    """It lets go, somebody else takes over; its own etcd, of another cluster, elects nobody, and
    when the cut is mended there is one owner."""
    vip = lab.addresses[0]
    right = etcd_status(owner)["cluster_id"]
    moment = time.monotonic()
    cut()
    successor = lab.wait_owner(vip, 15, besides=owner)
    time.sleep(2 * TIMEOUT + 3)
    lab.witness.sync()
    added = [e for e in lab.witness.find("add", since=moment, vip=vip) if e["host"] == owner.name]
    t.check(not added, f"{owner} took the address by another cluster's election")
    t.equal(etcd_status(owner)["cluster_id"], right, "cluster of the host that is cut off")
    mend()
    time.sleep(TIMEOUT)
    lab.wait_queue(3, host=successor)
    lab.witness.sync()
    t.equal(lab.witness.owner(vip), successor.name, "owner after the mending")
    t.check(not lines(owner, "starting over"), "it changed its cluster")


def local_member_is_another(t, lab, owner, cut, mend):
    """While vipd runs: nothing happens, and it is said once by name."""
    vip = lab.addresses[0]
    moment = time.monotonic()
    other = recreate(owner)
    wait_for(lambda: mismatched(owner), 2 * TIMEOUT, "the status to name the endpoint", step=0.2)
    time.sleep(12)
    entry = mismatched(owner)["http://127.0.0.1:2379"]
    t.equal((entry["cluster_id"], entry["members"]), (other, owner.name), "what it belongs to")
    said = lines(owner, "http://127.0.0.1:2379 belongs to cluster")
    t.equal(len(said), 1, "lines about it")
    t.check(f"belongs to cluster {other} (members: {owner.name}), not to "
            f"{etcd_status(owner)['cluster_id']}: was this member re-created?" in said[0], said[0])
    t.check(not lines(owner, "127.0.0.1:2379 has recovered"), "it flaps")
    t.check("vipd_etcd_cluster_mismatch{endpoint=\"http://127.0.0.1:2379\"} 1\n"
            in owner.vipctl("metrics").stdout, "no metric says so")
    t.check(other in owner.vipctl("status").stdout, "vipctl status does not show it")
    lab.witness.sync()
    t.check(not lab.witness.find("del", since=moment, vip=vip), "the address went")
    t.bound_gap("gap", STAYS_MS, vip, moment)
    owner_is_cut_off(t, lab, owner, cut, mend)


@case(seconds=75)
def test_own_member_of_another_cluster(t):
    """The first endpoint, the local member, was re-created; then the host is cut off."""
    lab = up(t)
    owner = lab.wait_owner()
    local_member_is_another(t, lab, owner, owner.cut, owner.mend)


@case(seconds=75)
def test_own_member_of_another_cluster_and_only_etcd_cut_off(t):
    """As before, but the neighbours hear the host: with no probe that would keep it away."""
    lab = up(t, settings={"conflict.probe": "no"})
    owner = lab.wait_owner()
    routes = [["blackhole", f"{h.address}/32"] for h in lab.others(owner)]
    local_member_is_another(t, lab, owner,
                            lambda: [ip("route", "add", *r, ns=owner.ns) for r in routes],
                            lambda: [ip("route", "del", *r, ns=owner.ns) for r in routes])


@case(seconds=75)
def test_own_member_of_another_cluster_at_start(t):
    """It was re-created before vipd started; with 1, 2 and 3 endpoints, and with a fixed id."""
    lab = t.lab()
    lab.start_etcd()
    lab.wait_etcd()
    first, second, _ = lab.hosts
    vip = lab.addresses[0]
    right = cluster_of(second)
    other = recreate(first)
    lab.wait_quorum()
    first.start_vipd()
    lab.wait_owner(vip, 20)
    t.equal(etcd_status(first)["cluster_id"], right, "cluster that two of three name")
    t.equal(len(second.gateway.range("/vipd/session/")), 1, "sessions in it")
    owner_ends(t, lab, first)

    local, remote = "http://127.0.0.1:2379", f"http://{second.address}:2379"
    first.start_vipd(etcd__endpoints=f"{local}, {remote}")
    wait_for(lambda: etcd_status(first).get("cluster_id") == right, 5, "the remembered cluster")
    first.vipd.end()
    shutil.rmtree(f"{first.folder}/state")
    first.start_vipd(etcd__endpoints=f"{local}, {remote}")
    wanted = "1 of 2 endpoints belongs to cluster"
    wait_for(lambda: lines(first, wanted), 5, f"'{wanted}' in the log")
    time.sleep(2 * TIMEOUT)
    status = first.status()
    t.check(wanted in status["vips"][0]["reason"], f"reason: {status['vips'][0]['reason']}")
    t.check(wanted in status["etcd"]["cluster_problem"], f"problem: {status['etcd']}")
    t.equal(status["etcd"]["cluster_id"], "", "cluster")
    said = [line for line in lines(first, "no majority") if "vip v1" not in line]
    t.equal(len(said), 1, "lines about it")
    t.check("vipd_etcd_cluster_bound 0\n" in first.vipctl("metrics").stdout, "no metric says so")
    t.check(not lab.witness.owner(vip), "an owner by half of the endpoints")
    first.write_config(etcd__endpoints=f"{local}, {remote}", etcd__cluster=right)
    first.vipctl("reload")
    lab.wait_owner(vip, 15)
    t.equal(etcd_status(first)["endpoint"], remote, "endpoint")
    owner_ends(t, lab, first)

    first.start_vipd(etcd__endpoints=local, etcd__cluster=right)  # none of it is there
    time.sleep(TIMEOUT + 2)
    t.check(not lab.witness.owner(vip), "an owner by the wrong cluster")
    t.check(lines(first, f"{local}: it belongs to cluster {other}, not to {right}"),
            "does not say why")
    first.vipd.end()
    shutil.rmtree(f"{first.folder}/state")
    first.start_vipd(etcd__endpoints=local)  # a single one decides alone
    lab.wait_owner(vip, 15)
    t.equal(etcd_status(first)["cluster_id"], other, "cluster of the only endpoint")


def owner_ends(t, lab, host):
    t.equal(host.vipd.end(), 0, "exit status")
    lab.witness.wait(lambda: not lab.witness.owner(lab.addresses[0]), 5, "the address gone")


def discovered(t, advertised):
    lab = t.lab(hosts=4)
    *members, host = lab.hosts
    for member in members:
        start_member(member, members, "etcd", advertised=advertised(host))
    start_member(host, [host], "alone")
    wait_for(lambda: cluster_of(host), 10, "the other cluster")
    lab.wait_quorum()
    # The third is found by what it advertises.
    endpoints = ", ".join(f"http://{m.address}:2379" for m in members[:2])
    vip = lab.addresses[0]
    host.start_vipd(etcd__endpoints=endpoints, etcd__discover="yes")
    lab.wait_owner(vip, 15)
    members[1].start_vipd(etcd__endpoints=endpoints)
    lab.wait_queue(2, host=members[0])
    time.sleep(2)
    moment = time.monotonic()
    host.cut()
    lab.wait_owner(vip, 15, besides=host)
    time.sleep(2 * TIMEOUT + 3)
    lab.witness.sync()
    added = [e for e in lab.witness.find("add", since=moment, vip=vip) if e["host"] == host.name]
    t.check(not added, "it took the address by another cluster's election")
    host.mend()
    time.sleep(TIMEOUT)
    lab.witness.sync()
    t.equal(lab.witness.owner(vip), members[1].name, "owner after the mending")
    return host


@case(seconds=45)
def test_discovered_localhost_of_another_cluster(t):
    """Members of the right cluster advertise http://localhost:2379, etcd's default; on the host
    that reads so another etcd listens there."""
    host = discovered(t, lambda host: "http://localhost:2379")
    t.check(lines(host, "says it is at http://localhost:2379, which is this host: not used"),
            "the log does not say so")


@case(seconds=45)
def test_discovered_member_of_another_cluster(t):
    """They advertise an address where another cluster's member listens; on the host itself, so
    that it is there when the host is cut off."""
    host = discovered(t, lambda host: f"http://{host.address}:2379")
    said = lines(host, f"http://{host.address}:2379 belongs to cluster {cluster_of(host)}")
    t.equal(len(said), 1, "lines about it")


def back_up(lab, host):
    backup = f"{lab.folder}/backup.db"
    lab.etcdctl(host, "snapshot", "save", backup)
    return backup


def restore(lab, backup, hosts, token):
    """Those hosts' members anew, from a backup, as a cluster of their own."""
    for host in hosts:
        host.etcd.kill()
    peers = ",".join(f"{h.name}=http://{h.address}:2380" for h in hosts)
    for host in hosts:
        lab.etcdctl(host, "snapshot", "restore", backup, "--name", host.name,
                    "--data-dir", f"{host.folder}/{token}", "--initial-cluster", peers,
                    "--initial-advertise-peer-urls", f"http://{host.address}:2380",
                    "--initial-cluster-token", token)
    for host in hosts:
        start_member(host, hosts, token)


def split(lab, left, restored):
    """Two clusters that live: one member keeps the old id, the others are restored under a new."""
    old, backup = cluster_of(left), back_up(lab, left)
    for host in lab.hosts:
        host.etcd.kill()
    left.etcd_options = ["--force-new-cluster"]
    left.start_etcd()
    wait_for(lambda: cluster_of(left) == old, 10, "the old cluster")
    restore(lab, backup, restored, "restored")


@case(seconds=60)
def test_backup_restored_beside_old_data(t):
    """Two members of three are restored under a new id; the third is left, without a quorum."""
    lab = up(t)
    left, *restored = lab.hosts
    vip = lab.addresses[0]
    old = cluster_of(left)
    restore(lab, back_up(lab, left), restored, "restored")
    moment = time.monotonic()
    new = wait_for(lambda: cluster_of(restored[0]), 10, "the restored cluster")
    wait_for(lambda: all(etcd_status(h).get("cluster_id") == new for h in lab.hosts),
             3 * TIMEOUT, "all nodes to have changed the cluster", step=0.2)
    t.figure(f"changed after {time.monotonic() - moment:.1f} s")
    lab.wait_owner(vip, 20)
    t.figure(f"owner again after {time.monotonic() - moment:.1f} s")
    t.equal(mismatched(left)["http://127.0.0.1:2379"]["cluster_id"], old, "the one that is left")


@case(seconds=75)
def test_backup_restored_beside_a_cluster_that_lives(t):
    """The third member is made a cluster of its own by --force-new-cluster: it keeps the old id,
    and it has a quorum. Nobody owns while both are there; then the new one counts."""
    lab = up(t)
    left, *restored = lab.hosts
    vip = lab.addresses[0]
    old = cluster_of(left)
    split(lab, left, restored)
    new = wait_for(lambda: cluster_of(restored[0]), 10, "the restored cluster")
    time.sleep(TIMEOUT)  # as long as a node that starts now would wait
    moment = time.monotonic()
    time.sleep(2 * TIMEOUT)
    lab.witness.sync()
    t.check(not lab.witness.find("add", since=moment), "an owner while two clusters are there")
    for host in lab.hosts:
        t.equal(etcd_status(host)["cluster_id"], old, f"{host}: cluster")
        reason = host.vip_status(vip)["reason"]
        t.check(re.search(rf"2 of 3 endpoints belong to cluster {new}, not to {old}", reason),
                f"{host}: {reason}")
    left.etcd.kill()
    lab.wait_owner(vip, 4 * TIMEOUT)
    t.equal(etcd_status(restored[0])["cluster_id"], new, "cluster in the end")


@case(seconds=60)
def test_cluster_that_was_ahead_is_waited_for(t):
    """Two members of three are another cluster for a while, then one of them is back: whoever was
    bound to that one meanwhile may still own, and no endpoint tells."""
    lab = up(t)
    left, back, other = lab.hosts
    vip = lab.addresses[0]
    old = cluster_of(left)
    split(lab, left, [back, other])
    for host in lab.hosts:
        wait_for(lambda: "2 of 3 endpoints belong" in host.vip_status(vip)["reason"], 15,
                 f"{host} to be outvoted", step=0.2)
    t.check(not lab.witness.owner(vip), "an owner while two clusters are there")
    back.etcd.kill()
    lab.etcdctl(left, "member", "add", back.name, f"--peer-urls=http://{back.address}:2380")
    moment = time.monotonic()
    start_member(back, [left, back], "back", state="existing")
    lab.wait_owner(vip, 30)
    waited = lab.witness.find("add", since=moment, vip=vip)[0]["t"] - moment
    t.figure(f"taken {waited:.1f} s after the member began to come back")
    t.check(waited > 1.5 * TIMEOUT, "taken while the other cluster's owner may not have been told")
    for host in lab.hosts:
        t.equal(etcd_status(host)["cluster_id"], old, f"{host}: cluster")


@case(seconds=45)
def test_claim_while_an_endpoint_is_of_another_cluster(t):
    """It may come from an owner by that cluster: the owner lets go, though it would defend."""
    lab = t.lab(hosts=3)
    lab.start_etcd()
    lab.wait_etcd()
    owner, second, claimant = lab.hosts
    vip = lab.addresses[0]
    for host in (owner, second):
        host.start_vipd(conflict="defend")
        lab.wait_owner(vip, 15)
    lab.wait_queue(2)
    t.equal(lab.witness.owner(vip), owner.name, "owner")
    lab.move_leader(second)  # no election meanwhile
    recreate(owner)
    wait_for(lambda: mismatched(owner), 2 * TIMEOUT, "the status to name the endpoint", step=0.2)
    time.sleep(5.5)  # the first announcements are over
    t.equal(lab.witness.owner(vip), owner.name, "owner still")
    ear, moment = ArpListener(lab.lan), time.monotonic()
    claim(claimant, vip)
    gone = lab.witness.wait(lambda: lab.witness.find("del", host=owner.name, since=moment), 3,
                            "the owner to let go")
    t.figure(f"let go {(gone[0]['t'] - moment) * 1e3:.0f} ms after the claim")
    t.equal([h for h in ear.announcements(vip, 2) if h[2] == owner.mac], [], "answers to it")
    ear.close()
    t.check(lines(owner, f"the host with {claimant.mac} has the address"), "not in the log")
    lab.wait_owner(vip, 20, besides=owner)
