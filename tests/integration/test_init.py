"""The daemon under what starts things, each in a root and a pid namespace of its own. Only with
OTHERS=build/others, where tools/unpack has put the init systems: `make check-init`."""

import os
import signal
import subprocess
import time

from case import case
from lab import ROOT, TIMEOUT, VIPD
from spaces import alive, wait_for

INIT = f"{ROOT}/contrib/init"
RESPAWNED = "/usr/share/vipd/respawned"
# What is there already, below what was unpacked, below what the test writes.
SETUP = """set -e
mount --make-rprivate /
mount -t tmpfs none {top}
mkdir {top}/upper {top}/work {top}/root
cp -a {others} {top}/others
mount -t overlay -o lowerdir={top}/others:/,upperdir={top}/upper,workdir={top}/work none {top}/root
cd {top}/root
mount -t proc none proc
mount -t sysfs none sys
mount -t cgroup2 none sys/fs/cgroup
mount --rbind /dev dev
mount -t tmpfs none run
mount -t tmpfs none tmp
rm -f usr/sbin/vipd usr/bin/vipctl
cp {vipd} usr/sbin/vipd
ln -s ../sbin/vipd usr/bin/vipctl
cp {config} etc/vipd.conf
{prepare}
exec chroot . {init}
"""
IDLE = "/usr/bin/busybox sh -c 'trap exit TERM; while :; do sleep 0.2; done'"


class Machine:
    def __init__(self, t, host, prepare, init, keys):
        self.t, self.host = t, host
        top = f"{host.folder}/machine"
        os.makedirs(top)
        config = host.write_config(control__socket=None, state__dir=None, **ONE_VIP, **keys)
        setup = SETUP.format(top=top, others=os.path.abspath(os.environ["OTHERS"]), vipd=VIPD,
                             config=config, prepare=prepare, init=init)
        self.process = host.spawn(["unshare", "--mount", "--pid", "--fork", "--kill-child",
                                   "--cgroup", "sh", "-c", setup], "machine.log")
        self.init = wait_for(self._first, 5, "the machine to start")
        wait_for(lambda: os.path.exists(f"/proc/{self.init}/root/etc/vipd.conf")
                 and os.readlink(f"/proc/{self.init}/root") != "/", 10, "its root")

    def _first(self):
        done = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True,
                              text=True, check=False)
        return done.stdout.strip() or None

    def run(self, command, check=True):
        path = "PATH=/usr/sbin:/usr/bin"
        done = subprocess.run(
            ["nsenter", "-t", self.init, "--mount", "--pid", "--net", "--root", "--cgroup",
             "env", "-i", path, "sh", "-c", f"cd /; {command}"],
            cwd="/", capture_output=True, text=True, timeout=40, check=False)
        self.t.note(f"{command}: {done.returncode} {done.stdout}{done.stderr}")
        self.t.check(not check or done.returncode == 0,
                     f"{command}: {done.returncode} {done.stderr.strip()}")
        return done

    def daemon(self):
        """Its pid as this side sees it, or None."""
        for pid in os.listdir("/proc"):
            if pid.isdigit() and self._is_ours(pid):
                return int(pid)
        return None

    def _is_ours(self, pid):
        try:
            with open(f"/proc/{pid}/comm") as file:
                if file.read() != "vipd\n" or not alive(int(pid)):
                    return False
            return os.readlink(f"/proc/{pid}/ns/pid") == os.readlink(f"/proc/{self.init}/ns/pid")
        except OSError:
            return False


ONE_VIP = {"vip__v2__address": None, "vip__v2__link": None}


def under(t, prepare, init, start, reload, stop, restarts=True, ready=None, keys=None):
    """Returns the machine, where the daemon has stopped."""
    keys = keys or {}
    lab = t.lab(hosts=1, vips=2)
    lab.start_etcd()
    host = lab.hosts[0]
    machine = Machine(t, host, prepare.format(init=INIT), init, keys)
    first, second = lab.addresses
    if ready:
        wait_for(lambda: machine.run(ready, check=False).returncode == 0, 30, "the init system")
    machine.run(start)
    lab.wait_owner(first, TIMEOUT + 8)

    path = host.write_config(control__socket=None, state__dir=None, **keys)
    with open(path) as source, open(f"/proc/{machine.init}/root/etc/vipd.conf", "w") as target:
        target.write(source.read())
    machine.run(reload)
    lab.wait_owner(second, TIMEOUT + 5)

    crashed = machine.daemon()
    os.kill(crashed, signal.SIGKILL)
    wait_for(lambda: not alive(crashed), 2, "the crash")
    if not restarts:
        machine.run(start)
    wait_for(lambda: machine.daemon() not in (None, crashed), 5, "a new process")
    knows = "vipctl status --json | grep -q '\"state\":\"owner\"'"
    wait_for(lambda: machine.run(knows, check=False).returncode == 0, 5, "it to know that it owns")
    t.check(lab.witness.owner(first) == host.name, "the address was lost in the crash")

    machine.run(stop)
    wait_for(lambda: lab.witness.owner(first) is None, 3, "a clean release")
    t.check(machine.daemon() is None, "still running after the stop")
    return machine


