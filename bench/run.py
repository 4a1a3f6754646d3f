#!/usr/bin/python3
"""Times dump and restore beside what the machine itself needs; prints markdown.

usage: bench/run.py [--fermata PATH] [--tool NAME=PATH]... [--runs N] [--images DIR] [--cases A,B]

Tools take turns within each case, the first turn warms up and does not count. Every figure is
a median of wall-clock ms of the whole command. A case whose command fails is said to fail.
"""
import argparse
import ctypes
import mmap
import os
import platform
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PR_SET_CHILD_SUBREAPER = 36
CASES = [("small", 1), ("tree", 100), ("tree", 500), ("threads", 100), ("threads", 1000),
         ("threads", 5000), ("heap", 256), ("heap", 1024), ("frag", 128), ("fds", 900),
         ("tcp", 100), ("tcp", 1000),
         ("fds", 19900), ("epoll", 1000),
         ("epoll", 10000), ("vmas", 5000), ("beat", 256), ("sums", 1024)]
WHAT = {"small": "one small process", "tree": "{} processes", "threads": "{} threads",
        "heap": "{} MiB heap", "frag": "{} MiB, every second page", "fds": "{} open files",
        "tcp": "{} TCP connections, --tcp-established",
        "epoll": "an epoll set of {} eventfds",
        "vmas": "{} VMA pairs", "beat": "{} MiB heartbeat, --leave-running",
        "sums": "{} MiB heap, dump --checksum"}
# The workload of a case, where it is another's, and options of the tool.
LOADS = {"sums": "heap"}
DUMP_OPTIONS = {"tcp": ["--tcp-established"], "sums": ["--checksum"]}
RESTORE_OPTIONS = {"tcp": ["--tcp-established"]}
QUIET = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def build(directory):
    for name in ("load", "floors"):
        subprocess.check_call([os.environ.get("CC", "cc"), "-O2", "-D_GNU_SOURCE", "-o",
                               os.path.join(directory, name), os.path.join(HERE, name + ".c"),
                               "-lpthread"])


def weigh(pid):
    """Where each session is a scheduling group of its own, nice counts only within it."""
    try:
        with open(f"/proc/{pid}/autogroup", "w", encoding="ascii") as f:
            f.write(str(os.nice(0)))
    except OSError:
        pass


def timed(command):
    start = time.monotonic()
    status = subprocess.call(command, **QUIET)
    return (time.monotonic() - start) * 1e3, status


def reap(until_none=0.0):
    """Takes in dead children; with a limit, goes on until there are none at all."""
    deadline = time.monotonic() + until_none
    try:
        while os.waitpid(-1, os.WNOHANG)[0] or time.monotonic() < deadline:
            if until_none:
                time.sleep(.001)
    except ChildProcessError:
        pass


