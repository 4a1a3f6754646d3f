"""A fault at every step: a sample of the points in each run, all of them by `make faults`."""
import os

from faults import Sweep, everything
from live import Program
from scenario import scenario

SCENARIOS = ["threads8", "itimers", "pending", "tree3", "shared_anon", "ghost_files", "pipes",
             "unix_pairs", "tcp_pairs", "file_locks", "pty_pairs"]
SAMPLE = int(os.environ.get("SAMPLE", 24))
CASES = [f"{name}:{verb}" for name in SCENARIOS for verb in ("dump", "restore")]


@scenario(timeout=3600 if everything() else 90, args=CASES)
def test_faults(case, which):
    """PROVES: F466"""
    name, verb = which.split(":")
    Sweep(case, Program(name), verb).sweep(0 if everything() else SAMPLE)
