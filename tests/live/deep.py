"""What the same processes are at two times, down to registers and pages (peek.c).

Stricter than snapshot.py, which forgives what another process for the old one may have: here every
number of the kernel's must be as it was.  Some keys move by themselves, such as the page of a
counter; they are learnt by looking a few times.
"""
import re
import subprocess
import time

from live import BUILD, Failure

LOOKS = 4
PAUSE = 0.004  # seconds between them
# Of a restored process, too, and with the same value.
RESTORED = (b" registers", b" xstate", b" areas", b" page ", b" signal ")
RESTLESS = re.compile(rb" page |signal|Pnd:")


def take(pids, restless=False):
    """Lines of KEY<TAB>VALUE, of all these tasks; restless: without pages and signals."""
    ran = subprocess.run([BUILD / "peek", *map(str, pids)], stdout=subprocess.PIPE)
    if ran.returncode:
        raise Failure(f"peek ended with {ran.returncode}")
    lines = frozenset(ran.stdout.split(b"\n")) - {b""}
    return frozenset(line for line in lines if not RESTLESS.search(line)) if restless else lines


def keys(lines):
    return {line.split(b"\t", 1)[0] for line in lines}


def learn(pids, restless=False):
    """(state, the keys that change by themselves)"""
    looks = []
    for _ in range(LOOKS):
        looks.append(take(pids, restless))
        time.sleep(PAUSE)
    moving = set().union(*(keys(looks[0] ^ other) for other in looks[1:]))
    return looks[-1], moving


def differences(before, after, moving, restored=False):
    """Lines that tell what changed; of a restored tree only what must not change by that."""
    old, new = (dict(line.split(b"\t", 1) for line in lines)
                for lines in (before - after, after - before))
    out = []
    for key in sorted(old.keys() | new.keys()):
        if key in moving or (restored and not is_kept(key, old.get(key), new.get(key))):
            continue
        out.append(f"{key.decode()}: {text(old.get(key))} -> {text(new.get(key))}")
    return out


def is_kept(key, *values):
    """A timer that fires while its signal is blocked has one queued; restored, it queues another."""
    of_timer = any(b"code -2 " in v for v in values if v)
    return any(part in key for part in RESTORED) and not of_timer


def text(value):
    return "absent" if value is None else value[:300].decode("latin-1")
