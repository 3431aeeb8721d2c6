#!/usr/bin/env python3
"""A gateway that misbehaves on purpose: crooked.py UPSTREAM_PORT FIRST_PORT

Stands on loopback before a real etcd and passes everything on, but for one thing that it does
wrong: each port from FIRST_PORT on has its own way, in the order of WAYS. A way of answering calls
leaves watches alone, but not on the ports from FIRST_PORT + 100 on.
"""

import base64
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


# ---- 32 MB of it: as answers to every call, /version too; or to a snapshot alone -----------------

def in_pieces(out, begin, piece, number, end):
    """As one answer, which takes no time to make."""
    out.sendall(reply(begin, length=len(begin) + number * len(piece) + len(end)))
    for _ in range(number):
        out.sendall(piece)
    out.sendall(end)
    return True


def long_list(out, _):
    """Numbers, which a parser makes far more of than they are."""
    return in_pieces(out, b'{"x":[0', b",0" * 32768, 512, b"]}")


def padded(out, body):
    """The true answer, but for a text in it that is 32 MB long."""
    return in_pieces(out, b'{"padding":"', MANY, 512, b'",' + body.lstrip()[1:])


def key_value(key, value=b"", revision="2"):
    kv = {"key": base64.b64encode(key).decode(), "create_revision": "2", "mod_revision": revision,
          "version": "1", "value": base64.b64encode(value).decode(), "lease": "77"}
    return json.dumps(kv).encode()


# Made once: it takes longer than a request may.
STRANGER = key_value(b"/vipd/notes", MANY * 12)
CROWD = b",".join(key_value(b"/vipd/vip/10.0.0.%d/77" % n, b"n" * 200) for n in range(100))


def with_keys(out, body, keys, number):
    """The true answer to a snapshot, with more keys in the first of its ranges."""
    answer = json.loads(body)
    first = answer["responses"][0]["response_range"]
    true = first.get("kvs", [])
    first["count"], first["kvs"] = str(number + len(true)), ["HERE", *true]
    head, tail = json.dumps(answer).encode().split(b'"HERE"')
    return in_pieces(out, head, keys, 1, tail)


def strangers(out, body):
    """Eight keys of somebody else's, of 1 MB each."""
    return with_keys(out, body, b",".join([STRANGER] * 8), 8)


def crowd(out, body):
    """10,000 candidates, as if they were ours."""
    return with_keys(out, body, b",".join([CROWD] * 100), 10_000)


def strangers_without_end(out, body):
    out.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    head = body[:body.index(b'"responses"')] + b'"responses":[{"response_range":{"kvs":['
    piece = key_value(b"/vipd/notes", MANY) + b","
    out.sendall(f"{len(head):x}\r\n".encode() + head + b"\r\n")
    while True:
        out.sendall(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")


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


class StrangersToo(Lines):
    """In each message 8 MB of somebody else's changes."""
    def change(self, line, events):
        if not events:
            return [line]
        revision = json.loads(line)["result"]["events"][0]["kv"]["mod_revision"]
        event = b'{"kv":' + STRANGER.replace(b'"2"', b'"%s"' % revision.encode()) + b"},"
        at = line.index(b"[", line.index(b'"events"')) + 1
        return [line[:at], *[event] * 8, line[at:]]


class CrowdToo(Lines):
    """... and 100,000 candidates, as if they were ours."""
    def change(self, line, events):
        if not events or self.seen < 3:
            return [line]
        revision = json.loads(line)["result"]["events"][0]["kv"]["mod_revision"]
        event = b'{"kv":' + key_value(b"/vipd/vip/10.0.0.1/77", b"n" * 200, revision) + b"},"
        at = line.index(b"[", line.index(b'"events"')) + 1
        return [line[:at], *[event * 100] * 1000, line[at:]]


class OtherCluster(Lines):
    def change(self, line, events):
        return [re.sub(rb'"cluster_id":"\d+"', b'"cluster_id":"12345"', line)]


CALLS = {way.__name__: way for way in (half, types, numbers, bare, endless, endless_head, drip,
                                       closed, reset, redirect, html, twice, hang, garbage,
                                       late)}
FLOODS = {way.__name__: way for way in (long_list, padded)}
SNAPSHOTS = {way.__name__: way for way in (strangers, crowd, strangers_without_end)}
WATCHES = {"repeat": Repeat, "skip": Skip, "cut": Cut, "silent": Silent, "page": Page,
           "long_line": LongLine, "other_cluster": OtherCluster,
           "strangers_too": StrangersToo, "crowd_too": CrowdToo}
WAYS = [*CALLS, *WATCHES, *FLOODS, *SNAPSHOTS]


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
        if self.way in FLOODS:
            return FLOODS[self.way](self.connection, text)
        if self.way in SNAPSHOTS and path == "/v3/kv/txn" and b'"compare":[]' in body:
            return SNAPSHOTS[self.way](self.connection, text)
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
