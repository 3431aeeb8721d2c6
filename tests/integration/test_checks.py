"""Health checks and notifications: a service that fails on the owner moves the VIP, and programs
are told."""

import contextlib
import os
import socket
import sys
import time
from signal import SIGHUP, SIGTERM

import gateway
from case import NO_WAIT_MS, case
from lab import LINK, TIMEOUT
from spaces import inside, ip, ip_batch, wait_for

SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(open(sys.argv[1]).read()))
        self.end_headers()
    def log_message(self, *_):
        pass
http.server.HTTPServer(("127.0.0.1", 8080), Handler).serve_forever()
"""
FAST = {"check.web.interval": "200ms", "check.web.rise": "1", "check.web.fall": "2"}


def write(path, text):
    with open(path + ".new", "w") as file:
        file.write(text)
    os.rename(path + ".new", path)


def program(host, name, text):
    path = f"{host.folder}/{name}"
    with open(path, "w") as file:
        file.write("#!/bin/sh\n" + text)
    os.chmod(path, 0o755)
    return path


def serve(host):
    """A web server of that host, which answers with the status that stands in a file."""
    write(f"{host.folder}/status", "200")
    host.spawn([sys.executable, "-c", SERVER, f"{host.folder}/status"], f"{host.name}.web.log")

    def answers():
        with inside(host.ns), contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", 8080), 1).close()
            return True
        return False
    wait_for(answers, 20, f"{host}'s web server")


ASKS_WHO = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        token = self.headers.get("Authorization", "nobody")
        self.send_response({"Bearer good": 204, "nobody": 401}.get(token, 403))
        self.end_headers()
    def log_message(self, *_):
        pass
http.server.HTTPServer(("127.0.0.1", 8080), Handler).serve_forever()
"""


def state(host, vip):
    return (host.vip_status(vip) or {}).get("state")


def wait_state(host, vip, wanted, timeout=10):
    wait_for(lambda: state(host, vip) == wanted, timeout, f"{host} to be {wanted}", step=0.05)


def check_of(host, vip):
    return (host.vip_status(vip) or {"checks": [{}]})["checks"][0]


def revision(host):
    return int(host.gateway.status()["header"]["revision"])


def was_queued(host, vip, since):
    """Whether etcd ever had a candidate for the address from that revision on."""
    key = {"key": gateway.b64(f"/vipd/vip/{vip}/"), "range_end": gateway.b64(f"/vipd/vip/{vip}0")}
    return any(host.gateway.call("/v3/kv/range", {**key, "revision": number}).get("kvs")
               for number in range(since, revision(host) + 1))


@case(seconds=20)
def test_http_check_with_a_token(t):
    """A server that asks who one is: 401 is a sign of life where it is configured as one; a token
    from a file, read as the daemon's user, and noticed when it is replaced."""
    lab = t.lab(hosts=1, settings={"check.web.http": "http://127.0.0.1:8080/", **FAST})
    host, vip = lab.hosts[0], lab.addresses[0]
    lab.start_etcd()
    host.spawn([sys.executable, "-c", ASKS_WHO], f"{host.name}.web.log")
    host.start_vipd()
    wait_for(lambda: "status 401" in (host.vip_status(vip) or {"reason": ""})["reason"], 10,
             "the server to refuse", step=0.05)
    host.write_config(check__web__status="200-299, 401")
    host.vipd.send(SIGHUP)
    wait_state(host, vip, "owner")

    tokens = f"{host.folder}/headers"
    write(tokens, "Authorization: Bearer good\n")
    os.chmod(tokens, 0o644)
    host.write_config(check__web__header_file=tokens)
    host.vipd.send(SIGHUP)
    wait_for(lambda: "header_file: cannot be used" in host.vipd.text(), 5, "the mode to be refused")
    os.chmod(tokens, 0o600)
    host.vipd.send(SIGHUP)
    time.sleep(1)
    t.equal(state(host, vip), "owner", "state with a token")
    write(tokens, "Authorization: Bearer old\n")
    os.chmod(tokens, 0o600)
    wait_state(host, vip, "fault")
    t.equal(host.vip_status(vip)["reason"], "check web is down: status 403", "reason")
    write(tokens, "Authorization: Bearer good\n")
    os.chmod(tokens, 0o600)
    wait_state(host, vip, "owner")
    t.check("Bearer" not in host.vipd.text(), "the token is in the log")


