"""What people and monitors see: metrics, health, the status page, the history."""

import http.client
import json
import os
import re
import socket
import subprocess
import time
from signal import SIGUSR1

from case import case
from lab import BUILD, TIMEOUT
from spaces import inside, wait_for

PORT = 9300
PROMTOOL = os.path.join(BUILD, "others/usr/bin/promtool")
SAMPLE = re.compile(r'^vipd_\w+(\{(\w+="([^"\\\n]|\\.)*",?)+\})? -?[0-9.e+]+$')


def ask(host, path, method="GET", port=PORT):
    """Over TCP, from the host itself: (status, headers, body)."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        with inside(host.ns):
            connection.sock = socket.create_connection(("127.0.0.1", port), 10)
        connection.request(method, path, body=b"{}" if method == "POST" else None)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read().decode()
    finally:
        connection.close()


def samples(text):
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
            for line in text.splitlines() if not line.startswith("#")}


def up(t):
    lab = t.lab(hosts=2, vips=1)
    lab.start_etcd()
    for host in lab.hosts:
        host.start_vipd(http__listen=f"127.0.0.1:{PORT}")
        lab.wait_queue(host.number)
    lab.wait_owner()
    time.sleep(1.5)
    return lab


def check_metrics(t, lab, host):
    status, headers, text = ask(host, "/metrics")
    t.equal((status, headers["Content-Type"]), (200, "text/plain; version=0.0.4"), "/metrics")
    for line in text.splitlines():
        t.check(line.startswith("# ") or SAMPLE.match(line), f"no sample: {line}")
    t.equal(host.vipctl("metrics").stdout.splitlines()[0], text.splitlines()[0], "vipctl metrics")
    if os.path.exists(PROMTOOL):
        done = subprocess.run([PROMTOOL, "check", "metrics"], input=text, capture_output=True,
                              text=True, timeout=20)
        t.equal((done.returncode, done.stderr), (0, ""), "promtool check metrics")
    return samples(text)


@case(seconds=12)
def test_metrics_and_page_over_http(t):
    """What http.listen serves, and that nothing can be changed there."""
    lab = up(t)
    owner = lab.wait_owner()
    other = lab.others(owner)[0]
    metrics = check_metrics(t, lab, owner)
    vip = lab.addresses[0]
    t.equal(metrics[f'vipd_owner{{vip="v1",address="{vip}"}}'], 1, "vipd_owner")
    t.equal(metrics['vipd_takeovers_total{cause="first"}'], 1, "takeovers")
    t.check(metrics['vipd_heartbeats_total{result="echoed"}'] >= 2, "no heartbeats counted")
    t.equal(metrics["vipd_heartbeat_duration_seconds_count"],
            metrics['vipd_heartbeats_total{result="echoed"}'], "heartbeats that were timed")
    t.check(0 < metrics["vipd_authority_seconds"] <= TIMEOUT, "authority")
    t.check(metrics['vipd_announcements_total{vip="v1"}'] >= 1, "announcements")
    txn = 'vipd_etcd_requests_total{endpoint="http://127.0.0.1:2379",op="txn",result="ok"}'
    t.check(metrics[txn] >= 2, f"requests: {sorted(m for m in metrics if 'requests' in m)}")

    t.equal(ask(owner, "/healthz")[::2], (200, '{"state":"running"}'), "/healthz")
    status = json.loads(ask(other, "/v1/status")[2])
    t.equal(status["vips"][0]["owner"], owner.name, "owner, as the other tells")
    t.equal([m["owner"] for m in status["moves"]], [owner.name], "its time line")
    code, headers, page = ask(owner, "/")
    t.equal((code, headers["Content-Type"]), (200, "text/html; charset=utf-8"), "/")
    nonce = re.search(r"script-src 'nonce-(\w{32})'", headers["Content-Security-Policy"]).group(1)
    t.equal(page.count(f'nonce="{nonce}"'), 2, "what the nonce allows")
    t.check(nonce not in ask(owner, "/")[2], "the nonce is not fresh")

    for path in ("/v1/pause", "/v1/resign", "/v1/reload", "/v1/events", "/v1/history", "/x"):
        for method in ("GET", "POST"):
            t.equal(ask(owner, path, method)[0], 404, f"{method} {path}")
    for method in ("POST", "PUT", "DELETE"):
        code, headers, _ = ask(owner, "/v1/status", method)
        t.equal((code, headers["Allow"]), (405, "GET, HEAD"), method)
    t.equal(lab.wait_owner().name, owner.name, "the owner afterwards")


@case(seconds=15)
def test_history_tells_why_it_moved(t):
    """On the node that lost it, on the one that took it; in the log after SIGUSR1 too."""
    lab = up(t)
    owner = lab.wait_owner()
    other = lab.others(owner)[0]
    t.equal(owner.vipctl("resign").returncode, 0, "vipctl resign")
    t.equal(lab.wait_owner(besides=owner).name, other.name, "next owner")
    wait_for(lambda: f"owner n{owner.number} -> n{other.number}" in owner.vipctl("history").stdout
             or f"-> {other.name}: " in owner.vipctl("history").stdout, 5, "the move to be shown")
    lost = owner.vipctl("history").stdout
    t.check("node: resign asked by vipctl" in lost, lost)
    t.check(re.search(r"vip v1: owner -> standby: .*heartbeat \d+ ms ago, authority \d+ ms left, "
                      r"revision \d+ at http://", lost), lost)
    took = json.loads(other.vipctl("history", "--json").stdout)["history"]
    last = [e for e in took if e["to"] == "owner"][-1]
    t.equal((last["vip"], last["owner"], last["kind"]), ("v1", other.name, "state"), "entry")
    t.check(owner.name in last["reason"] and "released" in last["reason"], last)
    t.check(last["revision"] > 0 and last["session"] and last["endpoint"], last)
    t.check(0 <= last["heartbeat_ms"] < TIMEOUT * 1e3, last)
    metrics = check_metrics(t, lab, other)
    t.equal(metrics['vipd_takeovers_total{cause="released"}'], 1, "takeovers by release")
    other.vipd.send(SIGUSR1)
    wait_for(lambda: "history: " in other.vipd.text(), 3, "the history in the log")


@case(seconds=15)
def test_monitoring_port_costs_no_address(t):
    """A port that is taken is tried again; another one at a reload; no etcd: 503."""
    lab = t.lab(hosts=1, vips=1)
    lab.start_etcd()
    host = lab.hosts[0]
    with inside(host.ns):
        taken = socket.create_server(("127.0.0.1", PORT))
    host.start_vipd(http__listen=f"127.0.0.1:{PORT}")
    lab.wait_owner()
    t.check("Address already in use; trying again" in host.vipd.text(), "not said")
    taken.close()
    wait_for(lambda: "http.listen: serving at" in host.vipd.text(), 8, "the port to be taken")
    t.equal(ask(host, "/healthz")[0], 200, "/healthz")
    host.write_config(http__listen=f"0.0.0.0:{PORT + 1}")
    t.equal(host.vipctl("reload").returncode, 0, "vipctl reload")
    t.equal(ask(host, "/healthz", port=PORT + 1)[0], 200, "/healthz at the new port")
    try:
        ask(host, "/healthz")
        t.check(False, "the old port is still served")
    except ConnectionRefusedError:
        pass
    host.etcd.stop()
    status = wait_for(lambda: (a := ask(host, "/healthz", port=PORT + 1))[0] == 503 and a, 10,
                      "503")
    t.check(json.loads(status[2])["error"], status)
    host.etcd.cont()
    wait_for(lambda: ask(host, "/healthz", port=PORT + 1)[0] == 200, 15, "200 again")
