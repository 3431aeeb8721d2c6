"""The few calls of etcd's JSON gateway that the tests need, from inside a host's namespace."""

import base64
import contextlib
import http.client
import json
import socket

from spaces import inside


PATIENCE_S = 8.0  # of whoever asks once; who asks again and again says how soon


class Unavailable(Exception):
    pass


def b64(text):
    return base64.b64encode(text.encode()).decode()


def unb64(text):
    return base64.b64decode(text or "").decode()


def prefix_end(prefix):
    """The first key after all that start with the prefix."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def call(ns, address, path, body, timeout=PATIENCE_S, tls=None, token=None):
    """One POST; the parsed answer, or Unavailable."""
    connection = http.client.HTTPConnection(address, 2379, timeout=timeout)
    try:
        with inside(ns):
            connection.sock = socket.create_connection((address, 2379), timeout)
        if tls:
            connection.sock = tls.wrap_socket(connection.sock, server_hostname=address)
        connection.request("POST", path, json.dumps(body),
                           {"Authorization": token} if token else {})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise Unavailable(text.decode(errors="replace"))
        return json.loads(text)
    except (OSError, http.client.HTTPException, ValueError) as fault:
        raise Unavailable(str(fault)) from fault
    finally:
        connection.close()


class Gateway:
    def __init__(self, ns, address, tls=None):
        self.ns, self.address, self.tls, self.token = ns, address, tls, None

    def call(self, path, body, timeout=PATIENCE_S):
        return call(self.ns, self.address, path, body, timeout, self.tls, self.token)

    def log_in(self, user, password):
        """Later calls are this user's."""
        self.token = None
        body = {"name": user, "password": password}
        self.token = self.call("/v3/auth/authenticate", body)["token"]

    def status(self, timeout=PATIENCE_S):
        return self.call("/v3/maintenance/status", {}, timeout)

    def leader(self):
        """The leader's id as the member has it; "0": it has none, or does not answer."""
        with contextlib.suppress(Unavailable):
            return self.status(0.5).get("leader", "0")
        return "0"

    def is_leader(self):
        with contextlib.suppress(Unavailable):
            answer = self.status(0.5)
            return answer.get("leader", "0") == answer["header"]["member_id"]
        return False

    def range(self, prefix, serializable=False, timeout=PATIENCE_S):
        """[(key, value, lease)] in the order of their creation."""
        body = {"key": b64(prefix), "range_end": b64(prefix_end(prefix))}
        body["serializable"] = serializable
        kvs = self.call("/v3/kv/range", body, timeout).get("kvs", [])
        kvs.sort(key=lambda kv: int(kv["create_revision"]))
        return [(unb64(kv["key"]), unb64(kv.get("value")), int(kv.get("lease", 0))) for kv in kvs]

    def put(self, key, value, timeout=PATIENCE_S):
        self.call("/v3/kv/put", {"key": b64(key), "value": b64(value)}, timeout)

    def delete(self, key):
        return int(self.call("/v3/kv/deleterange", {"key": b64(key)}).get("deleted", 0))

    def delete_prefix(self, prefix):
        body = {"key": b64(prefix), "range_end": b64(prefix_end(prefix))}
        return int(self.call("/v3/kv/deleterange", body).get("deleted", 0))

    def revoke(self, lease):
        self.call("/v3/lease/revoke", {"ID": str(lease)})
