"""Targets that do not hold still: a few dumps of each in every run, a thousand by `make races`."""
import ctypes
import os
import signal

import snapshot
from live import Program, poll
from races import DUMPS, Race
from scenario import scenario
from variants import finish, round_trip

SYS_PAUSE, SYS_TGKILL = 34, 234
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


@scenario(timeout=TIMEOUT, args=["unix_many", "tcp_ports", "zombies"])
def test_restored_again_and_again(case, name):
    """What must be in place when something else is made may not depend on luck.
    PROVES: F146 F167 F039"""
    program = Program(name)
    case.start_program(program)
    for _ in range(50 if DUMPS > 100 else 4):
        round_trip(case, program)
    finish(case, program)


@scenario(args=["pause", "poll", "epoll", "thread"])
def test_interrupted_call(case, call):
    """The handler of a signal that was pending runs, and ends the call that it came in.
    PROVES: F006"""
    case.start_program(Program("call_interrupted"), call)
    poll(lambda: len(snapshot.threads(case.root)) == 1 + (call == "thread") and
         snapshot.stats()[case.root]["state"] == "S", 5, "the call")
    if call == "thread":
        poll(lambda: snapshot.read(f"/proc/{case.root}/task/{snapshot.threads(case.root)[-1]}"
                                   "/syscall").startswith(f"{SYS_PAUSE} "), 5, "the thread's pause()")
    os.kill(case.root, signal.SIGSTOP)
    poll(lambda: snapshot.stats()[case.root]["state"] == "T", 5, "the stop")
    ctypes.CDLL(None).syscall(SYS_TGKILL, case.root, snapshot.threads(case.root)[-1],
                              signal.SIGUSR1)
    case.restore(case.dump())
    os.kill(case.root, signal.SIGCONT)
    case.verdict()
