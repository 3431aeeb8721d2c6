"""keepalived on a host of a laboratory, to be measured beside vipd: its configuration, itself, and
the child that does its work."""

import contextlib
import glob
import os

import lab
import spaces

HEAD = """global_defs {
  enable_script_security
}
"""

INSTANCE = """vrrp_instance {name} {{
  interface {link}
  state BACKUP
  virtual_router_id {router}
  priority {priority}
  version 3
  advert_int {interval}
  nopreempt
  virtual_ipaddress {{
    {address}/32
  }}
{others}}}
"""


def instance(name, router, host, interval, addresses):
    """Of the configuration; the adverts name the first address only."""
    others = "".join(f"    {address}/32\n" for address in addresses[1:])
    others = f"  virtual_ipaddress_excluded {{\n{others}  }}\n" if others else ""
    return INSTANCE.format(name=name, link=lab.LINK, router=router, priority=100 - host.number,
                           interval=interval, address=addresses[0], others=others)


def start(host, program, *instances):
    """With the libraries that are unpacked beside it, where the machine does not have them."""
    path = f"{host.folder}/keepalived.conf"
    with open(path, "w") as file:
        file.write(HEAD + "".join(instances))
    usr = os.path.dirname(os.path.dirname(program))
    libraries = "LD_LIBRARY_PATH=" + ":".join(glob.glob(f"{usr}/lib/*-linux-gnu*"))
    pids_at = [f"--{name}={host.folder}/{name}" for name in ("pid", "vrrp_pid")]
    return host.spawn(["env", libraries, program, "--dont-fork", "--vrrp", "--log-console",
                       f"--use-file={path}", *pids_at], f"{host.name}.keepalived.log")


def pids(process):
    """It and its child; none when it has ended, or was never started."""
    if process is None or not process.running():
        return []
    children = spaces.run("pgrep", "-P", str(process.pid), check=False).stdout.split()
    return [process.pid, *map(int, children)]


def send(process, number):
    """To all of them: the parent alone would start another child."""
    for pid in pids(process):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
