#!/usr/bin/env python3
"""What thousands of VIPs cost, beside a VIP that has no part in what happens to the others:
bench_scale.py [--only WORD] [VIPS...]. Two hosts, an etcd member each. Prints a row for each
situation: the longest turn of either daemon (of the processor's time in brackets) and what took it,
the longest gap of the VIP beside, how long it took until all was done, the processor's time that
both used, and the resident memory of the owner. Then the same work of keepalived beside it, where
it has the same and OTHERS (build/others) has it."""

import json
import os
import shutil
import signal
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
import bench_keepalived  # noqa: E402
import kernel  # noqa: E402
import lab  # noqa: E402
import spaces  # noqa: E402
from turns import Turns  # noqa: E402

WEB = "127.0.0.1:9300"
CLIENTS = 60
SPAN = 4.0       # s, of what has no end of its own
FLUSHED = "10.78.0.0/16"
LINKS = 300
CHECKS = 255     # and "flag": as many as there can be
OTHERS = os.path.abspath(os.environ.get("OTHERS", os.path.join(lab.BUILD, "others")))
KEEPALIVED = f"{OTHERS}/usr/sbin/keepalived"


class Bench:
    def __init__(self, place, vips):
        self.place, self.vips = place, vips
        self.beside = place.vips["v1"]
        self.owner, self.other = place.hosts[0], place.hosts[-1]
        self.span = SPAN
        # For each call the kernel looks through all addresses of a link: to renew 10,000 takes it
        # longer than the lifetimes that a timeout of 5 s allows for.
        self.timeout = "15s" if vips > 4000 else "5s"
        self.settings = {}

    def flag(self, host):
        return f"{host.folder}/flag"

    def on_links_of_their_own(self, host):
        lines = []
        for n, name in enumerate(list(self.place.vips)[1:]):
            lines += [f"link add d{n} group 7 type veth peer name e{n}", f"link set d{n} up",
                      f"link set e{n} up"]
            self.settings[f"vip__{name}__link"] = f"d{n}"
        spaces.ip_batch(lines, ns=host.ns)

    def with_checks_of_their_own(self, host):
        """Each VIP but the first has one, and its file."""
        for name in list(self.place.vips)[1:]:
            self.settings[f"check__{name}__file"] = f"{host.folder}/flag-{name}"
            self.settings[f"check__{name}__interval"] = "500ms"
            self.settings[f"vip__{name}__checks"] = name
            open(f"{host.folder}/flag-{name}", "w").close()

    def start(self, host):
        open(self.flag(host), "w").close()
        host.start_vipd(log__level="info", http__listen=WEB, vip__v1__checks="none",
                        session__timeout=self.timeout, **self.settings,
                        check__flag__file=self.flag(host), check__flag__interval="500ms")

    def count(self, host):
        """Addresses of VIPs on the host's link, without a word to the daemon."""
        text = spaces.run("ip", "-n", host.ns, "-o", "addr", "show").stdout
        return text.count(" deprecated ")

    def wait_count(self, host, wanted):
        timeout = 30 + self.vips / 100
        spaces.wait_for(lambda: self.count(host) == wanted, timeout,
                        f"{wanted} addresses on {host}", step=0.1)

    def swap(self):
        self.owner, self.other = self.other, self.owner

    def queued(self):
        self.place.wait_queue(2, list(self.place.vips.values())[-1], timeout=60)
        time.sleep(2.0)

    # ---- situations: each ends when all is done ----------------------------------------------

    def start_with_empty_etcd(self):
        self.start(self.owner)
        self.wait_count(self.owner, self.vips)

    def second_node_starts(self):
        self.start(self.other)
        self.queued()

    def idle(self):
        time.sleep(self.span)

    def status(self):
        for words in (["status"], ["status", "--json"], ["history"]):
            self.owner.vipctl(*words, timeout=30)

    def clients(self, path, reads=True):
        with spaces.inside(self.owner.ns):
            socks = [socket.create_connection(WEB.split(":")) for _ in range(CLIENTS)]
        until = time.monotonic() + self.span

        def poll(sock):
            sock.settimeout(2 * self.span if reads else 1)
            while time.monotonic() < until:
                try:
                    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                    left = None
                    while reads and (left is None or left > 0):
                        data = sock.recv(1 << 20)
                        if not data:
                            return
                        if left is None:
                            head, _, body = data.partition(b"\r\n\r\n")
                            length = head.lower().partition(b"content-length: ")[2]
                            left = int(length.split(b"\r\n")[0]) - len(body)
                        else:
                            left -= len(data)
                except TimeoutError:
                    if reads:
                        return
                except OSError:
                    return
                if not reads:
                    time.sleep(0.2)

        threads = [threading.Thread(target=poll, args=(s,)) for s in socks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for sock in socks:
            sock.close()

    def clients_of_the_page(self):
        self.clients("/")

    def clients_of_metrics(self):
        self.clients("/metrics")

    def clients_of_status(self):
        self.clients("/v1/status")

    def clients_that_never_read(self):
        self.clients("/v1/status", reads=False)

    def check_goes_down(self):
        os.unlink(self.flag(self.owner))
        self.wait_count(self.other, self.vips - 1)

    def check_comes_up(self):
        for host in self.place.hosts:
            open(self.flag(host), "w").close()
        self.queued()

    def check_comes_and_goes(self):
        """On the only host."""
        os.unlink(self.flag(self.owner))
        self.wait_count(self.owner, 1)
        open(self.flag(self.owner), "w").close()
        self.wait_count(self.owner, self.vips)

    @staticmethod
    def ask_to_resign(host, names):
        for n in range(0, len(names), 2000):  # a request has 64 KiB at most
            done = host.vipctl("resign", *names[n:n + 2000], timeout=30)
            if done.returncode != 0:
                raise RuntimeError(done.stderr)

    def resign(self):
        self.ask_to_resign(self.owner, list(self.place.vips)[1:])
        spaces.wait_for(lambda: self.count(self.other) >= self.vips - 1, 30 + self.vips / 100,
                        f"the other host to own all that {self.owner} resigned", step=0.1)
        self.queued()

    def transfer(self):
        """Each is a request of its own, and a step of the core: so of 1,000 at most."""
        names = list(self.place.vips)[1:1001]
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(self.owner.socket)
        for name in names:
            body = json.dumps({"vip": name, "node": self.other.name})
            sock.sendall(f"POST /v1/transfer HTTP/1.1\r\nHost: x\r\n"
                         f"Content-Length: {len(body)}\r\n\r\n{body}".encode())
            answer = sock.recv(1 << 16)
            if b" 200 " not in answer:
                raise RuntimeError(answer.decode())
        sock.close()
        spaces.wait_for(lambda: self.count(self.other) >= len(names), 30 + self.vips / 100,
                        f"{self.other} to own all that was transferred", step=0.1)
        self.queued()
        self.ask_to_resign(self.other, names)
        self.wait_count(self.owner, self.vips)
        self.queued()

    def resign_with_listeners(self):
        """Half of them never read."""
        ask = b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n"
        socks = []
        for _ in range(CLIENTS):
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(self.owner.socket)
            sock.sendall(ask)
            socks.append(sock)

        def read(sock):
            try:
                while sock.recv(1 << 16):
                    pass
            except OSError:
                pass

        readers = [threading.Thread(target=read, args=(s,), daemon=True) for s in socks[::2]]
        for reader in readers:
            reader.start()
        try:
            self.resign()
        finally:
            for sock in socks:
                sock.close()

    def links_vanish(self):
        spaces.ip("link", "del", "group", "7", ns=self.owner.ns)
        self.wait_count(self.owner, 1)
        time.sleep(1)

    def own_checks_fail_and_come_back(self):
        flags = [f"{self.owner.folder}/flag-{name}" for name in list(self.place.vips)[1:]]
        for flag in flags:
            os.unlink(flag)
        self.wait_count(self.owner, 1)
        for flag in flags:
            open(flag, "w").close()
        self.wait_count(self.owner, self.vips)

    def flush(self):
        spaces.ip("addr", "flush", "dev", lab.LINK, "to", FLUSHED, ns=self.owner.ns)
        time.sleep(0.5)
        self.wait_count(self.owner, self.vips)

    def link_flaps(self):
        for state in ("down", "up"):
            spaces.ip("link", "set", lab.LINK, state, ns=self.owner.ns)
            time.sleep(0.3)
        self.wait_count(self.owner, self.vips)
        time.sleep(1)

    def reload(self):
        with open(f"{self.owner.folder}/vipd.conf", "a") as file:
            file.write("announce.count = 4\n")
        self.owner.vipd.send(signal.SIGHUP)
        time.sleep(2)

    def faulty_file(self):
        path = f"{self.owner.folder}/vipd.conf"
        with open(path) as file:
            good = file.read()
        with open(path, "w") as file:
            file.writelines(f"vip.v{n}.faulty_key_{n} = some value\n" for n in range(20_000))
        self.owner.vipd.send(signal.SIGHUP)
        time.sleep(2)
        with open(path, "w") as file:
            file.write(good)

    def restart(self):
        self.owner.vipd.kill()
        self.start(self.owner)
        time.sleep(3)
        self.wait_count(self.owner, self.vips)

    def replace(self):
        self.owner.vipd.send(signal.SIGUSR2)
        time.sleep(3)
        self.wait_count(self.owner, self.vips)

    def owner_dies(self):
        self.owner.vipd.kill()
        self.wait_count(self.other, self.vips)
        self.swap()

    def dead_comes_back(self):
        self.wait_count(self.other, 0)
        spaces.wait_for(lambda: not self.other.vipd.running(), 30, f"{self.other}'s vipd to end")
        self.start(self.other)
        self.queued()

    def sigterm(self):
        self.owner.vipd.send(signal.SIGTERM)
        self.wait_count(self.other, self.vips)
        self.swap()

    SITUATIONS = (start_with_empty_etcd, second_node_starts, idle, status, clients_of_the_page,
                  clients_of_metrics, clients_of_status, clients_that_never_read, flush, link_flaps,
                  reload, faulty_file, restart, replace, check_goes_down, check_comes_up,
                  resign, transfer, resign_with_listeners, sigterm, dead_comes_back, owner_dies)
    NEEDED = ("start_with_empty_etcd", "second_node_starts")

    # ---- measuring ---------------------------------------------------------------------------

    def cpu(self):
        return {h.vipd.pid: kernel.cpu_seconds(h.vipd.pid) for h in self.place.hosts
                if h.vipd and h.vipd.running()}

    def find_owner(self):
        """What went before may have cost the owner everything."""
        if self.other.vipd and self.count(self.other) > self.count(self.owner):
            self.swap()

    def measure(self, situation):
        self.find_owner()
        if situation is Bench.owner_dies:
            # A standby waits for whoever may have been the owner before it was started.
            time.sleep(float(self.timeout.rstrip("s")) + 1)
        turns = [Turns(host) for host in self.place.hosts]
        before, start = self.cpu(), time.monotonic()
        fault = ""
        try:
            situation(self)
        except (TimeoutError, RuntimeError) as why:
            fault = f" FAILED: {why}"
        took = time.monotonic() - start
        after = self.cpu()
        used = sum(after[pid] - before.get(pid, 0.0) for pid in after)
        self.place.witness.sync()
        gap = self.place.witness.longest_gap(self.beside, since=start)[0]
        longest = max((t.longest() for t in turns), key=lambda t: t.ms)
        rss = kernel.rss_mb(self.owner.vipd.pid) if self.owner.vipd.running() else 0
        print(f"| {self.vips:,} | {situation.__name__.replace('_', ' ')} | {longest} | "
              f"{gap:.0f} ms | {took:.1f} s | {used:.2f} s | {rss:.1f} MB |{fault}", flush=True)
        return {"what": situation.__name__, "took": took, "gap": gap, "used": used}


def laboratory(vips, hosts, logs):
    shutil.rmtree(logs, ignore_errors=True)
    place = lab.Lab(vips=vips, hosts=hosts, logs=logs)
    place.addresses = place.addresses[:1]  # the witness asks each of them every millisecond
    return place


def bench_of_one_host(name, count, prepare, situation):
    logs = os.path.join(lab.BUILD, "test-logs", f"bench_scale_{name}")
    with laboratory(count, 1, logs) as place:
        place.start_etcd()
        this = Bench(place, count)
        prepare(this, place.hosts[0])
        this.measure(Bench.start_with_empty_etcd)
        this.measure(situation)


def beside(vips, ours):
    """Rows of both, for what keepalived does as well."""
    logs = os.path.join(lab.BUILD, "test-logs", f"bench_scale_keepalived_{vips}")
    rows = []
    with laboratory(vips, 2, logs) as place:
        other = bench_keepalived.Keepalived(place, KEEPALIVED)
        for situation in bench_keepalived.Keepalived.SITUATIONS:
            if situation.__name__ not in ours:
                continue
            name, mine = situation.__name__.replace("_", " "), ours[situation.__name__]
            try:
                theirs = other.measure(situation)
            except TimeoutError as why:
                rows.append(f"| {vips:,} | {name} | {mine['took']:.1f} s | FAILED: {why} |")
                break
            rows.append(f"| {vips:,} | {name} | "
                        f"{mine['took']:.1f} s | {theirs['took']:.1f} s | {mine['gap']:.0f} ms | "
                        f"{theirs['gap']:.0f} ms | {mine['used']:.2f} s | {theirs['used']:.2f} s | "
                        f"{theirs['pause']:.1f} s |")
    return rows


def bench(vips, only):
    logs = os.path.join(lab.BUILD, "test-logs", f"bench_scale_{vips}")
    with laboratory(vips, 2, logs) as place:
        place.start_etcd()
        this = Bench(place, vips)
        wanted = [s for s in Bench.SITUATIONS
                  if not only or s.__name__ in Bench.NEEDED or only in s.__name__]
        return {s.__name__: this.measure(s) for s in wanted}


def main():
    if os.geteuid() != 0:
        sys.exit("bench_scale: needs root, for network namespaces (sudo)")
    words = sys.argv[1:]
    only = words.pop(1) if words[:1] == ["--only"] else ""
    words = [word for word in words if word != "--only"]
    print("| VIPs | what happens | longest turn | gap of another VIP | done after | processor | "
          "resident |\n|---|---|---|---|---|---|---|")
    spaces.sweep()
    counts = [int(word) for word in words] or [100, 1000, 10_000]
    ours = {vips: bench(vips, only) for vips in counts}
    if not only or only in "links_vanish":
        bench_of_one_host("links", LINKS + 1, Bench.on_links_of_their_own, Bench.links_vanish)
    if not only or only in "own_checks":
        bench_of_one_host("checks", CHECKS + 1, Bench.with_checks_of_their_own,
                          Bench.own_checks_fail_and_come_back)
    if not os.path.exists(KEEPALIVED):
        return print(f"bench_scale: there is no {KEEPALIVED} (tools/unpack keepalived)")
    print("\n| VIPs | what happens | done after: vipd | keepalived | gap of another VIP: vipd | "
          "keepalived | processor: vipd | keepalived | its adverts paused |\n"
          "|---|---|---|---|---|---|---|---|---|")
    for vips in counts:
        for row in beside(vips, ours[vips]):
            print(row, flush=True)


if __name__ == "__main__":
    main()
