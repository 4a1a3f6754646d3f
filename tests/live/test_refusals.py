"""What cannot be dumped or restored is refused: with a message that names it, and without harm."""
import ctypes
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import snapshot
from live import Failure, Program, Skipped, need, poll
from scenario import scenario

PTRACE_SEIZE = 0x4206


def unharmed(case, before):
    """After a refused dump the tree is as it was and alive."""
    changes = snapshot.differences(before, snapshot.take(case.pids()))
    if changes:
        raise Failure("the refused dump changed the target:\n  " + "\n  ".join(changes[:20]))
    case.advances(1)


def obstacles(ran):
    return {line for line in ran.text.splitlines() if line.startswith("Error: pid ")}


def refused_unharmed(case, pattern, *options):
    """A dump is refused, and a preflight says the same beforehand."""
    before = snapshot.take(case.pids())
    preflight = case.run("dump", case.new_images(), "-t", case.root, *options, "--explain")
    unharmed(case, before)
    ran = case.refused("dump", pattern, "-t", case.root, *options)
    unharmed(case, before)
    if "to a dump" in ran.text:
        need(preflight.status == 1 and obstacles(ran) <= obstacles(preflight),
             f"the preflight does not say what the dump says: {preflight.describe()}")
    return ran


def good_end(case):
    case.release()
    case.verdict()
    case.gone()


@scenario
def test_missing_pid(case):
    """PROVES: F352 F467"""
    case.refused("dump", r"\b31999\b", "-t", 31999)


@scenario(host=True)
def test_kernel_thread(case):
    """PROVES: F466"""
    kthreads = [p for p, t in snapshot.stats().items() if t["comm"] == "kthreadd"]
    if not kthreads:
        raise Skipped("no kernel threads in sight")
    case.refused("dump", rf"\b{kthreads[0]}\b.*kernel thread", "-t", kthreads[0])


@scenario
def test_traced_task(case):
    """A task under a debugger: the message names the tracer; both go on.
    PROVES: F040"""
    case.start_program(Program("counter"))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(PTRACE_SEIZE, case.root, None, None) != 0:
        raise Failure("cannot trace")
    refused_unharmed(case, rf"{case.root}.*\b{os.getpid()}\b")
    status = snapshot.read(f"/proc/{case.root}/status")
    if f"TracerPid:\t{os.getpid()}\n" not in status:
        raise Failure("the tracer lost its tracee")
    good_end(case)


@scenario
def test_strace(case):
    """PROVES: F040"""
    if not shutil.which("strace"):
        raise Skipped("no strace here")
    case.start_program(Program("tree3"))
    tracer = subprocess.Popen(["strace", "-f", "-qq", "-o", case.dir / "trace", "-p",
                               str(case.root)], stderr=subprocess.DEVNULL)
    case.tools.add(tracer.pid)
    traced = f"TracerPid:\t{tracer.pid}\n"
    poll(lambda: traced in snapshot.read(f"/proc/{case.root}/status"), 5, "strace")
    case.refused("dump", rf"{case.root}.*\b{tracer.pid}\b", "-t", case.root)
    if traced not in snapshot.read(f"/proc/{case.root}/status"):
        raise Failure("strace lost its tracee")
    case.advances(1)
    case.release()
    case.verdict()
    tracer.wait(5)


@scenario
def test_shell_job(case):
    """Not a session leader: refused without --shell-job, goes into the caller's session with it.
    PROVES: F003"""
    case.start_program(Program("counter"), start_new_session=False)
    refused_unharmed(case, "shell-job")
    images = case.dump("--shell-job")
    case.refused("restore", "shell-job", "-d", images=images)
    case.gone()
    case.restore(images, "--shell-job")
    if os.getsid(case.root) != os.getsid(0):
        raise Failure(f"session {os.getsid(case.root)}, not ours ({os.getsid(0)})")
    good_end(case)


FD_KINDS = ["userfaultfd", "perf", "io_uring", "secret", "fsopen", "seccomp-notify",
            "block-device", "fuse"]


@scenario(args=FD_KINDS)
def test_unsupported_fd(case, kind):
    """PROVES: F466 F034"""
    case.start_program(Program("odd_fd"), kind)
    refused_unharmed(case, rf"\b{case.root}\b.*fd 100\b")
    good_end(case)


