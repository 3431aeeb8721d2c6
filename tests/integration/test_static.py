"""The static daemon on its own: nothing around it but a kernel. Only with VIPD=build/static/vipd."""

import os
import shutil

from case import case
from lab import TIMEOUT, VIPD
from spaces import run, wait_for


def empty_root(host, files):
    """A root folder with the daemon, two empty folders and these files, nothing else."""
    root = f"{host.folder}/root"
    for folder in ("etc", "run"):
        os.makedirs(f"{root}/{folder}")
    shutil.copy(VIPD, f"{root}/vipd")
    for name, text in files.items():
        with open(f"{root}/etc/{name}", "w") as file:
            file.write(text)
    return root


def start_in(root, host, **changes):
    path = host.write_config(state__dir="/run", control__socket="/run/vipd.sock", **changes)
    shutil.copy(path, f"{root}/etc/vipd.conf")
    host.socket = f"{root}/run/vipd.sock"
    host.vipd = host.spawn(["chroot", root, "/vipd"], f"{host.name}.vipd.log")


@case(seconds=15)
def test_static_in_an_empty_root(t):
    """Endpoints are names that only /etc/hosts knows."""
    lab = t.lab()
    lab.start_etcd()
    hosts = "".join(f"{host.address} member-{host.name}\n" for host in lab.hosts)
    for host in lab.hosts:
        members = ", ".join(f"http://member-{other.name}:2379" for other in lab.hosts)
        start_in(empty_root(host, {"hosts": hosts}), host, etcd__endpoints=members)
    owner = lab.wait_owner(timeout=TIMEOUT + 5)
    lab.wait_queue(3)
    t.equal(owner.vipd.end(), 0, "exit status")
    lab.wait_owner(timeout=2, besides=owner)


@case(seconds=15)
def test_static_dead_name_server(t):
    """A name server that is silent holds nothing up: the member named by its address serves."""
    lab = t.lab(hosts=1)
    lab.start_etcd()
    host = lab.hosts[0]
    root = empty_root(host, {"resolv.conf": "nameserver 10.77.0.66\n"})
    start_in(root, host, etcd__endpoints="http://nowhere.example:2379, http://127.0.0.1:2379")
    lab.wait_owner(timeout=TIMEOUT + 5)
    status = wait_for(host.status, 1, "an answer on the control socket")
    t.equal(status["etcd"]["endpoint"], "http://127.0.0.1:2379", "the endpoint in use")


@case(seconds=2)
def test_static_needs_no_library(t):
    said = run("objdump", "-p", VIPD).stdout
    t.check("NEEDED" not in said and "INTERP" not in said, "it asks for a shared library")
    t.check("relro" in said.lower(), "no RELRO")
