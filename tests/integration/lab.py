"""A laboratory of real parts: three hosts and a client on one bridge, each host a network
namespace with an etcd member and a vipd of its own.

    with Lab(vips=["10.77.0.101"]) as lab:
        lab.start_etcd(); lab.start_vipd(); owner = lab.wait_owner("10.77.0.101", 15)

The client is the bridge's own namespace. All laboratories use the same addresses: their
namespaces do not know each other.
"""

import contextlib
import datetime
import json
import os
import re
import signal
import subprocess
import time

import bpf
import gateway
import spaces
from spaces import Process, ip, ip_batch, run, wait_for
from watcher import Watcher

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("BUILD", os.path.join(ROOT, "build")))
# Another etcd than the installed one; etcdctl is the one beside it.
ETCD = os.environ.get("ETCD", "etcd")
ETCDCTL = os.path.join(os.path.dirname(ETCD), "etcdctl")
VIPD = os.path.abspath(os.environ.get("VIPD", os.path.join(BUILD, "vipd")))
VIPCTL = os.path.join(os.path.dirname(VIPD), "vipctl")
SUBNET = "10.77.0"
CLIENT = f"{SUBNET}.100"
SUBNET6 = "fd77::"
CLIENT6 = f"{SUBNET6}100"
LINK = "eth0"
TIMEOUT = 5.0  # session.timeout, s
PEER_TIMEOUT = "1s"
F = 1.0  # the same, s
LEADER = re.compile(r'"ts":"([^"]+)Z".* (elected|lost) leader [0-9a-f]+ at term (\d+)')


def vip_addresses(count):
    """10.77.0.101 and on; from the 101st on beyond the hosts' own subnet."""
    return [f"{SUBNET}.{101 + n}" if n < 100 else f"10.78.{n // 250}.{1 + n % 250}"
            for n in range(count)]


def moment_of(utc):
    """What a log calls that time, by the monotonic clock."""
    wall = datetime.datetime.fromisoformat(utc + "+00:00").timestamp()
    return wall - (time.time() - time.monotonic())


