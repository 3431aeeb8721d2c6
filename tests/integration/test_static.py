"""The static daemon on its own: nothing around it but a kernel. Only with VIPD=PROGRAM set."""

import os
import shutil
import ssl
import time
from filecmp import cmp

import keepalived
import kernel
from case import case
from certs import ED25519, Authority
from lab import BUILD, LINK, TIMEOUT, VIPD
from spaces import run, wait_for

SANS = ["IP:127.0.0.1", "IP:10.77.0.1"]


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
    cluster = int(host.gateway.status()["header"]["cluster_id"])  # one of two does not decide it
    start_in(root, host, etcd__endpoints="http://nowhere.example:2379, http://127.0.0.1:2379",
             etcd__cluster=f"{cluster:x}")
    lab.wait_owner(timeout=TIMEOUT + 5)
    status = wait_for(host.status, 1, "an answer on the control socket")
    t.equal(status["etcd"]["endpoint"], "http://127.0.0.1:2379", "the endpoint in use")


def secured(t, ca, server):
    """One host whose etcd has this certificate."""
    lab = t.lab(hosts=1, tls=ssl.create_default_context(cafile=ca.cert),
                etcd_options=["--cert-file", server[0], "--key-file", server[1]])
    lab.start_etcd()
    return lab


@case(seconds=25)
def test_static_names_what_it_cannot_take(t):
    """mbedTLS 3.6 has no Ed25519: said of our own files by -n, of the server's in the log."""
    folder = f"{t.logs}/certs"
    ca, other = Authority(folder), Authority(folder, "ed25519", ED25519)
    server = ca.issue("server", SANS, kind=ED25519)
    lab = secured(t, ca, server)
    host = lab.hosts[0]
    config = host.write_config(etcd__cacert=other.cert)
    said = run(VIPD, "-n", "-c", config, check=False)
    t.check(f"etcd.cacert {other.cert} cannot be used: X509 - Signature algorithm" in said.stderr,
            f"-n says {said.stderr}")
    host.start_vipd(etcd__cacert=ca.cert)
    wait_for(lambda: "or its certificate has a key that this build does not support"
             in host.vipd.text(), 6, "word of the alert")
    host.vipd.end()
    for path, source in zip(server, other.issue("signed", SANS)):
        shutil.copy(source, path)  # etcd reads its own anew for each connection
    host.start_vipd(etcd__cacert=ca.cert)
    wait_for(lambda: "its signature algorithm is not supported by this build"
             in host.vipd.text(), 6, "word of the signature")


@case(seconds=20)
def test_static_system_authorities(t):
    """Found where distributions keep them; where there are none, that is a fault."""
    ca = Authority(f"{t.logs}/certs")
    lab = secured(t, ca, ca.issue("server", SANS))
    host = lab.hosts[0]
    root = empty_root(host, {})
    shutil.copy(host.write_config(state__dir="/run", control__socket="/run/vipd.sock"),
                f"{root}/etc/vipd.conf")
    said = run("chroot", root, "/vipd", "-n", check=False)
    t.equal(said.returncode, 2, "exit status without authorities")
    t.check("etcd.cacert is not configured, and no file of the system's authorities can be read "
            "(/etc/ssl/certs/ca-certificates.crt, " in said.stderr, f"-n says {said.stderr}")
    os.makedirs(f"{root}/etc/pki/tls/certs")
    shutil.copy(ca.cert, f"{root}/etc/pki/tls/certs/ca-bundle.crt")
    start_in(root, host)
    lab.wait_owner(timeout=TIMEOUT + 5)


# In the new root with CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF, and no new privileges.
IN_ROOT = """
import ctypes, os, sys
call = ctypes.CDLL(None).prctl
for capability in set(range(64)) - {12, 13, 39}: call(24, capability, 0, 0, 0)
call(38, 1, 0, 0, 0)
os.chroot(sys.argv[1])
os.execv("/vipd", ["vipd"])
"""


