"""etcd's own authentication: tokens that end or vanish, passwords, permissions."""

import os
import time

import gateway
from case import case
from certs import Authority
from lab import ETCD, ETCDCTL, TIMEOUT
from spaces import NETNS, run, wait_for

PASSWORD = "vp \"quoted\""


def guarded(t, hosts=1, user="vip", etcd_options=(), **options):
    """A cluster whose users are root, vip (who may) and guest (who may nothing)."""
    secret = os.path.join(t.logs, "password")
    with open(os.open(secret, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
        file.write(PASSWORD + "\n")
    settings = {"etcd.user": user, "etcd.password_file": secret}
    cheap = ["--bcrypt-cost", "4"]  # with 10, a busy machine needs a second for each password
    lab = t.lab(hosts=hosts, settings=settings, etcd_options=[*cheap, *etcd_options], **options)
    lab.start_etcd()
    api = lab.hosts[0].gateway
    for name in ("root", "vip", "guest"):
        api.call("/v3/auth/user/add", {"name": name, "password": PASSWORD})
    for role in ("root", "vipd"):
        api.call("/v3/auth/role/add", {"name": role})
    api.call("/v3/auth/role/grant", {"name": "vipd", "perm": {
        "permType": "READWRITE", "key": gateway.b64("/vipd/"), "range_end": gateway.b64("/vipd0")}})
    api.call("/v3/auth/user/grant", {"user": "root", "role": "root"})
    api.call("/v3/auth/user/grant", {"user": "vip", "role": "vipd"})
    api.call("/v3/auth/enable", {})
    api.log_in("root", PASSWORD)
    return lab


def guard_another(host):
    """An etcd of another cluster beside the host's own, with authentication and the same user."""
    client, peer = "http://127.0.0.1:3379", "http://127.0.0.1:3380"
    host.spawn(["env", "-C", host.folder, ETCD, "--data-dir", "other",
                "--listen-client-urls", client, "--advertise-client-urls", client,
                "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                "--initial-cluster", f"default={peer}"], "other.log")
    ctl = ["nsenter", f"--net={NETNS}/{host.ns}", "--", "env", "ETCDCTL_API=3", ETCDCTL,
           "--endpoints", client]
    wait_for(lambda: run(*ctl, "endpoint", "health", check=False).returncode == 0, 10,
             "the other etcd")
    for words in (["user", "add", f"root:{PASSWORD}"], ["user", "add", f"vip:{PASSWORD}"],
                  ["user", "grant-role", "root", "root"], ["auth", "enable"]):
        run(*ctl, *words)
    return client


def stayed(t, lab, since, what):
    lab.witness.sync()
    t.check(not lab.witness.find("del", since=since), f"{what}: the address went")
    t.bound_gap(f"{what}: gap", 100, lab.addresses[0], since)


def says(host, text, timeout=10):
    wait_for(lambda: text in host.vipd.text(), timeout, f"{host} to say: {text}", step=0.05)


@case(seconds=30)
def test_auth_tokens_revoked(t):
    """Simple tokens vanish with etcd's process, and whenever authentication is switched."""
    lab = guarded(t)
    host = lab.hosts[0]
    host.start_vipd()
    lab.wait_owner()
    time.sleep(1)
    moment = time.monotonic()
    host.gateway.call("/v3/auth/disable", {})
    host.gateway.token = None
    time.sleep(1)
    host.gateway.call("/v3/auth/enable", {})
    time.sleep(TIMEOUT)
    stayed(t, lab, moment, "off and on")
    moment = time.monotonic()
    host.etcd.kill()
    host.start_etcd()
    time.sleep(TIMEOUT + 3)
    stayed(t, lab, moment, "etcd restarted")
    host.vipd.end()
    t.check(not lab.witness.owner(lab.addresses[0]), "not released")


@case(seconds=20)
def test_auth_jwt(t):
    """Tokens of three seconds, on three members."""
    key = os.path.join(t.logs, "jwt")
    run("openssl", "genrsa", "-out", f"{key}.key", "2048")
    run("openssl", "rsa", "-in", f"{key}.key", "-pubout", "-out", f"{key}.pub")
    lab = guarded(t, hosts=3, etcd_options=[
        "--auth-token", f"jwt,pub-key={key}.pub,priv-key={key}.key,sign-method=RS256,ttl=3s"])
    lab.start_vipd()
    owner = lab.wait_owner()
    time.sleep(1)
    moment = time.monotonic()
    owner.etcd.kill()  # the token is good at the next member
    time.sleep(3)
    api = lab.others(owner)[0].gateway
    lab.wait_leader(owner)
    api.log_in("root", PASSWORD)
    api.call("/v3/auth/user/add", {"name": "more", "password": "x"})  # all tokens are void
    time.sleep(TIMEOUT + 2)
    stayed(t, lab, moment, "tokens of 3 s")


@case(seconds=30)
def test_auth_faults_are_named(t):
    lab = guarded(t)
    host = lab.hosts[0]

    def refused(text, **changes):
        process = host.start_vipd(**changes)
        says(host, text)
        t.check(not lab.witness.find("add", since=moment), "an address without etcd")
        process.end()

    moment = time.monotonic()
    refused("permission denied: user 'guest' needs readwrite from /vipd/ to /vipd0",
            etcd__user="guest")
    refused("etcd's authentication is on: set etcd.user", etcd__user=None,
            etcd__password_file=None)
    other = guard_another(host)
    ours = int(host.gateway.status()["header"]["cluster_id"])
    process = host.start_vipd(etcd__endpoints=f"{other}, http://127.0.0.1:2379",
                              etcd__cluster=f"{ours:x}")
    says(host, f"{other}: it belongs to cluster ")
    says(host, f", not to {ours:x}: no password is sent to it")
    lab.wait_owner()
    process.end()
    lab.witness.wait(lambda: not lab.witness.owner(lab.addresses[0]), 5, "the address gone")
    moment = time.monotonic()
    wrong = os.path.join(t.logs, "wrong")
    with open(os.open(wrong, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
        file.write("wrong")
    refused(f"user 'vip' with the password in {wrong}: etcdserver: authentication failed",
            etcd__password_file=wrong)
    os.chmod(wrong, 0o644)
    done = run("build/vipd", "-n", "-c", host.write_config(etcd__password_file=wrong), check=False)
    t.equal(done.returncode, 2, "exit status for a password that others can read")


@case(seconds=10)
def test_auth_with_certificates(t):
    """With authentication on etcd's gateway wants certificates without a common name."""
    ca = Authority(f"{t.logs}/certs")
    server = ca.issue("server", ["IP:127.0.0.1", "IP:10.77.0.1"])
    plain, named = ca.issue("plain"), ca.issue("named", cn="vip")
    lab = guarded(t, tls=ca.context(plain), etcd_options=[
        "--client-cert-auth", "--trusted-ca-file", ca.cert,
        "--cert-file", server[0], "--key-file", server[1]])
    host = lab.hosts[0]
    files = {"etcd__cacert": ca.cert, "etcd__cert": named[0], "etcd__key": named[1]}
    process = host.start_vipd(**files)
    says(host, "refuses every client certificate that has a common name (CN)")
    process.end()
    host.start_vipd(**dict(files, etcd__cert=plain[0], etcd__key=plain[1]))
    lab.wait_owner()
