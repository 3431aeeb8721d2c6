"""What the machines boot, made anew from what is on this machine: an initramfs that loads modules,
and a root file system of busybox, etcd, the static vipd and the SysV script, mounted read-only.
Debian's kernel is unpacked for it (tools/unpack), never installed."""

import glob
import os
import re
import shutil
import subprocess

from lab import BUILD, ETCD, ROOT
from spaces import run

HERE = os.path.dirname(os.path.abspath(__file__))
KERNELS = f"{BUILD}/kernel"
STATIC = os.path.abspath(os.environ.get("VIPD", f"{BUILD}/static/vipd"))
BASE = ["virtio_pci", "virtio_blk", "virtio_net", "tcp_diag", "sch_ingress", "cls_bpf"]
LINKS = ["8021q", "bonding", "bridge", "macvlan", "sch_netem"]
ROOT_MB = 80
DATA_MB = 256  # etcd reserves 128 MB for its log


def kernel():
    found = sorted(glob.glob(f"{KERNELS}/boot/vmlinuz-*-cloud-amd64"), key=os.path.getmtime)
    if not found:
        raise RuntimeError(f"no kernel in {KERNELS} (make check-vm unpacks one)")
    return found[-1]


def in_order(names):
    """Paths of the modules and of all that they need, what is needed first."""
    version = os.path.basename(kernel()).removeprefix("vmlinuz-")
    paths = {os.path.basename(path)[:-3].replace("-", "_"): path for path in
             glob.glob(f"{KERNELS}/usr/lib/modules/{version}/**/*.ko", recursive=True)}
    found = []

    def take(name):
        path = paths.get(name.replace("-", "_"))
        if path is None or path in found:  # None: part of the kernel itself
            return
        with open(path, "rb") as file:
            needs = re.search(rb"\0depends=([^\0]*)\0", file.read())
        for other in filter(None, needs[1].decode().split(",") if needs else []):
            take(other)
        found.append(path)

    for name in names:
        take(name)
    return found


def install(source, target, mode=0o755):
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copyfile(source, target)
    os.chmod(target, mode)


def with_libraries(program, root, name):
    """A program of this machine, and the shared libraries that it is linked with, if any."""
    install(shutil.which(program), f"{root}/{name}")
    for path in re.findall(r"(/\S+) \(0x", run("ldd", shutil.which(program), check=False).stdout):
        install(path, f"{root}{path}")


def initramfs(folder, modules, script):
    """Runs the script; busybox and the modules are beside it."""
    root, target = f"{folder}/{script}", f"{folder}/{script}.cpio"
    with_libraries("busybox", root, "bin/busybox")
    install(f"{HERE}/{script}", f"{root}/init")
    for part in ("dev", "root", "modules"):
        os.makedirs(f"{root}/{part}", exist_ok=True)
    with open(f"{root}/modules/order", "w") as order:
        for path in in_order(modules):
            install(path, f"{root}/modules/{os.path.basename(path)}", 0o644)
            order.write(os.path.basename(path) + "\n")
    names = [os.path.relpath(os.path.join(where, name), root)
             for where, folders, files in os.walk(root) for name in sorted(folders + files)]
    with open(target, "wb") as out:
        subprocess.run(["busybox", "cpio", "-o", "-H", "newc"], cwd=root, stdout=out, check=True,
                       input="\n".join(names).encode(), stderr=subprocess.DEVNULL, timeout=60)
    return target


def disk(path, megabytes, source=None):
    with open(path, "wb") as file:
        file.truncate(megabytes << 20)
    run("mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", *(["-d", source] if source else []), path)
    return path


def root_disk(folder, config, tools, files):
    """tools: programs of this machine besides, for what busybox cannot set up. files: path in the
    machine -> file or folder here."""
    root = f"{folder}/root"
    shutil.copytree(f"{HERE}/root", root)
    for part in ("bin", "sbin", "dev", "proc", "sys", "run", "data", "usr/bin"):
        os.makedirs(f"{root}/{part}", exist_ok=True)
    with_libraries("busybox", root, "bin/busybox")
    for applet in run("busybox", "--list").stdout.split():
        if applet != "busybox" and applet not in tools:
            os.symlink("busybox", f"{root}/bin/{applet}")
    os.symlink("../bin/busybox", f"{root}/sbin/init")
    for tool in tools:
        with_libraries(tool, root, f"bin/{os.path.basename(tool)}")
    for target, source in files.items():
        if os.path.isdir(source):
            shutil.copytree(source, f"{root}{target}", symlinks=True, dirs_exist_ok=True)
        else:
            install(source, f"{root}{target}", os.stat(source).st_mode & 0o777)
    with_libraries(ETCD, root, "usr/bin/etcd")
    install(STATIC, f"{root}/usr/sbin/vipd")
    os.symlink("../sbin/vipd", f"{root}/usr/bin/vipctl")
    install(f"{ROOT}/contrib/init/sysv/vipd", f"{root}/etc/init.d/S90vipd")
    with open(f"{root}/etc/vipd.conf", "w") as file:
        file.write(config)
    return disk(f"{folder}/root.img", ROOT_MB, root)
