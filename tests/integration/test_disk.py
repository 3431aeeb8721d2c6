"""The disk of etcd's leader stalls: etcd 3.4 then answers keepalives for ever, though the others
have elected a new leader and end its leases."""

import signal
import time

from case import Skip, case
from disk import Disk, possible
from lab import TIMEOUT
from spaces import wait_for
from test_etcd import stays

STALL_S = TIMEOUT + 4


def stalled_leader(lab, host, disk):
    """Makes the host's member the leader, and stalls it."""
    lab.move_leader(host)
    time.sleep(2)
    moment = time.monotonic()
    disk.freeze()
    return moment


@case(seconds=50)
def test_leaders_disk_stalls(t):
    """With other members to ask, nothing happens; a node that knows only the stalled one loses the
    address in time."""
    if not possible():
        raise Skip("no loop devices, or no fsfreeze")
    lab = t.lab()
    host = lab.hosts[0]
    disk = Disk(f"{host.folder}/disk")
    host.etcd_options = ["--wal-dir", f"{disk.path}/wal"]
    lab.start_etcd()
    host.start_vipd()
    lab.wait_owner()
    for other in lab.others(host):
        other.start_vipd()
    lab.wait_queue(3)

    moment = stalled_leader(lab, host, disk)
    time.sleep(STALL_S)
    if not stays(t, lab, host, moment, "other members known"):
        return
    disk.thaw()
    lab.wait_etcd()

    host.write_config(etcd__endpoints="http://127.0.0.1:2379")
    host.vipd.send(signal.SIGHUP)
    wait_for(lambda: "configuration read again" in host.vipd.text(), 5, "the one endpoint")
    vip = lab.addresses[0]
    moment = stalled_leader(lab, host, disk)
    lab.wait_owner(vip, TIMEOUT + 3, besides=host)
    gone = lab.witness.find("del", since=moment, vip=vip)[0]["t"]
    there = lab.witness.find("add", since=moment, vip=vip)[0]["t"]
    t.bound_ms("only the stalled one known: gone after", (gone - moment) * 1e3, TIMEOUT * 1e3,
               (gone - 1, gone))
    t.figure(f"elsewhere after {(there - moment) * 1e3:.0f} ms")
    time.sleep(2)
    disk.thaw()
    lab.wait_etcd()
    lab.wait_queue(3)
