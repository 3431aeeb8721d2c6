"""Hand-overs by `etcdctl elect` and a scripted `ip addr`, measured on a laboratory's hosts."""

import os
import time
from signal import SIGTERM

from lab import LINK
from spaces import wait_for

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "elect.py")


class Baseline:
    """Three candidates for one address that no vipd knows."""

    def __init__(self, lab, vip, election="/baseline/vip"):
        self.lab, self.vip, self.election = lab, vip, election
        self.candidates = {}
        for host in lab.hosts:
            self.queue_up(host)
            # One after the other, so that the order of the queue is known.
            self._wait_queue()

    def _wait_queue(self):
        key, api = self.election + "/", self.lab.hosts[0].gateway
        wait_for(lambda: len(api.range(key)) == len(self.candidates), 20, "a place in the queue")

    def queue_up(self, host):
        words = ["python3", SCRIPT, "127.0.0.1:2379", self.election, host.name, self.vip, LINK]
        self.candidates[host.name] = host.spawn(words, f"{host.name}.elect.log")

    def hand_over(self):
        """One graceful hand-over; the client's longest gap in ms."""
        witness = self.lab.witness
        owner = self.lab.wait_owner(self.vip, 10)
        witness.wait(lambda: witness.find("answers", vip=self.vip, host=owner.name), 5, "answers")
        time.sleep(0.5)
        start = time.monotonic()
        self.candidates[owner.name].send(SIGTERM)
        self.lab.wait_owner(self.vip, 10, besides=owner)
        time.sleep(0.5)
        gap, *_ = witness.longest_gap(self.vip, since=start)
        self.candidates[owner.name].end()
        self.queue_up(owner)
        self._wait_queue()
        return gap

    def end(self):
        for candidate in self.candidates.values():
            candidate.end()
