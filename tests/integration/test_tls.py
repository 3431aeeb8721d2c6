"""etcd over TLS: certificates that are good, bad, and replaced while in use."""

import os
import shutil
import time
from signal import SIGHUP

import kernel
from case import case
from certs import Authority
from spaces import wait_for

MOVED = "the certificates have changed"
CONFIGURED = "etcd.cacert", "etcd.cert", "etcd.key"


def secured(t, **options):
    """One host whose etcd wants certificates; the files that vipd is given can be replaced."""
    folder = f"{t.logs}/certs"
    ca = Authority(folder)
    sans = ["IP:127.0.0.1", "IP:10.77.0.1", "DNS:etcd.example"]
    server = ca.issue("server", sans)
    client = ca.issue("client")
    mine = [f"{folder}/mine-{name}" for name in ("ca.pem", "cert.pem", "key.pem")]
    lab = t.lab(hosts=1, tls=ca.context(client), settings=dict(zip(CONFIGURED, mine)),
                etcd_options=["--client-cert-auth", "--trusted-ca-file", ca.cert,
                              "--cert-file", server[0], "--key-file", server[1]], **options)
    replace(mine, (ca.cert, *client))
    lab.start_etcd()
    return lab, ca, server, mine


def replace(mine, sources):
    """As a careful program does it: each file at once."""
    for path, source in zip(mine, sources):
        if source:
            shutil.copy(source, path + ".new")
            os.rename(path + ".new", path)


def says(host, text, timeout=10):
    wait_for(lambda: text in host.vipd.text(), timeout, f"{host} to say: {text}", step=0.05)


@case(seconds=20)
def test_tls_faults_are_named(t):
    """Each with the file or the endpoint, and the reason."""
    lab, ca, server, mine = secured(t)
    host = lab.hosts[0]
    stranger = Authority(ca.folder, "stranger")
    other = stranger.issue("client")
    expired = ca.issue("expired", ["IP:127.0.0.1", "IP:10.77.0.1"], days=-1)

    def refused(text, **changes):
        process = host.start_vipd(**changes)
        says(host, text)
        t.check(not lab.witness.find("add"), "an address without etcd")
        process.end()

    at = "etcd: https://127.0.0.1:2379: the server's certificate is not valid here: "
    refused(at + "it was issued by somebody else; checked with etcd.cacert "
            + stranger.cert, etcd__cacert=stranger.cert)
    refused("checked with the system's authorities (no etcd.cacert)", etcd__cacert=None)
    refused(at + "it is for another name; checked with etcd.cacert "
            f"{mine[0]} and etcd.servername wrong.example", etcd__servername="wrong.example")
    refused("does it want a client certificate (etcd.cert, etcd.key)?",
            etcd__cert=None, etcd__key=None)
    refused(f"does it accept etcd.cert {other[0]}?", etcd__cert=other[0], etcd__key=other[1])
    refused(f"etcd.key {other[1]} cannot be used with cert {mine[1]}", etcd__key=other[1])
    replace(server, expired)  # etcd reads its own anew for each connection
    refused(at + "it has expired")


@case(seconds=25)
def test_tls_certificates_replaced(t):
    """Half and whole rotations while owning: the address stays, the new files are used."""
    lab, ca, _, mine = secured(t)
    host, vip = lab.hosts[0], lab.addresses[0]
    host.start_vipd(etcd__servername="etcd.example")
    lab.wait_owner()
    time.sleep(1)
    moment = time.monotonic()
    other = ca.issue("other")
    os.unlink(mine[2])
    says(host, f"{mine[2]}: No such file or directory; the files read before stay in use")
    replace(mine, (None, None, other[1]))
    says(host, f"etcd.key {mine[2]} cannot be used with etcd.cert {mine[1]}; the files read before")
    replace(mine, (None, other[0], None))
    says(host, MOVED)  # the watch follows
    host.write_config(etcd__cert=other[0], etcd__key=other[1])
    host.vipd.send(SIGHUP)
    wait_for(lambda: host.vipd.text().count(MOVED) == 2, 6, "the watch to follow other files")
    time.sleep(5)
    lab.witness.sync()
    t.check(not lab.witness.find("del", since=moment), "the address went")
    t.bound_gap("gap", 100, vip, moment)
    t.figure(f"{kernel.rss_mb(host.vipd.pid):.1f} MB")
    # The proof that what is new is used: a stranger's is refused.
    stranger = Authority(ca.folder, "stranger").issue("client")
    replace(other, stranger)
    says(host, f"does it accept etcd.cert {other[0]}?", 10)
