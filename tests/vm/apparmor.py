"""Two machines whose daemons run under the profile of contrib/apparmor, in enforce mode. What it
denies is in the kernel's log; nothing that the daemon does may be there."""

import os
import time

from lab import BUILD, CLIENT, ROOT
from spaces import wait_for
from vmlab import API, VmLab

OTHERS = f"{BUILD}/others"
SHARED = "/bin/vipd"  # the one that is linked with shared libraries
SCRIPT = "/etc/init.d/S90vipd"
SETTLED_S = 2.0
CHECKS = {"script": "exec = /etc/vipd/check", "page": "http = http://127.0.0.1:8080/",
          "serve": "file = /etc/passwd", "uplink": "link = eth0", "asked": f"arp = {CLIENT}"}
SETTINGS = ["user = vip", "http.listen = 127.0.0.1:8080", "vip.v1.notify = /etc/vipd/notify",
            f"vip.v1.checks = {', '.join(CHECKS)}", "check.script.fall = 1",
            *[f"check.{name}.{what}" for name, what in CHECKS.items()],
            *[f"check.{name}.timeout = 4s" for name in CHECKS if name not in ("serve", "uplink")]]


def written(logs, name, text, mode=0o644):
    path = os.path.join(logs, name)
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, mode)
    return path


def machines(logs):
    local = written(logs, "local", "/etc/vipd/{check,notify} ix,\n/bin/busybox mrix,\n"
                    "/dev/null rw,\n")
    libraries = f"{OTHERS}/usr/lib/x86_64-linux-gnu"
    files = {"/etc/apparmor.d": f"{OTHERS}/etc/apparmor.d",
             "/usr/lib/x86_64-linux-gnu/libapparmor.so.1": f"{libraries}/libapparmor.so.1",
             "/etc/apparmor.d/vipd": f"{ROOT}/contrib/apparmor/vipd",
             "/etc/apparmor.d/local/vipd": local,
             "/etc/vipd/check": written(logs, "check", "#!/bin/sh\ntest ! -e /run/vipd/bad\n",
                                        0o755),
             "/etc/vipd/notify": written(logs, "notify", "#!/bin/sh\necho $* >>/run/vipd/told\n",
                                         0o755),
             "/etc/members": written(logs, "members", "1\n"),
             "/etc/passwd": written(logs, "passwd", "root:x:0:0::/:/bin/sh\nvip:x:812:812::/:\n"),
             "/etc/group": written(logs, "group", "root:x:0:\nvip:x:812:\n")}
    tools = [f"{OTHERS}/usr/sbin/apparmor_parser", f"{OTHERS}/usr/bin/aa-exec", f"{BUILD}/vipd"]
    return VmLab(logs, {API: ("eth0", None)}, boot="apparmor=1 security=apparmor", tools=tools,
                 settings=SETTINGS, files=files, size=2)


def denied(one):
    return one.run("dmesg | grep 'apparmor=\"DENIED\"'", check=False)


def nothing_denied(t):
    for one in t.vms.machines:
        t.equal(denied(one), "", f"denied on {one}")


def confinement(one):
    """Of the daemon and its helper."""
    labels = one.run("for pid in $(pidof vipd); do cat /proc/$pid/attr/current; done")
    return labels.splitlines()


def said(one, command, words):
    """Does it, and waits until the daemon's log has words that it had not before."""
    count = f"grep -c '{words}' /run/messages"
    before = one.run(count, check=False)
    one.run(command)
    wait_for(lambda: one.run(count, check=False) != before, 60, f"'{words}' on {one}", step=0.2)


def test_profile_denies(t):
    """The instrument: a file that no rule names can be read without the profile alone, and what is
    refused is in the log. vipctl has no profile."""
    one = t.vms.machines[0]
    one.run("cp /etc/vipd.conf /data/vipd.conf; chmod 644 /data/vipd.conf")
    free = one.run("/usr/sbin/vipd -n -c /data/vipd.conf -o node.name=n1")
    t.check("OK" in free, f"without the profile: {free}")
    confined = one.run("/etc/confined -n -c /data/vipd.conf -o node.name=n1", check=False)
    t.check("Permission denied" in confined, f"under the profile: {confined}")
    t.check('name="/data/vipd.conf"' in denied(one), f"in the log: {denied(one)}")
    one.run("dmesg -c >/dev/null; vipctl status >/data/status")
    t.check("node n1" in one.run("cat /data/status"), "vipctl cannot write to a file")
    nothing_denied(t)


def works(t):
    """What a daemon does in its life: two elections, each by another cause, a reload, a new
    program, a crash; and whoever asks it is answered."""
    for one in t.vms.machines:
        t.equal(confinement(one), ["vipd (enforce)"] * 2, f"confinement on {one}")
    owner = t.vms.wait_owner(timeout=90)
    time.sleep(SETTLED_S)
    for one in t.vms.machines:
        said(one, "kill -HUP $(cat /run/vipd.pid)", "configuration read again")
        said(one, "kill -USR2 $(cat /run/vipd.pid)", "running /usr/sbin/vipd")
    wait_for(t.vms.is_settled, 150, "everybody in the queue again", step=1)
    t.equal(t.vms.owner(), owner, "owner after reload and upgrade")
    t.check("vipd_owner" in owner.run("wget -qO- http://127.0.0.1:8080/metrics"), "no metrics")
    owner.run("touch /run/vipd/bad")
    second = t.vms.wait_owner(besides=owner, timeout=90)
    owner.run("rm /run/vipd/bad")
    wait_for(t.vms.is_settled, 150, "everybody in the queue again", step=1)
    second.run("vipctl resign")
    third = t.vms.wait_owner(besides=second, timeout=90)
    third.run("pid=$(cat /run/vipd.pid); kill -9 $pid; while kill -0 $pid; do sleep 0.1; done; "
              f"{SCRIPT} start", timeout=60)
    wait_for(t.vms.is_settled, 150, "everybody in the queue again", step=1)
    wait_for(lambda: "owner" in owner.run("cat /run/vipd/told", check=False), 10, "notifications")
    for one in t.vms.machines:
        t.equal(confinement(one), ["vipd (enforce)"] * 2, f"confinement on {one}, later")
    nothing_denied(t)


def test_static_daemon(t):
    works(t)


def test_shared_libraries(t):
    """As a distribution links it."""
    for one in t.vms.machines:
        one.run(f"{SCRIPT} stop; mount --bind {SHARED} /usr/sbin/vipd; {SCRIPT} start", timeout=60)
    wait_for(t.vms.is_settled, 150, "all in the queue again", step=1)
    works(t)
    for one in t.vms.machines:
        one.run(f"{SCRIPT} stop; umount /usr/sbin/vipd; {SCRIPT} start", timeout=60)
