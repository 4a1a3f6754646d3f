"""One tree, dumped and restored again and again: it must go on working, and nothing may grow.

The program checks itself and counts its rounds; after each restore all of its parts must have done
some. What could grow by a little each time is measured every few cycles: memory, mappings,
descriptors and threads of the tree; images; mounts, cgroups, rules, sockets and files around it. It
may be no more at the end than it was after the first cycles.
"""
import os
import shutil
import statistics
import struct
import subprocess
import time
from pathlib import Path

import nft
from live import FERMATA, Failure, need, poll, tail

BEATS_AT, N_BEATS = 128, 8
WARM = 10  # cycles after which nothing new is to be expected
SAMPLES = 40
PATIENCE = 300  # seconds for one run of the tool, on a machine that does much else
# images: what is under way in pipes, sockets and terminals has images of its own, if there is any
SLACK = {"rss_kib": 256, "pss_kib": 256, "image_bytes": 65536, "images": 3}


def read(path):
    return Path(path).read_text(encoding="ascii", errors="replace")


def field(text, name):
    return int(text.split(f"{name}:", 1)[1].split()[0])


def count(directory):
    return len(os.listdir(directory))


def cgroups():
    """By name only ours would be telling: other tests make some meanwhile."""
    return sum(name.startswith(("fermata", "criu")) for _, names, _ in os.walk("/sys/fs/cgroup") for name in names)


def sockets():
    """In use, of any protocol, and connections that nobody holds."""
    words = read("/proc/net/sockstat").split()
    return sum(int(words[i + 1]) for i, word in enumerate(words) if word in ("inuse", "orphan", "tw"))


def pending(pid):
    status = read(f"/proc/{pid}/status")
    return bin(int(status.split("SigPnd:\t")[1].split()[0], 16)).count("1")


def where_all_are():
    """Of every thread here: name, state, and what it waits in."""
    lines = []
    for path in sorted(Path("/proc").glob("[0-9]*/task/[0-9]*")):
        try:
            state = read(path / "status").split("State:\t")[1].split("\n", 1)[0]
            lines.append(f"{path}: {read(path / 'comm').strip()}, {state}, {read(path / 'wchan')}, "
                         f"{read(path / 'syscall').strip()}")
        except OSError as e:
            lines.append(f"{path}: {e}")
    return "\n".join(lines)


