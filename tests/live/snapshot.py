"""What /proc says of a tree of tasks, in a form that must not change over dump and restore.

take() is compared before the dump and after the restore of every case, whatever the program
itself checks. Identities the kernel hands out (inode numbers of pipes, sockets, memfds) are
replaced by the order of their first appearance, so that sharing is compared, not numbers.
"""
import os
import re

STATUS = ("Name Umask Tgid NStgid Uid Gid Groups NoNewPrivs Seccomp Seccomp_filters SigPnd ShdPnd "
          "SigBlk SigIgn SigCgt CapInh CapPrm CapEff CapBnd CapAmb Threads THP_enabled "
          "VmLck").split()
# Fields of /proc/PID/stat after the comm, numbered as in proc(5).
STAT = {"pgrp": 5, "session": 6, "tty_nr": 7, "tpgid": 8, "priority": 18, "nice": 19, "startcode": 26, "endcode": 27,
        "startstack": 28, "rt_priority": 40, "policy": 41, "start_data": 45, "end_data": 46,
        "start_brk": 47, "arg_start": 48, "arg_end": 49, "env_start": 50, "env_end": 51,
        "exit_code": 52}
# Not state of the task: soft dirty, accounting that depends on the order of mprotect calls.
VM_FLAGS_IGNORED = {"sd", "ac"}
# Shared anonymous memory may come back as a memory file that bears the old or the tool's name.
SHARED_ANON = re.compile(r"^/(memfd:)?(/?dev/zero|/?anon_hugepage|criu\S*|fermata\S*) \(deleted\)$", re.I)


def read(path):
    try:
        with open(path, "rb") as f:
            return f.read().decode("latin-1")
    except (OSError, ValueError) as e:
        return f"<{type(e).__name__}>"


def stat_fields(text):
    pid, rest = text.split(" (", 1)
    comm, rest = rest.rsplit(") ", 1)
    return [pid, comm, *rest.split()]


def stats():
    """pid -> {ppid, state, ...} of every task in /proc."""
    tasks = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        text = read(f"/proc/{name}/stat")
        if text.startswith(name + " ("):
            f = stat_fields(text)
            tasks[int(name)] = {"comm": f[1], "state": f[2], "ppid": int(f[3])}
    return tasks


def threads(pid):
    try:
        return sorted(int(t) for t in os.listdir(f"/proc/{pid}/task"))
    except OSError:
        return []


def activity(pids):
    """Numbers that change as long as any thread runs or is woken."""
    total = []
    for pid in pids:
        for tid in threads(pid):
            text = read(f"/proc/{pid}/task/{tid}/status")
            total += re.findall(r"ctxt_switches:\s+(\d+)", text)
            stat = read(f"/proc/{pid}/task/{tid}/stat")
            total += stat_fields(stat)[13:15] if ") " in stat else []
    return total


class Names:
    """Kernel-given numbers replaced by the order in which they are met."""

    def __init__(self):
        self.seen = {}

    def norm(self, kind, number):
        return f"{kind}#{self.seen.setdefault((kind, number), len(self.seen))}"

    def link(self, text):
        m = re.match(r"^(pipe|socket):\[(\d+)\]$", text)
        return self.norm(m[1], m[2]) if m else text


def thread(pid, tid):
    base = f"/proc/{pid}/task/{tid}"
    stat = read(f"{base}/stat")
    if ") " not in stat:
        return {"state": "Z"}  # died while we looked
    f = stat_fields(stat)
    status = dict(line.split(":\t", 1) for line in read(f"{base}/status").splitlines()
                  if ":\t" in line)
    out = {k: " ".join(status.get(k, "-").split()) for k in STATUS}
    out |= {k: f[n - 1] for k, n in STAT.items() if n - 1 < len(f)}
    out["state"] = f[2] if f[2] in "TZt" else "alive"
    if out["state"] == "Z":
        # Of the dead, only what a parent can learn counts.
        out = {k: out[k] for k in ("Name", "state", "pgrp", "session", "exit_code")}
    if tid == pid:
        out["ppid"] = f[3]
    return out


