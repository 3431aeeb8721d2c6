"""keepalived with thousands of addresses on the hosts of a laboratory: how long each situation
takes that vipd has as well, and for how long its adverts are silent meanwhile. One instance has an
address alone, as the VIP beside the others; a second one has all others."""

import signal
import socket
import threading
import time

import keepalived
import kernel
import lab
import spaces

VRRP, GROUP = 112, "224.0.0.18"
ADVERT_S = 1
SILENT = 9  # s: what falls silent for good is no pause


class Adverts:
    """When the LAN sees adverts of the instance that has one address alone."""

    def __init__(self, place):
        with spaces.inside(place.lan):
            self.sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, VRRP)
        member = socket.inet_aton(GROUP) + socket.inet_aton(lab.CLIENT)
        self.sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        self.times = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        while True:
            packet = self.sock.recv(2048)
            header = 4 * (packet[0] & 15)
            if packet[header + 1] == 51:  # the virtual router
                self.times.append(time.monotonic())

    def longest_pause(self, since):
        """Between two of them, in s; those that end there are no pause."""
        times = [t for t in self.times if t >= since - 2 * ADVERT_S]
        pauses = [b - a for a, b in zip(times, times[1:])]
        return max((p for p in pauses if p < SILENT), default=0.0)


class Keepalived:
    def __init__(self, place, program):
        self.place, self.program = place, program
        self.owner, self.other = place.hosts[0], place.hosts[-1]
        self.addresses = list(place.vips.values())
        self.running = {}
        self.adverts = Adverts(place)

    # ---- of a host -----------------------------------------------------------------------------

    def start(self, host):
        beside, *many = self.addresses
        self.running[host] = keepalived.start(
            host, self.program, keepalived.instance("beside", 51, host, ADVERT_S, [beside]),
            keepalived.instance("many", 52, host, ADVERT_S, many))

    def pids(self, host):
        return keepalived.pids(self.running.get(host))

    def kill(self, host):
        keepalived.send(self.running[host], signal.SIGKILL)

    @staticmethod
    def count(host):
        shown = spaces.run("ip", "-n", host.ns, "-4", "-o", "addr", "show", "dev", lab.LINK)
        return shown.stdout.count("/32 ")

    def wait_all(self, host):
        spaces.wait_for(lambda: self.count(host) == len(self.addresses),
                        30 + len(self.addresses) / 100, f"all addresses on {host}", step=0.1)

    def swap(self):
        self.owner, self.other = self.other, self.owner

    # ---- situations, as those of vipd are called -----------------------------------------------

    def start_with_empty_etcd(self):
        self.start(self.owner)
        self.wait_all(self.owner)

    def second_node_starts(self):
        self.start(self.other)
        time.sleep(2)

    def idle(self):
        time.sleep(4)

    def sigterm(self):
        self.running[self.owner].send(signal.SIGTERM)
        self.wait_all(self.other)
        self.swap()

    def dead_comes_back(self):
        spaces.wait_for(lambda: not self.pids(self.other), 60, "the former owner to end")
        self.start(self.other)
        time.sleep(2)

    def owner_dies(self):
        self.kill(self.owner)
        self.wait_all(self.other)

    SITUATIONS = (start_with_empty_etcd, second_node_starts, idle, sigterm, dead_comes_back,
                  owner_dies)

    def measure(self, situation):
        """Figures as bench_scale's: pause of the adverts, gap of the address alone, time, CPU."""
        def used():
            return {pid: kernel.cpu_seconds(pid) for h in self.place.hosts for pid in self.pids(h)}
        before, start = used(), time.monotonic()
        situation(self)
        took = time.monotonic() - start
        after = used()
        time.sleep(2 * ADVERT_S)  # a pause ends with the next one
        self.place.witness.sync()
        return {"what": situation.__name__, "took": took,
                "pause": self.adverts.longest_pause(start),
                "gap": self.place.witness.longest_gap(self.addresses[0], since=start)[0],
                "used": sum(after[pid] - before.get(pid, 0.0) for pid in after)}
