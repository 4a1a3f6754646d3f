"""A frozen tree before and after: nothing that its own program, /proc, a tracer or a dump sees may change.

The dump leaves the tree stopped where it caught it, the restore leaves it stopped before it ran, so that both
can be looked at closely: by snapshot.py (/proc), by witness.c (registers, queues, memory; a tracer that shares
no code with the tool), and by a second dump, whose images drift.py compares with those of the first.
What may differ all the same is told by explained.py.
"""
import re
import subprocess

import drift
import explained
import snapshot
from live import BUILD, Failure, need

AT_ONCE = 2000  # arguments of one witness


def witness(pids):
    """{pid: {"thread N" or "memory": {key: value}}} as only a tracer sees it."""
    out = {pid: {} for pid in pids}
    for i in range(0, len(pids), AT_ONCE):
        seen = subprocess.run([BUILD / "witness", *map(str, pids[i:i + AT_ONCE])], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if seen.returncode:
            raise Failure(f"witness: {seen.stderr}")
        for line in seen.stdout.splitlines():
            pid, tid, key, value = line.split("\t")
            where = f"traced {tid}" if tid != "0" else "memory"
            out[int(pid)].setdefault(where, {})[key] = value
    return out


def look(case):
    """All there is to see of the stopped tree. The tool returns when it is stopped, and not before."""
    pids = case.pids()
    running = [tid for pid in pids for tid in snapshot.threads(pid)
               if snapshot.thread(pid, tid)["state"] not in "TZt"]
    need(not running, f"not stopped yet: {running}")
    seen = snapshot.take(pids)
    for pid, more in witness(pids).items():
        seen[pid] |= explained.settled(more)
    if case.root in seen:
        seen[case.root].get(f"thread {case.root}", {}).pop("ppid", None)
    return seen


def mapping_of(text, seen):
    """For the reader: what a window of memory belongs to."""
    m = re.match(r"(\d+) / memory / memory ([0-9a-f]+)", text)
    if not m:
        return text
    at = int(m[2], 16)
    for line in seen.get(int(m[1]), {}).get("maps", []):
        start, end = (int(x, 16) for x in line.split(" ")[0].split("-"))
        if start < at + (1 << 18) and end > at:
            text += f"\n      near {line[:110]}"
    return text


def compare(before, after, images, again, ignore):
    if "none" in ignore:
        return
    changes = [mapping_of(line, before) for line in snapshot.differences(before, after, ignore)]
    if "drift" not in ignore:
        changes += drift.differences(images, again, ignore)
    if changes:
        raise Failure("changed by dump and restore of a stopped tree:\n  " + "\n  ".join(changes[:60]))
