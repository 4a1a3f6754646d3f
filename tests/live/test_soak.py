"""Dump and restore of one tree many times over; `make soak` does 10,000 cycles, or CYCLES=n."""
import os

from live import Program
from scenario import scenario
from soak import Soak


@scenario(timeout=24 * 3600 if os.environ.get("CYCLES") else 120)
def test_soak(case):
    """Nothing grows, and the tree goes on: 200 times, or for 20 seconds if that is less."""
    n = int(os.environ.get("CYCLES", 0))
    report = Soak(case, Program("soak")).soak(n or 200, seconds=None if n else 20)
    print(report)
