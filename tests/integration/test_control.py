"""What an administrator does: options, signals, vipctl."""

import json
import os
import time
from signal import SIGHUP, SIGINT, SIGTERM, SIGUSR1

from case import case
from lab import LINK, TIMEOUT, VIPCTL, VIPD
from spaces import run, wait_for

LEAST = """etcd.endpoints = http://127.0.0.1:2379
vip.api.address = 10.77.0.101
vip.api.link = eth0
"""


def up(t, hosts=3, vips=1, **options):
    lab = t.lab(hosts=hosts, vips=vips, **options)
    lab.start(1)
    return lab


def vipd(*words, timeout=10):
    return run(VIPD, *words, check=False, timeout=timeout)


def write(t, name, text):
    path = os.path.join(t.logs, name)
    with open(path, "w") as file:
        file.write(text)
    return path


@case(seconds=3)
def test_options(t):
    """Bad usage and bad configuration end with 2; every fault with its file and line."""
    good = write(t, "good.conf", LEAST)
    for words in (["--bogus"], ["-c"], ["-o", "novalue"], ["-c", "/nonexistent.conf"], ["word"]):
        done = vipd(*words)
        t.equal(done.returncode, 2, f"exit status of vipd {' '.join(words)}")
        t.check(done.stderr.strip(), f"vipd {' '.join(words)} says nothing")
    done = vipd("-n", "-c", good)
    t.equal((done.returncode, done.stdout.strip()), (0, "configuration OK"), "vipd -n")
    done = run("unshare", "-m", "--propagation", "private", "sh", "-c",
               "mount -t tmpfs none /etc && exec \"$0\" -n", VIPD, check=False)
    t.equal((done.returncode, done.stderr),
            (2, "/etc/vipd.conf: there is no such file, and no folder /etc/vipd.d; write one, or "
             "name another with -c\n"), "vipd -n without any file")
    t.equal(vipd("-V").returncode, 0, "vipd -V")
    t.equal(vipd("-h").returncode, 0, "vipd -h")


@case(seconds=3)
def test_warnings(t):
    """What is accepted although it does not work, at the start and at a reload: in the log, and as
    the answer to vipctl. What is refused is told line by line."""
    host = t.lab(hosts=1).hosts[0]
    daemon = host.start_vipd(etcd__servername="etcd.example")
    first = "etcd.servername has no effect: no endpoint uses https"
    wait_for(lambda: first in daemon.text(), 5, "a warning at the start")
    wait_for(lambda: host.vipctl("version").returncode == 0, 5, "the control socket")
    host.write_config(vip__v1__preempt_delay="1m", session__timeout="60s",
                      session__heartbeat="1s", fence="none")
    done = host.vipctl("reload")
    second = "vip.v1.preempt_delay has no effect without vip.v1.preempt = yes"
    third = "not changed until the daemon is restarted: session.timeout, session.heartbeat, fence"
    told = done.stderr.splitlines()
    t.equal((done.returncode, len(told)), (0, 2), f"exit status and lines of {told}")
    t.check(told[0].startswith(f"warning: {host.folder}/vipd.conf:") and told[0].endswith(second),
            told)
    t.equal(told[1], f"warning: {third}", "the other warning")
    t.equal(host.status()["session"]["timeout_ms"], 5000, "session timeout in force")
    wait_for(lambda: third in daemon.text(), 5, "the warnings in the log")
    for text in (first, second, third):
        said = [line for line in daemon.text().splitlines() if text in line]
        t.check(len(said) == 1 and " warn  " in said[0], said)
        t.check(text == third or f"{host.folder}/vipd.conf:" in said[0], said)
    host.write_config(vip__v1__adress="10.0.0.9", vip__v1__prioritty="7")
    done = host.vipctl("reload")
    told = done.stderr.splitlines()
    t.equal((done.returncode, len(told)), (1, 2), f"exit status and lines of {told}")
    t.check(all(line.startswith(f"vipctl: {host.folder}/vipd.conf:") for line in told), told)
    last = host.vipctl("history").stdout.splitlines()[-1]
    t.check(told[0].removeprefix("vipctl: ") + " (and 1 more)" in last, last)
    host.write_config()
    t.equal(host.vipctl("reload").stderr, "", "standard error output without warnings")


