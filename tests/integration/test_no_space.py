"""An etcd that is out of space takes no writes for hours; somebody needs the address to mend it."""

import contextlib
import time

import gateway
from case import case
from lab import TIMEOUT
from spaces import wait_for
from test_etcd import stays, up

QUOTA = 4_000_000  # bytes
LEASE = 20.0  # s: what a session without heartbeats to be seen lives on


def fill(lab):
    """Until etcd refuses to take more."""
    block = "x" * 200_000
    for n in range(200):
        try:
            lab.hosts[0].gateway.put("/filler", block)
        except gateway.Unavailable as refusal:
            if "space exceeded" in str(refusal):
                return
            time.sleep(0.5)  # it is slow, or elects
    raise RuntimeError("etcd took everything")


def writes_keys(host):
    """None: etcd does not say."""
    with contextlib.suppress(gateway.Unavailable):
        return host.gateway.range("/vipd/writes/", timeout=1.0)
    return None


def make_room(lab, members):
    for host in members:
        with contextlib.suppress(RuntimeError):  # compacted by the one before
            lab.etcdctl(host, "compact", str(host.gateway.status()["header"]["revision"]))
        lab.etcdctl(host, "--command-timeout", "20s", "defrag")
    lab.etcdctl(members[0], "alarm", "disarm")


@case(seconds=110)
def test_etcd_takes_no_writes(t):
    lab = up(t, etcd_options=["--quota-backend-bytes", str(QUOTA)])
    vip = lab.addresses[0]
    owner = lab.wait_owner()

    moment = time.monotonic()
    fill(lab)
    wait_for(lambda: len(writes_keys(owner) or "all") < 3, 10,
             "a session to give up its writes key")
    time.sleep(2.5 * TIMEOUT)
    stays(t, lab, owner, moment, "full")

    moment = time.monotonic()
    t.equal(owner.vipctl("resign").returncode, 0, "vipctl resign")
    heir = lab.wait_owner(vip, 2 * TIMEOUT, besides=owner)
    took = (lab.witness.find("add", since=moment, vip=vip)[0]["t"] - moment) * 1e3
    t.bound_ms("handed over while full: after", took, (TIMEOUT + 1) * 1e3,
               (moment, moment + took / 1e3))

    time.sleep(TIMEOUT)
    moment = time.monotonic()
    heir.crash()
    lab.wait_owner(vip, LEASE + 2 * TIMEOUT, besides=heir)
    took = (lab.witness.find("add", since=moment, vip=vip)[0]["t"] - moment) * 1e3
    t.figure(f"host lost while full: taken over after {took:.0f} ms")

    last = lab.wait_owner()
    time.sleep(2)
    moment = time.monotonic()
    make_room(lab, lab.others(heir))
    wait_for(lambda: writes_keys(last), 10, "the writes key to be there again")
    time.sleep(TIMEOUT)
    stays(t, lab, last, moment, "space again")