def told_once(t, machine, start, starts):
    """A faulty configuration is not started again. REQUIRES: the daemon has stopped."""
    with open(f"/proc/{machine.init}/root/etc/vipd.conf", "a") as file:
        file.write("nonsense\n")
    before = starts()
    machine.run(start, check=False)
    wait_for(lambda: starts() > before, 5, "the daemon to be started")
    time.sleep(2.5)  # runit and s6 would start it twice more in this time, systemd more often
    t.equal(starts() - before, 1, "starts with a faulty configuration")


def mended(machine, tell):
    """REQUIRES: told_once."""
    with open(f"/proc/{machine.init}/root/etc/vipd.conf", "r+") as file:
        good = file.read().removesuffix("nonsense\n")
        file.seek(0)
        file.truncate()
        file.write(good)
    machine.run(tell)
    wait_for(machine.daemon, 5, "the daemon with its configuration mended")


@case(seconds=25)
def test_init_sysv(t):
    """Everything that the script calls is busybox."""
    script = "/usr/bin/busybox env PATH=/box:/usr/sbin /box/sh /etc/init.d/vipd"
    under(t, "mkdir box; chroot . /usr/bin/busybox --install -s /box; mkdir -p etc/init.d;"
          "cp {init}/sysv/vipd etc/init.d/", IDLE,
          f"{script} start", f"{script} reload", f"{script} stop && ! {script} status",
          restarts=False)


@case(seconds=30)
def test_init_busybox(t):
    """As a line of its inittab."""
    start = f"echo '::respawn:{RESPAWNED}' >/etc/inittab; kill -HUP 1"
    machine = under(
        t, f"install -D {{init}}/respawned .{RESPAWNED}; echo >etc/inittab",
        "/usr/bin/busybox init", start, "kill -HUP $(pidof vipd)",
        "echo >/etc/inittab; kill -HUP 1; kill $(pidof vipd); while pidof vipd; do sleep 0.1; done")
    told_once(t, machine, start, lambda: machine.process.text().count("there is no '='"))
    mended(machine, "killall respawned")


@case(seconds=35)
def test_init_openrc(t):
    """A configuration that has become faulty is met after a crash."""
    machine = under(
        t, f"install -D {{init}}/respawned .{RESPAWNED};"
        "printf '#!/bin/sh\\necho \"$5\" >>/run/said\\n' >usr/bin/logger;"
        "cp {init}/openrc/vipd etc/init.d/; chmod 755 etc/init.d/vipd; touch run/said;"
        "for d in daemons exclusive failed hotplugged inactive options scheduled started starting"
        " stopping tmp wasinactive; do mkdir -p run/openrc/$d; done; touch run/openrc/softlevel",
        IDLE,
        "rc-service --nodeps vipd start", "rc-service --nodeps vipd reload",
        "rc-service --nodeps vipd stop")
    machine.run("rc-service --nodeps vipd start")
    wait_for(machine.daemon, 5, "the daemon to be started")
    told_once(t, machine, "kill -9 $(pidof vipd)",
              lambda: machine.run("cat /run/said").stdout.count("there is no '='"))
    mended(machine, "rc-service --nodeps vipd reload")


@case(seconds=25)
def test_init_runit(t):
    machine = under(
        t, "mkdir run/service; cp -r {init}/runit/vipd run/service/",
        "/usr/bin/runsvdir /run/service", "sv -w 10 check /run/service/vipd",
        "sv hup /run/service/vipd", "sv -w 15 stop /run/service/vipd",
        ready="sv status /run/service/vipd")
    told_once(t, machine, "sv up /run/service/vipd",
              lambda: machine.process.text().count("there is no '='"))


@case(seconds=25)
def test_init_s6(t):
    machine = under(
        t, "mkdir -p run/service; cp -r {init}/s6/vipd run/service/",
        "/usr/bin/s6-svscan /run/service",
        "s6-svwait -U -t 10000 /run/service/vipd", "s6-svc -h /run/service/vipd",
        "s6-svc -wD -T 15000 -d /run/service/vipd")
    told_once(t, machine, "s6-svc -u /run/service/vipd",
              lambda: machine.process.text().count("there is no '='"))


@case(seconds=30)
def test_init_systemd(t):
    """A program that still runs at the stop is not hurried."""
    script = r"#!/bin/sh\nsleep 1\necho $3 >>/run/vipd/told\n"
    machine = under(
        t, "cp {init}/systemd/vipd.service etc/systemd/system/; rm -f etc/machine-id;"
        "echo 0123456789abcdef0123456789abcdef >etc/machine-id; export container=test;"
        f"printf '{script}' >usr/bin/tell; chmod 755 usr/bin/tell",
        "/usr/lib/systemd/systemd --unit=basic.target", "systemctl start vipd",
        "systemctl reload vipd", "sleep 3; vipctl pause; sleep 0.3; systemctl stop vipd",
        ready="systemctl is-active basic.target", keys={"vip__v1__notify": "/usr/bin/tell"})
    told = machine.run("cat /run/vipd/told").stdout.split()
    t.check("paused" in told, f"the program told of {told}")

    def starts():
        shown = machine.run("systemctl show -p NRestarts -p ExecMainStatus vipd").stdout
        figures = dict(line.split("=") for line in shown.split())
        return int(figures["NRestarts"]) + (figures["ExecMainStatus"] == "2")

    told_once(t, machine, "systemctl start vipd", starts)