NOTIFY_KINDS = {
    "epoll-foreign": "epoll set.*nobody in the tree has open",
    "inotify-unread": "inotify instance with unread events",
    "inotify-foreign": "inotify watch on a removed file",
    "fanotify-unread": "fanotify group with unread events",
    "fanotify-decides": "decides about access",
    "fanotify-filesystem": "whole filesystem",
    "pidfd-foreign": r"pidfd of process \d+, which is not part of the tree",
    "pidfd-thread": "pidfd of a single thread",
}


@scenario(args=list(NOTIFY_KINDS))
def test_notification_fd(case, kind):
    """What would be lost is refused, and stays.
    PROVES: F198 F204 F210 F034"""
    case.start_program(Program("odd_notify"), kind)
    refused_unharmed(case, rf"\b{case.root}\b.*fd 100\b.*{NOTIFY_KINDS[kind]}")
    good_end(case)


@scenario(args=["once", "cycles", "leave_running"])
def test_lost_events(case, how):
    """Unread events are lost by request only, and the program is told so; twice is no more.
    PROVES: F204 F210"""
    lost = () if how == "leave_running" else ("lost",)
    case.start_program(Program("odd_notify"), "inotify-unread", *lost)
    case.refused("dump", "unread events.*--skip-in-flight", "-t", case.root, "--explain")
    for _ in range(3 if how == "cycles" else 1):
        if how == "leave_running":
            case.dump("--skip-in-flight", "--leave-running")
        else:
            case.restore(case.dump("--skip-in-flight"))
    good_end(case)


@scenario
def test_unsupported_mapping(case):
    """PROVES: F077 F466"""
    case.start_program(Program("odd_fd"), "mapping")
    line = next(line for line in snapshot.read(f"/proc/{case.root}/maps").splitlines()
                if "io_uring" in line)
    refused_unharmed(case, line.split("-")[0].lstrip("0"))
    good_end(case)


SOURCE_32 = r"""
static void call(int nr, void *a)
{ __asm__ volatile("int $0x80" : : "a"(nr), "b"(a), "c"(0) : "memory"); }
void _start(void)
{ struct { int sec, nsec; } t = {0, 1000000}; for (;;) call(162, &t); }
"""


TASKS = {
    "ldt": r"has segments of its own \(modify_ldt\)",
    "ports": r"thread \d+: has access to I/O ports",
    "keys": r"has a keyring of its own",
    "thread_timer": r"timer 0 counts the CPU time of some thread",
    "thread_keys": r"thread \d+: has a keyring of its own",
    "own_files": r"thread \d+: has a descriptor table of its own \(unshare\(CLONE_FILES\)\).*that thread",
    "many_files": r"thread \d+: has a descriptor table of its own",
    "own_fs": r"thread \d+: has a working directory and umask of its own \(unshare\(CLONE_FS\)\)",
    "many_fs": r"thread \d+: has a working directory and umask of its own",
    "own_uts": r"thread \d+: is in another UTS namespace than its process",
    "many_uts": r"thread \d+: is in another UTS namespace than its process",
    "own_net": r"thread \d+: is in another network namespace than its process",
    "own_ipc": r"thread \d+: is in another IPC namespace than its process",
    "own_children": r"thread \d+: its next child will be in another PID namespace",
    "many_children": r"thread \d+: its next child will be in another PID namespace",
    "children": r"its next child will be in another PID namespace.*setns",
    "children_clock": r"its next child will be in another time namespace",
}


@scenario(args=sorted(TASKS))
def test_odd_task(case, kind):
    """States of tasks that a restore cannot bring back.
    PROVES: F003"""
    case.start_program(Program("odd_task"), kind)
    refused_unharmed(case, TASKS[kind])
    good_end(case)


CROWDED = {
    "files": r"shares its descriptor table \(CLONE_FILES\) with another process",
    "uts": r"lives in another UTS namespace",
}


@scenario(args=sorted(CROWDED))
def test_odd_in_a_crowd(case, kind):
    """One of so many that their kernel objects are told apart all at once.
    PROVES: F003"""
    case.start_program(Program("tasks_mixed"), kind)
    refused_unharmed(case, CROWDED[kind])
    good_end(case)


@scenario
def test_main_timer(case):
    """A timer of the main thread's CPU time, among threads.
    PROVES: F008"""
    case.start_program(Program("odd_task"), "main_timer")
    case.restore(case.dump())
    good_end(case)


@scenario(args=["root", "user", "thread", "crowd"])
def test_landlock(case, kind):
    """Who is restricted by landlock would be free afterwards.
    PROVES: F003"""
    case.start_program(Program("landlocked"), kind)
    refused_unharmed(case, r"thread \d+: may not look into other processes of its user: landlock")
    good_end(case)


