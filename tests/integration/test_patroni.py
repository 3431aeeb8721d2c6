"""A PostgreSQL cluster under Patroni: the address is where Patroni's leader key says. Needs the
packages postgresql and patroni: make check-patroni."""

import glob
import json
import os
import shutil
import time

from case import Skip, case
from spaces import run, wait_for

CONFIG = """
scope: main
name: {name}
restapi:
  listen: 0.0.0.0:8008
  connect_address: {address}:8008
etcd3:
  host: 127.0.0.1:2379
bootstrap:
  dcs:
    ttl: 20
    loop_wait: 2
    retry_timeout: 5
  pg_hba:
  - local all all trust
  - host all all 0.0.0.0/0 trust
  - host replication all 0.0.0.0/0 trust
postgresql:
  listen: 0.0.0.0:5432
  connect_address: {address}:5432
  data_dir: {folder}/data
  pgpass: {folder}/pgpass
  bin_dir: {binaries}
  authentication:
    superuser: {{username: postgres, password: secret}}
    replication: {{username: replicator, password: secret}}
  parameters:
    unix_socket_directories: {folder}
    fsync: 'off'
"""
BINARIES = (sorted(glob.glob("/usr/lib/postgresql/*/bin")) or [""])[-1]
KEY = "/service/main/leader"


def start_patroni(host):
    folder = f"{host.folder}/patroni"
    os.makedirs(folder)
    with open(f"{folder}/patroni.yml", "w") as file:
        file.write(CONFIG.format(name=host.name, address=host.address, folder=folder,
                                 binaries=BINARIES))
    shutil.chown(folder, "postgres", "postgres")
    os.chmod(folder, 0o700)
    for above in (host.folder, os.path.dirname(host.folder), "/tmp"):
        os.chmod(above, os.stat(above).st_mode | 0o011)  # postgres is to reach its own
    host.spawn(["runuser", "-u", "postgres", "--", "patroni", f"{folder}/patroni.yml"],
               f"{host.name}.patroni.log")


def leader(host):
    done = host.lab.etcdctl(host, "get", "--print-value-only", KEY, check=False)
    return done.stdout.strip()


def caught_up(host):
    """The members that have all that the primary has written, by Patroni's word."""
    done = run("ip", "netns", "exec", host.ns, "curl", "-s", "-m", "2",
               "http://127.0.0.1:8008/cluster", check=False)
    try:
        found = json.loads(done.stdout)["members"]
    except (ValueError, KeyError):
        return []
    return [m["name"] for m in found if m["role"] == "leader" or m.get("lag") == 0]


def is_primary(host, address):
    """What PostgreSQL says of itself to a client of that host."""
    done = run("ip", "netns", "exec", host.ns, "psql", "-h", address, "-U", "postgres", "-Atc",
               "select not pg_is_in_recovery()", check=False, timeout=10)
    return done.stdout.strip() == "t"


@case(seconds=140)
def test_patroni_leads_the_vip(t):
    """A switchover and a crash of the primary: the VIP follows, and clients that connect to it meet
    the primary."""
    if not (BINARIES and shutil.which("patroni")):
        raise Skip("no PostgreSQL or no Patroni: tools/setup patroni")
    lab = t.lab(settings={"check.db.etcd": KEY, "check.db.rise": "1", "check.db.fall": "1"})
    lab.start_etcd()
    vip, first = lab.addresses[0], lab.hosts[0]
    start_patroni(first)
    wait_for(lambda: leader(first) == first.name, 60, "the first to lead", step=0.5)
    for host in lab.hosts[1:]:
        start_patroni(host)
    lab.start_vipd()
    t.equal(lab.wait_owner(timeout=30), first, "owner")
    wait_for(lambda: len(caught_up(first)) == 3, 60, "two replicas", step=0.5)
    client = lab.hosts[2]
    wait_for(lambda: is_primary(client, vip), 20, "the address to reach the primary", step=0.5)

    second = lab.hosts[1]
    moment = time.monotonic()
    done = run("ip", "netns", "exec", first.ns, "curl", "-s", "-m", "30", "-X", "POST", "-d",
               json.dumps({"leader": first.name, "candidate": second.name}),
               "http://127.0.0.1:8008/switchover", timeout=40)
    t.check("Successfully" in done.stdout, f"switchover: {done.stdout}")
    wait_for(lambda: lab.witness.owner(vip) == second.name, 30, "the VIP to follow")
    t.figure(f"switchover {time.monotonic() - moment:.1f} s")
    wait_for(lambda: is_primary(client, vip), 20, "the address to reach the new primary", step=0.5)

    wait_for(lambda: len(caught_up(first)) == 3, 60, "two replicas again", step=0.5)
    moment = time.monotonic()
    second.crash()
    lab.wait_owner(timeout=60, besides=second)
    t.figure(f"crash of the primary {time.monotonic() - moment:.1f} s")
    heir = lab.wait_owner()
    t.equal(leader(heir), heir.name, "Patroni's leader")
    wait_for(lambda: is_primary(heir, vip), 30, "the address to reach the third primary", step=0.5)
