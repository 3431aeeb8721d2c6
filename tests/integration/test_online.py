"""`vipd -n --online`: what each endpoint of etcd is, before any daemon runs."""

import os

from case import case
from certs import Authority
from lab import ETCD, VIPD
from spaces import run, wait_for

HERE = "127.0.0.1"


def start(host, port, *options, scheme="http"):
    """A cluster of one member."""
    client, peer = f"{scheme}://{HERE}:{port}", f"http://{HERE}:{port + 1}"
    words = ["--data-dir", f"etcd-{port}", "--listen-client-urls", client,
             "--advertise-client-urls", client, "--listen-peer-urls", peer,
             "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}"]
    host.spawn(["env", "-C", host.folder, ETCD, *words, *options], f"etcd-{port}.log")
    return client


def online(host, *endpoints, **more):
    path = host.write_config(etcd__endpoints=", ".join(endpoints), **more)
    done = run("ip", "netns", "exec", host.ns, VIPD, "-n", "--online", "-c", path, check=False,
               timeout=10)
    return done.returncode, done.stdout, done.stderr


def named(host, endpoint):
    """The cluster of an endpoint that is as it should be; None while it is not."""
    begin = f"etcd.endpoints: {endpoint}: cluster "
    status, out, _ = online(host, endpoint)
    return out.split()[3] if status == 0 and out.startswith(begin) else None


@case(seconds=12)
def test_online_asks_each_endpoint(t):
    host = t.lab(hosts=1).hosts[0]
    one, another = Authority(os.path.join(host.folder, "one")), Authority(
        os.path.join(host.folder, "another"), "another")
    cert, key = one.issue("member")
    a, b = start(host, 2379), start(host, 12379)
    c = start(host, 22379, "--cert-file", cert, "--key-file", key, scheme="https")
    first = wait_for(lambda: named(host, a), 20, "the first cluster")
    second = wait_for(lambda: named(host, b), 20, "the second cluster")
    t.check(first != second, "two clusters with one id")
    good = f"etcd.endpoints: {a}: cluster {first}\n"
    t.equal(online(host, a), (0, good + "configuration OK\n", ""), "the right one")
    t.equal(online(host, a, b),
            (1, good, f"etcd.endpoints: {b}: it belongs to cluster {second}, not to {first}\n"),
            "two clusters")
    t.equal(online(host, a, etcd__cluster=second),
            (1, "", f"etcd.endpoints: {a}: it belongs to cluster {first}, not to {second}\n"),
            "another one than etcd.cluster")
    peer = f"http://{HERE}:2380"
    status, out, error = online(host, a, peer)
    t.equal((status, out), (1, good), "no gateway")
    t.check(error.startswith(f"etcd.endpoints: {peer}: this is etcd's peer port: use "), error)
    t.equal(online(host, c, etcd__cacert=one.cert)[0], 0, "with its authority")
    status, out, error = online(host, c, etcd__cacert=another.cert)
    t.equal((status, out), (1, ""), "a certificate of another authority")
    t.check(error.startswith(f"etcd.endpoints: {c}: ") and "certificate" in error, error)
    t.equal(run(VIPD, "--online", check=False, timeout=10).returncode, 2, "--online without -n")