@scenario
def test_not_landlocked(case):
    """Another user is no reason to refuse."""
    case.start_program(Program("landlocked"), "free")
    case.restore(case.dump())
    good_end(case)


@scenario
def test_numa_policies(case):
    """Policies of single mappings, on any machine.
    PROVES: F073"""
    os.environ["CRIU_FAULT"] = "1001"
    case.start_program(Program("numa_policies"))
    case.restore(case.dump())
    good_end(case)


@scenario
def test_32_bit_task(case):
    """PROVES: F466"""
    source, binary = case.dir / "small.c", case.dir / "small"
    source.write_text(SOURCE_32)
    built = subprocess.run(["gcc", "-m32", "-nostdlib", "-static", "-ffreestanding", "-fno-pic",
                            "-no-pie", "-fno-stack-protector", source, "-o", binary],
                           capture_output=True, text=True)
    if built.returncode:
        raise Skipped("the compiler makes no 32-bit programs")
    try:
        case.start([binary], ready=False)
    except OSError:
        raise Skipped("the kernel runs no 32-bit programs") from None
    time.sleep(0.1)
    refused_unharmed(case, rf"\b{case.root}\b.*32.?bit")
    case.kill()


@scenario
def test_vfork_parent(case):
    """A task that cannot be stopped: given up after --timeout, everything runs on.
    PROVES: F053"""
    case.start_program(Program("vfork_parent"))
    start = time.monotonic()
    case.refused("dump", rf"\b{case.root}\b", "-t", case.root, "--timeout", 1)
    if time.monotonic() - start > 4:
        raise Failure("it took much longer than the timeout")
    case.advances(1)
    good_end(case)


def cgroup(case, mounted):
    """A new one of its own with the tree in it."""
    above = Path(mounted)
    if not (above / "cgroup.procs").exists():
        raise Skipped(f"no cgroups in {mounted}")
    place = above / f"live.{os.getpid()}.{case.root}"
    try:
        place.mkdir()
        for pid in case.pids():
            (place / "cgroup.procs").write_text(str(pid))
    except OSError as e:
        raise Skipped(f"no new cgroup in {mounted}: {e}") from None
    return place


def remove(place):
    poll(lambda: not (place / "cgroup.procs").read_text(), 5, "an empty cgroup")
    place.rmdir()


FREEZERS = {
    "v1": ("/sys/fs/cgroup/freezer", "freezer.state", "FROZEN", "THAWED"),
    "v2": ("/sys/fs/cgroup", "cgroup.freeze", "1", "0"),
    "both": ("/sys/fs/cgroup/unified", "cgroup.freeze", "1", "0"),
}


@scenario(args=list(FREEZERS), host=True)
def test_frozen(case, version):
    """Who is frozen by a cgroup cannot be dumped; thawed, it can, with a warning that the cgroup is not kept."""
    mounted, file, frozen, thawed = FREEZERS[version]
    case.start_program(Program("tree3"))
    place = cgroup(case, mounted)
    try:
        (place / file).write_text(frozen)
        poll(lambda: "frozen 1" in snapshot.read(place / "cgroup.events")
             or snapshot.read(place / file) == "FROZEN\n", 5, "frozen")
        case.refused("dump", rf"pid \d+ is frozen by its cgroup \({place}/{file}\).*thaw it",
                     "-t", case.root, "--timeout", 1)
        (place / file).write_text(thawed)
        case.advances(1)
        images, pids = case.new_images(), case.pids()
        ran = case.run("dump", images, "-t", case.root, "-v2", verbose=False)
        case.gone(pids)
        need(re.search(rf"pid {case.root} and \d+ more: in another cgroup \(.*{place.name}\)", case.need(ran, "dump").text),
             f"no warning: {ran.describe()}")
        remove(place)
        case.restore(images)
        good_end(case)
    finally:
        if place.exists():
            (place / file).write_text(thawed)
            case.kill()
            remove(place)


@scenario
def test_two_blockers(case):
    """All obstacles of the tree are told at once, each with its remedy.
    PROVES: F466 F109 F105"""
    case.start_program(Program("two_blockers"))
    child = max(case.pids())
    for verb in (["dump", "-t", case.root], ["check", "-t", case.root],
                 ["dump", "--explain", "-t", case.root]):
        before = snapshot.take(case.pids())
        ran = case.refused(verb[0], "", *verb[1:])
        for want in (f"{case.root}", "fd 101", "--ghost-limit", f"{child}", "fd 102",
                     "--link-remap"):
            if want not in ran.text:
                raise Failure(f"{verb} does not mention {want!r}: {ran.describe()}")
        unharmed(case, before)
    good_end(case)