class Host:
    """One machine: its names, its processes, what can happen to it."""

    def __init__(self, lab, number):
        self.lab, self.number = lab, number
        self.name = f"n{number}"
        self.ns = f"{lab.label}-{self.name}"
        self.address = f"{SUBNET}.{number}"
        self.address6 = f"{SUBNET6}{number}"
        self.mac = f"02:00:00:00:00:{number:02x}"
        self.port = self.name  # the bridge's end of its cable
        self.folder = f"{lab.folder}/{self.name}"
        self.socket = f"{self.folder}/vipd.sock"
        self.etcd = None
        self.etcd_options = []  # besides those of the laboratory
        self.vipd = None
        self.vipd_started = 0.0
        self.program, self.env = VIPD, None
        self.before_vipd = None  # called in the new process, before the daemon is executed
        self.powered = True
        self.gateway = gateway.Gateway(self.ns, self.address, lab.tls)
        os.makedirs(f"{self.folder}/state", exist_ok=True)

    def __repr__(self):
        return self.name

    def spawn(self, words, log, **more):
        return Process(words, self.ns, self.lab.log_path(log), keep=self.lab.keep, **more)

    # ---- etcd --------------------------------------------------------------------------------

    def start_etcd(self):
        peers = ",".join(f"{h.name}=http://{h.address}:2380" for h in self.lab.hosts)
        peer = f"http://{self.address}:2380"
        scheme = self.lab.scheme
        clients = [f"{scheme}://{self.address}:2379", f"{scheme}://127.0.0.1:2379"]
        # 3.4 makes of unix://NAME:PORT a socket of that name in the folder where it runs.
        words = ["env", "-C", self.folder, ETCD, "--name", self.name, "--data-dir", "etcd"]
        words += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
        words += ["--listen-client-urls", ",".join(clients + self.lab.etcd_listen)]
        words += ["--advertise-client-urls", clients[0], "--initial-cluster", peers]
        words += ["--logger", "zap", "--log-outputs", "stderr", *self.lab.etcd_options]
        words += self.etcd_options
        self.etcd = self.spawn(words, f"{self.name}.etcd.log")

    def has_leader(self):
        return self.gateway.leader() != "0"

    # ---- vipd --------------------------------------------------------------------------------

    def settings(self):
        """The configuration as a dictionary; own member first, then the others."""
        scheme = self.lab.scheme
        others = [f"{scheme}://{h.address}:2379" for h in self.lab.hosts if h is not self]
        settings = {
            "node.name": self.name,
            "etcd.endpoints": ", ".join([f"{scheme}://127.0.0.1:2379", *others]),
            "control.socket": self.socket,
            "state.dir": f"{self.folder}/state",
            "log.level": "debug",
        }
        for name, address in self.lab.vips.items():
            settings[f"vip.{name}.address"] = address
            settings[f"vip.{name}.link"] = LINK
        settings.update(self.lab.settings)
        return settings

    def write_config(self, **changes):
        """Keys with '__' for '.', None to leave one out. Returns the file."""
        settings = self.settings()
        settings.update({key.replace("__", "."): value for key, value in changes.items()})
        path = f"{self.folder}/vipd.conf"
        lines = [f"{key} = {value}\n" for key, value in settings.items() if value is not None]
        with open(path, "w") as file:
            file.writelines(lines)
        return path

    def leaders(self):
        """What its etcd member has logged of leaders: what, raft's term, and when (monotonic)."""
        for when, what, term in LEADER.findall(self.etcd.text() if self.etcd else ""):
            yield what, int(term), moment_of(when)

    def said_at(self, words):
        """When its daemon first logged that (monotonic)."""
        line = next(line for line in self.vipd.text().splitlines() if words in line)
        return moment_of(line.split()[0].removesuffix("Z"))

    def start_vipd(self, **changes):
        path = self.write_config(**changes)
        self.vipd_started = time.monotonic()
        self.vipd = self.spawn([self.program, "-c", path], f"{self.name}.vipd.log", env=self.env,
                               before=self.before_vipd)
        return self.vipd

    def vipctl(self, *words, timeout=10):
        return run(VIPCTL, "-s", self.socket, *words, check=False, timeout=timeout)

    def status(self):
        """What `vipctl status --json` says, or None."""
        done = self.vipctl("status", "--json")
        return json.loads(done.stdout) if done.returncode == 0 else None

    def vip_status(self, address):
        status = self.status() or {"vips": []}
        return next((v for v in status["vips"] if v["address"] == address), None)

    def plumbing(self):
        return [f"link set {LINK} up", f"addr add {self.address}/24 dev {LINK}",
                f"addr add {self.address6}/64 dev {LINK} nodad"]

    # ---- faults ------------------------------------------------------------------------------

    def cut(self):
        """No frame passes either way any more; the host's link stays up and says nothing."""
        run("bridge", "-n", self.lab.lan, "link", "set", "dev", self.port, "state", "0")

    def mend(self):
        """The bridge takes it once it has seen that both ends of the cable are up."""
        words = ["bridge", "-n", self.lab.lan, "link", "set", "dev", self.port, "state", "3"]
        wait_for(lambda: run(*words, check=False).returncode == 0, 5, f"{self.port} to forward")

    def unplug(self):
        """The cable is out: both ends lose their carrier."""
        ip("link", "set", self.port, "down", ns=self.lab.lan)

    def plug(self):
        ip("link", "set", self.port, "up", ns=self.lab.lan)
        self.mend()

    def crash(self):
        """As a power loss looks to the others: silence first, then nothing is left. Returns the
        moment from which no frame of the host was seen."""
        self.cut()
        moment = time.monotonic()
        for process in (self.vipd, self.etcd):
            if process:
                process.send(signal.SIGKILL)
        for pid in spaces.pids_in(self.ns):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        ip("addr", "flush", "dev", LINK, ns=self.ns)
        ip("link", "set", LINK, "down", ns=self.ns)
        self.powered = False
        return moment

    def boot(self):
        """Powers it on again: disk kept, /run (state.dir) and the kernel's filters gone. Starts
        etcd, not vipd."""
        bpf.remove_all(self, LINK)
        for name in os.listdir(f"{self.folder}/state"):
            os.unlink(f"{self.folder}/state/{name}")
        ip_batch(self.plumbing(), ns=self.ns)
        self.mend()
        self.powered = True
        self.start_etcd()


