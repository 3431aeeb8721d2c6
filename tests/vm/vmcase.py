"""What the cases are written with: that of the integration tests, judged by what the LAN sees."""

import time

from case import Case, Failure  # noqa: F401
from vmlab import API

TIMEOUT_MS = 5000.0
# A take-over after a crash: as in the namespaces (test_host). Emulated processors are some ten
# times slower than real ones; a read or a write of etcd's takes up to 0.8 s on them. So it often
# happens there that a heartbeat was under way in a leader that dies, and is shown by the next one
# only, elected after one to two times etcd's election timeout: silence counts from then.
SOFTWARE_MS = 1000.0
ELECTION_MS = 2000.0
NEXT_OWNER_NO_LEADER_MS = TIMEOUT_MS + 300 + ELECTION_MS + SOFTWARE_MS
HAND_OVER_MS = 1000.0  # at once, and not after the timeout; 4 to 7 ms on real processors
MISSED = 4  # so many questions in a row without an answer are a silence


class VmCase(Case):
    def __init__(self, name, vms):
        super().__init__(name, vms.logs)
        self._lab = vms
        self.since = time.monotonic()
        self.overlaps_until = 0.0  # two may answer up to then

    @property
    def vms(self):
        return self._lab

    def begin(self):
        self.since = time.monotonic()

    def row(self, what, value_ms):
        self.vms.rows.append((what, value_ms))

    def judge(self):
        self.check(self.vms.witness.running(), "the witness ended early")
        doubles = self.doubles()
        self.check(not doubles, f"two owners: {'; '.join(doubles[:5])} ({len(doubles)} times)")

    def doubles(self):
        since = max(self.since, self.overlaps_until)
        return [f"{address} on {a} and {b} at {t:.3f}" for address in self.vms.vips
                for t, a, b in self.vms.asker.doubles(address, since)]

    def suspicions(self):
        doubles = self.doubles()
        return f"; two owners: {'; '.join(doubles[:5])}" if doubles else ""

    # ---- measured ----------------------------------------------------------------------------

    def next_owner(self, what, old, moment, limit, address=API, timeout=20):
        """From the moment until anybody else answers for the address."""
        asker = self.vms.asker
        self.vms.wait_owner(address, timeout, besides=old)
        first = asker.first(address, moment, besides=old.name)
        took = (first.t - moment) * 1e3
        self.bound_ms(what, took, limit, (moment, first.t))
        return next(m for m in self.vms.machines if m.name == first.machine), took

    def handed_over(self, what, owner, moment, address=API, more_ms=0.0):
        """Somebody else answers, at once; the longest silence on the way."""
        self.vms.wait_owner(address, besides=owner)
        length, start, end = self.vms.asker.silences(address, moment)[0]
        self.bound_ms(f"{what}: gap", length, HAND_OVER_MS + more_ms, (start, end))
        return length

    def stays(self, owner, seconds, what, address=API, since=None):
        """The owner answers all the time, as long as it answers at all, and nobody else does."""
        since = since or time.monotonic()
        time.sleep(max(0.0, since + seconds - time.monotonic()))
        asker = self.vms.asker
        self.equal(self.vms.owner(address), owner, f"owner {what}")
        other = asker.first(address, since, besides=owner.name)
        self.check(other is None, f"{what}: {other and other.machine} answered")
        longest = 0.0
        for length, start, end in asker.silences(address, since):
            missed = asker.missed(address, owner.address, start, end)
            longest = max(longest, missed * asker.interval * 1e3)
            self.check(missed <= MISSED, f"{what}: silent for {length:.0f} ms, while {owner} "
                       f"itself answered {missed} times")
        self.figure(f"gap {what} {longest:.0f} ms")
        return longest
