"""A fault at every step: a sample of the points in each run, all of them by `make faults`."""
import os
import re
import signal
import subprocess

import snapshot
from faults import Sweep, everything
from live import BUILD, FERMATA, Failure, Program, need, poll
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
def test_killed_in_a_stopped_task(case):
    """A dump is killed while the agent is in a stopped task, which stays in its stop with that: the next one
    does not take that for the task's own state, and after SIGCONT there is nothing of it left.
    PROVES: F466"""
    def blocked():
        return re.search(r"SigBlk:\t(\w+)", snapshot.read(f"/proc/{case.root}/status"))[1]

    def dump(n, how):
        argv = [BUILD / "inject", n, how, case.dir / "report", FERMATA, "dump", "-R", "-t", case.root, "-D",
                case.new_images(), "-o", "dump.log"]
        subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        return (case.dir / "report").read_text().splitlines()[1:]

    case.start_program(Program("counter"))
    own = blocked()
    set_registers = [n for n, call in enumerate(dump(0, "none"), 1) if call.startswith("ptrace(SETREGSET)")]
    refused = 0
    for n in range(set_registers[0], set_registers[-1] + 6, 2):
        os.kill(case.root, signal.SIGSTOP)
        poll(lambda: snapshot.stats()[case.root]["state"] == "T", 5, "the stop")
        dump(n, "kill")
        poll(lambda: snapshot.stats()[case.root]["state"] == "T", 5, "the stop after the kill")
        if blocked() != own:
            case.refused("dump", "on its way out of a dump that was killed.*kill -CONT", "-t", case.root)
            refused += 1
        os.kill(case.root, signal.SIGCONT)
        poll(lambda: blocked() == own, 5, "its own signal mask")
    need(refused > 3, "no dump was killed while the agent was in")
    case.restore(case.dump())
    case.release()
    case.verdict()


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
