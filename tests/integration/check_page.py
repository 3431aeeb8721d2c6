#!/usr/bin/env python3
"""The status page of three real daemons in Chromium: what it shows, that it follows, that what
other nodes are called stays text, that it asks for nothing but v1/status, and how it looks while
something is wrong. Pictures in build/page. (`make check-page`)"""

import json
import os
import shutil
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
import browser  # noqa: E402
import holding  # noqa: E402
import lab  # noqa: E402
import peers  # noqa: E402
import spaces  # noqa: E402

PORT = 9300
URL = f"http://127.0.0.1:{PORT}/"
HOSTILE = "<img src=http://127.0.0.9/x onerror=document.title='struck'>"
PICTURES = os.path.join(lab.BUILD, "page")


def check(condition, name, reason=""):
    print(f"page_{name}: {'PASS' if condition else f'FAIL: {reason}'}", flush=True)
    return bool(condition)


def queue_up(place, address):
    """Somebody of that name stands in the queue, last. Returns what ends that."""
    host = place.hosts[0]
    grant = place.etcdctl(host, "lease", "grant", "600").stdout.split()[1]
    value = json.dumps({"node": HOSTILE, "priority": 100})
    place.etcdctl(host, "put", f"--lease={grant}", f"/vipd/vip/{address}/{grant}", value)
    return lambda: place.etcdctl(host, "lease", "revoke", grant)


def pictures(page, name):
    """On a phone and on a large screen, light and dark; nothing is wider than the screen."""
    good = True
    for width in (400, 1400):
        for dark in (False, True):
            page.look(f"{PICTURES}/{name}-{width}{'-dark' if dark else ''}.png", width, dark=dark)
        wide = page.value("document.documentElement.scrollWidth")
        good &= check(wide <= width, f"{name}_fits_{width}", f"{wide} pixels")
    return good


def show(page, status):
    """The page gets this status from now on, instead of the daemon's."""
    text = json.dumps(status)
    page.value(f"window.fetch = async () => ({{ok: true, json: async () => ({text})}})")
    page.value("look()")
    page.wait(0.5)


def others(page, status):
    """What a laboratory shows only after minutes, made from a real status."""
    vip = status["vips"][0]
    moves = [move for move in status["moves"] if move["vip"] == vip["name"]]
    show(page, {**status, "vips": [vip], "moves": moves[-1:]})
    good = pictures(page, "one")

    status["vips"] = [{**vip, "name": f"v{n}", "address": f"10.9.{n // 250}.{n % 250 + 1}"}
                      for n in range(1000)]
    began = time.monotonic()
    show(page, status)
    page.wait_text("1000 of 1000 owned", 20)
    print(f"page_thousand: drawn after {time.monotonic() - began:.1f} s", flush=True)
    good &= pictures(page, "thousand")

    status["vips"] = [vip]
    good &= fenceless(page, json.loads(json.dumps(status)))
    good &= differ(page, json.loads(json.dumps(status)))
    return good & mismatch(page, status)


def fenceless(page, status):
    """What the core says of a link where another program comes first."""
    reason = "bypassed on eth0 by another filter"
    status["fence"].update(in_force=False, reason=reason)
    status["peer_lease"].update(state="none", left_ms=0, reason=reason, grantors=[],
                                would_hold=False, no_hold_because="there is no peer lease")
    show(page, status)
    text = page.text()
    good = check("none (" + reason + ")" in text and text.count(reason) == 1, "shows_no_fence",
                 text)
    return good & pictures(page, "fenceless")


def differ(page, status):
    """Names as long as they get, and what the core says of another node."""
    words = "n2 has a session.timeout of 6.0 s, this node of 5.0 s; give all nodes the same"
    good = check("Warning" not in page.text(), "hides_no_difference", page.text())
    status["nodes_differ"] = words
    long = "-".join(["router"] * 9)
    vip = status["vips"][0]
    checks = [{**vip["checks"][0], "name": f"{long}-{n}"} for n in range(3)]
    queue = [{**vip["queue"][0], "node": f"{long}-{n}.example.org"} for n in range(7)]
    status["vips"].append({**vip, "name": long, "checks": checks, "queue": queue})
    show(page, status)
    good &= check(page.text().count(f"Warning: {words}") == 1, "shows_nodes_that_differ",
                  page.text())
    return good & pictures(page, "differ")


