"""One live case: start a program, checkpoint it, restore it, hear its verdict.

Runs inside the namespaces that ns_init makes (or on the bare host), outside pytest. Everything
here raises Failure with what the reader of a red test needs: the tool's output and log.
"""
import ctypes
import importlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import snapshot

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build" / "live"
FERMATA = os.environ.get("FERMATA", str(ROOT / "build" / "fermata"))
CRIT = str(Path(FERMATA).parent / "crit")
PR_SET_CHILD_SUBREAPER = 36
TOOLS = ("ns_init", "inject", "peek", "witness")  # programs of ours, beside those under test


class Failure(Exception):
    """The tool or the program under test did something wrong."""


class Skipped(Exception):
    """The machine lacks what the test needs."""


def need(condition, what):
    if not condition:
        raise Failure(str(what))


def python_module(name):
    """fermata.NAME, as the build has it."""
    sys.path.insert(0, str(Path(FERMATA).parent / "python"))
    try:
        return importlib.import_module(f"fermata.{name}")
    except ImportError as e:
        raise Skipped(f"no Python module: {e}") from None


def poll(condition, timeout, what):
    """Wait until condition() is true; return its value."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure(f"{what}: not within {timeout} s")
        time.sleep(0.003)


def listens(path):
    """A unix socket by that name takes connections; asking makes none."""
    with open("/proc/net/unix") as f:
        fields = [line.split() for line in f]
    return any(f[3] == "00010000" and f[-1] == str(path) for f in fields)


def tail(path, lines=40):
    try:
        text = Path(path).read_text(errors="replace").splitlines()
    except OSError as e:
        return f"({e})"
    return "\n".join(text[-lines:])


class Ran:
    """A finished run of the tool."""

    def __init__(self, status, output, log):
        self.status, self.output, self.log = status, output, log

    @property
    def text(self):
        """All it said: both streams and the log file."""
        try:
            return self.output + self.log.read_text(errors="replace")
        except OSError:
            return self.output

    def describe(self):
        return (f"exit status {self.status}\n--- output\n{self.output[-3000:]}"
                f"--- {self.log}\n{tail(self.log)}")


class Program:
    """A compiled test program and the metadata in its opening comment."""

    def __init__(self, name):
        self.name = name
        self.source = HERE / "programs" / f"{name}.c"
        self.path = BUILD / name
        self.meta = {}
        head = self.source.read_text().split("*/", 1)[0]
        for key, value in re.findall(r"^ \* ([A-Z]+): (.*)$", head, re.M):
            self.meta[key] = (self.meta.get(key, "") + " " + value).strip()

    def words(self, key):
        return self.meta.get(key, "").split()


class Case:
    """A run directory, the processes under test, and the tool applied to them."""

    def __init__(self, rundir):
        self.dir = Path(rundir)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.dir.chmod(0o777)
        self.root = None
        self.images = 0
        self.own_ns = os.getppid() == 1 and os.environ.get("LIVE_NS") == "1"
        self.tools = set()
        # Orphans of a failed or finished tree come to us, not to a slow init of the machine.
        if not self.own_ns:
            ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    # --- the processes under test

    def start(self, argv, ready=True, timeout=20, **popen):
        """Run argv as a session leader of its own, deaf and mute; wait until it is ready."""
        (self.dir / "ctl").write_bytes(bytes(4096))
        (self.dir / "ctl").chmod(0o666)
        out = open(self.dir / "out", "ab")
        popen.setdefault("start_new_session", True)
        popen.setdefault("stdout", out)
        self.child = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL,
                                      stderr=popen["stdout"], **popen)
        out.close()
        self.root = self.child.pid
        if ready:
            poll(self.is_ready, timeout, f"{argv[0]} getting ready")
            if self.result() is not None:
                self.verdict()
        return self.root

    def start_program(self, program, *args, **popen):
        return self.start([program.path, self.dir, *args],
                          timeout=int(program.meta.get("TIMEOUT", 20)), **popen)

    def is_ready(self):
        if (self.dir / "ready").exists() or self.result() is not None:
            return True
        with open(self.dir / "ctl", "rb") as f:
            return f.read(65)[64] == 1

    def release(self):
        (self.dir / "release").touch()
        with open(self.dir / "ctl", "r+b") as f:
            f.write(b"\1")

    def result(self):
        try:
            return (self.dir / "result").read_text().strip()
        except OSError:
            return None

    def verdict(self, timeout=20):
        """Wait for the program's own result and insist on OK."""
        def result():
            if self.result() is None and not self.pids():
                time.sleep(0.1)
                return self.result() or "BAD died without a result"
            return self.result()
        text = poll(result, timeout, "a result after the release")
        if text.startswith("SKIP"):
            raise Skipped(text[5:])
        if text != "OK":
            raise Failure(f"the program says: {text}\n--- its output\n{tail(self.dir / 'out')}")

    def reap(self):
        """Collect our dead children, but no run of the tool, which has its own waiter."""
        for pid, task in snapshot.stats().items():
            if task["state"] == "Z" and task["ppid"] == os.getpid() and pid not in self.tools:
                try:
                    os.waitpid(pid, os.WNOHANG)
                except ChildProcessError:
                    pass

    def pids(self):
        """Every task of the tree under test, zombies included."""
        self.reap()
        tasks = snapshot.stats()
        if self.own_ns:
            return sorted(p for p in tasks if p not in self.tools and p not in (1, os.getpid()))
        tree, added = {self.root} & tasks.keys(), True
        while added:
            added = {p for p in tasks if tasks[p]["ppid"] in tree and p not in self.tools} - tree
            tree |= added
        return sorted(tree)

    def gone(self, pids=None, timeout=20):
        """Wait until the pids (or all of the tree) are no more, not even as zombies."""
        def none():
            self.reap()
            left = self.pids() if pids is None else [p for p in pids if p in snapshot.stats()]
            return not left
        poll(none, timeout, f"the end of {pids or self.pids()}")

    def kill(self):
        """Stop all first: nobody must see the death of another and draw conclusions."""
        for sig in (signal.SIGSTOP, signal.SIGKILL):
            for pid in self.pids():
                try:
                    os.kill(pid, sig)
                except ProcessLookupError:
                    pass
        self.gone()

    def advances(self, timeout=3):
        """Insist that the tree is doing something."""
        before = snapshot.activity(self.pids())
        poll(lambda: snapshot.activity(self.pids()) != before, timeout, "a sign of life")

    # --- the tool

    def new_images(self):
        self.images += 1
        path = self.dir / f"images{self.images}"
        path.mkdir()
        return path

    def begin(self, verb, images, *options, verbose=True, under=(), **popen):
        """Start the tool, by another program if one is given; the caller ends it with finish()."""
        options = [str(o) for o in options]
        work = options[options.index("-W") + 1] if "-W" in options else images
        log = Path(work) / f"{verb}.log"
        argv = [*under, FERMATA, verb, "-D", str(images), "-o", log.name]
        argv += ["-v4"] if verbose else []
        argv += options
        out = open(self.dir / "tool.out", "wb")
        tool = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, **popen)
        out.close()
        tool.log = log
        self.tools.add(tool.pid)
        return tool

    def finish(self, tool, timeout=40):
        try:
            status = tool.wait(timeout)
        except subprocess.TimeoutExpired:
            tool.kill()
            tool.wait()
            status = f"(killed after {timeout} s)"
        self.tools.discard(tool.pid)
        return Ran(status, (self.dir / "tool.out").read_text(errors="replace"), tool.log)

    def run(self, verb, images, *options, **kw):
        return self.finish(self.begin(verb, images, *options, **kw))

    def need(self, ran, what):
        """A run of the tool that must have succeeded, quietly."""
        if ran.status != 0:
            raise Failure(f"{what}: {ran.describe()}")
        if "Error" in ran.text:
            raise Failure(f"{what} succeeded but its log has a line with Error\n" + "\n".join(
                line for line in ran.text.splitlines() if "Error" in line))
        return ran

    def dump(self, *options, **kw):
        """Checkpoint the tree; afterwards it is gone unless an option keeps it."""
        images, pids = self.new_images(), self.pids()
        self.need(self.run("dump", images, "-t", self.root, *options, **kw), "dump")
        need_images(images)
        if not {"-R", "--leave-running", "-s", "--leave-stopped"} & set(options):
            self.gone(pids)
        return images

    def restore(self, images, *options, **kw):
        return self.need(self.run("restore", images, "-d", *options, **kw), "restore")

    def refused(self, verb, pattern, *options, images=None, status=1, **popen):
        """A run that must fail, say why, and leave a regular error exit status."""
        images = images or self.new_images()
        ran = self.run(verb, images, *options, **popen)
        if ran.status != status:
            raise Failure(f"{verb} was not refused with status {status}: {ran.describe()}")
        if verb == "dump" and (images / "inventory.img").exists():
            raise Failure("the failed dump left an inventory.img")
        if not re.search(pattern, ran.text, re.S):
            raise Failure(f"the refusal does not say /{pattern}/: {ran.describe()}")
        return ran

    def refused_early(self, verb, pattern, *options, **kw):
        """Likewise, and before anything is forked: its system calls are listed."""
        report = self.dir / "calls"
        inject = (BUILD / "inject", "0", "none", report)
        ran = self.refused(verb, pattern, *options, under=inject, **kw)
        calls = [line.split()[0] for line in report.read_text().splitlines()[1:]]
        if "close" not in calls:
            raise Failure(f"the system calls were not counted: {calls}")
        forks = [c for c in calls if c in ("clone", "clone3", "fork", "vfork")]
        if forks:
            raise Failure(f"something was forked before it was refused: {forks}: {ran.describe()}")
        return ran


