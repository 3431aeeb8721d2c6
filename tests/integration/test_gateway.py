"""A gateway that lies, drips, floods and hangs up before an etcd that is well. The daemon that
talks to it runs under the sanitizers."""

import os
import time

import crooked
from case import case
from kernel import forget_peak, peak_mb, rss_mb
from lab import BUILD, TIMEOUT, VIPD
from spaces import wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
GOOD = "http://127.0.0.1:2379"
GROWTH_MB = 20  # what a daemon under the sanitizers may grow by: answers of 64 KiB, ASan's share
CAUTIOUS = {"ASAN_OPTIONS": "quarantine_size_mb=4:detect_leaks=0:abort_on_error=1",
            "UBSAN_OPTIONS": "abort_on_error=1"}

# What the log says of each way of answering a call.
SAYS = {
    "half": "unexpected answer: {",
    "types": 'missing or wrong "',
    "numbers": 'missing or wrong "revision"',
    "bare": "the answer does not match the request",
    "endless": "answer larger than",
    "endless_head": "",  # the buffers' order decides whether it is too much, or too late
    "drip": "no answer within",
    "closed": "connection closed in the middle of the answer",
    "reset": "connection reset by peer",
    "redirect": "HTTP 307, empty answer",
    "html": "HTTP 502, unexpected answer: <html>",
    "twice": "",  # nothing is wrong with the first
    "hang": "no answer within",
    "garbage": "this port speaks TLS: write https://",  # its first bytes are a TLS alert
}
# ... and of each way of passing a watch on.
WATCH_SAYS = {
    "repeat": "the watch shows revision",
    "cut": "connection closed in the middle of the answer",
    "silent": "heartbeat not echoed in time; moving the watch to another member",
    "page": "unexpected answer: <html>gateway time-out</html>",
    "long_line": "unexpected message: xxx",
    "other_cluster": "belongs to cluster 3039",
}


def url(way, watch_too=False):
    return f"http://127.0.0.1:{crooked.port_of(way, watch_too)}"


def start_gateway(host):
    """Of all ways, before the host's own member."""
    gateway = host.spawn(["python3", f"{HERE}/crooked.py", "2379", str(crooked.port_of("half"))],
                         "crooked.log")
    wait_for(lambda: "ready" in gateway.text(), 20, "the crooked gateway")


def up(t, **settings):
    """n1 owns, under the sanitizers, with a gateway of all ways before its own member."""
    lab = t.lab(settings=settings)
    lab.start_etcd()
    first, *others = lab.hosts
    start_gateway(first)
    first.program, first.env = f"{BUILD}/san/vipd", {**os.environ, **CAUTIOUS}
    first.start_vipd(etcd__endpoints=GOOD)
    lab.wait_owner()
    for host in others:
        host.start_vipd()
    lab.wait_queue(3)
    return lab, first


def talk_to(host, *urls):
    """Other endpoints, from now on. Returns what the log says after that, as a function."""
    known = len(host.vipd.text())
    host.write_config(etcd__endpoints=", ".join(urls))
    done = host.vipctl("reload")
    assert done.returncode == 0, done.stderr
    return lambda: host.vipd.text()[known:]


def keeps(t, lab, host, says, seconds):
    """With each way first and a good member behind it, the address stays and the log says why."""
    before = rss_mb(host.vipd.pid)
    moment = time.monotonic()
    for number, (way, words) in enumerate(says.items()):
        # Another good one each time, so that the watch has to go to the crooked one first.
        good = [f"http://{lab.others(host)[number % 2].address}:2379"]
        if way == "other_cluster":
            good.append(GOOD)  # without a majority the address would go after a second, by rights
        log = talk_to(host, url(way), *good)
        if words:
            wait_for(lambda: words in log(), seconds, f"{way}: '{words}' in the log")
        else:
            time.sleep(1.5)
        lab.witness.sync()
        removed = lab.witness.find("del", since=moment)
        t.check(not removed, f"{way}: the address went")
        t.check(host.vipd.running(), f"{way}: vipd ended")
    growth = rss_mb(host.vipd.pid) - before
    t.figure(f"{len(says)} ways, {growth:.0f} MB more")
    t.check(growth < GROWTH_MB, f"{growth:.0f} MB more memory")