def mismatch(page, status):
    """A member that was made anew, alone."""
    status["etcd"]["endpoints"][1].update(mismatch=True, cluster_id="7a2e51c09d3b8f46",
                                          members="n2")
    show(page, status)
    text = page.text()
    good = check("two clusters" in text and
                 "belongs to cluster 7a2e51c09d3b8f46 (members: n2), and is not used" in text,
                 "shows_mismatch", text)
    return good & pictures(page, "mismatch")


def holds_on(place, page):
    """Without etcd the node of the page keeps all VIPs."""
    first = place.hosts[0]
    for name, vip in place.vips.items():
        owner = place.wait_owner(vip)
        if owner is not first:
            owner.vipctl("transfer", name, first.name)
            place.wait_owner(vip, besides=owner)
    peers.settle(place)
    holding.wait_mark(place)
    holding.kill_etcd(place)
    page.wait_text("holds without etcd", 30)
    text = page.text()
    good = check("not connected" in text and "this node keeps v1, v2, v3" in text and
                 "3 of 3 owned" in text, "shows_holding", text)
    good &= pictures(page, "holding")
    holding.start_etcd_again(place)
    page.wait_text("renewed by", 30)
    return good


def run(place, page):
    vips = list(place.vips.values())
    owner = place.wait_owner(vips[0])
    leave = queue_up(place, vips[0])
    page.open(URL)
    page.wait_text("3 of 3 owned", 60)
    page.wait_text("onerror", 10)
    text = page.text()
    good = check(all(v in text for v in vips), "shows_every_address", text)
    good &= check("1 of 2 up\ndown: gone" in text, "shows_what_is_down", text)
    good &= check(all(f"{h.name}\n" in text for h in place.hosts), "shows_every_node", text)
    good &= check(page.value("document.images.length") == 0 and
                  page.value("document.title") == "n1 \u00b7 vipd", "keeps_names_text",
                  page.value("document.title"))
    good &= check("renewed by" in text and "packet fence: " in text and "cluster " in text,
                  "shows_lease_fence_and_cluster", text)
    good &= pictures(page, "three")

    owner.vipctl("resign", "v1")
    following = place.wait_owner(vips[0], besides=owner)
    page.wait_text("released it", 10)
    first = "document.querySelector('.vip:not(.head) .node').textContent"
    deadline = time.monotonic() + 10
    while page.value(first) != following.name and time.monotonic() < deadline:
        page.wait(0.2)
    good &= check(page.value(first) == following.name, "follows", page.value(first))
    page.look(f"{PICTURES}/moved.png")

    good &= check(not page.complaints, "has_no_complaints", page.complaints)
    place.hosts[0].vipd.stop()
    page.wait_text("The daemon does not answer", 20)
    page.look(f"{PICTURES}/lost.png")
    place.hosts[0].vipd.cont()
    page.wait(5)
    good &= check(page.value("document.getElementById('lost').hidden"), "comes_back")
    asked = set(page.requests) - {URL, URL + "v1/status"}
    good &= check(page.requests.count(URL + "v1/status") > 3 and
                  all(url.startswith("data:") for url in asked), "asks_nobody_else", asked)
    leave()
    good &= holds_on(place, page)
    asked = spaces.run("ip", "netns", "exec", place.hosts[0].ns, "curl", "-s", URL + "v1/status")
    return good & others(page, json.loads(asked.stdout))


def main():
    spaces.sweep()
    shutil.rmtree(PICTURES, ignore_errors=True)
    os.makedirs(f"{PICTURES}/profile")
    settings = {"http.listen": f"127.0.0.1:{PORT}", "check.there.file": "/bin",
                "check.gone.file": "/nowhere",  # nobody minds the second
                "peer.hold": "yes"}
    settings.update({f"vip.v{number}.checks": "there" for number in range(1, 4)})
    logs = os.path.join(lab.BUILD, "test-logs", "check_page")
    with lab.Lab(vips=3, logs=logs, settings=settings) as place:
        place.start_etcd()
        for host in place.hosts:
            host.start_vipd()
            place.wait_queue(host.number, timeout=30)
        place.wait_all_owned(60)
        page = browser.Browser(f"{PICTURES}/profile", place.hosts[0].ns)
        try:
            good = run(place, page)
        finally:
            page.close()
            shutil.rmtree(f"{PICTURES}/profile", ignore_errors=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
