"""The ways in which every test program is checkpointed and restored."""
import os
import subprocess
import time

import explained
import fidelity as frozen
import snapshot
from live import Failure, need_sound, poll


def compare(case, before, program):
    after = snapshot.take(case.pids())
    if case.root not in after:
        case.verdict(0)
        raise Failure("the program is over before it was released")
    ignore = explained.of_program(program.name)
    if "none" in ignore:
        before, after = ({p: {} for p in s} for s in (before, after))
    # Whose child the root is depends on how it was restored; the variants check it themselves.
    for s in (before, after):
        s[case.root].get(f"thread {case.root}", {}).pop("ppid", None)
    changes = snapshot.differences(before, after, ignore)
    if changes:
        raise Failure("changed by dump and restore:\n  " + "\n  ".join(changes[:40]))


def shell(case, program, key):
    """Run the shell snippet that the program's comment asks for at this point."""
    if key in program.meta:
        ran = subprocess.run(["sh", "-c", program.meta[key]], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             env={**os.environ, "DIR": str(case.dir)})
        if ran.returncode:
            raise Failure(f"{key}: {program.meta[key]}: status {ran.returncode} {ran.stdout}")


def round_trip(case, program, *options, dump_options=()):
    """Dump, restore detached, compare."""
    before = snapshot.take(case.pids())
    images = case.dump(*program.words("DUMP"), *dump_options)
    shell(case, program, "BETWEEN")
    case.restore(images, *program.words("RESTORE"), *options)
    compare(case, before, program)
    return images


def finish(case, program):
    case.release()
    case.verdict()
    case.gone()
    shell(case, program, "AFTER")


def control(case, program):
    """No dump at all: the program must be content with itself, and stand still for /proc."""
    case.start_program(program)
    before = snapshot.take(case.pids())
    time.sleep(0.05)
    compare(case, before, program)
    if "QUIET" not in program.meta:
        case.advances()
    shell(case, program, "BETWEEN")
    finish(case, program)


def plain(case, program):
    """Once, with a pid file.
    PROVES: F001 F048 F062 F464 F390"""
    case.start_program(program)
    pidfile = case.dir / "pidfile"
    images = round_trip(case, program, "--pidfile", pidfile)
    need_sound(images)
    if pidfile.read_text() != str(case.root):
        raise Failure(f"pidfile holds {pidfile.read_text()!r}, not {case.root}")
    finish(case, program)


def cycles(case, program):
    """What was restored can be dumped again, three times.
    PROVES: F035"""
    case.start_program(program)
    for _ in range(3):
        round_trip(case, program)
    finish(case, program)


def leave_running(case, program):
    """The original goes on after a preflight and after the dump; the images outlive it.
    PROVES: F027"""
    case.start_program(program)
    before = snapshot.take(case.pids())
    preflight = case.run("dump", case.new_images(), "-t", case.root, "--explain", *program.words("DUMP"))
    case.need(preflight, "the preflight of a dump that succeeds")
    images = case.dump("--leave-running", *program.words("DUMP"))
    compare(case, before, program)
    if "QUIET" not in program.meta:
        case.advances()
    case.kill()
    shell(case, program, "BETWEEN")
    case.restore(images, *program.words("RESTORE"))
    compare(case, before, program)
    finish(case, program)


def child(case, program):
    """First as our own child, then as a child of the tool, which stays until the end.
    PROVES: F042"""
    case.start_program(program)
    round_trip(case, program, "--restore-sibling")
    parent = snapshot.stats()[case.root]["ppid"]
    if parent != os.getpid():
        raise Failure(f"--restore-sibling: the parent is {parent}, not us ({os.getpid()})")
    before = snapshot.take(case.pids())
    images = case.dump(*program.words("DUMP"))
    shell(case, program, "BETWEEN")
    tool = case.begin("restore", images, *program.words("RESTORE"))
    # The last line of the log says that the tasks run; until then they are in the making.
    def resumed():
        return tool.poll() is not None or b"Tasks resumed" in (
            tool.log.read_bytes() if tool.log.exists() else b"")
    try:
        poll(resumed, 20, "the restore in the foreground")
    except Failure as e:
        raise Failure(f"{e}: {case.finish(tool, 1).describe()}") from None
    if tool.poll() is not None:
        case.need(case.finish(tool), "restore in the foreground")
        raise Failure("the tool did not stay until the restored task ended")
    parent = snapshot.stats()[case.root]["ppid"]
    if parent != tool.pid:
        raise Failure(f"the parent is {parent}, not the tool ({tool.pid})")
    compare(case, before, program)
    case.release()
    case.verdict()
    case.need(case.finish(tool), "restore in the foreground")
    case.gone()
    shell(case, program, "AFTER")


def fidelity(case, program):
    """Stopped all the time: /proc, registers, memory, and a second dump tell the same.
    PROVES: F029"""
    case.start_program(program)
    images = case.dump("--leave-stopped", *program.words("DUMP"))
    before = frozen.look(case)
    case.kill()
    shell(case, program, "BETWEEN")
    case.restore(images, "--leave-stopped", *program.words("RESTORE"))
    after = frozen.look(case)
    if case.root not in after:
        raise Failure("the program is over before it was released")
    again = case.dump("--leave-stopped", *program.words("DUMP"))
    frozen.compare(before, after, images, again, explained.of_program(program.name))
    case.kill()


ALL = [plain, cycles, leave_running, child, fidelity]
BY_NAME = {v.__name__: v for v in [*ALL, control]}
