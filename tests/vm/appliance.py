"""Three machines with nothing but a kernel, busybox, the static vipd, etcd and the SysV script. The
root is read-only; /run is in memory, /data is etcd's disk."""

import re
import time

from spaces import wait_for
from vmcase import NEXT_OWNER_NO_LEADER_MS
from vmlab import API, VmLab

SCRIPT = "/etc/init.d/S90vipd"
SETTLED_S = 2.0  # a new owner has beaten since


# Emulated processors take longer to start a daemon than a peer lease of a second has.
LONGER = "-o session.timeout=20s -o peer.timeout=5s"


def machines(logs):
    return VmLab(logs, {API: ("eth0", None)})


def restart_all(t, meanwhile):
    for one in t.vms.machines:
        one.run(f"{SCRIPT} stop; {meanwhile}; {SCRIPT} start", timeout=40)
    wait_for(t.vms.is_settled, 60, "all in the queue again", step=0.5)


def with_longer_leases(t):
    """For a case that starts the daemon again within its peer lease, where that takes so long."""
    if t.vms.how != "KVM":
        restart_all(t, "{ cat /etc/default/vipd; echo 'OPTIONS=\"$OPTIONS " + LONGER + "\"'; } "
                    ">/data/default; mount --bind /data/default /etc/default/vipd")


def with_usual_leases(t):
    if t.vms.how != "KVM":
        restart_all(t, "umount /etc/default/vipd")


def test_boot(t):
    """All three at once, from power-on; an empty etcd has nothing to say about former owners."""
    for one in t.vms.machines:
        one.kill()
    start = time.monotonic()
    t.vms.boot_all()
    for one in t.vms.machines:
        t.row("boot to ready: power-on to the end of the init scripts", (one.ready - start) * 1e3)
    t.vms.wait_owner()
    first = t.vms.asker.first(API, start)
    t.row("boot to served: power-on of all three to the first answer", (first.t - start) * 1e3)
    t.figure(f"first answer {first.t - start:.1f} s after power-on")
    writable = t.vms.machines[0].run("touch /x /etc/x /usr/x 2>&1 | grep -c Read-only")
    t.equal(writable, "3", "folders that cannot be written")


def test_poweroff(t):
    for number in (1, 2):
        time.sleep(SETTLED_S)
        owner = t.vms.wait_owner()
        moment = owner.poweroff()
        t.row("poweroff of the owner: gap", t.handed_over(f"poweroff {number}", owner, moment))
        t.vms.settle()


def test_power_loss(t):
    for number in (1, 2, 3):
        time.sleep(SETTLED_S)
        owner = t.vms.wait_owner()
        moment = owner.kill()
        _, took = t.next_owner(f"power loss {number}: next owner after", owner, moment,
                               NEXT_OWNER_NO_LEADER_MS)
        t.row("power loss of the owner: next owner", took)
        t.vms.settle()


def test_crash(t):
    """The daemon alone is killed; the script starts it again."""
    with_longer_leases(t)
    owner = t.vms.wait_owner()
    time.sleep(SETTLED_S)
    since = time.monotonic()
    owner.run(f"kill -9 $(cat /run/vipd.pid); sleep 0.5; {SCRIPT} start")
    t.row("daemon killed and started again: gap", t.stays(owner, 8, "afterwards", since=since))
    with_usual_leases(t)


def upgrade(one):
    """Another binary over the one that runs: only its version differs."""
    old = one.run("vipctl version").split()[-1]
    new = f"{old[:-1]}9"
    one.run(f"sed 's/{re.escape(old)}/{new}/g' /usr/sbin/vipd >/data/vipd && chmod 755 /data/vipd")
    one.run("mount --bind /data/vipd /usr/sbin/vipd")
    one.run("kill -USR2 $(cat /run/vipd.pid)")
    wait_for(lambda: f"vipd {new}" in one.run("vipctl version", check=False), 10,
             f"the new binary on {one}")


