#!/usr/bin/env python3
"""A name server on loopback: nameserver.py FILE

FILE is JSON, {NAME: [ADDRESS, ...]}, and read anew for each question. Answers type A with them,
anything else with nothing, and names that are not in it with NXDOMAIN.
"""

import json
import socket
import struct
import sys


def answer(question, table):
    ident = struct.unpack(">H", question[:2])[0]
    labels, at = [], 12
    while question[at]:
        labels.append(question[at + 1:at + 1 + question[at]].decode())
        at += 1 + question[at]
    kind = struct.unpack(">H", question[at + 1:at + 3])[0]
    name = ".".join(labels).lower()
    addresses = table.get(name, []) if kind == 1 else []
    flags = 0x8180 if name in table else 0x8183
    head = struct.pack(">6H", ident, flags, 1, len(addresses), 0, 0) + question[12:at + 5]
    records = [b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 0, 4) + socket.inet_aton(address)
               for address in addresses]
    return head + b"".join(records)


def main():
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))
    print("ready", flush=True)
    while True:
        question, client = server.recvfrom(1500)
        with open(sys.argv[1]) as file:
            table = json.load(file)
        reply = answer(question, table)
        print(question[12:], len(reply), flush=True)
        server.sendto(reply, client)


main()