def watches(host):
    """How many it has opened so far, wherever."""
    rows = [line for line in host.vipctl("metrics").stdout.splitlines()
            if line.startswith("vipd_etcd_requests_total") and 'op="watch",result="ok"' in line]
    return sum(int(row.split()[-1]) for row in rows)


@case(seconds=45)
def test_bad_answers(t):
    """Every way of answering badly: beside a good member it costs nothing. Where watches are no
    better and nobody else answers, the address goes in time, and comes back when they are."""
    lab, host = up(t)
    keeps(t, lab, host, SAYS, 8)
    vip, moment = lab.addresses[0], time.monotonic()
    log = talk_to(host, *(url(way, watch_too=True) for way in SAYS if way != "twice"))
    lab.witness.wait(lambda: lab.witness.find("del", since=moment, vip=vip), 10, "the address gone")
    gone = lab.witness.find("del", since=moment, vip=vip)[0]["t"]
    t.bound_ms("alone: gone after", (gone - moment) * 1e3, TIMEOUT * 1e3, (gone - 1, gone))
    t.check("no usable etcd member (" in log(), "the log does not say so")
    lab.wait_owner(besides=host)
    log = talk_to(host, GOOD)
    wait_for(lambda: "etcd answers again" in log(), 15, "'etcd answers again' in the log")
    lab.wait_queue(3)


@case(seconds=55)
def test_bad_watch(t):
    """Every way of spoiling a watch: it is replaced, and the address stays. One that answers calls
    well does not draw the watch back."""
    lab, host = up(t)
    keeps(t, lab, host, WATCH_SAYS, 10)
    moment = time.monotonic()
    before = watches(host)
    talk_to(host, url("silent"), f"http://{lab.others(host)[0].address}:2379")
    time.sleep(12)
    # To the first, away from it, once back after 8 s, and away again.
    t.check(watches(host) - before <= 5, f"{watches(host) - before} watches")
    lab.witness.sync()
    t.check(not lab.witness.find("del", since=moment), "the address went")


@case(seconds=45)
def test_watch_leaves_out(t):
    """A watch that leaves out every fourth message, and nothing else to ask: what goes missing of
    our own is noticed, and no two ever own."""
    lab, host = up(t)
    log = talk_to(host, url("skip"))
    wait_for(lambda: WATCH_SAYS["silent"] in log(), 15, "a missing echo in the log")
    time.sleep(10)
    t.check(host.vipd.running(), "vipd ended")
    talk_to(host, GOOD)
    lab.wait_owner()
    lab.wait_queue(3)


@case(seconds=40)
def test_other_cluster_behind_an_endpoint(t):
    """Calls go to one cluster, the watch shows another: no heartbeat counts, and the address goes
    in time, quietly."""
    lab, host = up(t)
    vip, moment = lab.addresses[0], time.monotonic()
    log = talk_to(host, url("other_cluster"))
    lab.witness.wait(lambda: lab.witness.find("del", since=moment, vip=vip), 10, "the address gone")
    gone = lab.witness.find("del", since=moment, vip=vip)[0]["t"]
    t.bound_ms("gone after", (gone - moment) * 1e3, TIMEOUT * 1e3, (gone - 1, gone))
    t.check(WATCH_SAYS["other_cluster"] in log(), "the log does not say so")
    lines = len(log().splitlines())
    t.check(lines < 150, f"{lines} lines in the log")
    talk_to(host, GOOD)
    lab.wait_owner()
    lab.wait_queue(3)


@case(seconds=45)
def test_answers_wait_while_the_daemon_is_stopped(t):
    """etcd is slow, and the daemon stands still while answers come: they count, and no member is
    blamed for the daemon's own stop. (A peer lease would be shorter than such a stop.)"""
    lab, host = up(t, **{"session.timeout": "10s", "peer.timeout": "0s"})
    log = talk_to(host, url("late"))
    time.sleep(3)
    moment = time.monotonic()
    for n in range(8):
        host.vipd.stop()
        time.sleep(1.1)  # longer than a request may take; the fence is several times as far away
        host.vipd.cont()
        time.sleep(0.6 + 0.05 * n)
    lab.witness.sync()
    # A stop within the call that renews the address is told of: it is removed and set again.
    late = log().count("the address was set too late")
    t.equal(len(lab.witness.find("del", since=moment)), late, "times that the address went")
    t.equal(lab.witness.owner(lab.addresses[0]), host.name, "owner")
    t.equal([line for line in log().splitlines() if "no answer within" in line], [], "blamed")
    talk_to(host, GOOD)
    time.sleep(1)


