#!/usr/bin/env python3
"""The status page of three real daemons in Chromium: what it shows, that it follows, that what
other nodes are called stays text, and that it asks for nothing but v1/status. Pictures in
build/page. (`make check-page`)"""

import json
import os
import shutil
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
import browser  # noqa: E402
import lab  # noqa: E402
import spaces  # noqa: E402

PORT = 9300
URL = f"http://127.0.0.1:{PORT}/"
HOSTILE = "<img src=http://127.0.0.9/x onerror=document.title='struck'>"
PICTURES = os.path.join(lab.BUILD, "page")


def check(condition, name, reason=""):
    print(f"page_{name}: {'PASS' if condition else f'FAIL: {reason}'}", flush=True)
    return bool(condition)


def queue_up(place, address):
    """Somebody of that name stands in the queue, last."""
    host = place.hosts[0]
    grant = place.etcdctl(host, "lease", "grant", "600").stdout.split()[1]
    value = json.dumps({"node": HOSTILE, "priority": 100})
    place.etcdctl(host, "put", f"--lease={grant}", f"/vipd/vip/{address}/{grant}", value)


def run(place, page):
    vips = list(place.vips.values())
    owner = place.wait_owner(vips[0])
    queue_up(place, vips[0])
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
    for name, options in (("light", {}), ("dark", {"dark": True}), ("narrow", {"width": 420})):
        page.look(f"{PICTURES}/{name}.png", **options)

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
    return good


def main():
    spaces.sweep()
    shutil.rmtree(PICTURES, ignore_errors=True)
    os.makedirs(f"{PICTURES}/profile")
    settings = {"http.listen": f"127.0.0.1:{PORT}", "check.there.file": "/bin",
                "check.gone.file": "/nowhere"}  # nobody minds the second
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
