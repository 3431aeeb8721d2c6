"""SIGUSR2: another program is run in the daemon's place, and nothing is given up."""

import contextlib
import os
import shutil
import socket
import time
from signal import SIGUSR2

from case import case
from lab import TIMEOUT, VIPD
from spaces import alive, wait_for

NOBODY = 65534


def program_of(pid):
    """The file that the process runs, by its inode."""
    return os.stat(f"/proc/{pid}/exe").st_ino


def install(path, program=VIPD):
    """As package managers do it: beside it, and over it."""
    shutil.copy(program, f"{path}.new")
    os.rename(f"{path}.new", path)
    return os.stat(path).st_ino


def up(t, keys=None, **options):
    """Each host runs a copy of the program, that can be replaced."""
    lab = t.lab(**options)
    lab.start_etcd()
    for host in lab.hosts:
        host.program = f"{host.folder}/vipd"
        install(host.program)
        host.start_vipd(**(keys or {}))
    lab.wait_all_owned()
    lab.wait_queue(len(lab.hosts), lab.addresses[-1])
    time.sleep(2)
    return lab


class Supervisor:
    """Listens where NOTIFY_SOCKET says."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.socket.settimeout(0.1)
        self.heard = []

    def listen(self):
        with contextlib.suppress(TimeoutError):
            while True:
                self.heard.append(self.socket.recv(4096).decode())
        return self.heard

    def has(self, *words):
        """Whether these came, in this order."""
        rest = iter(self.listen())
        return all(any(line.startswith(word) for line in rest) for word in words)


@case(seconds=50, weight=3)
def test_program_replaced(t):
    """Same process and session, every address there all the time; the supervisor is told."""
    lab = t.lab(vips=20)
    lab.start_etcd()
    supervisor = Supervisor(f"{lab.folder}/notify")
    for host in lab.hosts:
        host.program = f"{host.folder}/vipd"
        install(host.program)
        host.env = dict(os.environ, NOTIFY_SOCKET=f"{lab.folder}/notify", WATCHDOG_USEC="600000")
        if host.number > 1:
            host.env = None
        host.start_vipd()
        if host.number == 1:
            lab.wait_all_owned()
    lab.wait_queue(3, lab.addresses[-1])
    owner, vip = lab.hosts[0], lab.addresses[0]
    t.equal(lab.wait_owner(vip).name, owner.name, "owner")
    time.sleep(2)
    session, pid = owner.status()["session"]["id"], owner.vipd.pid
    moment = time.monotonic()
    for number in range(4):
        time.sleep(1.17)  # another phase of the heartbeat
        wanted = install(owner.program)
        supervisor.listen()  # its buffer is small
        supervisor.heard.clear()
        owner.vipd.send(SIGUSR2)
        wait_for(lambda: program_of(pid) == wanted, TIMEOUT, "the new program to run")
        wait_for(lambda: supervisor.has("RELOADING=1", "READY=1", "WATCHDOG=1"), 5,
                 "RELOADING, READY and WATCHDOG")
        wait_for(lambda: (owner.status() or {}).get("session", {}).get("authority_ms"), 5,
                 "authority")
        t.equal(owner.status()["session"]["id"], session, "session")
        t.check(number > 0 or owner.vipd.running(), "the process ended")
    time.sleep(TIMEOUT)
    lab.witness.sync()
    t.equal(lab.witness.find("del", since=moment), [], "removals")
    t.equal({lab.witness.owner(address) for address in lab.addresses}, {owner.name}, "owners")
    t.bound_gap("client gap", 20, vip, moment)
    t.equal(owner.vipd.end(), 0, "exit status")


@case(seconds=30)
def test_program_not_replaced(t):
    """What cannot run, or would cost the session, is refused, and everything goes on."""
    lab = up(t, hosts=1, keys={"check__any__exec": "/bin/true"})  # so that there is a helper
    host = lab.hosts[0]
    running = program_of(host.vipd.pid)
    moment = time.monotonic()

    def refuse(what, sign):
        before = len(host.vipd.text())
        host.vipd.send(SIGUSR2)
        wait_for(lambda: "not replaced: " in host.vipd.text()[before:], 10,
                 f"the refusal of {what}")
        t.check(sign in host.vipd.text()[before:], f"{sign!r} is not in the log for {what}")
        t.equal(program_of(host.vipd.pid), running, "the program that runs")

    os.unlink(host.program)
    refuse("a missing program", "No such file")
    with open(host.program, "w") as file:
        file.write("#!/bin/sh\nexit 1\n" * 10)
    refuse("a file without x", "Permission denied")
    os.chmod(host.program, 0o755)
    refuse("a script", "not a program for this machine")
    install(host.program)
    os.truncate(host.program, 4096)
    refuse("half a copy", "the end is missing")
    install(host.program, "/bin/cat")
    refuse("a program that does not know our configuration", "exit status 1")
    t.check(" -n: " in host.vipd.text() and "invalid option" in host.vipd.text(),
            "the output of the trial is not in the log")
    wanted = install(host.program)
    config = host.write_config(session__timeout="6s")
    refuse("another session.timeout", "session.timeout")
    with open(config, "a") as file:
        file.write("bogus = 1\n")
    refuse("a faulty configuration", f"{config}:")
    time.sleep(TIMEOUT)
    lab.witness.sync()
    t.equal(lab.witness.find("del", since=moment), [], "removals")
    host.write_config()
    host.vipd.send(SIGUSR2)
    wait_for(lambda: program_of(host.vipd.pid) == wanted, TIMEOUT, "the new program to run")
    t.equal(host.vipd.end(), 0, "exit status")


@case(seconds=30)
def test_program_replaced_in_the_background(t):
    """With -d and -p: no second fork, the same pid in the file, a pause goes on."""
    lab = t.lab(hosts=1)
    lab.start_etcd()
    host = lab.hosts[0]
    program, pidfile = f"{host.folder}/vipd", f"{host.folder}/vipd.pid"
    install(program)
    parent = host.spawn(["sh", "-c", 'exec 7>&1; exec "$0" "$@"', program, "-d", "-p", pidfile,
                         "--ready-fd", "7", "-c", host.write_config()], "n1.vipd.log")
    t.equal(parent.child.wait(10), 0, "exit status of vipd -d")
    pid = int(open(pidfile).read())
    lab.wait_owner()
    time.sleep(1)
    t.equal(host.vipctl("pause").returncode, 0, "exit status of pause")
    wanted = install(program)
    os.kill(pid, SIGUSR2)
    wait_for(lambda: program_of(pid) == wanted, TIMEOUT, "the new program to run")
    wait_for(lambda: host.status(), 3, "its answer")
    t.equal(host.status()["state"], "paused", "state")
    t.equal(int(open(pidfile).read()), pid, "pid in the file")
    t.equal(host.vipctl("resume").returncode, 0, "exit status of resume")
    lab.wait_owner()
    second = host.spawn([program, "-p", pidfile, "-c", host.write_config()], "second.log")
    t.equal(second.child.wait(20), 1, "exit status of a second one")
    os.kill(pid, 15)
    wait_for(lambda: not alive(pid), 5, "the end")
    t.check(not os.path.exists(pidfile), "the pidfile is still there")


@case(seconds=25)
def test_program_replaced_as_another_user(t):
    """Without root, and inside the filter on system calls; programs are run by the same helper."""
    lab = t.lab(hosts=1)
    lab.start_etcd()
    host = lab.hosts[0]
    host.program, host.socket = f"{host.folder}/vipd", f"{host.folder}/run/vipd/vipd.sock"
    install(host.program)
    told, script = f"{host.folder}/told/lines", f"{host.folder}/notify"
    os.mkdir(os.path.dirname(told))
    os.chown(os.path.dirname(told), NOBODY, NOBODY)
    with open(script, "w") as file:
        file.write(f'#!/bin/sh\necho "$3 $(id -u) $(grep CapEff /proc/self/status)" >> {told}\n')
    os.chmod(script, 0o755)
    host.start_vipd(user="nobody", state__dir=f"{host.folder}/run/vipd", vip__v1__notify=script,
                    control__socket=host.socket, check__any__exec="/bin/true")
    lab.wait_owner()
    time.sleep(1)
    moment, session = time.monotonic(), host.status()["session"]["id"]
    for _ in range(2):
        wanted = install(host.program)
        host.vipd.send(SIGUSR2)
        wait_for(lambda: program_of(host.vipd.pid) == wanted, TIMEOUT, "the new program to run")
        wait_for(lambda: (host.status() or {}).get("session", {}).get("authority_ms"), 5,
                 "authority")
    t.equal(host.status()["session"]["id"], session, "session")
    time.sleep(TIMEOUT)
    lab.witness.sync()
    t.equal(lab.witness.find("del", since=moment), [], "removals")
    t.equal(host.vip_status(lab.addresses[0])["checks"][0]["state"], "up", "the check")
    t.equal(host.vipctl("pause", "--persist").returncode, 0, "exit status of pause")
    wait_for(lambda: "paused" in open(told).read(), 5, "word of the pause")
    for line in open(told).read().splitlines():
        t.check(line.split()[1:] == [str(NOBODY), "CapEff:", "0" * 16], f"a program was {line}")
    t.equal(host.vipctl("resume").returncode, 0, "exit status of resume")
    t.equal(host.vipd.end(), 0, "exit status")


@case(seconds=30)
def test_replacement_needs_the_socket_folder(t):
    """The next program could not make its socket as that user: it is not run, until it can."""
    lab = t.lab(hosts=1)
    lab.start_etcd()
    host = lab.hosts[0]
    host.program, folder = f"{host.folder}/vipd", f"{host.folder}/roots"
    install(host.program)
    os.mkdir(folder, 0o755)
    host.socket = f"{folder}/vipd.sock"
    host.start_vipd(user="nobody", state__dir=f"{host.folder}/run/vipd",
                    control__socket=host.socket)
    lab.wait_owner()
    time.sleep(1)
    moment, wanted = time.monotonic(), install(host.program)
    host.vipd.send(SIGUSR2)
    wait_for(lambda: f"not replaced: {folder}: Permission denied" in host.vipd.text(), 10, "a word")
    t.check(host.vipd.running(), "the daemon ended")
    t.check(program_of(host.vipd.pid) != wanted, "the program was replaced")
    os.chown(folder, NOBODY, NOBODY)
    host.vipd.send(SIGUSR2)
    wait_for(lambda: program_of(host.vipd.pid) == wanted, TIMEOUT, "the new program to run")
    wait_for(host.status, 3, "an answer on its socket")
    time.sleep(TIMEOUT)
    lab.witness.sync()
    t.check(not lab.witness.find("del", since=moment), "the address went")


@case(seconds=35)
def test_copied_state_dir(t):
    """Two processes with one remembered session: one has it, the other opens a new one."""
    lab = up(t, hosts=1)
    host, vip = lab.hosts[0], lab.addresses[0]
    session = host.status()["session"]["id"]
    shutil.copytree(f"{host.folder}/state", f"{host.folder}/copy")
    config = host.write_config(state__dir=f"{host.folder}/copy",
                               control__socket=f"{host.folder}/copy.sock")
    second = host.spawn([VIPD, "-c", config], "second.log")
    wait_for(lambda: "is resumed" in second.text() or "is open" in second.text(), 5,
             "a session of the second")
    wait_for(lambda: " is lost" in host.vipd.text(), 5, "the first to find itself fenced")
    taken = "is resumed" in second.text()
    t.check(taken, "the second did not take the session up")
    wait_for(lambda: (host.status() or {}).get("session", {}).get("id") not in ("", session), 5,
             "a new session of the first")
    t.check(second.running() and host.vipd.running(), "one of them ended")
    lab.wait_queue(2)
    wait_for(lambda: lab.witness.owner(vip) == host.name, TIMEOUT * 3, "the address to be there")
    t.equal(second.end(), 0, "exit status of the second")