@case(seconds=3)
def test_configuration_faults(t):
    faults = {
        "vip.api.adress = 10.0.0.1\n": ":4:",
        "session.timeout = 2s\n": ":4:",
        "session.timeout = 5\n": ":4:",
        "session.heartbeat = 4s\n": ":4:",
        "etcd.endpoints = http://127.0.0.1:2379\n": ":4:",
        "vip.two.address = 10.0.0.999\nvip.two.link = eth0\n": ":4:",
        "vip.two.address = 10.0.0.9\n": "vip.two",
        "just words\n": ":4:",
        "vip.api.priority = 256\n": ":4:",
        "etcd.cacert = /etc/ssl/etcd.pem\n": ":4:",
    }
    for text, sign in faults.items():
        path = write(t, "bad.conf", LEAST + text)
        done = vipd("-n", "-c", path)
        t.equal(done.returncode, 2, f"exit status for {text!r}")
        named = sign in done.stderr and path in done.stderr
        t.check(named, f"for {text!r} it says {done.stderr!r}")
    done = vipd("-n", "-c", write(t, "bad.conf", LEAST + "vip.api.adress = 10.0.0.1\n"))
    t.check("vip.api.address" in done.stderr, "the nearest key is not suggested")


@case(seconds=3)
def test_print_config_reads_back(t):
    good = write(t, "good.conf", LEAST)
    first = vipd("--print-config", "-c", good)
    t.equal(first.returncode, 0, "exit status")
    second = vipd("--print-config", "-c", write(t, "printed.conf", first.stdout))
    t.equal(second.stdout, first.stdout, "the printed configuration, printed again")
    t.check("session.timeout = 5s" in first.stdout, "defaults are not shown")
    third = vipd("--print-config", "-c", good, "-o", "session.timeout=7s")
    t.check("session.timeout = 7s" in third.stdout, "-o does not override")


@case(seconds=30)
def test_second_daemon_refused(t):
    lab = up(t, hosts=1)
    host = lab.hosts[0]
    config = host.write_config(control__socket=f"{host.folder}/second.sock")
    second = host.spawn([VIPD, "-c", config], "second.log")
    t.equal(second.child.wait(20), 1, "exit status of the second daemon")
    t.check(host.vipd.running(), "the first daemon ended")
    t.check(f"{host.folder}/state" in second.text(), f"it says {second.text()!r}")
    lab.witness.sync()
    t.equal(lab.witness.find("del"), [], "removals")


@case(seconds=40)
def test_reload(t):
    """A good file: only what changed is touched. A faulty one: nothing is, and it is reported."""
    lab = t.lab(vips=1, extra_vips=["10.77.0.120"])
    lab.start_etcd()
    host = lab.hosts[0]
    host.start_vipd()
    first, second = lab.addresses
    lab.wait_owner(first)
    time.sleep(0.5)
    moment = time.monotonic()

    path = host.write_config(vip__new__address=second, vip__new__link=LINK, log__level="info")
    host.vipd.send(SIGHUP)
    lab.wait_owner(second, 12)
    t.figure(f"a new VIP is owned {(time.monotonic() - moment) * 1e3:.0f} ms after SIGHUP")

    with open(path, "a") as file:
        file.write("vip.new.adress = 1.2.3.4\n")
    count = len(open(path).readlines())
    host.vipd.send(SIGHUP)
    wait_for(lambda: f"{path}:{count}:" in host.vipd.text(), 3, "the fault in the log")
    done = host.vipctl("reload")
    t.equal(done.returncode, 1, "exit status of vipctl reload with a faulty file")
    t.check(f":{count}:" in done.stderr, f"vipctl reload says {done.stderr!r}")
    time.sleep(1)
    lab.witness.sync()
    t.equal(lab.witness.find("del"), [], "removals so far")

    host.write_config()
    t.equal(host.vipctl("reload").returncode, 0, "exit status of vipctl reload")
    lab.witness.wait(lambda: lab.witness.find("del", vip=second), 3, "the VIP to be released")
    lab.wait_queue(0, second, 3, host)
    lab.witness.sync()
    t.equal(lab.witness.find("del", vip=first), [], "removals of the unchanged VIP")
    t.bound_gap("gap of the unchanged VIP", 20, first, moment)


