"""etcd moves to other addresses, and its names with it."""

import json
import os
import time

from case import case
from lab import LINK, VIPD
from spaces import ip, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
BACK_MS = 3000  # after the member's return
FRESH_MS = 3500  # more than any heartbeat from before the move gives


class Names:
    """A name server of the host's own, which its vipd asks."""

    def __init__(self, host):
        self.file, self.host = f"{host.folder}/names.json", host
        self.set({})
        self.process = host.spawn(["python3", f"{HERE}/nameserver.py", self.file], "names.log")
        wait_for(lambda: "ready" in self.process.text(), 5, "the name server")
        resolv = f"{host.folder}/resolv.conf"
        with open(resolv, "w") as file:
            file.write("nameserver 127.0.0.1\n")
        host.program = f"{host.folder}/vipd"
        with open(host.program, "w") as file:
            file.write("#!/bin/sh\nexec unshare -m sh -c 'mount --bind " + resolv +
                       f" /etc/resolv.conf && exec {VIPD} \"$@\"' vipd \"$@\"\n")
        os.chmod(host.program, 0o755)

    def set(self, table):
        with open(self.file + ".new", "w") as file:
            json.dump(table, file)
        os.rename(self.file + ".new", self.file)

    def questions(self):
        return len(self.process.text().splitlines()) - 1


def address(host, place):
    return f"10.77.0.{place + host.number}"


def settle(host, place, before=None):
    """The address by which clients reach its member; where it was before nobody answers."""
    if before:
        ip("addr", "del", f"{address(host, before)}/24", "dev", LINK, ns=host.ns)
    ip("addr", "add", f"{address(host, place)}/24", "dev", LINK, ns=host.ns)
    urls = f"http://{host.address}:2379,http://{address(host, place)}:2379"
    host.etcd_options = ["--listen-client-urls", urls]


def moves(t, lab, members):
    """All members are gone for 2 s, and back at other addresses."""
    host = lab.hosts[0]
    names = Names(host)
    for member in members:
        settle(member, 50)
    table = {f"e{m.number}.example": [address(m, 50)] for m in members}
    names.set(table)
    lab.start_etcd()
    host.start_vipd(etcd__endpoints=", ".join(f"http://{name}:2379" for name in table))
    lab.wait_owner()
    time.sleep(1)
    asked = names.questions()
    for member in members:
        member.etcd.kill()
        settle(member, 60, before=50)
    time.sleep(2)
    names.set({f"e{m.number}.example": [address(m, 60)] for m in members})
    lab.start_etcd()
    back = time.monotonic()
    wait_for(lambda: host.status()["session"]["authority_ms"] > FRESH_MS, 20, "a heartbeat")
    found = time.monotonic()
    lab.wait_owner()
    owned = time.monotonic()
    t.bound_ms("back after", (found - back) * 1e3, BACK_MS, (back, found))
    t.bound_ms("owner after", (owned - back) * 1e3, BACK_MS, (back, owned))
    t.figure(f"{names.questions() - asked} questions to the name server")
    time.sleep(3)
    asked = names.questions()
    time.sleep(5)
    t.equal(names.questions(), asked, "questions once all is well")


@case(seconds=40)
def test_a_name_moves(t):
    lab = t.lab(hosts=1)
    moves(t, lab, lab.hosts)


@case(seconds=40)
def test_three_names_move_at_once(t):
    lab = t.lab()
    moves(t, lab, lab.hosts)
