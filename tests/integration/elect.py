#!/usr/bin/env python3
"""What one would write without vipd: `etcdctl elect` and a scripted `ip addr`. The yardstick for a
graceful hand-over.

    elect.py ENDPOINTS ELECTION NODE VIP LINK     SIGTERM: removes the address, resigns, ends
"""

import os
import signal
import socket
import struct
import subprocess
import sys

from lab import ETCDCTL

BROADCAST = b"\xff" * 6
ETH_P_ARP = 0x0806


def announcement(operation, mac, vip):
    """A gratuitous ARP packet, operation 1 (request) or 2 (reply)."""
    address = socket.inet_aton(vip)
    ethernet = BROADCAST + mac + struct.pack("!H", ETH_P_ARP)
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation)
    return ethernet + body + mac + address + BROADCAST + address


def announce(vip, link):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as out:
        out.bind((link, ETH_P_ARP))
        mac = out.getsockname()[4]
        out.send(announcement(1, mac, vip))
        out.send(announcement(2, mac, vip))


def end(*_):
    raise SystemExit


def main(endpoints, election, node, vip, link):
    signal.signal(signal.SIGTERM, end)
    env = dict(os.environ, ETCDCTL_API="3")
    words = [ETCDCTL, "--endpoints", endpoints, "elect", election, node]
    candidate = subprocess.Popen(words, stdout=subprocess.PIPE, env=env)
    owner = False
    try:
        candidate.stdout.readline()  # the key: elected
        owner = True
        subprocess.run(["ip", "addr", "add", f"{vip}/32", "dev", link], check=True)
        announce(vip, link)
        candidate.wait()
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if owner:
            subprocess.run(["ip", "addr", "del", f"{vip}/32", "dev", link], check=False)
        candidate.send_signal(signal.SIGINT)  # resigns
        candidate.wait(5)


if __name__ == "__main__":
    main(*sys.argv[1:])