@case(seconds=15)
def test_link_check_follows_the_carrier(t):
    """A link beside the VIP's loses its carrier on the owner: another takes over; it flaps: nothing
    moves; it goes, and comes back."""
    lab = t.lab(hosts=2, settings={"check.up.link": "uplink", "check.up.interval": "300ms",
                                   "check.up.rise": "1", "check.up.fall": "2"})
    for host in lab.hosts:
        ip_batch(["link add uplink type veth peer name far", "link set far up",
                  "link set uplink up"], ns=host.ns)
    lab.start_etcd()
    lab.start_vipd()
    vip = lab.addresses[0]
    owner = lab.wait_owner()
    lab.wait_queue(2)
    ip_batch(["link set far down", "link set far up"], ns=owner.ns)
    time.sleep(1)
    t.equal(state(owner, vip), "owner", "state after a flap")
    ip("link", "set", "far", "down", ns=owner.ns)
    heir = lab.wait_owner(besides=owner)
    wait_state(owner, vip, "fault")
    t.equal(owner.vip_status(vip)["reason"], "check up is down: uplink has no carrier", "reason")
    ip("link", "del", "uplink", ns=owner.ns)
    wait_for(lambda: "there is no link uplink" in owner.vip_status(vip)["reason"], 5,
             "the reason to change", step=0.05)
    ip_batch(["link add uplink type veth peer name far", "link set far up", "link set uplink up"],
             ns=owner.ns)
    wait_state(owner, vip, "standby")
    t.equal(state(heir, vip), "owner", "the heir's state")


@case(seconds=20)
def test_http_check_moves_the_vip(t):
    """The owner's service fails: a clean release, another takes over; then all fail, and one comes
    back."""
    lab = t.lab(hosts=3, settings={"check.web.http": "http://localhost:8080/", **FAST})
    lab.start_etcd()
    for host in lab.hosts:
        serve(host)
    lab.start_vipd()
    vip = lab.addresses[0]
    owner = lab.wait_owner()
    lab.wait_queue(3)
    time.sleep(1)
    moment = time.monotonic()
    write(f"{owner.folder}/status", "503")
    heir = lab.wait_owner(besides=owner)
    now = time.monotonic()
    t.bound_ms("another owner after the service failed", (now - moment) * 1e3, 2000, (moment, now))
    wait_state(owner, vip, "fault")
    t.equal(owner.vip_status(vip)["reason"], "check web is down: status 503", "reason")
    t.equal(check_of(owner, vip)["state"], "down", "state of the check")
    t.equal(check_of(heir, vip)["state"], "up", "state of the heir's check")

    for host in lab.hosts:
        write(f"{host.folder}/status", "500")
    lab.wait_queue(0)
    for host in lab.hosts:
        wait_for(lambda host=host: "no node can own it" in host.vip_status(vip)["reason"], 10,
                 f"{host} to say that nobody is fit", step=0.1)
        t.equal(host.vipd.text().count("no node can own it"), 1, f"{host}'s log lines")
    before = [host.vip_status(vip)["transitions"] for host in lab.hosts]
    time.sleep(2)
    t.equal([host.vip_status(vip)["transitions"] for host in lab.hosts], before, "changes")
    write(f"{owner.folder}/status", "204")
    lab.witness.wait(lambda: lab.witness.owner(vip) == owner.name, 10, "the first owner again")