@case(seconds=25)
def test_reload_of_endpoints_and_log(t):
    """Another member, another target and level of the log: nothing else is touched."""
    lab = t.lab()
    lab.start_etcd()
    host = lab.hosts[0]
    host.start_vipd(log__level="info")
    lab.wait_owner()
    moment = time.monotonic()
    other = f"http://{lab.hosts[1].address}:2379"
    host.write_config(log__level="info", etcd__endpoints=other)
    t.equal(host.vipctl("reload").returncode, 0, "exit status of reload")
    wait_for(lambda: host.status()["etcd"]["endpoint"] == other, 5, "the other endpoint in use")

    t.check(" debug " not in host.vipd.text(), "debug messages at first")
    t.equal(host.vipctl("log-level", "debug").returncode, 0, "exit status of log-level")
    t.equal(host.vipctl("log-level", "loud").returncode, 1, "exit status for no level")
    host.vipctl("resign", "v1")
    nobody = "http://127.0.0.1:9"
    host.write_config(log__level="info", etcd__endpoints=nobody)
    t.equal(host.vipctl("reload").returncode, 0, "exit status of reload")
    wait_for(lambda: " debug " in host.vipd.text(), 3, "debug messages")
    host.write_config(log__level="info", log__target="syslog", etcd__endpoints=other)
    t.equal(host.vipctl("reload").returncode, 0, "exit status of reload")
    before = len(host.vipd.text())
    host.vipd.send(SIGUSR1)
    time.sleep(0.5)
    t.equal(host.vipd.text()[before:], "", "lines on stderr")
    host.write_config(log__level="warn", etcd__endpoints=other)
    t.equal(host.vipctl("reload").returncode, 0, "exit status of reload")
    host.vipctl("log-level", "info")
    host.vipd.send(SIGUSR1)
    wait_for(lambda: "vip v1: " in host.vipd.text()[before:], 3, "the status on stderr")
    lab.witness.sync()
    moved = lab.witness.find("del", since=moment)
    t.equal(len(moved), 1, "removals: one for the resignation")


@case(seconds=20)
def test_usr1_logs_the_status(t):
    lab = up(t, hosts=1)
    host = lab.hosts[0]
    before = len(host.vipd.text())
    host.vipd.send(SIGUSR1)
    wait_for(lambda: "owner" in host.vipd.text()[before:] and "v1" in host.vipd.text()[before:], 3,
             "the status in the log")