def need_images(images):
    """A dump that reports success has written the images that say so."""
    for name in ("inventory.img", "pstree.img"):
        if not (images / name).is_file():
            raise Failure(f"the dump succeeded but left no {name}")


def need_sound(images):
    """crit finds nothing wrong with a dump, and can take its images apart and put them together."""
    checked = subprocess.run([CRIT, "check", images], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True)
    if checked.returncode:
        raise Failure(f"crit check: {checked.stdout}")
    names = [i for i in sorted(images.iterdir()) if not i.name.startswith("pages-")]
    for image in names[:100]:
        if image.suffix == ".img":
            json = subprocess.run([CRIT, "decode", "--pretty", "-i", image], stdout=subprocess.PIPE)
            again = subprocess.run([CRIT, "encode"], input=json.stdout, stdout=subprocess.PIPE)
            if json.returncode or again.returncode or again.stdout != image.read_bytes():
                raise Failure(f"{image} does not survive crit decode and encode")


def fresh(target):
    """Others may be compiling it, too."""
    return f"{target}.{os.getpid()}"


def compile_all(only=None):
    """Compile what is older than its source (or just one); return complaints of the compiler."""
    BUILD.mkdir(parents=True, exist_ok=True)
    header = max(h.stat().st_mtime for h in (HERE / "programs").glob("*.h"))
    sources = [*(HERE / f"{name}.c" for name in TOOLS), *sorted((HERE / "programs").glob("*.c"))]
    running = []
    for source in sources:
        if only and source.stem not in (*TOOLS, only):
            continue
        target = BUILD / source.stem
        if target.exists() and target.stat().st_mtime > max(source.stat().st_mtime, header):
            continue
        flags = re.findall(r"^ \* CFLAGS: (.*)$", source.read_text(), re.M)
        argv = ["gcc", "-std=gnu17", "-O1", "-g", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror",
                "-pthread", str(source), "-o", fresh(target), *" ".join(flags).split()]
        running.append((target, subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)))
        if len(running) % 4 == 0:
            running[-1][1].wait()
    errors = ""
    for target, job in running:
        errors += job.communicate()[1]
        if job.returncode == 0:
            os.rename(fresh(target), target)
    return errors


def fail(message):
    print(message)
    sys.exit(1)