class Soak:
    """A tree and what was seen of it."""

    def __init__(self, case, program):
        self.case, self.program = case, program
        self.images = case.dir / "images"
        self.seen = []  # one dict of figures for each sample
        self.times = {"dump": [], "restore": []}
        case.start_program(program)
        self.pids = case.pids()
        self.before = self.around()

    # --- what could grow

    def around(self):
        """Things that are compared exactly, cycle by cycle."""
        mounts = read("/proc/self/mountinfo").splitlines()
        files = sorted(str(p) for p in self.case.dir.rglob("*") if self.images not in (p, *p.parents))
        temporary = sorted(n for d in ("/tmp", "/dev/shm") for n in os.listdir(d)
                           if n.startswith(("fermata.", "criu", ".fermata", ".criu")))
        return {"mounts": mounts, "files": [f for f in files if not f.endswith(("tool.out", "release", "result"))],
                "tables": nft.tables(), "cgroups": cgroups(), "temporary": temporary, "tasks": self.case.pids()}

    def of_task(self, pid):
        rollup = read(f"/proc/{pid}/smaps_rollup")
        numbers = [int(n) for n in os.listdir(f"/proc/{pid}/fd")]
        return {"rss_kib": field(rollup, "Rss"), "pss_kib": field(rollup, "Pss"),
                "mappings": len(read(f"/proc/{pid}/maps").splitlines()), "descriptors": len(numbers),
                "highest_descriptor": max(numbers), "threads": count(f"/proc/{pid}/task"),
                "timers": len(read(f"/proc/{pid}/timers").splitlines())}

    def sample(self):
        total = {"sockets": sockets()}
        for pid in self.pids:
            for name, value in self.of_task(pid).items():
                total[name] = total.get(name, 0) + value
        files = [p.stat() for p in self.images.glob("*.img")]
        total["images"] = len(files)
        total["image_bytes"] = sum(s.st_size for s in files)
        self.seen.append(total)

    # --- one cycle

    def beats(self):
        return struct.unpack_from(f"={N_BEATS}Q", (self.case.dir / "ctl").read_bytes(), BEATS_AT)

    def run(self, verb, *options):
        argv = [FERMATA, verb, "-D", self.images, "-v0", *options]
        start = time.monotonic()
        with open(self.case.dir / "tool.out", "wb") as out:
            tool = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=out, stderr=out)
            self.case.tools.add(tool.pid)
            try:
                status = tool.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                raise Failure(f"{verb} {len(self.times[verb]) + 1} hangs\n{where_all_are()}") from None
            self.case.tools.discard(tool.pid)
        self.times[verb].append((time.monotonic() - start) * 1e3)
        said = tail(self.case.dir / "tool.out")
        need(status == 0 and not said, f"{verb} {len(self.times[verb])}: status {status}\n{said}")

    def all_went_on(self, before):
        need(self.case.result() is None, self.case.result())
        return all(now > then for now, then in zip(self.beats(), before))

    def cycle(self):
        shutil.rmtree(self.images, ignore_errors=True)
        self.images.mkdir()
        self.run("dump", "-t", self.case.root, *self.program.words("DUMP"))
        self.case.gone(self.pids)
        before = self.beats()
        self.run("restore", "-d", *self.program.words("RESTORE"))
        poll(lambda: self.all_went_on(before), 20, f"all parts going on from {before}")

    def compare_around(self):
        now = self.around()
        for name, was in self.before.items():
            need(now[name] == was, f"{name} after {len(self.times['dump'])} cycles: {now[name]}, before: {was}")

    # --- the verdict

    def growth(self):
        """What is more at the end than after the warm-up, of medians."""
        part = max(1, len(self.seen) // 5)
        grown = []
        for name in self.seen[0]:
            first = statistics.median(s[name] for s in self.seen[:part])
            last = statistics.median(s[name] for s in self.seen[-part:])
            if last > first + SLACK.get(name, 0):
                grown.append(f"{name} from {first:.0f} to {last:.0f}")
        return grown

    def figures(self):
        lines = []
        for verb, times in self.times.items():
            ordered = sorted(times)
            lines.append(f"{verb:8} p50 {ordered[len(ordered) // 2]:.1f} ms, "
                         f"p99 {ordered[int(len(ordered) * .99)]:.1f} ms, max {ordered[-1]:.1f} ms")
        for name in self.seen[0]:
            values = [s[name] for s in self.seen]
            lines.append(f"{name:20} first {values[0]}, last {values[-1]}, {min(values)} .. {max(values)}")
        return "\n".join(lines)

    def tell(self):
        """How far it is, for those who wait for hours."""
        if os.environ.get("SOAK_REPORT"):
            Path(os.environ["SOAK_REPORT"]).write_text(f"{len(self.times['dump'])} cycles\n{self.figures()}\n")

    def soak(self, n, seconds=None):
        """n cycles, or as many as begin within that time."""
        every, end = max(1, n // SAMPLES), time.monotonic() + (seconds or 1e9)
        for i in range(1, n + 1):
            self.cycle()
            late = time.monotonic() > end
            if i >= WARM and (i % every == 0 or i == n or late):
                self.sample()
                self.compare_around()
                self.tell()
            if late and self.seen:
                break
        report = f"{len(self.times['dump'])} cycles\n{self.figures()}"
        grown = self.growth()
        if grown:
            raise Failure(f"{'; '.join(grown)}\n{report}")
        self.case.release()
        self.case.verdict()
        return report
