"""The rows of test_peers.py more often, and with the shortest useful timeout."""

from case import case
from test_peers import nothing_lost, owner_lost

ROUNDS = 2


@case(seconds=100)
def test_peer_owner_lost_often(t):
    owner_lost(t, "1s", ROUNDS)


@case(seconds=80)
def test_peer_owner_lost_often_250ms(t):
    owner_lost(t, "250ms", ROUNDS)


@case(seconds=60)
def test_peer_nothing_lost_often(t):
    nothing_lost(t, "1s", 1.0, rounds=3)


@case(seconds=60)
def test_peer_nothing_lost_250ms(t):
    nothing_lost(t, "250ms", 0.25, rounds=3)
