"""Three machines on one LAN: a bridge in a network namespace of this run's own, where the asker
and the witness's client are as well."""

import contextlib
import os
import time

import image
import machine
import spaces
from asker import Asker
from lab import BUILD, CLIENT, PEER_TIMEOUT
from machine import Machine, Unreachable
from spaces import ip, ip_batch, wait_for
from watcher import Watcher

API = "10.77.0.101"
VLAN = 7


def cell(values):
    """In ms, or in s where that says enough."""
    unit, scale = ("s", 1e-3) if min(values) >= 1000 else ("ms", 1)
    texts = [f"{value * scale:.{1 if unit == 's' else 0}f}" for value in sorted(values)]
    return f"{', '.join(texts)} {unit}"


class VmLab(spaces.Built):
    """vips: address -> (link, VLAN of the asker's questions or None)."""

    def __init__(self, logs, vips, nics=1, boot="", modules=(), tools=(), settings=(),
                 files=None, size=3, interval=0.02):
        self.label = f"{spaces.PREFIX}{os.getpid()}"
        self.folder = f"{spaces.SCRATCH}/{self.label}"
        self.lan = f"{self.label}-lan"
        self.logs, self.vips, self.nics, self.boot = logs, vips, nics, boot
        self.modules, self.tools, self.settings = [*image.BASE, *modules], tools, settings
        self.machines, self.witness, self.asker = [], None, None
        self.size = size  # machines
        self.files = files or {}  # besides: path in the machine -> here
        self.interval = interval  # s, between two questions for one address
        self.rows = []  # of the table at the end
        self.boots = []

    @property
    def hosts(self):
        return []  # none whose daemon's log the judge could read

    def log_path(self, name):
        return os.path.join(self.logs, name)

    def config(self):
        lines = [f"peer.timeout = {PEER_TIMEOUT}", *self.settings]
        for number, (address, (link, _)) in enumerate(self.vips.items(), 1):
            lines += [f"vip.v{number}.address = {address}", f"vip.v{number}.link = {link}"]
        return "\n".join(lines) + "\n"

    def close(self):
        if self.asker:
            self.asker.close()
        if self.witness:
            self.witness.close()
        for one in self.machines:
            if one.powered():
                one.kill()
        spaces.remove(self.label)

    def _build(self):
        os.makedirs(self.folder)
        self.emulator, self.how = machine.emulator(self.folder)
        self.initramfs = image.initramfs(self.folder, self.modules, "boot")
        self.root = image.root_disk(self.folder, self.config(), self.tools, self.files)
        ip("netns", "add", self.lan)
        self.machines = [Machine(self, number, self.nics)
                         for number in range(1, self.size + 1)]
        lines = ["link set lo up", "link add br0 type bridge stp_state 0 mcast_snooping 0",
                 f"addr add {CLIENT}/24 dev br0", "link set br0 up"]
        for tap in [tap for one in self.machines for tap in one.taps]:
            lines += [f"tuntap add {tap} mode tap", f"link set {tap} master br0 up"]
        ip_batch(lines, ns=self.lan)
        self.asker = Asker(self.lan, "br0", self.interval)
        for address, (_, vlan) in self.vips.items():
            self.asker.watch(address, vlan)
        for one in self.machines:
            self.asker.watch(one.address)
        # The witness's client and its stall meters; the machines' kernels are out of its sight.
        self.witness = Watcher(f"{BUILD}/witness", self.lan, "br0",
                               [(m.name, self.lan, m.mac(0)) for m in self.machines], [API],
                               self.log_path("witness.jsonl"), interval_us=20000)
        machine.prefer(self.witness._process)  # else it would measure stalls that they do not have

    # ---- the parts together ------------------------------------------------------------------

    def others(self, one):
        return [m for m in self.machines if m is not one]

    def owner(self, address=API):
        name = self.asker.owner(address)
        return next((m for m in self.machines if m.name == name), None)

    def wait_owner(self, address=API, timeout=30, besides=None):
        def owner():
            found = self.owner(address)
            return found if found is not besides else None
        return wait_for(owner, timeout, f"an owner of {address}")

    def boot_all(self, timeout=240):
        """Those that are off, at the same time."""
        off = [m for m in self.machines if not m.powered()]
        for one in off:
            one.start()
        deadline = time.monotonic() + timeout
        for one in off:
            self.boots.append(one.wait_ready(max(1.0, deadline - time.monotonic())))

    def is_settled(self):
        """Each address with its owner, and everybody in its queue."""
        for one in self.machines:
            status = one.status()
            if not status or not status["etcd"]["connected"]:
                return False
            if any(len(vip["queue"]) != self.size or not vip["owner"] for vip in status["vips"]):
                return False
        return all(self.owner(address) for address in self.vips)

    def settle(self, timeout=150):
        self.boot_all()
        wait_for(self.is_settled, timeout, "all machines in every queue", step=0.5)

    def power_cycle(self):
        """After a case that failed: whatever state they are in, they start anew."""
        for one in self.machines:
            if one.powered():
                one.kill()

    def table(self):
        """What was measured: (what, values in one cell), in the order of the cases."""
        found = {}
        for what, value in self.rows:
            found.setdefault(what, []).append(value)
        return [(what, cell(values)) for what, values in found.items()]

    def keep_logs(self):
        """The machines' own logs, for who looks into a failure."""
        for one in self.machines:
            with contextlib.suppress(Unreachable, OSError, RuntimeError):
                if one.powered():
                    text = one.run("cat /run/messages; tail -n 100 /data/etcd.log; dmesg",
                                   check=False)
                    with open(self.log_path(f"{one.name}.messages"), "a") as file:
                        file.write(text + "\n")
