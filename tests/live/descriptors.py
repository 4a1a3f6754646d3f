"""Descriptors of a task as /proc tells them: link, all lines of fdinfo, and the line of a socket in /proc/net."""
import os
import re

# Columns of /proc/net/NAME that are state; the rest is told by the kernel's addresses and timers.
SOCKETS = {
    "unix": {"inode": 6, "columns": {"protocol": 2, "flags": 3, "type": 4, "state": 5, "path": 7}},
    "tcp": {"inode": 9, "columns": {"local": 1, "remote": 2, "state": 3, "queues": 4, "uid": 7}},
    "udp": {"inode": 9, "columns": {"local": 1, "remote": 2, "state": 3, "queues": 4, "uid": 7, "drops": 12}},
    "netlink": {"inode": 9, "columns": {"protocol": 1, "port": 2, "groups": 3, "rmem": 4, "drops": 8}},
    "packet": {"inode": 8, "columns": {"type": 2, "protocol": 3, "interface": 4, "running": 5, "user": 7}},
}
SOCKETS |= {"tcp6": SOCKETS["tcp"], **{name: SOCKETS["udp"] for name in (
    "udp6", "udplite", "udplite6", "raw", "raw6", "icmp", "icmp6")}}


def lines(path):
    try:
        with open(path, "rb") as f:
            return f.read().decode("latin-1").splitlines()
    except OSError:
        return []


class Names:
    """Kernel-given numbers replaced by the order in which they are met."""

    def __init__(self):
        self.seen, self.net = {}, None

    def norm(self, kind, number):
        return f"{kind}#{self.seen.setdefault((kind, number), len(self.seen))}"

    def link(self, text):
        m = re.match(r"^(pipe|socket):\[(\d+)\]$", text)
        return self.norm(m[1], m[2]) if m else text

    def file(self, name, device, inode):
        """That of a name must be the same one; one without is made again."""
        if name.endswith("(deleted)") or name.startswith("/memfd:"):
            return self.norm("inode", (device, inode))
        return f"{device}:{inode}"

    def namespace(self, kind, text):
        """Ours stays what it is; others are made again."""
        return text if text == os.readlink(f"/proc/self/ns/{kind}") else self.norm(kind, text)

    def socket(self, inode):
        """Its line in /proc/net, as a dictionary. What is in another network than ours has none."""
        if self.net is None:
            self.net = {}
            for name, how in SOCKETS.items():
                for line in lines(f"/proc/net/{name}")[1:]:
                    f = line.split()
                    if len(f) > how["inode"]:
                        self.net[f[how["inode"]]] = {"socket is": name, **{
                            f"socket {k}": f[n] for k, n in how["columns"].items() if n < len(f)}}
        return self.net.get(inode, {})


def lock(text):
    """Without the number of the line, and who made it where that is not the owner."""
    text = text.partition(" ")[2]
    return re.sub(r"^(FLOCK \w+ +\w+|OFDLCK \w+ +\w+) -?\d+", r"\1", text)


def info(pid, n, link, names):
    """All lines of fdinfo; those of one name together, in an order that is no kernel's."""
    out = {}
    named = link.startswith("/") and not link.endswith("(deleted)") and not link.startswith(("/memfd:", "/proc/"))
    for line in lines(f"/proc/{pid}/fdinfo/{n}"):
        key, colon, value = line.partition(":")
        if not colon or " " in key:
            key, _, value = line.partition(" ")
        value = " ".join(value.split())
        if key == "ino":
            value = value if named else names.norm("inode", value)
        elif key == "lock":
            value = lock(value) if named else re.sub(r":(\d+) ", lambda m: names.norm(" inode", m[1]) + " ",
                                                     lock(value))
        elif key in ("eventfd-id", "map_id", "prog_id", "link_id", "btf_id"):
            value = names.norm(key, value)
        elif key == "tfd":
            value = re.sub(r"\bino:\w+", "", value)
        out.setdefault(key, []).append(value)
    out = {k: "; ".join(sorted(v)) for k, v in out.items()}
    if "it_value" in out:
        out["timer"] = " ".join(out.pop(k) for k in ("it_value", "it_interval", "ticks"))
    return out


def of(pid, names):
    out = {}
    try:
        numbers = sorted(int(n) for n in os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return out
    for n in numbers:
        try:
            link = os.readlink(f"/proc/{pid}/fd/{n}")
        except OSError:
            continue
        out[f"fd {n}"] = {"link": names.link(link), **info(pid, n, link, names)}
        if link.startswith("socket:["):
            out[f"fd {n}"] |= names.socket(link[8:-1])
    return out