@case(seconds=30)
def test_a_weight_lowers_the_priority(t):
    """A check with a weight moves the VIP to a node that is better off, by a clean hand-over; where
    all are equally bad, or no other is left, the owner keeps it."""
    lab = t.lab(hosts=2, settings={"check.app.weight": "60",
                                   "check.app.interval": "100ms", "check.app.rise": "1",
                                   "check.app.fall": "2", "vip.v1.preempt": "yes",
                                   "vip.v1.preempt_delay": "0s"})
    flags = {host: f"{host.folder}/app" for host in lab.hosts}
    for flag in flags.values():
        write(flag, "")
    lab.start_etcd()
    for host, flag in flags.items():
        host.start_vipd(check__app__file=flag)
    vip = lab.addresses[0]
    owner = lab.wait_owner()
    lab.wait_queue(2)
    time.sleep(TIMEOUT + 1)  # nobody hands over to one that was ready for less
    moment = time.monotonic()
    os.unlink(flags[owner])
    heir = lab.wait_owner(besides=owner)
    now = time.monotonic()
    t.bound_ms("another owner after the check went down", (now - moment) * 1e3, 3000, (moment, now))
    t.bound_gap("client gap", NO_WAIT_MS, vip, moment)
    wait_for(lambda: [c["priority"] for c in heir.vip_status(vip)["queue"]] == [100, 40], 5,
             "the queue to show the lower priority", step=0.05)
    t.equal(check_of(owner, vip)["state"], "down", "state of the check")

    os.unlink(flags[heir])
    wait_for(lambda: [c["priority"] for c in heir.vip_status(vip)["queue"]] == [40, 40], 5,
             "both to be lowered", step=0.05)
    t.equal(owner.vipd.end(), 0, "exit status of the other one")
    lab.wait_queue(1, host=heir)
    lab.witness.sync()
    t.equal(state(heir, vip), "owner", "the last node standing")
    t.equal(lab.witness.find("del", since=moment, host=heir.name), [], "its removals")


@case(seconds=25)
def test_etcd_check_follows_a_key(t):
    """The VIP is where a key in etcd says, as Patroni's leader does; one that nobody has put
    keeps all away; a value that is too large changes nothing, and is not its member's fault."""
    lab = t.lab(hosts=2, settings={"check.db.etcd": "/service/main/leader", "check.db.rise": "1",
                                   "check.db.fall": "1"})
    lab.start_etcd()
    first, second = lab.hosts
    key, vip = "/service/main/leader", lab.addresses[0]
    lab.start_vipd()
    missed = f"there is no key {key}"
    wait_for(lambda: missed in (first.vip_status(vip) or {"reason": ""})["reason"], 10,
             "the key to be missed", step=0.05)
    lab.etcdctl(first, "put", key, second.name)
    t.equal(lab.wait_owner(), second, "owner")
    moment = time.monotonic()
    lab.etcdctl(first, "put", key, first.name)
    lab.wait_owner(besides=second)
    now = time.monotonic()
    t.bound_ms("another owner after the key changed", (now - moment) * 1e3, 4000, (moment, now))
    t.check(f"check db is down: {key} is {first.name}, not {second.name}"
            in second.vip_status(vip)["reason"], "the reason does not show")
    lab.etcdctl(first, "put", key, "x" * 30000)
    time.sleep(3)
    t.equal(state(first, vip), "owner", "state with a value that is not read")
    t.check("others are preferred" not in first.vipd.text(), "its member is blamed for it")
    lab.etcdctl(first, "del", key)
    wait_state(first, vip, "fault")


@case(seconds=15)
def test_exec_check_hangs_and_is_overridden(t):
    """A program that hangs is killed with its children and has failed; people may overrule."""
    lab = t.lab(hosts=1)
    host = lab.hosts[0]
    flag = f"{host.folder}/hang"
    script = program(host, "check", f'echo $$ >> {host.folder}/pids\n'
                                    f'[ ! -e {flag} ] || {{ sleep 77 & wait; }}\n')
    lab.start_etcd()
    host.start_vipd(check__prog__exec=f"{script} a b", check__prog__interval="200ms",
                    check__prog__timeout="600ms", check__prog__fall="2")
    vip = lab.addresses[0]
    lab.wait_owner()
    write(flag, "")
    wait_state(host, vip, "fault")
    reason = host.vip_status(vip)["reason"]
    t.equal(reason, "check prog is down: killed because it took too long", "reason")
    t.equal(host.vipctl("check", "prog", "up").returncode, 0, "vipctl check prog up")
    wait_state(host, vip, "owner")
    t.check(check_of(host, vip)["overridden"], "the override does not show")
    t.equal(host.vipctl("check", "prog", "auto").returncode, 0, "vipctl check prog auto")
    wait_state(host, vip, "fault")
    os.unlink(flag)
    wait_state(host, vip, "owner")
    t.equal(host.vipctl("check", "prog", "down").returncode, 0, "vipctl check prog down")
    wait_state(host, vip, "fault")
    t.equal(host.vipctl("check", "no", "up").returncode, 1, "an unknown check")
    t.equal(host.vipctl("check", "prog", "sideways").returncode, 2, "an unknown state")
    host.vipd.send(SIGTERM)
    t.equal(host.vipd.child.wait(10), 0, "exit status")
    with open(f"{host.folder}/pids") as file:
        pids = file.read().split()
    wait_for(lambda: not [pid for pid in pids if os.path.exists(f"/proc/{pid}")], 5,
             "no program to run any more")


