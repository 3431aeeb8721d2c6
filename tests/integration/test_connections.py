"""What the clients of a VIP notice when it moves: TCP connections, new ones and old."""

import contextlib
import socket
import threading
import time

from case import case
from lab import SUBNET6
from spaces import inside, ip, wait_for

VIP, VIP6, KEPT = "10.77.0.101", f"{SUBNET6}501", "10.77.0.102"
PORT = 7000


def serve(host):
    """Accepts for both protocols and says nothing; returns how to end it."""
    with inside(host.ns):
        listener = socket.create_server(("::", PORT), family=socket.AF_INET6,
                                        dualstack_ipv6=True, backlog=64)
    held = []

    def accept():
        with contextlib.suppress(OSError):
            while True:
                held.append(listener.accept()[0])

    threading.Thread(target=accept, daemon=True).start()
    return lambda: [s.close() for s in (listener, *held)]


class Client(threading.Thread):
    """Notes when its connection breaks; a busy one sends each 10 ms, an idle one only waits."""

    def __init__(self, ns, vip, busy):
        super().__init__(daemon=True)
        with inside(ns):
            self.socket = socket.create_connection((vip, PORT), 2)
        self.busy, self.broken = busy, None
        self.socket.settimeout(0.01 if busy else None)
        self.start()

    def run(self):
        try:
            while True:
                if self.busy:
                    self.socket.send(b"x")
                with contextlib.suppress(TimeoutError):
                    if not self.socket.recv(1):
                        return
        except OSError:
            self.broken = time.monotonic()


@case(seconds=25)
def test_connections_are_reset_on_release(t):
    """Both families, busy and idle; without kill_connections a busy one learns of it by its next
    retransmission, an idle one never. Then the source address that the owner's host would use."""
    more = "fd77::502"  # may be a source
    lab = t.lab(vips=[VIP, VIP6, KEPT, more], hosts=2,
                settings={"vip.v3.kill_connections": "no", "vip.v4.source": "yes"})
    lab.start_etcd()
    n1, n2 = lab.hosts
    n1.start_vipd()
    for vip in lab.addresses:
        lab.wait_queue(1, vip)
    n2.start_vipd()
    lab.wait_all_owned()
    lab.wait_queue(2)
    time.sleep(1)
    stop = [serve(host) for host in lab.hosts]
    clients = {(vip, busy): Client(lab.lan, vip, busy)
               for vip in (VIP, VIP6, KEPT) for busy in (True, False)}
    time.sleep(0.3)
    n1.vipctl("resign")
    idle = clients.pop((KEPT, False))
    for (vip, busy), client in clients.items():
        kind = f"{vip}, {'busy' if busy else 'idle'}"
        wait_for(lambda: client.broken, 5, f"{kind}: a reset")
        gone = lab.witness.find("del", vip=vip, host=n1.name)[0]["t"]
        late = (client.broken - gone) * 1e3
        if vip == KEPT:
            t.figure(f"{kind}: {late:.0f} ms after the address went")
        else:
            t.bound_speed(f"{kind}: after the address went", late, 100, (gone, client.broken))
    time.sleep(0.3)
    t.check(idle.broken is None, f"{KEPT}, idle: reset although it should not be")
    for end in stop:
        end()

    lab.wait_owner(more, 5, besides=n1)
    for to, sources in (("fd77::500", {more}), ("fd77::100", {n2.address6, more}),
                        ("10.77.0.103", {n2.address})):
        words = ip("route", "get", to, ns=n2.ns).stdout.split()
        t.check(words[words.index("src") + 1] in sources, f"to {to}: {' '.join(words)}")