@scenario
def test_many_blockers(case):
    """Of a great number a dump tells a handful and how to see the rest; --explain tells all.
    PROVES: F466"""
    case.start(["/usr/bin/python3", "-c", "import fcntl, sys, time\nf = open(sys.argv[1] + '/f', 'w')\n"
                "for i in range(30): fcntl.lockf(f, fcntl.LOCK_EX, 1, i * 2)\n"
                "open(sys.argv[1] + '/ready', 'w'); time.sleep(1000)", case.dir])
    short = case.refused("dump", "and 21 more", "-t", case.root)
    full = case.refused("dump", "", "--explain", "-t", case.root)
    for ran, want in (short, 9), (full, 30):
        if (n := len(set(re.findall("POSIX write lock.*", ran.text)))) != want:
            raise Failure(f"{n} locks told of: {ran.describe()}")
    case.kill()


@scenario
def test_ghost_limit(case):
    """PROVES: F109"""
    case.start_program(Program("ghost_large"))
    refused_unharmed(case, "ghost-limit")
    refused_unharmed(case, "ghost-limit", "--ghost-limit", "1500K")
    images = case.dump("--ghost-limit", "2200K")
    case.restore(images)
    good_end(case)


@scenario
def test_link_remap_needed(case):
    """PROVES: F105 F106"""
    case.start_program(Program("link_remap"))
    refused_unharmed(case, "link-remap")
    if list(case.dir.rglob("link_remap*")):
        raise Failure("a helper name is left")
    good_end(case)


@scenario
def test_size_changed(case):
    """PROVES: F102 F036"""
    case.start_program(Program("regular_files"))
    images = case.dump()
    victim = case.dir / "file1"
    victim.write_bytes(b"0123456789 and more")
    case.refused("restore", "file1", "-d", images=images)
    case.gone()
    victim.write_bytes(b"0123")
    case.refused("restore", "file1", "-d", images=images)
    case.gone()


@scenario
def test_file_missing(case):
    """Nothing is left of the failed restore, ghost files included; the next one works.
    PROVES: F036 F107"""
    case.start_program(Program("ghost_reused"))
    images = case.dump()
    os.rename(case.dir / "name", case.dir / "aside")
    before = sorted(os.listdir(case.dir))
    for _ in range(2):
        case.refused("restore", "name", "-d", images=images)
        case.gone()
        if sorted(os.listdir(case.dir)) != before:
            raise Failure(f"left over: {set(os.listdir(case.dir)) - set(before)}")
    os.rename(case.dir / "aside", case.dir / "name")
    case.restore(images)
    good_end(case)


@scenario
def test_exe_missing(case):
    """PROVES: F017 F036"""
    copy = case.dir / "program"
    shutil.copy(Program("counter").path, copy)
    case.start([copy, case.dir])
    images = case.dump()
    os.rename(copy, case.dir / "aside")
    case.refused("restore", str(copy), "-d", images=images)
    case.gone()
    os.rename(case.dir / "aside", copy)
    case.restore(images)
    good_end(case)


@scenario
def test_pid_taken(case):
    """PROVES: F036 F037"""
    case.start_program(Program("tree3"))
    victim = sorted(case.pids())[3]
    images = case.dump()
    Path("/proc/sys/kernel/ns_last_pid").write_text(str(victim - 1))
    sleeper = subprocess.Popen(["sleep", "60"])
    if sleeper.pid != victim:
        raise Failure(f"got pid {sleeper.pid} instead of {victim}")
    case.tools.add(victim)
    case.refused("restore", rf"\b{victim}\b", "-d", images=images)
    case.gone()
    if sleeper.poll() is not None:
        raise Failure("the task that had the pid is dead")
    sleeper.kill()
    sleeper.wait()
    case.tools.discard(victim)
    Path("/proc/sys/kernel/ns_last_pid").write_text("20000")
    case.restore(images)
    good_end(case)


