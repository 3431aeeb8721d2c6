"""Holding on without etcd, in short; test_hold.py has the rest."""

import holding
from case import case
from lab import TIMEOUT


@case(seconds=30)
def test_etcd_away_and_held(t):
    lab = holding.up(t)
    holding.outage(t, lab, "etcd stopped", holding.stop_etcd, holding.go_on_with_etcd, TIMEOUT + 3)
