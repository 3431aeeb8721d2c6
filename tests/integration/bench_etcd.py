#!/usr/bin/env python3
"""What vipd costs etcd: requests, bytes and revisions of three idle hosts, measured for a minute
and given per hour. bench_etcd.py [VIPS...]"""

import os
import shutil
import sys
import time
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
import lab  # noqa: E402
import spaces  # noqa: E402

SECONDS = 60
GRPC = {"received": "etcd_network_client_grpc_received_bytes_total",
        "sent": "etcd_network_client_grpc_sent_bytes_total"}


def metrics(host):
    """Name -> sum over its labels."""
    with spaces.inside(host.ns):
        text = urllib.request.urlopen(f"http://{host.address}:2379/metrics", timeout=5).read()
    found = {}
    for line in text.decode().splitlines():
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            name = name.partition("{")[0]
            found[name] = found.get(name, 0.0) + float(value)
    return found


def now(hosts):
    every = [metrics(host) for host in hosts]
    total = {name: sum(m.get(metric, 0) for m in every) for name, metric in GRPC.items()}
    total["requests"] = sum(m.get("grpc_server_started_total", 0) for m in every)
    status = hosts[0].gateway.status()
    total["revisions"] = int(status["header"]["revision"])
    total["log"] = every[0].get("etcd_disk_wal_write_bytes_total", 0)
    return time.monotonic(), total


def bench(vips):
    spaces.sweep()
    place = lab.Lab(vips=vips, logs=os.path.join(lab.BUILD, "test-logs", f"bench_etcd_{vips}"))
    place.addresses = place.addresses[-1:]  # the witness asks each of them every millisecond
    with place:
        place.start_etcd()
        place.start_vipd()
        place.wait_owner(timeout=60)
        place.wait_queue(3, timeout=60)
        time.sleep(5)
        start, before = now(place.hosts)
        time.sleep(SECONDS)
        end, after = now(place.hosts)
    hours = (end - start) / 3600
    rate = {name: (after[name] - before[name]) / hours for name in after}
    print(f"| {vips:,} | {rate['requests']:,.0f} | {rate['revisions']:,.0f} | "
          f"{rate['received'] / 1e6:.1f} MB | {rate['sent'] / 1e6:.1f} MB |", flush=True)


def main():
    if os.geteuid() != 0:
        sys.exit("bench_etcd: needs root, for network namespaces (sudo)")
    print("| VIPs | requests an hour | revisions an hour | to etcd | from etcd |\n"
          "|---|---|---|---|---|", flush=True)
    for vips in [int(word) for word in sys.argv[1:]] or [1, 100, 1000]:
        shutil.rmtree(os.path.join(lab.BUILD, "test-logs", f"bench_etcd_{vips}"),
                      ignore_errors=True)
        bench(vips)


if __name__ == "__main__":
    main()