def maps(pid):
    """Mappings with their VmFlags; neighbours that the kernel may merge are merged."""
    out, vma = [], None
    for line in read(f"/proc/{pid}/smaps").splitlines():
        m = re.match(r"^([0-9a-f]+)-([0-9a-f]+) (\S+) ([0-9a-f]+) (\S+) (\d+)\s*(.*)$", line)
        if m:
            name = m[7]
            if SHARED_ANON.match(name):
                name = "(shared anonymous)"
            if name.startswith("socket:["):
                name = "socket"  # the number of its inode
            vma = {"start": int(m[1], 16), "end": int(m[2], 16), "perms": m[3], "name": name,
                   "offset": int(m[4], 16) if int(m[6]) else None}
        elif line.startswith("VmFlags:") and vma:
            vma["flags"] = tuple(f for f in line.split()[1:] if f not in VM_FLAGS_IGNORED)
            last = out[-1] if out else None
            if last and mergeable(last, vma):
                last["end"] = vma["end"]
            else:
                out.append(vma)
    return [f"{v['start']:x}-{v['end']:x} {v['perms']} {v['offset']} {v['name']} "
            f"{' '.join(v['flags'])}" for v in out]


def mergeable(a, b):
    if a["end"] != b["start"] or any(a[k] != b[k] for k in ("perms", "name", "flags")):
        return False
    if a["offset"] is None or b["offset"] is None:
        return a["offset"] == b["offset"]
    return a["offset"] + a["end"] - a["start"] == b["offset"]


def fds(pid, names):
    out = {}
    try:
        numbers = sorted(int(n) for n in os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return out
    for n in numbers:
        try:
            link = names.link(os.readlink(f"/proc/{pid}/fd/{n}"))
        except OSError:
            continue
        info = dict(line.split(":", 1) for line in read(f"/proc/{pid}/fdinfo/{n}").splitlines()
                    if ":" in line)
        out[f"fd {n}"] = f"{link} pos {info.get('pos', '?').strip()} " \
                         f"flags {info.get('flags', '?').strip()}"
    return out


def link(path):
    try:
        return os.readlink(path)
    except OSError as e:
        return f"<{type(e).__name__}>"


def task(pid, names):
    out = {f"thread {tid}": thread(pid, tid) for tid in threads(pid)}
    if not out or out.get(f"thread {pid}", {}).get("state", "Z") == "Z":
        return out
    out["task"] = {k: read(f"/proc/{pid}/{k}") for k in
                   ("cmdline", "environ", "limits", "personality", "oom_score_adj", "loginuid",
                    "timerslack_ns")}
    # Image files hold at most 44 words of it.
    out["task"]["auxv"] = read(f"/proc/{pid}/auxv")[:44 * 8]
    out["task"] |= {k: link(f"/proc/{pid}/{k}") for k in ("exe", "cwd", "root")}
    out["fds"] = fds(pid, names)
    out["maps"] = maps(pid)
    return out


def take(pids):
    names = Names()
    return {pid: task(pid, names) for pid in pids}


def flatten(value, path=()):
    if isinstance(value, dict):
        for key, v in value.items():
            yield from flatten(v, (*path, str(key)))
    elif isinstance(value, list):
        for v in value:
            yield (*path, v), True
    else:
        yield path, value


def differences(before, after, ignore=()):
    """Lines that tell what changed; a path with any word of `ignore` in it does not count."""
    a, b = dict(flatten(before)), dict(flatten(after))
    out = []
    for path in sorted({*a, *b}):
        if a.get(path) == b.get(path) or any(word in path for word in ignore):
            continue
        out.append(f"{' / '.join(path)}: {short(a.get(path))} -> {short(b.get(path))}")
    return out


def short(value):
    if value is True:
        return "present"
    if value is None:
        return "absent"
    return repr(value[:300]) if isinstance(value, str) else repr(value)
