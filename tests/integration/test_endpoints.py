"""The ways to reach a member, and which one is taken."""

import os
import time

from case import case
from spaces import wait_for


def endpoint(host):
    return (host.status() or {"etcd": {}})["etcd"].get("endpoint")


@case(seconds=35)
def test_endpoints(t):
    """A Unix socket, IPv6, a name with two addresses beside one that does not resolve; a member
    that is discovered when the only one is gone, and left again when that is well."""
    lab = t.lab(etcd_listen=["unix://localhost:1", "http://[::1]:2379"])
    first, second, third = lab.hosts
    lab.start_etcd()
    # One of two is not more than half of them.
    cluster = int(first.gateway.status()["header"]["cluster_id"])
    first.start_vipd(etcd__endpoints="http://nowhere.invalid, http://localhost",
                     etcd__discover="yes", etcd__cluster=f"{cluster:x}")
    lab.wait_owner()
    second.start_vipd(etcd__endpoints=f"unix:{second.folder}/localhost:1")
    third.start_vipd(etcd__endpoints="http://[::1]:2379")
    lab.wait_queue(3)
    t.equal(endpoint(second), f"unix:{second.folder}/localhost:1", "endpoint of the second")
    t.equal(endpoint(third), "http://[::1]:2379", "endpoint of the third")
    lines = [line for line in first.vipd.text().splitlines()
             if " warn " in line and "nowhere.invalid" in line]
    t.equal(len(lines), 1, "lines about a name that does not resolve")

    moment = time.monotonic()
    first.etcd.kill()
    wait_for(lambda: endpoint(first) in ("http://10.77.0.2:2379", "http://10.77.0.3:2379"), 5,
             "another member to be taken", step=0.1)
    time.sleep(3)
    os.unlink(f"{first.folder}/localhost:1")  # 3.4 does not clear away its own
    first.start_etcd()
    lab.wait_etcd()
    back = time.monotonic()
    wait_for(lambda: endpoint(first) == "http://localhost:2379", 20,
             "the preferred member to be taken again", step=0.1)
    t.figure(f"preferred again after {time.monotonic() - back:.1f} s")
    time.sleep(2)
    lab.witness.sync()
    t.equal(lab.witness.owner(lab.addresses[0]), first.name, "owner")
    t.check(not lab.witness.find("del", since=moment), "the address went")
    t.bound_gap("gap", 100, lab.addresses[0], moment)