@case(seconds=15)
def test_reload_changes_checks(t):
    """SIGHUP adds, changes and removes checks; an owner whose checks are good is not touched."""
    lab = t.lab(hosts=1)
    host = lab.hosts[0]
    lab.start_etcd()
    flag = f"{host.folder}/serve"
    write(flag, "")
    host.start_vipd()
    vip = lab.addresses[0]
    lab.wait_owner()
    time.sleep(0.3)
    for changes in ({"check__f__file": flag},
                    {"check__f__file": flag, "check__f__interval": "100ms"},
                    {"check__peer__arp": "10.77.0.100"},
                    {"check__port__tcp": "127.0.0.1:2379", "check__peer__arp": "10.77.0.100"}):
        host.write_config(**changes)
        host.vipd.send(SIGHUP)
        wait_for(lambda n=len([c for c in changes if "interval" not in c]):
                 [c["state"] for c in host.vip_status(vip)["checks"]] == ["up"] * n, 5,
                 f"{changes} to be up", step=0.05)
    host.write_config(check__first__exec="/bin/true")
    done = host.vipctl("reload")
    t.equal(done.returncode, 1, "exit status of a reload with the first program")
    t.check("check.first.exec: " in done.stderr, f"vipctl reload says {done.stderr!r}")
    t.equal(host.vip_status(vip)["state"], "owner", "state after a refused reload")
    lab.witness.sync()
    t.equal(lab.witness.find("del"), [], "removals")
    host.write_config(check__f__file=f"{flag}.no", check__f__interval="100ms")
    host.vipd.send(SIGHUP)
    wait_state(host, vip, "fault")
    host.write_config()
    host.vipd.send(SIGHUP)
    wait_state(host, vip, "owner")

    new, before = "10.77.0.222", revision(host)
    host.write_config(check__f__file=f"{flag}.no", vip__v1__checks="none", vip__new__address=new,
                      vip__new__link=LINK)
    host.vipd.send(SIGHUP)
    wait_state(host, new, "fault")
    wait_for(lambda: check_of(host, new)["state"] == "down", 5, "the check to be down")
    t.check(not was_queued(host, new, before), "it was in the queue with a check without result")
    t.equal(state(host, vip), "owner", "the VIP without checks")


@case(seconds=15)
def test_notify_tells_a_program(t):
    """In order, with four arguments; a slow one gets the latest; the last is told at a stop."""
    lab = t.lab(hosts=1)
    host = lab.hosts[0]
    told = f"{host.folder}/told"
    script = program(host, "notify", f'echo "$1 $2 $3 $4 $# $VIPD_NODE" >> {told}\n'
                                     f'echo "said $3"\n'
                                     f'while [ -e {host.folder}/slow ]; do sleep 0.1; done\n')
    lab.start_etcd()
    host.start_vipd(vip__v1__notify=script)
    vip = lab.addresses[0]
    lab.wait_owner()

    def lines():
        with contextlib.suppress(FileNotFoundError), open(told) as file:
            return file.read().splitlines()
        return []
    wait_for(lambda: any(" owner " in line for line in lines()), 5, "word of the owner")
    t.check(all(line.startswith(f"v1 {vip} ") and line.endswith(" 4 n1") for line in lines()),
            f"told {lines()}")
    wait_for(lambda: "notify: said owner" in host.vipd.text(), 5, "its output in the log")
    write(f"{host.folder}/slow", "")
    before = len(lines())
    host.vipctl("pause")
    wait_state(host, vip, "paused")
    wait_for(lambda: len(lines()) > before, 10, "word of the pause")
    host.vipctl("resume")
    wait_state(host, vip, "owner")
    os.unlink(f"{host.folder}/slow")
    wait_for(lambda: len(lines()) >= before + 2, 10, "the latest state")
    t.check(" owner " in lines()[-1], f"told last {lines()[-1]}")
    t.check("is slow: it was not told of" in host.vipd.text(), "what was left out is not said")
    host.vipd.send(SIGTERM)
    t.equal(host.vipd.child.wait(10), 0, "exit status")
    t.check("stopping" in lines()[-1], f"told last {lines()[-1]}")