@case(seconds=20)
def test_static_image(t):
    """build/image.tar as a container's root: read-only, with a /run and a pid namespace of its own,
    as many capabilities as the README asks for, and an authority in its bundle."""
    ca = Authority(f"{t.logs}/certs")
    lab = secured(t, ca, ca.issue("server", SANS))
    host = lab.hosts[0]
    root = f"{host.folder}/root"
    os.makedirs(root)
    run("tar", "x", "-C", root, "-f", os.path.join(BUILD, "image.tar"))
    t.check(cmp(VIPD, f"{root}/vipd", shallow=False), "the image has another daemon")
    with open(f"{root}/etc/ssl/certs/ca-certificates.crt", "a") as bundle, open(ca.cert) as one:
        t.check(bundle.tell() > 0, "the image has no authorities")
        bundle.write(one.read())
    shutil.copy(host.write_config(state__dir="/run/vipd", control__socket="/run/vipd/vipd.sock"),
                f"{root}/etc/vipd.conf")
    run_vipd = f"{host.folder}/run"
    os.makedirs(run_vipd)
    host.socket = f"{run_vipd}/vipd.sock"
    mounts = (f"mount --bind {root} {root} && mount --bind {run_vipd} {root}/run/vipd && "
              f"mount -o remount,ro,bind {root} && exec python3 -c '{IN_ROOT}' {root}")
    host.vipd = host.spawn(["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c",
                            mounts], f"{host.name}.vipd.log")
    lab.wait_owner(timeout=TIMEOUT + 5)


@case(seconds=2)
def test_static_needs_no_library(t):
    said = run("objdump", "-p", VIPD).stdout
    t.check("NEEDED" not in said and "INTERP" not in said, "it asks for a shared library")
    t.check("relro" in said.lower(), "no RELRO")


# ---- what it costs, beside others: tools/size prints it ------------------------------------------

NEIGHBOUR_VIP = "10.77.0.150"


def resident_kb(process):
    """Of the process and of its children, as keepalived has one."""
    return sum(int(kernel.process_status(str(pid))["VmRSS"].split()[0])
               for pid in keepalived.pids(process))


def start_keepalived(host, program):
    return keepalived.start(host, program,
                            keepalived.instance("a", 51, host, 1, [NEIGHBOUR_VIP]))


def start_vip_manager(host, program):
    """It speaks etcd's second version, which Debian's etcd has when it is told so."""
    url = "http://127.0.0.1:5379"
    host.spawn(["etcd", "--enable-v2", "--data-dir", f"{host.folder}/etcd2",
                "--listen-client-urls", url, "--advertise-client-urls", url,
                "--listen-peer-urls", "http://127.0.0.1:5380"], "etcd2.log")
    put = ["nsenter", f"--net=/run/netns/{host.ns}", "curl", "-sf", "-XPUT", "-d", f"value={host}",
           f"{url}/v2/keys/leader"]
    wait_for(lambda: run(*put, check=False).returncode == 0, 20, "etcd to take a key")
    return host.spawn([program, "--ip", NEIGHBOUR_VIP, "--netmask", "32", "--interface", LINK,
                       "--trigger-key", "/leader", "--trigger-value", host.name,
                       "--dcs-endpoints", url], "other.log")


def other_cost(t, start, program):
    lab = t.lab(hosts=1, vips=0, extra_vips=[NEIGHBOUR_VIP])
    process = start(lab.hosts[0], program)
    lab.wait_owner(NEIGHBOUR_VIP, 20)
    time.sleep(3)
    t.figure(f"rss {resident_kb(process)} kB, file {os.path.getsize(program)} bytes")


@case(seconds=30)
def test_static_cost(t):
    lab = t.lab(hosts=2)
    lab.start_etcd()
    lab.start_vipd()
    owner = lab.wait_owner()
    time.sleep(8)  # the announcements are over
    t.figure(f"rss {resident_kb(owner.vipd)} kB, file {os.path.getsize(VIPD)} bytes")


@case(seconds=20)
def test_static_cost_keepalived(t):
    other_cost(t, start_keepalived, f"{os.environ['OTHERS']}/usr/sbin/keepalived")


@case(seconds=20)
def test_static_cost_vip_manager(t):
    other_cost(t, start_vip_manager, f"{os.environ['OTHERS']}/usr/bin/vip-manager")
