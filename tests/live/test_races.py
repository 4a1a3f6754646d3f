"""Targets that do not hold still: a few dumps of each in every run, a thousand by `make races`."""
import ctypes
import os
import re
import signal

import snapshot
from live import Program, poll
from races import DUMPS, Race
from scenario import scenario
from variants import finish, round_trip

SYS_TGKILL = 234
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


CALLS = ["pause", "poll", "epoll", "thread", "sleep", "read", "again", "sem", "wait"]


def start_in_call(case, call):
    case.start_program(Program("call_interrupted"), call)
    waiter = case.root if call != "thread" else poll(
        lambda: [tid for tid in snapshot.threads(case.root) if tid != case.root], 5, "the thread")[0]
    poll(lambda: re.match(r"\d+ ", snapshot.read(f"/proc/{case.root}/task/{waiter}/syscall")) and
         snapshot.stats()[case.root]["state"] == "S", 5, "the call")
    return waiter


def signal_thread(case, tid):
    ctypes.CDLL(None).syscall(SYS_TGKILL, case.root, tid, signal.SIGUSR1)


@scenario(args=CALLS)
def test_interrupted_call(case, call):
    """The handler of a signal that was pending runs, and ends the call that it came in.
    PROVES: F006"""
    waiter = start_in_call(case, call)
    os.kill(case.root, signal.SIGSTOP)
    poll(lambda: snapshot.stats()[case.root]["state"] == "T", 5, "the stop")
    signal_thread(case, waiter)
    case.restore(case.dump())
    os.kill(case.root, signal.SIGCONT)
    case.verdict()


@scenario(args=CALLS)
def test_interrupted_before_it_runs(case, call):
    """A restored task gets the signal before its first instruction: the call that it is in ends.
    PROVES: F006"""
    waiter = start_in_call(case, call)
    case.restore(case.dump(), "--leave-stopped")
    signal_thread(case, waiter)
    os.kill(case.root, signal.SIGCONT)
    case.verdict()