class Lab(spaces.Built):
    def __init__(self, vips=1, hosts=3, logs=None, settings=None, label=None, keep=False,
                 on_event=None, extra_vips=(), etcd_options=(), etcd_listen=(), tls=None):
        """vips: which addresses the daemons share, or how many; extra_vips are watched, not
        configured. tls: an ssl.SSLContext by which etcd (whose options say the same) is asked."""
        self.label = label or f"{spaces.PREFIX}{os.getpid()}"
        self.keep = keep
        self.folder = f"{spaces.SCRATCH}/{self.label}"
        self.logs = logs or f"{self.folder}/logs"
        self.lan = f"{self.label}-lan"
        addresses = vip_addresses(vips) if isinstance(vips, int) else vips
        self.vips = {f"v{n}": a for n, a in enumerate(addresses, 1)}
        self.settings = {"peer.timeout": PEER_TIMEOUT, **(settings or {})}
        self.scheme, self.tls = ("https" if tls else "http"), tls
        self.etcd_options, self.etcd_listen = list(etcd_options), list(etcd_listen)
        self.addresses = [*self.vips.values(), *extra_vips]
        os.makedirs(self.logs, exist_ok=True)
        os.makedirs(self.folder, exist_ok=True)
        self.hosts = [Host(self, n) for n in range(1, hosts + 1)]
        self._on_event = on_event
        self.witness = None

    def log_path(self, name):
        return os.path.join(self.logs, name)

    def _build(self):
        for ns in [self.lan, *(host.ns for host in self.hosts)]:
            ip("netns", "add", ns)
        # No STP, no multicast snooping: a port forwards as soon as it is up.
        lan = ["link set lo up", "link add br0 type bridge stp_state 0 mcast_snooping 0"]
        lan += [f"addr add {CLIENT}/24 dev br0", "link set br0 up"]
        lan += [f"addr add {CLIENT6}/64 dev br0 nodad"]
        answers = []
        for host in self.hosts:
            lan.append(f"link add {host.port} type veth peer name {LINK} "
                       f"address {host.mac} netns {host.ns}")
            lan.append(f"link set {host.port} master br0 up")
            # The bridge sends no frame back to where it came from: what the host answers to the
            # witness's questions (witness_question.hpp) reaches nobody.
            mac = f"02:fe:00:00:00:{host.number:02x}"
            answers.append(f"fdb add {mac} dev {host.port} master static")
        ip_batch(lan, ns=self.lan)
        run("bridge", "-n", self.lan, "-batch", "-", stdin="\n".join(answers) + "\n")
        for host in self.hosts:
            ip_batch(["link set lo up", *host.plumbing()], ns=host.ns)
        self.witness = Watcher(
            f"{BUILD}/witness", self.lan, "br0", [(h.name, h.ns, h.mac) for h in self.hosts],
            self.addresses, self.log_path("witness.jsonl"), on_event=self._on_event,
            own=self._own_addresses(), fenced=self.fenced())

    def fenced(self):
        """Whether the daemons have the packet fence, under which a host may list an address that
        it does not answer for any more."""
        return self.settings["peer.timeout"] != "0s"

    def _own_addresses(self):
        v6 = any(":" in address for address in self.addresses)
        return [h.address for h in self.hosts] + [h.address6 for h in self.hosts if v6]

    def close(self):
        if self.witness:
            self.witness.close()
        if not self.keep:
            spaces.remove(self.label)

    # ---- the parts together ------------------------------------------------------------------

    def host(self, name):
        return next(h for h in self.hosts if h.name == name)

    def others(self, host):
        return [h for h in self.hosts if h is not host]

    def start_etcd(self, timeout=20):
        for host in self.hosts:
            host.start_etcd()
        self.wait_quorum(timeout)

    def wait_quorum(self, timeout=20):
        """Until a linearizable read succeeds; returns when."""
        def readable():
            for host in self.hosts:
                with contextlib.suppress(gateway.Unavailable):
                    host.gateway.range("/", timeout=0.3)
                    return time.monotonic()
            return None
        return wait_for(readable, timeout, "etcd to have a quorum", step=0.05)

    def wait_etcd(self, timeout=20):
        """Until every member that should run knows the leader."""
        wait_for(lambda: all(h.has_leader() for h in self.hosts if h.powered), timeout,
                 "all etcd members to follow a leader", step=0.1)

    def etcd_leader(self):
        def leader():
            return next((host for host in self.hosts if host.gateway.is_leader()), None)
        return wait_for(leader, 20, "etcd to have a leader", step=0.1)

    def wait_leader(self, died):
        """Until all but that host follow a leader, after it has died."""
        wait_for(lambda: all(h.has_leader() for h in self.others(died)), 20,
                 f"etcd to have a leader without {died}", step=0.1)

    def longest_election(self, since):
        """For how many seconds etcd had no leader since then, at most, by its members' logs. They
        miss a leader that was struck 1 to 2 s later."""
        elected, lost = {}, {}
        for host in self.hosts:
            for what, term, when in host.leaders():
                first = elected if what == "elected" else lost
                first[term] = min(when, first.get(term, when))
        return max((when - max(since, lost[term] - 2) for term, when in elected.items()
                    if term in lost and when > since), default=0.0)

    def move_leader(self, host):
        """Makes the host's member the leader, whoever is elected meanwhile."""
        member = int(host.gateway.status()["header"]["member_id"])

        def moved():
            leader = self.etcd_leader()
            if leader is not host:
                self.etcdctl(leader, "move-leader", f"{member:x}", check=False)
            return leader is host
        wait_for(moved, 20, f"{host} to lead etcd", step=0.1)

    def etcdctl(self, host, *words, check=True):
        env = dict(os.environ, ETCDCTL_API="3")
        done = subprocess.run(
            ["nsenter", f"--net={spaces.NETNS}/{host.ns}", "--", ETCDCTL, *words],
            capture_output=True, text=True, timeout=30, env=env, check=False)
        if check and done.returncode != 0:
            raise RuntimeError(f"etcdctl {' '.join(words)}: {done.stderr.strip()}")
        return done

    def start_vipd(self, **changes):
        for host in self.hosts:
            host.start_vipd(**changes)

    def start(self, settle=0):
        """etcd and the daemons: until every address has an owner, every host is queued for it, and
        so many seconds more."""
        self.start_etcd()
        self.start_vipd()
        self.wait_all_owned()
        self.wait_queue(len(self.hosts), self.addresses[-1])
        time.sleep(settle)

    def wait_owner(self, vip=None, timeout=15, besides=None):
        """Until one host has the address; returns that host."""
        vip = vip or self.addresses[0]
        def owner():
            name = self.witness.owner(vip)
            return name if name and (besides is None or name != besides.name) else None
        return self.host(self.witness.wait(owner, timeout, f"an owner of {vip}"))

    def wait_all_owned(self, timeout=20):
        return self.witness.wait(
            lambda: all(self.witness.owner(vip) for vip in self.vips.values()), timeout,
            f"owners of all {len(self.vips)} addresses")

    def wait_queue(self, length, vip=None, timeout=15, host=None):
        """Until so many candidates stand in the address's queue."""
        vip = vip or self.addresses[0]
        prefix = f"{self.settings.get('etcd.prefix', '/vipd')}/vip/{vip}/"
        def queue():
            for member in [host] if host else self.hosts:
                with contextlib.suppress(gateway.Unavailable):
                    return len(member.gateway.range(prefix, timeout=1.0)) == length
            return False
        wait_for(queue, timeout, f"{length} candidates for {vip}", step=0.1)
