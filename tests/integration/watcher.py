"""Drives build/witness and answers questions about what it saw.

All times are seconds of CLOCK_MONOTONIC, the clock of time.monotonic() as well.
"""

import itertools
import json
import os
import subprocess
import threading
import time

from spaces import Process, spent


# From one round of questions on the hosts' cables to the next, and between two probes of the only
# address, in us. Waking up for them is most of what a test costs: beside others, half as often.
SHARED = "SHARED" in os.environ
WIRE_US = 4000 if SHARED else 2000
PROBE_US = 2000 if SHARED else 1000


class Watcher:
    def __init__(self, program, client, link, hosts, vips, log, interval_us=None, on_event=None,
                 own=(), fenced=False):
        """hosts: [(name, namespace, mac)]; on_event is called with each event, in the reader. own:
        the hosts' own addresses; where they are known, the hosts are asked on their cables, too."""
        self.events = []
        self.fenced = fenced
        self.holders = {vip: {} for vip in vips}  # vip -> host -> number of addresses there
        self.answers = {ip: {} for ip in [*vips, *own]}  # address -> host -> kinds of questions
        self.news = threading.Condition()
        self._on_event = on_event
        self._ids = itertools.count(1)
        words = [program, "--client", f"{client}:{link}"]
        for name, ns, mac in hosts:
            words += ["--host", f"{name}:{ns}:{mac}"]
        for vip in vips:
            words += ["--vip", vip]
        interval = interval_us or max(PROBE_US * min(2, len(vips)), len(vips) * PROBE_US // 2)
        words += ["--interval", str(interval)]
        if own:
            words += ["--wire", str(WIRE_US)]
        for address in own:
            words += ["--own", address]
        self._raw = open(log, "a")
        self._process = Process(
            words, client, log + ".err", stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        threading.Thread(target=self._read, daemon=True).start()
        self.wait(lambda: self.find("ready"), 10, "the witness to be ready")

    def _read(self):
        for line in self._process.child.stdout:
            event = json.loads(line)
            self._raw.write(line.decode())
            self._raw.flush()
            with self.news:
                self._note(event)
                self.events.append(event)
                self.news.notify_all()
            if self._on_event:
                self._on_event(event)

    def _note(self, event):
        if event["ev"] == "wire":
            kinds = self.answers[event["vip"]].setdefault(event["host"], set())
            (kinds.add if event["answers"] else kinds.discard)(event["kind"])
        if event["ev"] not in ("add", "del"):
            return
        holders = self.holders[event["vip"]]
        count = holders.get(event["host"], 0) + (1 if event["ev"] == "add" else -1)
        if count > 0:
            holders[event["host"]] = count
        else:
            holders.pop(event["host"], None)

    def close(self):
        if self._process.running():
            try:
                self._process.child.stdin.close()
                self._process.child.wait(5)
            except (OSError, subprocess.TimeoutExpired):
                self._process.kill()

    def running(self):
        return self._process.running()

    # ---- waiting ---------------------------------------------------------------------------

    def wait(self, condition, timeout, what):
        """Until the condition gives something true; it is asked after each event."""
        left = timeout
        with self.news:
            while True:
                begin = time.monotonic()
                value = condition()
                if value:
                    return value
                if left <= 0:
                    raise TimeoutError(f"{what}: not within {timeout:g} s")
                if not self._process.running():
                    raise RuntimeError("the witness ended early")
                asked = min(left, 0.5)
                self.news.wait(asked)
                left -= spent(begin, asked)

    def sync(self):
        """Returns once all that the kernels did before this call has been told; how often all hosts
        were asked by then."""
        number = next(self._ids)
        os.write(self._process.child.stdin.fileno(), f"sync {number}\n".encode())
        answer = self.wait(lambda: self.find("sync", id=number), 10, "the witness to answer")
        return answer[0]["rounds"]

    # ---- questions -------------------------------------------------------------------------

    def find(self, kind, since=0.0, until=float("inf"), **wanted):
        return [
            e
            for e in list(self.events)
            if e["ev"] == kind
            and since <= e["t"] <= until
            and all(e.get(key) == value for key, value in wanted.items())
        ]

    def owner(self, vip):
        """The one host that has the address by its kernel's word, else None. Behind a packet fence
        a former owner may still have it: then the one that got it last."""
        holders = list(self.holders[vip])
        return holders[-1] if len(holders) == 1 or (holders and self.fenced) else None

    def overlaps(self):
        """Text of each moment at which two hosts had an address, with its length."""
        faults = []
        for start in self.find("overlap"):
            ends = self.find("overlap_end", since=start["t"], vip=start["vip"])
            length = f"{(ends[0]['t'] - start['t']) * 1e3:.1f} ms" if ends else "until the end"
            faults.append(f"{start['vip']} on {' and '.join(start['hosts'])} for {length}")
        return faults

    def two_answered(self):
        """Text of each stretch in which two hosts answered the same questions for an address."""
        stretches = {}  # what, who -> [[first, last], ...]
        for event in self.find("both"):
            found = stretches.setdefault((event["vip"], tuple(event["hosts"])), [])
            if found and event["t"] - found[-1][1] < 0.1:
                found[-1][1] = event["t"]
            else:
                found.append([event["t"], event["t"]])
        return [f"{vip} answered by {' and '.join(hosts)} for {(last - first) * 1e3:.0f} ms or more"
                for (vip, hosts), found in stretches.items() for first, last in found]

    def answering(self, vip):
        """The hosts that answer for the address now, when they are asked on their cables."""
        return sorted(host for host, kinds in self.answers[vip].items() if kinds)

    def first_answer(self, vip, host, since):
        """When the host was asked and answered for the first time after it had not done so."""
        return min((e["t"] for e in self.find("wire", since, vip=vip, host=host, answers=True)),
                   default=None)

    def last_answer(self, vip, host, since):
        """When the host, which does not answer now, was last asked and answered; None: it was
        silent before `since` already."""
        return max((e["t"] for e in self.find("wire", since, vip=vip, host=host, answers=False)),
                   default=None)

    def gaps(self, vip, since=0.0, until=float("inf")):
        """Gaps of the client's service that touch the window."""
        return [
            e
            for e in list(self.events)
            if e["ev"] == "gap" and e["vip"] == vip and e["to"] >= since and e["t"] <= until
        ]

    def longest_gap(self, vip, since=0.0, until=float("inf")):
        """In ms, and its window; an address that is silent now counts up to now."""
        found = [(e["ms"], e["t"], e["to"]) for e in self.gaps(vip, since, until)]
        for silent in self.find("silent", vip=vip):
            if not self.find("answers", since=silent["t"], vip=vip):
                end = min(until, time.monotonic())
                found.append(((end - silent["t"]) * 1e3, silent["t"], end))
        return max(found, default=(0.0, since, since))

    def stalled_ms(self, start, end, network=True):
        """For how much of the window some CPU of this machine (or the client) did not run, or the
        kernel's network was locked."""
        spans = sorted(
            (max(start, e["t"]), min(end, e["t"] + e["ms"] / 1e3)) for e in self.find("stall")
            if network or e["who"] != "rtnl"
        )
        total, reached = 0.0, start
        for a, b in spans:
            total += max(0.0, b - max(a, reached))
            reached = max(reached, b)
        return total * 1e3

    def longest_stall_ms(self, since):
        """Of one CPU, the client, or the kernel's network, at a stretch."""
        return max((e["ms"] for e in self.find("stall", since=since)), default=0.0)

    def stalled_share(self):
        """Of all the time so far, that in which some CPU, or the client, did not run."""
        begin, now = self.events[0]["t"], time.monotonic()
        return self.stalled_ms(begin, now, network=False) / 1e3 / (now - begin)
