"""Ports of etcd that are not its JSON gateway: each is named, with what to change, in the log once
and in the status; and the gateway on a port of its own, with TLS 1.3 alone."""

import json
import time

from case import Skip, case
from certs import Authority
from lab import ETCD
from spaces import run, wait_for

HERE = "127.0.0.1"
GRPC_ALONE = "this port serves only gRPC; etcd's JSON gateway is on the port of its " \
    "--listen-client-http-urls"
METRICS = "this is etcd's metrics port, or an etcd grpc-proxy; neither has the JSON gateway"


def version():
    return run(ETCD, "--version").stdout.split()[2]


def needs_3_5():
    if version().startswith("3.4."):
        raise Skip("etcd 3.4 does not have its options")


def start(host, *options, scheme="http", name="etcd"):
    """One member, whose gateway nobody waits for."""
    client, peer = f"{scheme}://{HERE}:2379", f"http://{HERE}:2380"
    words = ["--data-dir", name, "--listen-client-urls", client, "--advertise-client-urls", client,
             "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
             "--initial-cluster", f"default={peer}", *options]
    return spawn(host, name, *words)


def spawn(host, name, *words):
    return host.spawn(["env", "-C", host.folder, ETCD, *words], f"{name}.log")


def last_error(host):
    return ((host.status() or {}).get("etcd", {})).get("last_error", {})


def named(t, host, endpoint, text, **more):
    """vipd says of the endpoint what it is."""
    daemon = host.start_vipd(etcd__endpoints=endpoint, **more)
    wait_for(lambda: text in last_error(host).get("text", ""), 8, f"'{text}' in the status")
    wait_for(lambda: text in daemon.text(), 2, f"'{text}' in the log")
    error = last_error(host)
    t.equal((error["endpoint"], error["matters"]), (endpoint, True), "endpoint of the error")
    t.check(f"\netcd: {endpoint}: {error['text']}\n" in host.vipctl("status").stdout,
            "vipctl status does not say so")
    wait_for(lambda: daemon.text().count("request failed") > 5, 8, "further failures")
    warnings = [line for line in daemon.text().splitlines() if " warn  etcd: " in line]
    lines = [line for line in warnings if text in line]
    t.equal(len(lines), 1, f"warnings about '{text}'")
    daemon.end()


@case(seconds=40)
def test_ports_without_the_gateway(t):
    lab = t.lab(hosts=1)
    host = lab.hosts[0]
    etcd = start(host, "--listen-metrics-urls", f"http://{HERE}:2381")
    named(t, host, f"http://{HERE}:2380", "this is etcd's peer port: use its client port")
    named(t, host, f"http://{HERE}:2381", METRICS)
    proxy = spawn(host, "proxy", "grpc-proxy", "start", "--endpoints", f"{HERE}:2379",
                  "--listen-addr", f"{HERE}:23790")
    named(t, host, f"http://{HERE}:23790", METRICS)
    host.start_vipd(etcd__endpoints=f"http://{HERE}:2379")
    lab.wait_owner()
    t.check("last_error" not in host.status()["etcd"], "an error where there was none")
    for process in (host.vipd, proxy, etcd):
        process.end()
    file = {"name": "default", "data-dir": "etcd", "listen-client-urls": f"http://{HERE}:2379",
            "advertise-client-urls": f"http://{HERE}:2379"}
    if not version().startswith("3.4."):
        file["enable-grpc-gateway"] = False
    with open(f"{host.folder}/etcd.yml", "w") as out:
        json.dump(file, out)  # which is YAML, too
    spawn(host, "file", "--config-file", "etcd.yml")
    named(t, host, f"http://{HERE}:2379", "etcd's JSON gateway is off: set enable-grpc-gateway: "
          "true in the file of its --config-file")


@case(seconds=30)
def test_gateway_on_a_port_of_its_own(t):
    """Plain and with TLS, which newer gRPC servers hang up on without a word."""
    needs_3_5()
    lab = t.lab(hosts=1)
    host = lab.hosts[0]
    etcd = start(host, "--listen-client-http-urls", f"http://{HERE}:2382")
    named(t, host, f"http://{HERE}:2379", GRPC_ALONE)
    host.start_vipd(etcd__endpoints=f"http://{HERE}:2382")
    lab.wait_owner()
    host.vipd.end()
    etcd.end()
    ca = Authority(f"{t.logs}/certs")
    cert, key = ca.issue("server")
    start(host, "--listen-client-http-urls", f"https://{HERE}:2382", "--cert-file", cert,
          "--key-file", key, scheme="https", name="tls")
    named(t, host, f"https://{HERE}:2379", GRPC_ALONE, etcd__cacert=ca.cert)
    host.start_vipd(etcd__endpoints=f"https://{HERE}:2382", etcd__cacert=ca.cert)
    lab.wait_owner()


@case(seconds=20)
def test_tls_1_3_alone(t):
    """As Talos sets it: no older version, and client certificates."""
    needs_3_5()
    lab = t.lab(hosts=1)
    host = lab.hosts[0]
    ca = Authority(f"{t.logs}/certs")
    cert, key = ca.issue("server")
    mine = ca.issue("mine")
    start(host, "--tls-min-version", "TLS1.3", "--client-cert-auth", "--trusted-ca-file", ca.cert,
          "--cert-file", cert, "--key-file", key, scheme="https")
    endpoint = f"https://{HERE}:2379"
    named(t, host, endpoint, "does it want a client certificate (etcd.cert, etcd.key)?",
          etcd__cacert=ca.cert)
    host.start_vipd(etcd__endpoints=endpoint, etcd__cacert=ca.cert, etcd__cert=mine[0],
                    etcd__key=mine[1])
    lab.wait_owner()


@case(seconds=30)
def test_discovery_where_the_list_has_no_gateway(t):
    """Three members whose client URLs speak gRPC alone: the one that is configured says where the
    others are, and they are asked on its port. One that calls itself localhost is left out."""
    needs_3_5()
    lab = t.lab()
    first, second, third = lab.hosts
    for host in lab.hosts:
        url = f"http://{host.address}:2382,http://{host.address}:2377"
        advertised = "http://localhost" if host is third else f"http://{host.address}"
        host.etcd_options = ["--listen-client-http-urls", url,
                             "--advertise-client-urls", f"{advertised}:2379"]
        host.start_etcd()
    first.start_vipd(etcd__endpoints=f"http://{first.address}:2382", etcd__discover="yes")
    lab.wait_owner(timeout=20)
    said = f"etcd: http://{second.address}:2379: {GRPC_ALONE}"
    asked = f"asking http://{second.address}:2382"
    wait_for(lambda: said in first.vipd.text() and asked in first.vipd.text(), 10, asked)
    t.check("says it is at http://localhost:2379, which is this host: not used"
            in first.vipd.text(), "the log says nothing of localhost")
    time.sleep(7)  # a trial
    moment = time.monotonic()
    first.etcd.kill()
    wait_for(lambda: first.status()["etcd"]["endpoint"] == f"http://{second.address}:2382", 5,
             "the second to be taken", step=0.1)
    time.sleep(4)
    lab.witness.sync()
    t.check(not lab.witness.find("del", since=moment), "the address went")
