"""Targets that do not hold still: a few dumps of each in every run, a thousand by `make races`."""
from live import Program
from races import DUMPS, Race
from scenario import scenario

TARGETS = ["forks", "threads", "execs", "maps", "signals", "calls", "stops", "fds", "sockets",
           "timers", "creds"]
TIMEOUT = 240 if DUMPS <= 100 else 7200


@scenario(timeout=TIMEOUT, args=TARGETS)
def test_race(case, name):
    """PROVES: F027"""
    Race(case, Program(f"race_{name}")).go()


@scenario(timeout=TIMEOUT, args=["calls", "threads"])
def test_stopped_from_outside(case, name):
    """SIGSTOP and SIGCONT at any moment: the last of them counts, also for the images.
    PROVES: F028"""
    Race(case, Program(f"race_{name}"), outside=True).go()