@case(seconds=30)
def test_vipctl_status(t):
    lab = up(t, vips=2)
    vip = lab.addresses[0]
    owner = lab.wait_owner()
    other = lab.others(owner)[0]
    table = owner.vipctl("status")
    t.equal(table.returncode, 0, "exit status")
    t.check(vip in table.stdout and "owner" in table.stdout, f"the table:\n{table.stdout}")
    for host in (owner, other):
        status = host.status()
        t.equal((status["node"], status["state"]), (host.name, "running"), "node and state")
        t.equal(status["session"]["timeout_ms"], TIMEOUT * 1e3, "timeout_ms")
        t.check(status["etcd"]["connected"] and status["etcd"]["cluster_id"], "etcd in the status")
        t.equal(len(status["vips"]), 2, "VIPs")
        shown = host.vip_status(vip)
        t.equal(shown["state"], "owner" if host is owner else "standby", "state of the VIP")
        t.equal(shown["owner"], owner.name, "owner in the status")
        t.equal(shown["queue"][0]["node"], owner.name, "head of the queue")
        t.equal(sorted(q["node"] for q in shown["queue"]), ["n1", "n2", "n3"], "queue")
        t.check(shown["since"].endswith("Z"), f"since {shown['since']}")

    def leased():
        """With the authority that it gives: a machine that stands still has none for a while."""
        status = owner.status()
        lease, authority = status["peer_lease"], status["session"]["authority_ms"]
        return (lease["grantors"][1:] and lease["state"] == "in force" and
                lease["timeout_ms"] / 2 <= authority <= lease["timeout_ms"] and lease)
    lease = wait_for(leased, 10, "a peer lease from both others, and its authority")
    t.equal(sorted(g["node"] for g in lease["grantors"]),
            sorted(h.name for h in lab.others(owner)), "its grantors")
    wait_for(lambda: f"renewed by {lease['grantors'][0]['node']}, "
             in owner.vipctl("status").stdout, 5, "the peer lease in the table")
    raw = run("curl", "-s", "--unix-socket", owner.socket, "http://vipd/v1/status", check=False)
    if raw.returncode != 127:
        t.equal(json.loads(raw.stdout)["node"], owner.name, "node by HTTP")
    t.equal(os.stat(owner.socket).st_mode & 0o777, 0o660, "mode of the socket")


@case(seconds=5)
def test_vipctl_exit_statuses(t):
    nobody = os.path.join(t.logs, "nobody.sock")
    for words, status in ((["status"], 3), (["resign"], 3), (["bogus"], 2), ([], 2),
                          (["status", "--bogus"], 2), (["pause", "word"], 2)):
        done = run(VIPCTL, "-s", nobody, *words, check=False)
        t.equal(done.returncode, status, f"exit status of vipctl {' '.join(words)}")
        t.check(done.stderr.strip(), f"vipctl {' '.join(words)} says nothing")


@case(seconds=40)
def test_vipctl_resign(t):
    """One VIP by name, by address, unknown ones, those of somebody else."""
    lab = t.lab(vips=2)
    lab.start_etcd()
    first, second = lab.addresses
    owner, *others = lab.hosts
    owner.start_vipd()
    for vip in lab.addresses:
        lab.wait_queue(1, vip)  # or another may be the first for one of them
    for host in others:
        host.start_vipd()
    for vip in lab.addresses:
        t.equal(lab.wait_owner(vip), owner, f"owner of {vip}")
        lab.wait_queue(3, vip)
    time.sleep(2)
    done = owner.vipctl("resign", "nosuch")
    t.equal(done.returncode, 1, "exit status for an unknown VIP")
    t.check("nosuch" in done.stderr, f"it says {done.stderr!r}")
    t.equal(owner.vipctl("resign", "v1").returncode, 0, "exit status by name")
    new = lab.wait_owner(first, 5, besides=owner)
    lab.wait_queue(3, first)
    t.equal(lab.witness.owner(second), owner.name, "owner of the other VIP")
    wait_for(lambda: owner.vip_status(first)["queue"][-1]["node"] == owner.name, 5,
             f"{owner} at the end of the queue")
    t.equal(owner.vipctl("resign", second).returncode, 0, "exit status by address")
    lab.wait_owner(second, 5, besides=owner)
    t.figure(f"from {owner} to {new}")


