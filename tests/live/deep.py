"""What the same processes are at two times, down to registers and pages (peek.c).

Stricter than snapshot.py, which forgives what another process for the old one may have: here every
number of the kernel's must be as it was.  Some keys move by themselves, such as the page of a
counter; they are learnt by looking a few times.
"""
import subprocess
import time

from live import BUILD, Failure

LOOKS = 4
PAUSE = 0.004  # seconds between them
# Of a restored process, too, and with the same value.
RESTORED = (b" registers", b" xstate", b" areas", b" page ", b" signal ")


def take(pids):
    """KEY -> VALUE of all these tasks."""
    ran = subprocess.run([BUILD / "peek", *map(str, pids)], stdout=subprocess.PIPE)
    if ran.returncode:
        raise Failure(f"peek ended with {ran.returncode}")
    return dict(line.split(b"\t", 1) for line in ran.stdout.split(b"\n") if line)


def learn(pids):
    """(state, the keys that change by themselves)"""
    looks = []
    for _ in range(LOOKS):
        looks.append(take(pids))
        time.sleep(PAUSE)
    first, moving = looks[0], set()
    for other in looks[1:]:
        moving |= {k for k in first.keys() | other.keys() if first.get(k) != other.get(k)}
    return looks[-1], moving


def differences(before, after, moving, restored=False):
    """Lines that tell what changed; of a restored tree only what must not change by that."""
    if before == after:
        return []
    out = []
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) == after.get(key) or key in moving:
            continue
        if restored and not any(part in key for part in RESTORED):
            continue
        out.append(f"{key.decode()}: {text(before.get(key))} -> {text(after.get(key))}")
    return out


def text(value):
    return "absent" if value is None else value[:300].decode("latin-1")
