"""The daemon with two capabilities, a filter on its system calls, and as another user."""

import json
import os
import signal
import time

import kernel
from case import case
from certs import Authority
from lab import TIMEOUT
from spaces import ip_batch, wait_for
from test_etcd import ELECTION_S
from test_peers import waited_ms

WAITED_MS = 250  # until its session is taken up: a quarter of what its address has left at least

UID, GID = 61234, 61235
LONGEST_LIFETIME = 16  # s, of an address that a former process set
TWO = "0000000000003000"  # CAP_NET_ADMIN, CAP_NET_RAW
REDUCED = {"CapEff": TWO, "CapPrm": TWO, "CapBnd": TWO, "CapInh": TWO, "CapAmb": TWO,
           "NoNewPrivs": "1", "Seccomp": "2"}
SANS = ["IP:127.0.0.1", "IP:10.77.0.1", "IP:10.77.0.2", "IP:10.77.0.3"]


def check_reduced(t, host):
    status = kernel.process_status(host.vipd.pid)
    for name, value in REDUCED.items():
        t.equal(status[name].split()[0], value, f"{name} of {host}")
    user = host.name != "n3"
    t.equal(status["Uid"].split(), [str(UID if user else 0)] * 4, f"uid of {host}")
    t.equal(status["Gid"].split(), [str(GID if user else 0)] * 4, f"gid of {host}")


def start(host, **changes):
    if host.name != "n3":  # the third stays root
        changes["user"] = f"{UID}:{GID}"
    path = host.write_config(state__dir=f"{host.folder}/run/vipd",
                             control__socket=f"{host.folder}/run/vipd/vipd.sock", **changes)
    host.socket = f"{host.folder}/run/vipd/vipd.sock"
    words = [host.program, "-c", path, "-p", f"{host.folder}/vipd.pid"]
    host.vipd = host.spawn(words, f"{host.name}.vipd.log")


def up(t):
    """Certificates that only the user may read; root without CAP_DAC_OVERRIDE may not."""
    ca = Authority(f"{t.logs}/certs")
    server, client, mine = ca.issue("server", SANS), ca.issue("client"), ca.issue("mine")
    for path in mine:
        os.chmod(path, 0o600)
        os.chown(path, UID, GID)
    settings = {"etcd.cacert": ca.cert, "etcd.cert": mine[0], "etcd.key": mine[1]}
    lab = t.lab(tls=ca.context(client), settings=settings,
                etcd_options=["--client-cert-auth", "--trusted-ca-file", ca.cert,
                              "--cert-file", server[0], "--key-file", server[1]])
    lab.start_etcd()
    for host in lab.hosts:
        own = {"etcd__cert": client[0], "etcd__key": client[1]} if host.name == "n3" else {}
        start(host, **own)
    return lab


@case(seconds=5)
def test_privileges_of_the_unit(t):
    """With the bounding set of systemd's unit nobody becomes another user. The exit status is that
    of a faulty configuration, with which systemd does not start it again."""
    host = t.lab(hosts=1).hosts[0]
    for more in ({}, {"vip__v1__notify": "/bin/true"}):  # its helper becomes that user first
        path = host.write_config(user=f"{UID}:{GID}", **more)
        process = host.spawn(["setpriv", "--bounding-set=-all,+net_admin,+net_raw,+bpf",
                              host.program, "-c", path], "unit.log")
        wait_for(lambda: not process.running(), 10, "its end")
        t.equal(process.child.returncode, 2, "exit status")
        said = (f"user {UID}:{GID}: vipd cannot become this user: Operation not permitted; under "
                "systemd, set User= in the unit instead")
        t.check(said in process.text(), process.text())


def reload_with_another_link(t, lab, owner):
    """New sockets are opened, files are read, all as that user."""
    ip_batch(["link add eth1 type veth peer name eth2", "link set eth1 up", "link set eth2 up"],
             ns=owner.ns)
    with open(f"{owner.folder}/vipd.conf", "a") as file:
        file.write("vip.more.address = 10.79.0.1\nvip.more.link = eth1\n")
    owner.vipd.send(signal.SIGHUP)
    wait_for(lambda: (owner.vip_status("10.79.0.1") or {}).get("state") == "owner", TIMEOUT + 4,
             "the VIP that was configured by a reload")


@case(seconds=45)
def test_privileges_of_another_user(t):
    """Two hosts as another user: own, reload, restart, etcd's restart and hand-over, by TLS."""
    lab = up(t)
    vip = lab.addresses[0]
    owner = lab.wait_owner(timeout=TIMEOUT + 6)
    lab.wait_queue(3)
    for host in lab.hosts:
        check_reduced(t, host)
        t.check("not permitted" not in host.vipd.text(), f"{host} was refused something")
    if owner.name == "n3":
        t.equal(owner.vipctl("resign").returncode, 0, "vipctl resign")
        owner = lab.wait_owner(timeout=10, besides=owner)
    moment = time.monotonic()
    reload_with_another_link(t, lab, owner)
    owner.etcd.kill()
    owner.start_etcd()
    lab.wait_quorum()
    owner.vipd.kill()  # its folder and files are the user's by now
    start(owner)
    wait_for(lambda: "of the former process is resumed" in owner.vipd.text(), 10,
             "the session to be taken up")
    waited = waited_ms(lab)[owner.vipd.pid]
    time.sleep(LONGEST_LIFETIME)  # before that the VIP that this one does not know is not left
    check_reduced(t, owner)
    lab.witness.sync()
    # What it had lives on for a second or two, since etcd has just elected a leader.
    election = lab.longest_election(moment)
    if election > ELECTION_S or waited > WAITED_MS:
        t.figure(f"whether the address stayed is not judged: etcd had no leader for "
                 f"{election:.1f} s, vipd waited {waited:.0f} ms for a processor")
    else:
        t.check(not lab.witness.find("del", since=moment, vip=vip), "the address went")
    t.equal(owner.vipd.end(), 0, "exit status")
    lab.wait_owner(timeout=10, besides=owner)
    t.equal(sorted(os.listdir(f"{owner.folder}/run/vipd")),
            ["lock", "session.json", "session.json.other"], "what is left in state.dir")
    with open(f"{owner.folder}/run/vipd/session.json") as file:  # its cluster, and no session
        t.check(json.load(file)["lease"] == 0, "a session is remembered")
    with open(f"{owner.folder}/vipd.pid") as file:
        t.equal(file.read(), "", "a pid that may be another's tomorrow")