@case(seconds=30)
def test_pause_and_resume(t):
    lab = up(t)
    owner = lab.wait_owner()
    time.sleep(1)
    t.equal(owner.vipctl("pause").returncode, 0, "exit status of pause")
    lab.wait_owner(timeout=5, besides=owner)
    lab.wait_queue(2)
    status = owner.status()
    t.equal((status["state"], status["vips"][0]["state"]), ("paused", "paused"), "states")
    time.sleep(2)
    lab.wait_queue(2)
    t.equal(owner.vipctl("resume").returncode, 0, "exit status of resume")
    lab.wait_queue(3)
    t.equal(owner.status()["state"], "running", "state")


@case(seconds=20)
def test_vipctl_watch(t):
    lab = up(t, hosts=1)
    host = lab.hosts[0]
    words = [VIPCTL, "-s", host.socket, "status", "--json", "--watch"]
    watch = host.spawn(words, "watch.log")
    wait_for(lambda: '"running"' in watch.text(), 5, "it to show what is so at first")
    host.vipctl("pause")
    wait_for(lambda: '"paused"' in watch.text(), 5, "it to show the pause")
    watch.end()


@case(seconds=20)
def test_sigterm_leaves_nothing(t):
    """SIGTERM: exit status 0, address gone, keys gone, lease revoked; SIGINT as well."""
    lab = up(t, hosts=1)
    host = lab.hosts[0]
    for number in (SIGTERM, SIGINT):
        moment = time.monotonic()
        t.equal(host.vipd.end(number), 0, f"exit status after signal {number}")
        t.figure(f"ended within {(time.monotonic() - moment) * 1e3:.0f} ms")
        lab.witness.sync()
        t.check(lab.witness.owner(lab.addresses[0]) is None, "the address is still there")
        t.equal(host.gateway.range("/vipd/"), [], "keys left")
        leases = lab.etcdctl(host, "lease", "list").stdout
        t.check("found 0 leases" in leases, leases)
        if number == SIGTERM:
            host.start_vipd()
            lab.wait_owner()


@case(seconds=15)
def test_nodes_that_differ_are_named(t):
    """On each of them for as long as they do: in the log, the table, the JSON and the metrics."""
    lab = t.lab(hosts=2)
    lab.start_etcd()
    n1, n2 = lab.hosts
    n1.start_vipd()
    n2.start_vipd(session__timeout="6s")
    said = {n1: "n2 has a session.timeout of 6.0 s, this node of 5.0 s; give all nodes the same",
            n2: "n1 has a session.timeout of 5.0 s, this node of 6.0 s; give all nodes the same"}
    for host, words in said.items():
        wait_for(lambda: (host.status() or {}).get("nodes_differ") == words, 5,
                 f"{host} to name the difference")
        t.check(f"warning: {words}\n" in host.vipctl("status").stdout, "not in the table")
        t.check(words in host.vipd.text(), "not in the log")
        t.check("\nvipd_nodes_differ 1\n" in host.vipctl("metrics").stdout, "not in the metrics")
    n2.vipd.end()
    n2.start_vipd()
    wait_for(lambda: (n1.status() or {}).get("nodes_differ") == "", 5, "no difference")
    t.check("warning" not in n1.vipctl("status").stdout, "still in the table")
    t.check("\nvipd_nodes_differ 0\n" in n1.vipctl("metrics").stdout, "still in the metrics")


@case(seconds=25)
def test_sigterm_without_etcd(t):
    """It ends all the same, soon, and without the address."""
    lab = up(t, hosts=1)
    host = lab.hosts[0]
    host.etcd.stop()
    moment = time.monotonic()
    t.equal(host.vipd.end(SIGTERM), 0, "exit status")
    took = time.monotonic() - moment
    t.bound_ms("ended within", took * 1e3, (TIMEOUT + 1) * 1e3, (moment, moment + took))
    lab.witness.sync()
    t.check(lab.witness.owner(lab.addresses[0]) is None, "the address is still there")
    removed = lab.witness.find("del")[0]["t"]
    t.bound_speed("address gone after", (removed - moment) * 1e3, 100, (moment, removed))
    host.etcd.cont()