def kill_tree(pid):
    """The load is a session and group leader, and all its tasks stay in that group."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    reap(until_none=20)


def dump_and_restore(tool, pid, images, kind):
    took, status = timed([tool, "dump", "-t", str(pid), "-D", images, "-o", "dump.log", "-v0",
                          *DUMP_OPTIONS.get(kind, [])])
    if status:
        return {"error": "dump"}
    result = {"dump": took}
    time.sleep(.02)
    reap()
    result["bytes"] = sum(e.stat().st_size for e in os.scandir(images))
    took, status = timed([tool, "restore", "-d", "-D", images, "-o", "restore.log", "-v0",
                          *RESTORE_OPTIONS.get(kind, [])])
    if status:
        return {**result, "error": "restore"}
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return {**result, "error": "restore"}
    return {**result, "restore": took}


def longest_pause(tool, pid, images, gap_file):
    with open(gap_file, "r+b") as f, mmap.mmap(f.fileno(), 4096) as gap:
        time.sleep(.2)
        gap[0:8] = bytes(8)
        took, status = timed([tool, "dump", "-t", str(pid), "-D", images, "-o", "dump.log", "-v0",
                              "--leave-running"])
        time.sleep(.2)
        if status:
            return {"error": "dump"}
        return {"dump": took, "pause": struct.unpack("Q", gap[0:8])[0] / 1e6}


def one_run(load, tool, kind, n, root):
    top = tempfile.mkdtemp(prefix="fermata-bench.", dir=root)
    images, ready = os.path.join(top, "img"), os.path.join(top, "ready")
    os.mkdir(images)
    child = subprocess.Popen([load, LOADS.get(kind, kind), str(n), ready], cwd="/", **QUIET)
    try:
        while not os.path.exists(ready):
            time.sleep(.005)
            if child.poll() is not None:
                return {"error": "workload"}
        weigh(child.pid)
        time.sleep(.1)
        if kind == "beat":
            return longest_pause(tool, child.pid, images, ready + ".gap")
        return dump_and_restore(tool, child.pid, images, kind)
    finally:
        kill_tree(child.pid)
        child.returncode = 0  # reaped above, or by the dump's end
        shutil.rmtree(top, ignore_errors=True)


def measure_floors(floors, root, runs):
    figures = {}
    for i in range(runs + 1):
        path = os.path.join(root, f"fermata-floor.{os.getpid()}")
        out = subprocess.check_output([floors, "1024", path], text=True)
        for line in out.splitlines():
            name, ms = line.split()
            if i:
                figures.setdefault(name, []).append(float(ms))
    return {name: statistics.median(v) for name, v in figures.items()}


def print_floors(floors):
    print("| floor | ms |\n|---|---|")
    for name, text in (("fork_exec_wait", "fork + exec + wait of `true`"),
                       ("write", "write a populated 1 GiB buffer to a file there"),
                       ("read_1", "pread it into fresh memory, one thread"),
                       ("read_2", "the same, two threads")):
        print(f"| {text} | {floors[name]:.2f} |")
    print(flush=True)


def floor_of(floors, kind, n, step):
    """What the case cannot beat: copying its memory, else starting one process."""
    mib = n if kind in ("heap", "frag", "beat", "sums") else 0
    copying = floors["write" if step == "dump" else "read_2"] * mib / 1024
    return max(copying, floors["fork_exec_wait"])


def cell(floors, kind, n, results, step, base):
    values = [r[step] for r in results if step in r]
    failed = sum(r.get("error") in (step, "workload") for r in results)
    if not values:
        return "failed" if failed else "-"
    median = statistics.median(values)
    text = f"{median:.1f} ({min(values):.1f}-{max(values):.1f})"
    if step != "pause":
        text += f", {median / floor_of(floors, kind, n, step):.1f} floors"
    if base:
        text += f", {base / median:.2f}x"
    return text + (f", {failed} failed" if failed else "")


def print_case(floors, kind, n, tools, results):
    first = {}
    for name, _ in tools:
        row = results[name]
        cells = []
        for step in ("dump", "restore", "pause"):
            cells.append(cell(floors, kind, n, row, step, first.get(step)))
            values = [r[step] for r in row if step in r]
            if values and len(tools) > 1:
                first.setdefault(step, statistics.median(values))
        size = [r["bytes"] for r in row if "bytes" in r]
        label = WHAT[kind].format(n)
        cells.append(f"{size[-1] / 1e6:.2f}" if size else "-")
        print(f"| {label} | {name} | {' | '.join(cells)} |", flush=True)
    return any("error" in r for name, _ in tools for r in results[name])


def parse_arguments():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--fermata", default=os.path.join(HERE, "..", "build", "fermata"))
    p.add_argument("--tool", action="append", default=[], metavar="NAME=PATH")
    p.add_argument("--runs", type=int, default=5)
    p.add_argument("--images", default="/dev/shm", metavar="DIR")
    p.add_argument("--cases", default="", metavar="KIND[N],...")
    return p.parse_args()


def main():
    args = parse_arguments()
    tools = [("fermata", os.path.abspath(args.fermata))]
    tools += [tuple(t.split("=", 1)) for t in args.tool]
    only = [c for c in args.cases.split(",") if c]
    cases = [(k, n) for k, n in CASES if not only or k in only or f"{k}{n}" in only]
    weigh("self")
    # Restored tasks and dumped ones' children become ours to reap.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with tempfile.TemporaryDirectory(prefix="fermata-bench.") as directory:
        build(directory)
        print(f"{os.cpu_count()} CPUs, Linux {platform.release()}, images on {args.images}, "
              f"{args.runs} runs; median ms (min-max)\n")
        floors = measure_floors(os.path.join(directory, "floors"), args.images, args.runs)
        print_floors(floors)
        print("\"floors\": times what the machine needs to copy the same memory (write; two-thread "
              "read), or to run `true`." +
              (" \"x\": speed relative to the first tool." if len(tools) > 1 else "") + "\n")
        print("| case | tool | dump | restore | longest pause | images, MB |\n"
              "|---|---|---|---|---|---|", flush=True)
        failed = False
        for kind, n in cases:
            results = {name: [] for name, _ in tools}
            for i in range(args.runs + 1):
                for name, path in tools:
                    run = one_run(os.path.join(directory, "load"), path, kind, n, args.images)
                    if i:
                        results[name].append(run)
            failed |= print_case(floors, kind, n, tools, results)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
