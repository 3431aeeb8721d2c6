"""Network namespaces and the processes inside them.

Everything made here carries the maker's pid in its name and dies with it: processes by
PR_SET_PDEATHSIG, namespaces and folders by close(), or by the next run's sweep() when the maker
was killed. Nothing outside namespaces and folders of that name is touched.
"""

import contextlib
import ctypes
import fcntl
import os
import re
import shutil
import signal
import subprocess
import threading
import time
import uuid

PREFIX = "vl"  # namespaces "vl<pid>-n1", folders "/dev/shm/vl<pid>"
SCRATCH = "/dev/shm"
NETNS = "/run/netns"
CLONE_NEWNS, CLONE_NEWNET = 0x20000, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000  # linux/mount.h
BOOT_ID = "/proc/sys/kernel/random/boot_id"
PR_SET_PDEATHSIG = 1
LOOK_S = 0.25  # that a look at something may take

_libc = ctypes.CDLL(None, use_errno=True)
_entering = threading.Lock()


def run(*words, check=True, timeout=20, stdin=None):
    """Runs a short command and returns its output; a failure names the command and its words."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=timeout, input=stdin)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}: status {done.returncode}: {done.stderr.strip()}")
    return done


def ip(*words, ns=None, check=True):
    return run("ip", *(["-n", ns] if ns else []), *words, check=check)


def ip_batch(lines, ns=None):
    run("ip", *(["-n", ns] if ns else []), "-batch", "-", stdin="\n".join(lines) + "\n")


@contextlib.contextmanager
def inside(ns):
    """The calling thread is in namespace `ns`: sockets opened here stay there."""
    with _entering:
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        there = os.open(f"{NETNS}/{ns}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            if _libc.setns(there, CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), f"setns {ns}")
            yield
        finally:
            _libc.setns(home, CLONE_NEWNET)
            os.close(home)
            os.close(there)


def another_boot(path):
    """What is to be called in a new process, so that it finds its host booted since: another boot
    id, made once, in the file `path`."""
    with open(path, "w") as file:
        file.write(f"{uuid.uuid4()}\n")

    def before():
        calls = [_libc.unshare(CLONE_NEWNS),
                 _libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None),
                 _libc.mount(path.encode(), BOOT_ID.encode(), None, MS_BIND, None)]
        if any(calls):
            raise OSError(ctypes.get_errno(), f"another boot id: {calls}")
    return before


def alive(pid):
    """Running, and no zombie."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Built:
    """What is built by _build() on entry, and closed by close() however that went."""

    def __enter__(self):
        try:
            self._build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()


class Process:
    """A program in a namespace, its output in a file. Dies with this interpreter unless kept."""

    def __init__(self, words, ns, log, keep=False, stdin=None, stdout=None, env=None,
                 before=None):
        self.words, self.log, self._offset = words, log, 0
        if os.path.exists(log):
            self._offset = os.path.getsize(log)
        parent = os.getpid()

        def prepare():
            if before:
                before()
            if not keep:
                _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
                if os.getppid() != parent:  # it died in between
                    os._exit(1)

        with open(log, "a") as out:
            self.child = subprocess.Popen(
                ["nsenter", f"--net={NETNS}/{ns}", "--", *words],
                stdin=stdin or subprocess.DEVNULL,
                stdout=stdout or out,
                stderr=out,
                start_new_session=True,
                preexec_fn=prepare,
                env=env,
            )

    @property
    def pid(self):
        return self.child.pid

    def running(self):
        return self.child.poll() is None

    def send(self, number):
        if self.running():
            self.child.send_signal(number)

    def stop(self):
        self.send(signal.SIGSTOP)

    def cont(self):
        self.send(signal.SIGCONT)

    def kill(self):
        """SIGKILL, and gone when this returns."""
        self.send(signal.SIGKILL)
        self.child.wait(10)

    def end(self, number=signal.SIGTERM, timeout=10):
        """Asks it to end and returns its exit status; None if it would not (it is killed then)."""
        self.cont()
        self.send(number)
        try:
            return self.child.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            return None

    def text(self):
        """What it has written since it was started."""
        with open(self.log, errors="replace") as file:
            file.seek(self._offset)
            return file.read()


def namespaces():
    return sorted(os.listdir(NETNS)) if os.path.isdir(NETNS) else []


def pids_in(ns):
    done = ip("netns", "pids", ns, check=False)
    return [int(word) for word in done.stdout.split()]


def remove_namespace(ns):
    for pid in pids_in(ns):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    ip("netns", "del", ns, check=False)


def release_disks(folder):
    """Thaws and unmounts what is mounted below: who waits for a frozen disk cannot be killed."""
    with open("/proc/mounts") as mounts:
        paths = [line.split()[1] for line in mounts]
    for path in paths:
        if path.startswith(folder + "/"):
            run("fsfreeze", "--unfreeze", path, check=False)
            run("umount", "--lazy", path, check=False)


def remove(label):
    """Everything of one laboratory: disks, processes, namespaces, folder."""
    release_disks(f"{SCRATCH}/{label}")
    for ns in namespaces():
        if ns.startswith(label + "-"):
            remove_namespace(ns)
    shutil.rmtree(f"{SCRATCH}/{label}", ignore_errors=True)


def sweep():
    """Removes what runs that were killed have left behind."""
    pattern = re.compile(rf"{PREFIX}(\d+)(-.*)?$")
    for name in set(namespaces()) | set(os.listdir(SCRATCH)):
        match = pattern.match(name)
        if match and not alive(int(match[1])):
            remove(f"{PREFIX}{match[1]}")


def wait_for(condition, timeout, what, step=0.02):
    """Polls until the condition gives something true and returns that."""
    left = timeout
    while True:
        begin = time.monotonic()
        value = condition()
        if value:
            return value
        if left <= 0:
            raise TimeoutError(f"{what}: not within {timeout:g} s")
        time.sleep(step)
        left -= spent(begin, step)


def spent(begin, asked):
    """Of the time that a look and a sleep of so long have taken, what counts: where the machine
    stands still, or is slow to run a program, nothing that is waited for gets on either."""
    return min(time.monotonic() - begin, asked + LOOK_S)


@contextlib.contextmanager
def only_one(path):
    """Holds a lock file, so that two do not work on the same names."""
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
