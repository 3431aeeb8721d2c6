"""One machine: a QEMU process in the LAN's namespace, and the two ways to reach into it that need
no network: a shell on its second serial port, and QEMU's own monitor (QMP)."""

import contextlib
import json
import os
import re
import socket
import subprocess
import time

import image
from spaces import Process, run, wait_for

MEMORY_MB = 256
PROBE_S = 15  # for a kernel that says hello; 2 to 5 in software


def prefer(process):
    """A real machine's processor is its own: others on this one have to wait. Sessions may be
    scheduled as groups (sched(7), autogroup)."""
    os.setpriority(os.PRIO_PROCESS, process.pid, -15)
    with contextlib.suppress(OSError), open(f"/proc/{process.pid}/autogroup", "w") as group:
        group.write("-15")


class Unreachable(Exception):
    pass


class Lines:
    """A stream socket, line by line; every wait is bounded."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        wait_for(lambda: self.socket.connect_ex(path) == 0, 10, f"somebody to listen at {path}")
        self.rest = b""

    def send(self, text):
        self.socket.settimeout(5)
        self.socket.sendall(text.encode() + b"\n")

    def line(self, deadline):
        while b"\n" not in self.rest:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Unreachable("no answer")
            self.socket.settimeout(left)
            try:
                more = self.socket.recv(65536)
            except TimeoutError:
                raise Unreachable("no answer") from None
            if not more:
                raise Unreachable("closed")
            self.rest += more
        line, _, self.rest = self.rest.partition(b"\n")
        return line.decode(errors="replace")


class Monitor:
    """QMP: a command is one JSON object, so is its answer; events come in between."""

    def __init__(self, path):
        self.lines = Lines(path)
        self.events = []
        self.lines.line(time.monotonic() + 10)
        self.do("qmp_capabilities")

    def do(self, command, **arguments):
        names = {key.replace("_", "-"): value for key, value in arguments.items()}
        self.lines.send(json.dumps({"execute": command, "arguments": names}))
        deadline = time.monotonic() + 10
        while True:
            answer = json.loads(self.lines.line(deadline))
            if "error" in answer:
                raise RuntimeError(f"{command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]
            self.events.append(answer["event"])

    def wait_event(self, name, timeout):
        deadline = time.monotonic() + timeout
        while name not in self.events:
            self.events.append(json.loads(self.lines.line(deadline)).get("event"))
        self.events.remove(name)


class Machine:
    def __init__(self, lab, number, nics):
        self.lab, self.number = lab, number
        self.name = f"n{number}"
        self.taps = [f"{self.name}e{nic}" for nic in range(nics)]
        self.folder = f"{lab.folder}/{self.name}"
        self.address = f"10.77.0.{number}"
        os.makedirs(self.folder)
        self.disk = image.disk(f"{self.folder}/data.img", image.DATA_MB)
        self.console = lab.log_path(f"{self.name}.console")
        self.qemu = self.monitor = self.shell = None
        self.started = self.ready = 0.0

    def __repr__(self):
        return self.name

    def mac(self, nic):
        return f"02:00:00:00:{nic:02x}:{self.number:02x}"

    def words(self):
        words = [*self.lab.emulator, "-m", str(MEMORY_MB), "-nodefaults", "-display", "none",
                 "-no-user-config", "-kernel", image.kernel(), "-initrd", self.lab.initramfs,
                 "-append", f"console=ttyS0 quiet panic=-1 machine={self.number} {self.lab.boot}"]
        words += ["-drive", f"file={self.lab.root},format=raw,if=virtio,readonly=on",
                  "-drive", f"file={self.disk},format=raw,if=virtio,cache=unsafe"]
        for nic, tap in enumerate(self.taps):
            words += ["-netdev", f"tap,id={tap},ifname={tap},script=no,downscript=no", "-device",
                      f"virtio-net-pci,netdev={tap},id=nic{nic},mac={self.mac(nic)},romfile="]
        for name, wait in (("shell", "on"), ("qmp", "off")):  # no word of the shell's is lost
            words += ["-chardev",
                      f"socket,id={name},path={self.folder}/{name},server=on,wait={wait}"]
        return words + ["-chardev", f"file,id=console,path={self.console},append=on", "-serial",
                        "chardev:console", "-serial", "chardev:shell", "-mon",
                        "chardev=qmp,mode=control"]

    # ---- power -------------------------------------------------------------------------------

    def start(self):
        self.ready = 0.0
        with open(self.console, "a") as console:
            console.write(f"---- {time.monotonic():.3f}\n")
            self._booted = console.tell()
        self.started = time.monotonic()
        self.qemu = Process(self.words(), self.lab.lan, self.lab.log_path(f"{self.name}.qemu.log"))
        prefer(self.qemu)
        self.shell = Lines(f"{self.folder}/shell")
        self.monitor = Monitor(f"{self.folder}/qmp")

    def _said_ready(self):
        with open(self.console, errors="replace") as console:
            console.seek(self._booted)
            return re.search(r"READY after ([\d.]+) s", console.read())

    def wait_ready(self, timeout=120):
        """Until its init scripts are through; how long that took."""
        wait_for(self._said_ready, timeout, f"{self.name} to boot", step=0.02)
        self.ready = time.monotonic()
        self._answer(30)
        return self.ready - self.started

    def powered(self):
        return self.qemu is not None and self.qemu.running()

    def kill(self):
        """Power loss. Returns the moment."""
        moment = time.monotonic()
        self.qemu.kill()
        self._forget()
        return moment

    def poweroff(self, timeout=60):
        """As its administrator does it. Returns the moment."""
        moment = time.monotonic()
        self.shell.send("poweroff")
        self.qemu.child.wait(timeout)
        self._forget()
        return moment

    def _forget(self):
        for name in ("shell", "qmp"):
            os.path.exists(f"{self.folder}/{name}") and os.unlink(f"{self.folder}/{name}")

    def pause(self):
        self.monitor.do("stop")
        return time.monotonic()

    def resume(self):
        moment = time.monotonic()
        self.monitor.do("cont")
        return moment

    def suspend(self):
        """To memory (S3). Returns when it sleeps."""
        self.shell.send("(sleep 0.1; echo mem >/sys/power/state) &")
        self._answer(10)
        self.monitor.wait_event("SUSPEND", 20)
        return time.monotonic()

    def wake(self):
        """Returns the moment; what is said to the serial port before it is awake is lost."""
        moment = time.monotonic()
        self.monitor.do("system_wakeup")
        return moment

    def wait_shell(self, timeout=30):
        """Until the shell answers again."""
        for _ in range(timeout):
            self.shell.send("")
            with contextlib.suppress(Unreachable):
                self._answer(1)
                break
        time.sleep(0.5)
        self.shell.rest = b""
        self.run("true")

    def set_link(self, nic, up):
        moment = time.monotonic()
        self.monitor.do("set_link", name=f"nic{nic}", up=up)
        return moment

    # ---- inside ------------------------------------------------------------------------------

    def run(self, command, check=True, timeout=20):
        """One line of shell; what it printed."""
        self.shell.send(command)
        status, output = self._answer(timeout)
        if check and status != "0":
            raise RuntimeError(f"{self.name}: {command}: status {status}: {output}")
        return output

    def _answer(self, timeout):
        deadline, lines = time.monotonic() + timeout, []
        while True:
            text, mark, rest = self.shell.line(deadline).partition("@@")
            lines.append(text)
            if mark and rest.endswith("@@"):
                return rest[:-2], "\n".join(lines).strip()

    def status(self):
        """What `vipctl status --json` says, or None."""
        output = self.run("vipctl status --json", check=False)
        return json.loads(output) if output.startswith("{") else None

    def vip(self, address):
        status = self.status() or {"vips": []}
        return next((v for v in status["vips"] if v["address"] == address), None)


def emulator(folder):
    """QEMU's first words. /dev/kvm that exists does not always run a machine: it is tried."""
    qemu = ["qemu-system-x86_64", "-machine", "q35", "-global", "ICH9-LPC.disable_s3=0"]
    accelerated = [*qemu, "-accel", "kvm", "-cpu", "host"]
    wanted = os.environ.get("ACCEL")
    if wanted == "kvm" or (wanted is None and os.access("/dev/kvm", os.R_OK | os.W_OK)
                           and _says_hello(accelerated, folder)):
        return accelerated, "KVM"
    return [*qemu, "-accel", "tcg,tb-size=128", "-cpu", "max"], "software emulation (TCG)"


def _says_hello(words, folder):
    words = [*words, "-m", "128", "-nodefaults", "-display", "none", "-no-reboot", "-kernel",
             image.kernel(), "-initrd", image.initramfs(folder, [], "hello"), "-append",
             "console=ttyS0 quiet", "-serial", "stdio"]
    with open(f"{folder}/hello.log", "w+b") as log:
        child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            child.wait(PROBE_S)
        except subprocess.TimeoutExpired:
            pass
        finally:  # whatever interrupts the wait
            child.kill()
            child.wait()
        log.seek(0)
        return b"hello" in log.read()