def test_rolling_upgrade(t):
    with_longer_leases(t)
    owner = t.vms.wait_owner()
    time.sleep(SETTLED_S)
    since = time.monotonic()
    for one in t.vms.machines:
        upgrade(one)
    took = t.stays(owner, time.monotonic() - since + 8, "after the upgrade", since=since)
    t.row("upgrade of the binary on all three: gap", took)
    with_usual_leases(t)


def test_full_run(t):
    with_longer_leases(t)
    for one in t.vms.machines:
        one.run("dd if=/dev/zero of=/run/fill bs=4k 2>/dev/null; "
                "test $(df /run | awk 'END { print $4 }') = 0")
    owner = t.vms.wait_owner()
    t.stays(owner, 8, "with a full /run")
    t.check(owner.vip(API)["state"] == "owner", "no status with a full /run")
    moment = time.monotonic()
    owner.run("vipctl resign")
    t.handed_over("handed over", owner, moment)
    new = t.vms.wait_owner(besides=owner)
    since = time.monotonic()
    new.run(f"kill -9 $(cat /run/vipd.pid); {SCRIPT} start")
    t.stays(new, 8, "after a crash", since=since)
    for one in t.vms.machines:
        one.run("rm /run/fill")
    with_usual_leases(t)


def test_clock_set_back(t):
    """By a year: on the owner, then everywhere."""
    owner = t.vms.wait_owner()
    year = "date -s @$(($(date +%s) - 31536000))"
    since = time.monotonic()
    owner.run(year)
    t.stays(owner, 7, "with its clock a year behind", since=since)
    for one in t.vms.others(owner):
        one.run(year)
    t.stays(owner, 7, "with all clocks a year behind")
    moment = owner.kill()
    t.next_owner("power loss then: next owner after", owner, moment, NEXT_OWNER_NO_LEADER_MS)


def limit_memory(one):
    group = "/sys/fs/cgroup/vipd"
    one.run(f"{SCRIPT} stop; echo +memory >/sys/fs/cgroup/cgroup.subtree_control; mkdir {group}; "
            f"echo 8M >{group}/memory.max; "
            f"sh -c 'echo $$ >{group}/cgroup.procs; exec {SCRIPT} start'")
    one.run(f"grep -qx $(cat /run/vipd.pid) {group}/cgroup.procs")


def test_little_memory(t):
    """8 MB for the daemon, its share of the kernel and its binary's pages included."""
    for one in t.vms.machines:
        limit_memory(one)
    wait_for(t.vms.is_settled, 60, "all in the queue again", step=0.5)
    owner = t.vms.wait_owner()
    t.stays(owner, 8, "in 8 MB")
    moment = time.monotonic()
    owner.run(f"{SCRIPT} stop")
    t.handed_over("handed over", owner, moment)
    for one in t.vms.machines:
        events = one.run("cat /sys/fs/cgroup/vipd/memory.events")
        t.check("oom_kill 0" in events, f"{one}: {events}")
    peak = int(owner.run("cat /sys/fs/cgroup/vipd/memory.peak"))
    t.figure(f"the owner used {peak / 1e6:.1f} MB at most")
    owner.run(f"{SCRIPT} start")


def test_without_proc(t):
    with_longer_leases(t)
    for one in t.vms.machines:
        one.run(f"{SCRIPT} stop; umount -l /proc; {SCRIPT} start")
    wait_for(t.vms.is_settled, 60, "all in the queue again", step=0.5)
    owner = t.vms.wait_owner()
    t.stays(owner, 6, "without /proc")
    since = time.monotonic()
    owner.run(f"kill -9 $(cat /run/vipd.pid); {SCRIPT} start")
    t.stays(owner, 6, "after a crash without /proc", since=since)
    moment = time.monotonic()
    owner.run(f"{SCRIPT} stop")
    t.handed_over("handed over", owner, moment)
    moment = t.vms.wait_owner().kill()
    t.vms.power_cycle()
