"""Dumps and restores again and again, interrupted, raced with, and asked to leave tasks stopped."""
import ctypes
import errno
import os
import random
import re
import signal
import struct
import subprocess
import time
from pathlib import Path

import snapshot
from live import CRIT, Failure, Program, need, need_images, poll
from scenario import scenario


def good_end(case):
    case.release()
    case.verdict()
    case.gone()


def states(case):
    return {tid: snapshot.thread(pid, tid)["state"]
            for pid in case.pids() for tid in snapshot.threads(pid)}


def need_states(case, want, when):
    poll(lambda: set(states(case).values()) == {want}, 1, f"all threads {want} {when}")


def unchanged(case, before, when):
    changes = snapshot.differences(before, snapshot.take(case.pids()))
    if changes:
        raise Failure(f"changed by {when}:\n  " + "\n  ".join(changes[:20]))


@scenario
def test_copies_are_noticed(case):
    """Pages that are the same in two tasks, and not shared any more, are what the program `cow` fails for.
    PROVES: F442"""
    case.start_program(Program("cow"), "copies")
    case.restore(case.dump())
    case.release()
    try:
        case.verdict()
    except Failure as e:
        need(re.search(r"the tree uses \d+ kB, before it was", str(e)), e)
    else:
        raise Failure("copies of all pages were not noticed")


def without_robust_lists():
    """The kernel answers get_robust_list(2) as one does that has none (a seccomp filter, in the child)."""
    get_robust_list, allow, enosys = 274, 0x7fff0000, 0x00050000 | errno.ENOSYS
    code = b"".join(struct.pack("HBBI", *line) for line in (
        (0x20, 0, 0, 0), (0x15, 0, 1, get_robust_list), (0x06, 0, 0, enosys), (0x06, 0, 0, allow)))
    program = ctypes.create_string_buffer(code)
    fprog = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(program)))
    if ctypes.CDLL(None, use_errno=True).prctl(22, 2, fprog, 0, 0):  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
        raise OSError(ctypes.get_errno(), "no filter")


@scenario
def test_kernel_without_robust_lists(case):
    """A dump does not need them.
    PROVES: F021"""
    case.start_program(Program("threads8"))
    images = case.dump(preexec_fn=without_robust_lists)
    shown = subprocess.run([CRIT, "show", images / f"core-{case.root}.img"], stdout=subprocess.PIPE, text=True)
    need(re.search(r'"futex_rla_len": 0\b', shown.stdout), "the filter had no effect")
    case.restore(images)
    good_end(case)


@scenario(timeout=120)
def test_leave_running_100_times(case):
    """PROVES: F027"""
    case.start_program(Program("threads8"))
    before = snapshot.take(case.pids())
    for i in range(100):
        case.dump("-R")
        if set(states(case).values()) != {"alive"}:
            raise Failure(f"dump {i} left a stopped thread: {states(case)}")
        case.advances(1)
    unchanged(case, before, "a hundred dumps")
    good_end(case)


@scenario(timeout=150)
def test_100_round_trips(case):
    """PROVES: F035 F047"""
    case.start_program(Program("altstack"))
    before = snapshot.take(case.pids())
    for _ in range(100):
        case.restore(case.dump())
        case.advances(1)
    before[case.root][f"thread {case.root}"]["ppid"] = "1"
    unchanged(case, before, "a hundred round trips")
    good_end(case)


@scenario
def test_stopped_root(case):
    """PROVES: F012"""
    case.start_program(Program("threads8"))
    for _ in range(2):
        os.kill(case.root, signal.SIGSTOP)
        need_states(case, "T", "after the stop")
        images = case.dump()
        case.restore(images)
        need_states(case, "T", "after the restore")
        time.sleep(0.05)
        need_states(case, "T", "some time after the restore")
        os.kill(case.root, signal.SIGCONT)
        need_states(case, "alive", "after SIGCONT")
        case.advances(1)
    good_end(case)


@scenario
def test_stopped_leave_running(case):
    """A stopped task is dumped with --leave-running: no unwanted SIGCONT.
    PROVES: F028"""
    case.start_program(Program("threads8"))
    os.kill(case.root, signal.SIGSTOP)
    need_states(case, "T", "after the stop")
    for _ in range(5):
        case.dump("-R")
        time.sleep(0.02)
        need_states(case, "T", "after the dump")
    os.kill(case.root, signal.SIGCONT)
    case.advances(1)
    good_end(case)


@scenario(timeout=120)
def test_stop_races_with_dump(case):
    """SIGSTOP at random moments of a dump: the dump succeeds, the stop takes effect.
    PROVES: F028"""
    case.start_program(Program("threads8"))
    dice = random.Random(1)
    for i in range(40):
        images = case.new_images()
        tool = case.begin("dump", images, "-t", case.root, "-R")
        time.sleep(dice.uniform(0, 0.02))
        os.kill(case.root, signal.SIGSTOP)
        case.need(case.finish(tool), f"dump {i}")
        need_images(images)
        need_states(case, "T", f"after dump {i}")
        os.kill(case.root, signal.SIGCONT)
        need_states(case, "alive", f"after SIGCONT {i}")
    case.advances(1)
    good_end(case)


