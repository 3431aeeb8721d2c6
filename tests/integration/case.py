"""What a test is written with: bounds, figures, and the checks that hold for every one."""

import os
import signal
import sys
import time
import traceback

import gateway
import spaces
from lab import Lab


# Nothing else runs on this machine: figures that a busy one spoils are judged as well.
ALONE = "ALONE" in os.environ

# A machine that stood still for so long at a stretch, or for such a share of the time, may have
# ended a peer lease or a session by rights, and what a test expects then does not hold. Of one that
# does nothing else 40 ms were seen, and 2 % of the time. And an address that the kernel sets 100 ms
# late may outlive its deadline: vipd removes it, and sets it again.
STALL_MS = 80
STALL_SHARE = 0.06

# A hand-over or a return, in ms: far below what waiting for anybody takes, 600 ms for a probe and a
# second for a term. How fast it is when the machine is not busy is for `make check-figures`.
NO_WAIT_MS = 500

FATAL = (signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGSYS)
CRASHES = [-number for number in FATAL]


class Failure(Exception):
    pass


class Skip(Exception):
    pass


def case(seconds, weight=1):
    """Marks a test with about how long it takes, so that the longest can start first; and with how
    many others it weighs as much as, for one that keeps a processor busy."""
    def mark(function):
        function.seconds, function.weight = seconds, weight
        return function
    return mark


class Case:
    """Given to each test. Collects figures for the report, and the laboratory to judge."""

    def __init__(self, name, logs):
        self.name, self.logs = name, logs
        self.figures = []
        self._lab = None
        self.overlap_expected = False
        self.permanent_expected = False  # somebody makes an address so

    def lab(self, **options):
        """A laboratory that is up; it is taken down after the test."""
        self._lab = Lab(logs=self.logs, **options)
        return self._lab.__enter__()

    def close(self):
        if self._lab:
            self._lab.close()

    def figure(self, text):
        self.figures.append(text)
        print(f"{time.monotonic():.3f} figure: {text}", flush=True)

    def note(self, text):
        print(f"{time.monotonic():.3f} {text}", flush=True)

    def check(self, condition, reason):
        if not condition:
            raise Failure(reason)

    def equal(self, got, wanted, what):
        self.check(got == wanted, f"{what}: {got!r}, wanted {wanted!r}")

    def bound_ms(self, what, value, limit, window=None):
        """value <= limit. Stalls of this machine inside the window, measured beside it, are the
        machine's and not the daemon's: they are taken off, and said."""
        stalled = self._lab.witness.stalled_ms(*window) if window and value > limit else 0.0
        excuse = f" (machine stalled for {stalled:.0f} ms of it)" if stalled else ""
        self.figure(f"{what} {value:.1f} ms{excuse}")
        self.check(value - stalled <= limit,
                   f"{what}: {value:.1f} ms, limit {limit:.0f} ms{excuse}")

    def bound_speed(self, what, value, limit, window):
        """value <= limit where nothing else runs. Beside other tests it is longer by less than a
        wait for somebody would take."""
        self.bound_ms(what, value, limit if ALONE else limit + NO_WAIT_MS, window)

    def bound_gap(self, what, limit, vip, since):
        """The client's longest time without an answer of the VIP since then <= limit, in ms."""
        gap, *window = self._lab.witness.longest_gap(vip, since)
        self.bound_ms(what, gap, limit, window)

    def judge(self):
        """Holds whatever was tested: never two owners, lifetimes that the kernel ends in time."""
        if self._lab is None or self._lab.witness is None:
            return
        witness = self._lab.witness
        self.check(witness.running(), "the witness ended early")
        witness.sync()
        self.check(not witness.find("lost"), "the witness lost address events")
        overlaps = self._two_owners()
        self.check(self.overlap_expected or not overlaps, f"two owners: {'; '.join(overlaps)}")
        for event in witness.find("lifetime"):
            good = event["valid"] <= 14 or self.permanent_expected
            self.check(good, f"renewed on {event['host']} for {event['valid']} s")
        for host in self._lab.hosts:
            self._judge_log(host)

    def _two_owners(self):
        """By what was answered; and by what the kernels list, which a packet fence does not end."""
        witness = self._lab.witness
        return witness.two_answered() + ([] if self._lab.fenced() else witness.overlaps())

    def suspicions(self):
        """For a test that failed: what else the witness saw."""
        if self._lab is None or self._lab.witness is None or self.overlap_expected:
            return ""
        overlaps = self._two_owners()
        return f"; two owners: {'; '.join(overlaps)}" if overlaps else ""

    def stalled(self):
        """How the machine stood still, where that may be why a test failed. Else nothing."""
        if self._lab is None or self._lab.witness is None:
            return ""
        witness = self._lab.witness
        longest, share = witness.longest_stall_ms(0), witness.stalled_share()
        if longest < STALL_MS and share < STALL_SHARE:
            return ""
        return f"the machine stood still for {longest:.0f} ms, and {share:.0%} of the time"

    def _judge_log(self, host):
        if host.vipd is None:
            return
        crashed = (host.vipd.child.poll() or 0) in CRASHES
        self.check(not crashed, f"{host}: vipd ended by signal {-(host.vipd.child.poll() or 0)}")
        text = host.vipd.text()
        for sign in ("AddressSanitizer", "runtime error:", "Assertion", "terminate called"):
            self.check(sign not in text, f"{host}: {sign} in its log")


def run_case(name, function, logs):
    """Runs one test; prints what the runner reads: VERDICT TAB reason TAB figures. It never runs
    one again; a failure says whether the machine stood still meanwhile."""
    spaces.sweep()
    test = Case(name, logs)
    verdict, reason = "PASS", ""
    try:
        try:
            function(test)
            test.judge()
        except Skip as why:
            verdict, reason = "SKIP", str(why)
        except (Failure, TimeoutError, RuntimeError, gateway.Unavailable) as why:
            verdict, reason = "FAIL", str(why) + test.suspicions()
            traceback.print_exc()
        except Exception as fault:  # a fault of the test, or an answer that it cannot read
            verdict, reason = "FAIL", f"{type(fault).__name__}: {fault}" + test.suspicions()
            traceback.print_exc()
        if verdict == "FAIL" and (stalled := test.stalled()):
            reason += f"; {stalled}"
    finally:
        test.close()
    print(f"RESULT\t{verdict}\t{reason}\t{'; '.join(test.figures)}".replace("\n", " "), flush=True)
    sys.exit(verdict == "FAIL")