# ---- memory --------------------------------------------------------------------------------------

MOST_MB = 8  # of the static daemon; the shared libraries of the other are not its own
IDLE_MB = 1.3  # what the static one takes when nothing happens


class Peak:
    """What daemons take at most, beside what one takes that has nothing to do: the owner with a
    gateway that is well, which is there when this is made, and ends where others shall start."""
    def __init__(self, t, lab, host):
        self.t, self.host = t, host
        host.start_vipd(etcd__endpoints=GOOD, etcd__discover="yes")
        lab.wait_owner()
        self.idle = rss_mb(host.vipd.pid)
        forget_peak(host.vipd.pid)

    def check(self, what):
        peak = peak_mb(self.host.vipd.pid)
        self.t.figure(f"{what}: at most {peak:.1f} MB, idle {self.idle:.1f}")
        taken = peak if "static" in VIPD else peak - self.idle + IDLE_MB
        self.t.check(taken < MOST_MB, f"{what}: {taken:.1f} MB")
        forget_peak(self.host.vipd.pid)


@case(seconds=60, weight=3)
def test_memory_under_floods(t):
    """32 MB and more in the place of every kind of answer: the owner keeps the address, and never
    takes more than a few megabytes."""
    lab = t.lab(hosts=1)
    lab.start_etcd()
    host = lab.hosts[0]
    start_gateway(host)
    peak, moment = Peak(t, lab, host), time.monotonic()
    for way, words in {"long_list": "answer larger than", "padded": "answer larger than",
                       "endless": "answer larger than", "endless_head": "",
                       "strangers_too": "", "crowd_too": "",  # both may come too late
                       "long_line": "unexpected message"}.items():
        log = talk_to(host, url(way), GOOD)
        if words:
            wait_for(lambda: words in log(), 10, f"{way}: '{words}' in the log")
        time.sleep(2)
        peak.check(way)
        if way == "strangers_too":  # 8 MB may come too late; they are no reason of their own
            t.check(not any(bad in log() for bad in ("unexpected", "more keys")), "a bad watch")
        talk_to(host, GOOD)
        time.sleep(1)
    lab.witness.sync()
    t.check(not lab.witness.find("del", since=moment), "the address went")


@case(seconds=60, weight=3)
def test_memory_of_a_snapshot(t):
    """A start with 8 MB of other people's keys in what it reads; with more keys of ours
    than a node with one VIP takes; with keys without end."""
    lab = t.lab(hosts=1)
    lab.start_etcd()
    host = lab.hosts[0]
    start_gateway(host)
    peak = Peak(t, lab, host)
    for way, words in {"strangers": "", "crowd": "more keys than fit",
                       "strangers_without_end": "no answer within"}.items():
        host.vipd.end()
        lab.witness.wait(lambda: not lab.witness.owner(lab.addresses[0]), 5, "no owner")
        good = [] if way == "strangers" else [GOOD]
        host.start_vipd(etcd__endpoints=", ".join([url(way), *good]))
        if words:
            wait_for(lambda: words in host.vipd.text(), 10, f"{way}: '{words}' in the log")
        lab.wait_owner(timeout=TIMEOUT + 8)
        peak.check(way)


@case(seconds=60, weight=3)
def test_foreign_keys_below_the_prefix(t):
    """16 MiB of somebody else's below our prefix, and some among our own keys: a start reads past
    them, and the watch goes on while they change."""
    lab = t.lab(hosts=1)
    lab.start_etcd()
    host, block = lab.hosts[0], "x" * (1 << 20)

    def put(number):
        for n in range(number):
            for folder in ("backup", "zeta"):
                host.gateway.put(f"/vipd/{folder}/{n}", block, timeout=10)
        host.gateway.put("/vipd/vip/notes/1", block, timeout=10)
        host.gateway.put("/vipd/session/notes", block, timeout=10)

    peak = Peak(t, lab, host)
    host.vipd.end()
    put(8)
    host.start_vipd()
    lab.wait_owner(timeout=TIMEOUT + 5)
    peak.check("start")
    moment = time.monotonic()
    put(8)
    time.sleep(2)
    lab.witness.sync()
    peak.check("watch")
    t.check(not lab.witness.find("del", since=moment), "the address went")
    t.check("watch ended" not in host.vipd.text(), "the watch ended")
