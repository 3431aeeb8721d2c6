"""The turns of a daemon's loop that were long, as its log tells them."""

import re
from dataclasses import dataclass

LINE = re.compile(r"loop: a turn took (\d+) ms, (\d+) ms of the processor(?:; (.*))?")


@dataclass
class Turn:
    ms: int
    used_ms: int
    what: str

    def __str__(self):
        return f"{self.ms} ms ({self.used_ms} ms; {self.what})" if self.ms else "below 50 ms"


class Turns:
    """Those from here on."""

    def __init__(self, host):
        self.path = f"{host.lab.logs}/{host.name}.vipd.log"
        self.offset = len(self._text())

    def _text(self):
        try:
            with open(self.path, errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def all(self):
        found = LINE.findall(self._text()[self.offset:])
        return [Turn(int(ms), int(used), what) for ms, used, what in found]

    def longest(self):
        """By the processor's time: a machine that is busy makes any turn long."""
        return max(self.all(), key=lambda turn: turn.used_ms, default=Turn(0, 0, ""))
