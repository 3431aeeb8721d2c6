"""Foreign candidates: `etcdctl elect` in the same queue, as etcd's election recipe has it."""

import os
import time
from signal import SIGINT

from case import case
from lab import ETCDCTL, TIMEOUT

ENV = dict(os.environ, ETCDCTL_API="3")


def elect(lab, host, vip):
    words = [ETCDCTL, "elect", f"/vipd/vip/{vip}", "foreign"]
    return host.spawn(words, "elect.log", env=ENV)


def elected(candidate):
    return "foreign" in candidate.text()


@case(seconds=30)
def test_foreign_candidate_waits_for_vipd(t):
    lab = t.lab(hosts=1)
    vip, host = lab.addresses[0], lab.hosts[0]
    lab.start_etcd()
    lab.start_vipd()
    lab.wait_owner()
    candidate = elect(lab, host, vip)
    lab.wait_queue(2)
    time.sleep(TIMEOUT + 1)
    t.check(not elected(candidate), "elected while vipd owns")
    t.equal(host.vipd.end(), 0, "exit status of vipd")
    lab.witness.wait(lambda: elected(candidate), 10, "etcdctl elect to win")
    t.check(lab.witness.owner(vip) is None, "elected before the address was gone")
    host.start_vipd()
    lab.wait_queue(2)
    time.sleep(TIMEOUT + 3)
    t.check(lab.witness.owner(vip) is None, "took the address from a foreign head")
    moment = time.monotonic()
    candidate.end(SIGINT)
    lab.wait_owner(vip, TIMEOUT + 3)
    added = lab.witness.find("add", since=moment)[0]["t"]
    t.figure(f"owner {added - moment:.1f} s after the foreign head resigned")
    t.check(added - moment >= TIMEOUT - 0.05, "did not wait out its own timeout")


@case(seconds=30)
def test_observer_sees_the_owner(t):
    """`etcdctl elect --listen` names the owner, also after a hand-over."""
    lab = t.lab()
    vip = lab.addresses[0]
    lab.start_etcd()
    lab.start_vipd()
    owner = lab.wait_owner()
    lab.wait_queue(3)
    words = [ETCDCTL, "elect", "--listen", f"/vipd/vip/{vip}"]
    observer = lab.hosts[0].spawn(words, "observer.log", env=ENV)
    lab.witness.wait(lambda: f'"{owner.name}"' in observer.text(), 5, f"{owner} to be named")
    time.sleep(1)
    owner.vipctl("resign")
    new = lab.wait_owner(vip, 5, besides=owner)
    lab.witness.wait(lambda: f'"{new.name}"' in observer.text(), 5, f"{new} to be named")
    observer.end()
