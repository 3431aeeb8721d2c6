"""Connections to a VIP that a host translates for its containers: what becomes of them when the
address moves."""

import contextlib
import signal
import socket
import threading
import time

from case import case
from spaces import inside, ip, ip_batch, run, wait_for

VIP = "10.77.0.101"
LOCAL, PUBLISHED = 7000, 7001  # served by the host, and by a container of it
# As container engines publish a port: while the address is one of the host's. The host is no router
# of its own network: the witness would take another's answer for its.
RULES = f"""
table ip nat {{
  chain in {{
    type nat hook prerouting priority dstnat
    fib daddr type local tcp dport {PUBLISHED} dnat to 172.20.0.2:{LOCAL}
  }}
  chain out {{
    type nat hook postrouting priority srcnat
    oifname "eth0" masquerade
  }}
  chain between {{
    type filter hook forward priority 0
    iifname "eth0" oifname "eth0" drop
  }}
}}
"""


def in_space(ns, *words, stdin=None):
    return run("nsenter", f"--net=/run/netns/{ns}", "--", *words, stdin=stdin)


def container(lab, host, number):
    """Another namespace behind the host, which is its router."""
    ns, link = f"{lab.label}-{host.name}c{number}", f"c{number}"
    ip("netns", "add", ns)
    ip_batch([f"link add {link} type veth peer name eth0 netns {ns}", f"link set {link} up",
              f"addr add 172.20.{number}.1/24 dev {link}"], ns=host.ns)
    ip_batch(["link set lo up", "link set eth0 up", f"addr add 172.20.{number}.2/24 dev eth0",
              f"route add default via 172.20.{number}.1"], ns=ns)
    return ns


def serve(ns, word):
    """Answers whatever comes with that word."""
    with inside(ns):
        listener = socket.create_server(("0.0.0.0", LOCAL), backlog=64)

    def answer(peer):
        with contextlib.suppress(OSError):
            while peer.recv(16):
                peer.send(word)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                peer = listener.accept()[0]
                threading.Thread(target=answer, args=(peer,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener


class Client(threading.Thread):
    """Asks each 20 ms who serves it, connects anew when its connection breaks, and notes when who
    serves it is another."""

    def __init__(self, ns, port):
        super().__init__(daemon=True)
        self.ns, self.port, self.served, self.changed = ns, port, b"", None
        self.start()

    def connect(self):
        with inside(self.ns):
            fd = socket.socket()
        fd.settimeout(0.2)
        fd.connect((VIP, self.port))
        return fd

    def ask(self, fd):
        fd.send(b"x")
        word = fd.recv(16)
        if not word:
            raise ConnectionResetError
        if self.served not in (b"", word):
            self.changed = time.monotonic()
        self.served = word

    def run(self):
        fd = None
        while self.changed is None:
            try:
                fd = fd or self.connect()
                self.ask(fd)
            except TimeoutError:
                pass
            except OSError:
                fd = None
            time.sleep(0.02)


@case(seconds=25)
def test_connections_behind_nat_go_with_the_address(t):
    """Clients of the host itself, of a container's published port, and in a container beside it."""
    lab = t.lab(vips=[VIP], hosts=2)
    lab.start_etcd()
    servers = []
    for host in lab.hosts:
        in_space(host.ns, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        in_space(host.ns, "nft", "-f", "-", stdin=RULES)
        servers += [serve(host.ns, host.name.encode()),
                    serve(container(lab, host, 0), host.name.encode())]
    n1, n2 = lab.hosts
    inner = container(lab, n1, 1)
    n1.start_vipd()
    lab.wait_owner()
    n2.start_vipd()
    lab.wait_queue(2)
    clients = {"of the host": Client(lab.lan, LOCAL), "behind DNAT": Client(lab.lan, PUBLISHED),
               "in a container, behind DNAT": Client(inner, PUBLISHED)}
    wait_for(lambda: all(c.served == b"n1" for c in clients.values()), 5, "n1 to serve all")
    moment = time.monotonic()
    n1.vipd.send(signal.SIGTERM)  # it ends once they are forgotten
    wait_for(lambda: all(c.changed for c in clients.values()), 8, "n2 to serve all")
    for what, client in clients.items():
        t.figure(f"{what}: served by n2 after {(client.changed - moment) * 1e3:.0f} ms")
        t.equal(client.served, b"n2", what)
    wait_for(lambda: "tracked connections to 1 addresses forgotten" in n1.vipd.text(), 3,
             "it to be said")
    for server in servers:
        server.close()
