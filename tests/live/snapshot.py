"""What /proc says of a tree of tasks, in a form that must not change over dump and restore.

take() is compared before the dump and after the restore of every case, whatever the program
itself checks: all lines of status, stat, limits, fdinfo and so on. What may change nevertheless is
told, with the reason, by explained.py, and by nothing else; numbers that the kernel hands out (inodes
of pipes, sockets, memfds) are replaced by the order of their first appearance, so that sharing is
compared, not numbers.
"""
import os
import re

import descriptors
from explained import NAMES_OF_SHARED, VM_FLAGS, explained

# Fields of /proc/PID/stat behind the state, as numbered in proc(5) from 4 on. The four words of signals
# are what status tells better.
STAT = ("ppid pgrp session tty_nr tpgid pf_flags minflt cminflt majflt cmajflt utime stime cutime cstime priority "
        "nice num_threads itrealvalue starttime vsize rss rsslim startcode endcode startstack kstkesp "
        "kstkeip - - - - wchan nswap cnswap exit_signal processor rt_priority policy delayacct guest cguest "
        "start_data end_data start_brk arg_start arg_end env_start env_end exit_code").split()
# Of the dead, only what a parent can learn counts.
OF_THE_DEAD = ("Name", "state", "pgrp", "session", "exit_code")
OF_TASKS = ("cmdline environ auxv limits personality oom_score_adj loginuid sessionid coredump_filter autogroup "
            "cgroup cpuset timers uid_map gid_map setgroups projid_map timens_offsets ksm_merging_pages").split()
OF_THREADS = ("comm", "attr/current", "personality")
LINKS = ("exe", "cwd", "root")

FIRST_LINE = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) (\S+) ([0-9a-f]+) (\S+) (\d+)\s*(.*)$")


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


def listed(path):
    try:
        return os.listdir(path)
    except OSError as e:
        return [f"<{type(e).__name__}>"]


def thread(pid, tid):
    base = f"/proc/{pid}/task/{tid}"
    stat = read(f"{base}/stat")
    if ") " not in stat:
        return {"state": "Z"}  # died while we looked
    f = stat_fields(stat)
    out = dict(zip(STAT, f[3:]))
    for line in read(f"{base}/status").splitlines():
        key, _, value = line.partition(":\t")
        out[key] = " ".join(value.split())
    if "Name" not in out:
        return {"state": "Z"}  # likewise
    out["state"] = f[2] if f[2] in "TZt" else "alive"
    if out["state"] == "Z":
        out = {k: out[k] for k in OF_THE_DEAD} | {"ppid": f[3]}
    else:
        out |= {k: read(f"{base}/{k}") for k in OF_THREADS}
        out["timerslack_ns"] = read(f"/proc/{tid}/timerslack_ns")
    if tid != pid:
        del out["ppid"]
        # A thread may have left what its process has. Descriptors are looked at closely there.
        out["cwd"] = link(f"{base}/cwd")
        out["fd numbers"] = " ".join(sorted(listed(f"{base}/fd")))
        out |= {f"ns/{k}": link(f"{base}/ns/{k}") == link(f"/proc/{pid}/ns/{k}") for k in ("net", "uts", "ipc")}
    # The same again, or the state, which is told above in a way that holds.
    for k in ("State", "PPid", "-"):
        out.pop(k, None)
    return out


def mapping(m, names):
    """The start of one, from its first line in smaps."""
    name, device, inode = m[7], m[5], int(m[6])
    file = ""
    if NAMES_OF_SHARED.match(name):
        name = "(shared anonymous)"
    elif name.startswith("socket:["):
        name = "socket"  # the number of its inode
    elif inode and device != "00:00":
        file = names.file(name, device, inode)
    return {"start": int(m[1], 16), "end": int(m[2], 16), "perms": m[3], "name": name, "file": file,
            "offset": int(m[4], 16) if inode else None}


def maps(pid, names):
    """Mappings with their flags, keys and sizes of pages; neighbours that the kernel may merge are merged."""
    out, vma = [], None
    for line in read(f"/proc/{pid}/smaps").splitlines():
        if not line[0].isupper():
            vma = mapping(FIRST_LINE.match(line), names)
        elif line.startswith(("KernelPageSize:", "ProtectionKey:")):
            vma[line.split(":")[0]] = line.split()[1]
        elif line.startswith("VmFlags:"):
            flags = line.split()[1:]
            # shared, never to be written: of a file opened for reading, or of a sealed one
            ignored = VM_FLAGS if "mw" in flags or "ms" not in flags else (*VM_FLAGS, "sh")
            vma["flags"] = " ".join(f for f in flags if f not in ignored)
            last = out[-1] if out else None
            if last and mergeable(last, vma):
                last["end"] = vma["end"]
            else:
                out.append(vma)
    return [f"{v['start']:x}-{v['end']:x} {v['perms']} {v['offset']} {v['name']} {v['file']} "
            f"pages of {v.get('KernelPageSize')} kB, key {v.get('ProtectionKey', 0)}, {v['flags']}" for v in out]


def mergeable(a, b):
    if a["end"] != b["start"] or any(a.get(k) != b.get(k) for k in ("perms", "name", "file", "flags",
                                                                   "KernelPageSize", "ProtectionKey")):
        return False
    if a["offset"] is None or b["offset"] is None:
        return a["offset"] == b["offset"]
    return a["offset"] + a["end"] - a["start"] == b["offset"]


def link(path):
    try:
        return os.readlink(path)
    except OSError as e:
        return f"<{type(e).__name__}>"


def task(pid, names):
    out = {f"thread {tid}": thread(pid, tid) for tid in threads(pid)}
    if not out or out.get(f"thread {pid}", {}).get("state", "Z") == "Z":
        return out
    out["task"] = {k: read(f"/proc/{pid}/{k}") for k in OF_TASKS}
    for k in ("autogroup", "sessionid"):  # bear a number that the kernel counts up
        out["task"][k] = re.sub(r"^(/autogroup-)?(?!4294967295$)(\d+)", lambda m: names.norm(k, m[2]),
                                out["task"][k], count=1)
    out["task"] |= {k: link(f"/proc/{pid}/{k}") for k in LINKS}
    out["task"] |= {f"ns/{k}": names.namespace(k, link(f"/proc/{pid}/ns/{k}"))
                    for k in os.listdir(f"/proc/{pid}/ns")}
    out["fds"] = descriptors.of(pid, names)
    out["maps"] = maps(pid, names)
    return out


def is_gone(pid):
    stat = read(f"/proc/{pid}/stat")
    return ") " not in stat or ") Z " in stat


def take(pids):
    """Of those that are there to the end: some die while they are looked at."""
    names, out = descriptors.Names(), {}
    for pid in pids:
        try:
            out[pid] = task(pid, names)
        except (OSError, KeyError, TypeError, ValueError):
            if not is_gone(pid):
                raise
    return out


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
        old, new = a.get(path), b.get(path)
        if old == new or any(word in path or path[-1].startswith(word + " ") for word in ignore) or explained(path[-1], old, new):
            continue
        old, new = apart(old, new)
        out.append(f"{' / '.join(path)}: {short(old)} -> {short(new)}")
    return out


def apart(old, new):
    """Of two long texts the part that differs."""
    if not (isinstance(old, str) and isinstance(new, str)) or max(len(old), len(new)) < 300:
        return old, new
    n = max(0, len(os.path.commonprefix([old, new])) - 40)
    return "..." + old[n:], "..." + new[n:]


def short(value):
    if value is True:
        return "present"
    if value is None:
        return "absent"
    return repr(value[:300]) if isinstance(value, str) else repr(value)