def damages(images):
    """(file, what, damaged contents) of every image that a restore cannot do without."""
    needed = ("inventory", "core-", "mm-", "pagemap-", "pages-", "pstree", "fdinfo-", "files",
              "fs-", "ids-")
    for path in sorted(images.glob("*.img")):
        if not path.name.startswith(needed):
            continue
        data = path.read_bytes()
        # A missing file is one without records, which is fine for some.
        if path.name.startswith(("inventory", "pstree", "core-", "mm-", "pages-", "files")):
            yield path, "missing", None
        if path.name.startswith(("inventory", "core-", "mm-", "pstree")):
            yield path, "empty", b""
        yield path, "cut", data[:-3]
        if not path.name.startswith("pages-"):
            yield path, "another magic", bytes(b ^ 0x55 for b in data[:8]) + data[8:]
        if len(data) > 20 and not path.name.startswith("pages-"):
            yield path, "garbage", data[:12] + b"\xff" * (len(data) - 12)


@scenario(timeout=180)
def test_damaged_images(case):
    """PROVES: F037 F036 F467"""
    case.start_program(Program("tree3"))
    images = case.dump()
    for path, what, data in damages(images):
        saved = path.with_suffix(".saved")
        path.rename(saved)
        if data is not None:
            path.write_bytes(data)
        ran = case.run("restore", images, "-d", verbose=False)
        if ran.status != 1:
            raise Failure(f"{path.name} {what}: not refused with status 1: {ran.describe()}")
        if path.name not in ran.text:
            raise Failure(f"{path.name} {what}: the message does not name it: {ran.describe()}")
        case.gone()
        saved.rename(path)
    case.restore(images)
    good_end(case)


@scenario
def test_disk_full(case):
    """PROVES: F078 F034 F467"""
    case.start_program(Program("anon_pages"))
    small = case.dir / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2M", "none", small], check=True)
    before = snapshot.take(case.pids())
    case.refused("dump", "No space left", "-t", case.root, "-W", case.dir, images=small)
    unharmed(case, before)
    good_end(case)


@scenario
def test_failed_dump_keeps_stopped(case):
    """A stopped target of a failed dump is stopped afterwards, and can be continued.
    PROVES: F034"""
    case.start_program(Program("odd_fd"), "userfaultfd")
    os.kill(case.root, signal.SIGSTOP)
    poll(lambda: snapshot.stats()[case.root]["state"] == "T", 2, "the stop")
    case.refused("dump", "fd 100", "-t", case.root)
    time.sleep(0.05)
    if snapshot.stats()[case.root]["state"] != "T":
        raise Failure("the stopped target is not stopped any more")
    os.kill(case.root, signal.SIGCONT)
    case.advances(1)
    good_end(case)


@scenario
def test_early_is_told_from_late(case):
    """A restore that fails at its end has forked, and refused_early() knows it."""
    case.start_program(Program("counter"))
    images, pidfile = case.dump(), case.dir / "pidfile"
    pidfile.write_text("taken")
    options = ("-d", "--pidfile", pidfile)
    case.refused("restore", "pidfile", *options, images=images)
    try:
        case.refused_early("restore", "pidfile", *options, images=images)
    except Failure as e:
        if "something was forked" in str(e):
            return
        raise
    raise Failure("what was forked was not counted")


PROTECTIONS = {
    "write +i": r"fd \d+: .*/file is open for writing, and immutable.*chattr -i '.*/file'",
    "write +a": r"fd \d+: .*/file is open for writing anywhere.*chattr -a '.*/file'",
    "append +i": r"fd \d+: .*/file is open for writing, and immutable.*chattr -i '.*/file'",
    "mapping +i": r"mapping .*/file\) is of a file opened for writing.*chattr -i",
    "append +a": None, "read +i": None, "read +a": None,
}


@scenario(args=list(PROTECTIONS))
def test_protected_file(case, kind):
    """What chattr(1) forbids to open by now is refused before, with the remedy.
    PROVES: F466 F036"""
    how, flag = kind.split()
    case.start_program(Program("odd_chattr"), how)
    file = case.dir / "file"
    if subprocess.run(["chattr", flag, file], stderr=subprocess.DEVNULL).returncode:
        raise Skipped("no chattr here")
    try:
        if PROTECTIONS[kind]:
            refused_unharmed(case, PROTECTIONS[kind])
            subprocess.run(["chattr", flag.replace("+", "-"), file], check=True)
        images = case.dump()
        case.restore(images)
    finally:
        subprocess.run(["chattr", "-ia", file], check=True)
    good_end(case)


@scenario
def test_dnotify(case):
    """PROVES: F466"""
    case.start_program(Program("odd_chattr"), "notify")
    refused_unharmed(case, rf"fd \d+: signals of the directory {case.dir} go to pid {case.root}, as .*F_NOTIFY")
    good_end(case)
