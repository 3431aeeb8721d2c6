"""A program that must succeed before the address is set."""

import os
import time

from case import case
from lab import TIMEOUT
from spaces import wait_for
from test_checks import program, wait_state, write

# Notes each run and its end; says whether the address was there before; fails or hangs as asked.
SCRIPT = """
cd {folder}
echo $$ > running
ip -o address show to "$2" | grep -q . && echo early >> runs
echo "begin $1 $2 $VIPD_NODE" >> runs
[ ! -e fails ] || {{ echo asking; echo "no quota"; exit 3; }}
[ ! -e hangs ] || {{ sleep 77 & wait; }}
sleep 0.2
echo end >> runs
"""


def runs(host):
    try:
        with open(f"{host.folder}/runs") as file:
            return file.read().splitlines()
    except FileNotFoundError:
        return []


def running(host):
    """Whether its last program lives; a zombie does not."""
    try:
        with open(f"{host.folder}/running") as file, \
                open(f"/proc/{int(file.read())}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ValueError, ProcessLookupError):
        return False


@case(seconds=20)
def test_acquire_comes_before_the_address(t):
    """It succeeds, then the address is set; it fails: the next node's turn, with its last line as
    the reason; it hangs: it is ended when this node is to let go, and when its authority ends,
    though the daemon stands still."""
    lab = t.lab(hosts=2)
    lab.start_etcd()
    vip = lab.addresses[0]
    for host in lab.hosts:
        script = program(host, "acquire", SCRIPT.format(folder=host.folder))
        host.start_vipd(vip__v1__acquire=script)
    owner = lab.wait_owner()
    other = lab.others(owner)[0]
    lab.wait_queue(2)
    t.equal(runs(owner), [f"begin v1 {vip} {owner.name}", "end"], "the owner's runs")
    t.equal(runs(other), [], "the standby's runs")

    write(f"{other.folder}/fails", "")
    owner.vipctl("resign")
    reason = wait_for(lambda: (text := other.vip_status(vip)["reason"]) and
                      "acquire failed" in text and text, 10, "its failure")
    t.check(reason.startswith("acquire failed: exit status 3: no quota; next try in"), reason)
    t.equal(lab.wait_owner(), owner, "the next node")

    os.unlink(f"{other.folder}/fails")
    write(f"{other.folder}/hangs", "")
    wait_state(other, vip, "standby")
    owner.vipctl("pause")
    wait_for(lambda: running(other), 10, "its program to run")
    wait_state(other, vip, "waiting")
    t.equal(other.vip_status(vip)["reason"], "its acquire program is running", "reason")
    time.sleep(1)
    owner.vipctl("resume")
    wait_for(lambda: len(owner.vip_status(vip)["queue"]) == 2, 10, "both to be queued")
    t.check(running(other), "its program has not gone on")
    other.vipctl("resign")
    t.equal(lab.wait_owner(), owner, "the one behind it")
    t.check(not running(other), "its program has outlived its place in the queue")

    wait_for(lambda: len(owner.vip_status(vip)["queue"]) == 2, 10, "both to be queued")
    owner.vipctl("resign")
    wait_for(lambda: running(other), 10, "its program to run")
    other.vipd.stop()
    wait_for(lambda: not running(other), TIMEOUT + 5, "its program to end with its authority")
    t.equal(lab.wait_owner(), owner, "the one behind it")
    t.equal([h for h in lab.hosts if "early" in runs(h)], [], "hosts that had the address before")
    other.vipd.cont()
    wait_state(other, vip, "standby")

    before = runs(owner)
    owner.vipd.kill()
    owner.start_vipd(vip__v1__acquire=f"{owner.folder}/acquire")
    wait_state(owner, vip, "owner")
    t.equal(runs(owner), before, "runs after a restart that found the address on the link")
    wait_for(lambda: len(owner.vip_status(vip)["queue"]) == 2, 10, "both to be queued")
    owner.vipctl("resign")
    wait_for(lambda: running(other), 10, "its program to run")
    t.equal(other.vipd.end(), 0, "exit status when it is told to stop")
    t.check(not running(other), "its program has outlived the daemon")
    t.equal(lab.wait_owner(), owner, "the one behind it")
