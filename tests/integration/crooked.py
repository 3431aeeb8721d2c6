#!/usr/bin/env python3
"""A gateway that misbehaves on purpose: crooked.py UPSTREAM_PORT FIRST_PORT

Stands on loopback before a real etcd and passes everything on, but for one thing that it does
wrong: each port from FIRST_PORT on has its own way, in the order of WAYS. A way of answering calls
leaves watches alone, but not on the ports from FIRST_PORT + 100 on.
"""

import http.client
import json
import re
import socket
import socketserver
import struct
import sys
import threading
import time

MANY = b"x" * 65536


def reply(body, status="200 OK", length=None, more=""):
    length = len(body) if length is None else length
    head = f"HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{more}\r\n"
    return head.encode() + body


# ---- ways of answering a call: (socket, the true body) -> whether the connection goes on ---------

def half(out, body):
    out.sendall(reply(body[:len(body) // 2]))
    return True


def types(out, body):
    out.sendall(reply(re.sub(rb'"(\d+)"', rb'[{"\1":true}]', body)))
    return True


def numbers(out, body):
    out.sendall(reply(re.sub(rb'("\w*revision"): ?"\d+"', rb'\1:"9223372036854775807"', body)))
    return True


def bare(out, body):
    """The answer to another request: nothing but the header."""
    answer = json.loads(body)
    out.sendall(reply(json.dumps({"header": answer.get("header", {})}).encode()))
    return True


def endless(out, _):
    out.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        out.sendall(b"10000\r\n" + MANY + b"\r\n")


def endless_head(out, _):
    out.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        out.sendall(b"X-More: " + MANY[:8000] + b"\r\n")


def drip(out, body):
    for byte in reply(body):
        out.sendall(bytes([byte]))
        time.sleep(0.05)
    return True


def closed(out, body):
    out.sendall(reply(body)[:-10])
    return False


def reset(out, body):
    out.sendall(reply(body)[:-10])
    out.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def redirect(out, _):
    out.sendall(reply(b"", "307 Temporary Redirect", more="Location: http://127.0.0.1:2379/\r\n"))
    return True


def html(out, _):
    page = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
    out.sendall(reply(page, "502 Bad Gateway", more="Content-Type: text/html\r\n"))
    return True


def twice(out, body):
    """An answer to a request that was never sent follows on the same connection."""
    out.sendall(reply(body))
    time.sleep(0.05)
    out.sendall(reply(body))
    return True


def hang(_, __):
    time.sleep(60)
    return False


def garbage(out, _):
    out.sendall(b"\x15\x03\x01\x00\x02\x02\x50" * 20)
    return False


def late(out, body):
    """Nothing is wrong with it: etcd is far away."""
    time.sleep(0.3)
    out.sendall(reply(body))
    return True


# ---- ways of passing a watch on: one line -> lines -----------------------------------------------

class Lines:
    """Passes on; `seen` counts the messages with events."""
    def __init__(self):
        self.seen = 0

    def __call__(self, line):
        self.seen += b'"events"' in line
        return self.change(line, b'"events"' in line)

    def change(self, line, _):
        return [line]


class Repeat(Lines):
    def change(self, line, events):
        return [line, line] if events else [line]


class Skip(Lines):
    """Leaves out every fourth message."""
    def change(self, line, events):
        return [] if events and self.seen % 4 == 0 else [line]


class Cut(Lines):
    def change(self, line, events):
        return [line, None] if events and self.seen > 2 else [line]


class Silent(Lines):
    def change(self, line, events):
        return [] if self.seen > 2 else [line]


class Page(Lines):
    def change(self, line, events):
        return [b"<html>gateway time-out</html>\n"] if self.seen > 2 else [line]


class LongLine(Lines):
    def change(self, line, events):
        return [line] if self.seen < 3 else [MANY] * 1000


class OtherCluster(Lines):
    def change(self, line, events):
        return [re.sub(rb'"cluster_id":"\d+"', b'"cluster_id":"12345"', line)]


CALLS = {way.__name__: way for way in (half, types, numbers, bare, endless, endless_head, drip,
                                       closed, reset, redirect, html, twice, hang, garbage,
                                       late)}
WATCHES = {"repeat": Repeat, "skip": Skip, "cut": Cut, "silent": Silent, "page": Page,
           "long_line": LongLine, "other_cluster": OtherCluster}
WAYS = [*CALLS, *WATCHES]


def port_of(way, watch_too=False, first=2400):
    return first + WAYS.index(way) + (100 if watch_too else 0)


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        number = self.server.server_address[1] - self.server.first_port
        self.way, self.watch_too = WAYS[number % 100], number >= 100
        try:
            while self.one():
                pass
        except (OSError, http.client.HTTPException, ValueError):
            pass  # one of the two sides is gone

    def one(self):
        line = self.rfile.readline().decode()
        if not line.strip():
            return False
        method, path, _ = line.split()
        headers = {}
        while (field := self.rfile.readline().decode().strip()):
            name, _, value = field.partition(":")
            headers[name] = value.strip()
        body = self.rfile.read(int(headers.get("Content-Length", 0)))
        upstream = http.client.HTTPConnection("127.0.0.1", self.server.upstream)
        upstream.request(method, path, body, headers)
        answer = upstream.getresponse()
        if path == "/v3/watch":
            return self.watch(answer)
        text = answer.read()
        if self.way not in CALLS or path == "/version":
            self.connection.sendall(reply(text, f"{answer.status} {answer.reason}"))
            return True
        return CALLS[self.way](self.connection, text)

    def watch(self, answer):
        if self.way in CALLS and self.watch_too:
            return CALLS[self.way](self.connection, answer.readline())
        self.connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        change = WATCHES.get(self.way, Lines)()
        while (line := answer.readline()):
            for out in change(line):
                if out is None:
                    return False
                self.connection.sendall(f"{len(out):x}\r\n".encode() + out + b"\r\n")
        return False


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def shutdown_request(self, request):
        self.close_request(request)  # without a FIN of its own: a reset is to be one


def main():
    upstream, first = int(sys.argv[1]), int(sys.argv[2])
    for port in [port_of(way, too, first) for way in WAYS for too in (False, True)]:
        server = Server(("127.0.0.1", port), Handler)
        server.upstream, server.first_port = upstream, first
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print("ready", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
