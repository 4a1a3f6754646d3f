"""A fault at every step: a sample of the points in each run, all of them by `make faults`."""
import os
import re

from faults import Sweep, everything
from live import Failure, Program
from scenario import scenario
from scenes import all_scenes

SAMPLE = int(os.environ.get("SAMPLE", 6))
SCENES = all_scenes()


def shard(text):
    """Of "2/5" (2, 5): every fifth point from the third on."""
    return [int(n) for n in text.split("/")] if text else (0, 1)


@scenario(timeout=3600 if everything() else 240, args=list(SCENES))
def test_faults(case, which, part=None):
    """PROVES: F466"""
    Sweep(case, SCENES[which]).sweep(0 if everything() else SAMPLE, *shard(part))


@scenario
def test_failed_sigaction(case):
    """A signal action that cannot be set fails the restore, and the message names it.
    PROVES: F046"""
    case.start_program(Program("sigactions"))
    images = case.dump()
    for n in range(1, 2000):
        ran = case.run("restore", images, "-d",
                       env={**os.environ, "FERMATA_FAULT_STEP": str(n)})
        hit = re.search("Fault injected: .*", ran.text)
        if not hit:
            raise Failure("no step sets a signal action")
        if "set signal action" in hit[0]:
            break
        if ran.status == 0:
            case.kill()
    if ran.status != 1 or not re.search("set signal action SIG.*not implemented", ran.text):
        raise Failure(f"not told of: {ran.describe()}")
    case.gone()
    case.restore(images)
    case.release()
    case.verdict()
