"""What an owner that holds on lets go of at once, though nobody can take it before etcd is back
(make check-hold)."""

import os
import signal
import time

import holding
from case import case
from spaces import wait_for

SAID = "nobody can take it while etcd is away"
AT_ONCE_MS = 500
CARRIER_MS = 1500  # a link that is back within a second counts as never gone


def flagged(host):
    """All have one check, which looks for a file."""
    flag = host.lab.settings["check.app.file"] = f"{host.lab.folder}/app"
    with open(flag, "w"):
        return flag


def lets_go(t, lab, owner, number, why, act, limit=AT_ONCE_MS):
    """The owner removes the address, and says why and that nobody can take it."""
    vip = lab.addresses[number - 1]
    t.equal(lab.witness.answering(vip), [owner.name], f"who answers for {vip}")
    moment = time.monotonic()
    act()
    gone = lab.witness.wait(
        lambda: lab.witness.find("del", since=moment, vip=vip, host=owner.name), 5,
        f"{owner} to remove {vip}")[0]["t"]
    t.bound_ms(f"{why}: removed after", (gone - moment) * 1e3, limit, (moment, gone))

    def is_said():
        lines = owner.vipd.text().splitlines()
        return any(line.endswith(f"{why}; {SAID}") and f" v{number}: owner -> " in line
                   for line in lines)
    wait_for(is_said, 3, f"v{number}: {why}; {SAID}")
    lab.witness.wait(lambda: lab.witness.answering(vip) == [], 3, f"nobody to answer for {vip}")


@case(seconds=50)
def test_hold_released_by_people_and_checks(t):
    lab = holding.up(t, vips=4, prepare=flagged, **{
        "check.app.interval": "100ms", "check.app.rise": "1", "check.app.fall": "1",
        **{f"vip.v{n}.checks": "none" for n in (1, 3, 4)}})
    first, *_, last = lab.addresses
    owner = lab.wait_owner(first)
    holding.kill_etcd(lab)
    holding.wait_hold(owner)
    lets_go(t, lab, owner, 1, "resigned", lambda: owner.vipctl("resign", first))
    lets_go(t, lab, owner, 2, f"check app is down: {lab.folder}/app: No such file or directory",
            lambda: os.unlink(f"{lab.folder}/app"))
    t.check(holding.holds(owner), f"{owner} keeps the others")
    lets_go(t, lab, owner, 4, "paused by vipctl", lambda: owner.vipctl("pause"))
    wait_for(lambda: not holding.holds(owner), 3, f"{owner} to hold nothing any more")
    flagged(owner)
    holding.silent(t, lab, last)
    holding.start_etcd_again(lab)
    for vip in lab.addresses:
        new = lab.wait_owner(vip, timeout=30)
        t.check(new is not owner, f"{vip} is still {owner}'s")


@case(seconds=80)
def test_hold_released_by_links_and_stops(t):
    lab = holding.up(t)
    vip = lab.addresses[0]
    owner = lab.wait_owner(vip)
    holding.kill_etcd(lab)
    holding.wait_hold(owner)
    lets_go(t, lab, owner, 1, "link eth0 is down", owner.unplug, CARRIER_MS)
    holding.silent(t, lab, vip)
    holding.start_etcd_again(lab)
    new = lab.wait_owner(vip, timeout=30, besides=owner)
    owner.plug()
    lab.wait_etcd()
    holding.ready(lab)
    holding.kill_etcd(lab)
    holding.wait_hold(new)
    lets_go(t, lab, new, 1, "the daemon is stopping", lambda: new.vipd.send(signal.SIGTERM))
    t.equal(new.vipd.end(), 0, "exit status")
    holding.silent(t, lab, vip)
    holding.start_etcd_again(lab)
    lab.wait_owner(vip, timeout=30, besides=new)