@scenario
def test_leave_stopped(case):
    """PROVES: F029"""
    case.start_program(Program("threads8"))
    images = case.dump("--leave-stopped")
    need_states(case, "T", "after dump -s")
    os.kill(case.root, signal.SIGCONT)
    need_states(case, "alive", "after SIGCONT")
    case.advances(1)
    case.kill()
    case.restore(images, "--leave-stopped")
    need_states(case, "T", "after restore -s")
    activity = snapshot.activity(case.pids())
    time.sleep(0.1)
    if snapshot.activity(case.pids()) != activity:
        raise Failure("something moves after restore -s")
    os.kill(case.root, signal.SIGCONT)
    case.advances(1)
    good_end(case)


@scenario
def test_sigchld_blocked_or_ignored(case):
    """PROVES: F038"""
    def block():
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])

    def ignore():
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)

    case.start_program(Program("tree3"))
    for prepare in (block, ignore):
        before = snapshot.take(case.pids())
        images = case.dump(preexec_fn=prepare)
        case.restore(images, preexec_fn=prepare)
        before[case.root][f"thread {case.root}"]["ppid"] = "1"
        unchanged(case, before, f"a round trip with SIGCHLD {prepare.__name__}ed")
    good_end(case)


@scenario
def test_no_executable_memfd(case):
    """vm.memfd_noexec forbids executable memory files; there are other ways.
    PROVES: F407"""
    Path("/proc/sys/vm/memfd_noexec").write_text("2")
    case.start_program(Program("tree3"))
    case.restore(case.dump())
    good_end(case)


@scenario
def test_dead_and_zombies_again_and_again(case):
    """PROVES: F039"""
    for name in ("zombies", "proc_dead"):
        for leftover in ("ready", "release", "result", "die"):
            (case.dir / leftover).unlink(missing_ok=True)
        case.start_program(Program(name))
        for _ in range(15):
            case.restore(case.dump())
        good_end(case)


KILLED = ["counter", "threads8", "threads_signals", "tree3", "anon_pages", "pty_queues"]
# More tasks than are visited at once, or more threads than one of the tool traces; to compare what
# they are takes far longer than a dump.
CROWD = ["tasks_100", "threads_lanes"]


def typical(action):
    start = time.monotonic()
    action()
    return time.monotonic() - start


@scenario(timeout=180, args=KILLED + CROWD)
def test_kill_the_dump(case, name):
    """kill -9 of the tool at any moment of a dump leaves the target running, and dumpable.
    PROVES: F034"""
    case.start_program(Program(name))
    before = snapshot.take(case.pids())
    images = case.new_images()
    length = typical(lambda: case.need(
        case.run("dump", images, "-t", case.root, "-R"), "dump"))
    kills = 12 if name in CROWD else 50
    for i in range(kills):
        images = case.new_images()
        tool = case.begin("dump", images, "-t", case.root, "-R")
        time.sleep(length * 1.1 * i / kills)
        tool.kill()
        case.finish(tool)
        poll(lambda: set(states(case).values()) == {"alive"}, 5, f"all threads alive after {i}")
        case.advances()
        # 250 naps of the agent, where nobody can tell whether a thread is in its region
        poll(lambda: not snapshot.differences(before, snapshot.take(case.pids())), 10,
             f"the target as it was after killed dump {i}: " + "; ".join(
                 snapshot.differences(before, snapshot.take(case.pids()))[:5]))
    case.restore(case.dump())
    good_end(case)


@scenario(timeout=180, args=[*KILLED, "pty_session"])
def test_kill_the_restore(case, name):
    """kill -9 of the tool at any moment of a restore leaves no task, or all of them.
    PROVES: F036"""
    case.start_program(Program(name))
    whole = case.pids()
    images = case.dump()
    length = typical(lambda: case.restore(images))
    case.kill()
    for i in range(50):
        tool = case.begin("restore", images, "-d")
        time.sleep(length * 1.1 * i / 50)
        tool.kill()
        case.finish(tool)
        def settled():
            left = case.pids()
            if not left:
                return True
            # The kill came after the end: then everything is there and runs.
            start = snapshot.activity(left)
            time.sleep(0.05)
            return left == whole and snapshot.activity(left) != start
        poll(settled, 10, f"none of the tasks, or all of them and running, after killed restore {i};"
             f" there are {states(case)}")
        case.kill()
    case.restore(images)
    good_end(case)


@scenario
def test_foreign_vdso(case):
    """A vDSO that is not this kernel's is kept as a proxy, over several round trips and back.
    PROVES: F055"""
    case.start_program(Program("vdso_proxy"))
    for fault in ("127", "127", "0", "127"):
        images = case.dump()
        case.restore(images, env=dict(os.environ, CRIU_FAULT=fault))
        maps = Path(f"/proc/{case.root}/maps").read_text()
        if maps.count("[vdso]") != 1:
            raise Failure(f"the vDSO is there {maps.count('[vdso]')} times:\n{maps}")
    good_end(case)
