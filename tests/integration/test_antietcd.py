"""Another implementation of etcd's gateway, antietcd from npm: `make check-antietcd`. Only with
ANTIETCD=PROGRAM set. It cannot be used for an election, and vipd has to find that out by itself.

How version 1.3.1 differs from etcd, seen by asking it:
  - a header has a revision and nothing else: no cluster, no member, no term
  - a key has no create_revision (so no order in a queue), no lease and no version
  - a range does not say how many keys it has, and must end where a folder ends
  - lease ids are hexadecimal texts; an unknown lease is HTTP 400 with plain text
  - the watch is a WebSocket of its own kind; POST /v3/watch is HTTP 404 with plain text
  - there is no list of members and no /version
  - a request without Content-Type: application/json is HTTP 400
"""

import contextlib
import os
import socket
import time

from case import case
from lab import TIMEOUT
from spaces import inside, wait_for

URL = "http://127.0.0.1:3379"
SAYS = f'{URL}: missing or wrong "cluster_id"'


def start_antietcd(host):
    host.spawn(["node", os.environ["ANTIETCD"], "--ip", "127.0.0.1", "--port", "3379"],
               "antietcd.log")

    def listens():
        with inside(host.ns), contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", 3379), 1).close()
            return True
        return False
    wait_for(listens, 10, "antietcd to listen")
    return host


@case(seconds=15)
def test_antietcd_alone(t):
    lab = t.lab(hosts=1)
    host = start_antietcd(lab.hosts[0])
    host.start_vipd(etcd__endpoints=URL)
    wait_for(lambda: SAYS in host.vipd.text(), 10, "what is wrong in the log")
    time.sleep(1.5 * TIMEOUT)
    lab.witness.sync()
    t.check(not lab.witness.owner(lab.addresses[0]), "it owns the address")
    t.equal(host.vipd.end(), 0, "exit status")


@case(seconds=20)
def test_antietcd_beside_etcd(t):
    """First in the list, before etcd: said once, and it costs nothing."""
    lab = t.lab(hosts=1)
    lab.start_etcd()
    host = start_antietcd(lab.hosts[0])
    # antietcd names no cluster, and one of two endpoints is not more than half of them.
    cluster = int(host.gateway.status()["header"]["cluster_id"])
    host.start_vipd(etcd__endpoints=f"{URL}, http://127.0.0.1:2379", etcd__cluster=f"{cluster:x}")
    wait_for(lambda: SAYS in host.vipd.text(), 10, "what is wrong in the log")
    lab.wait_owner(timeout=TIMEOUT + 5)
    moment = time.monotonic()
    time.sleep(1.5 * TIMEOUT)
    lab.witness.sync()
    t.check(not lab.witness.find("del", since=moment), "the address went")
