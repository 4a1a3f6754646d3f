"""Images of checkpoints as Python values, the same as crit shows as JSON.

    with open("core-812.img", "rb") as f:
        image = images.load(f, pretty=True)     # {"magic": "CORE", "entries": [{...}]}
    image["entries"][0]["tc"]["comm"] = "renamed"
    with open("core-812.img", "wb") as f:
        images.dump(image, f)                   # takes either layout, and mixtures

What follows an entry in the file (contents of pipes, sockets, removed files ...) is its "extra".
An image that was loaded is dumped as the same bytes.
"""
import base64
import binascii
import struct

from . import present, wire
from .proto import (anon_inode_pb2, cgroup_pb2, core_pb2, cpuinfo_pb2, fdinfo_pb2, fermata_pb2, file_pb2,
                    inventory_pb2, ipc_pb2, mem_pb2, mount_pb2, namespace_pb2, netdev_pb2, pipe_pb2,
                    security_pb2, signal_pb2, socket_pb2, stats_pb2, timer_pb2, tty_pb2)

__all__ = ["ImageError", "MagicException", "dump", "dumps", "info", "load", "loads"]

COMMON, SERVICE = 0x54564319, 0x55105940

_MODULES = (anon_inode_pb2, cgroup_pb2, core_pb2, cpuinfo_pb2, fdinfo_pb2, fermata_pb2, file_pb2,
            inventory_pb2, ipc_pb2, mem_pb2, mount_pb2, namespace_pb2, netdev_pb2, pipe_pb2, security_pb2,
            signal_pb2, socket_pb2, stats_pb2, timer_pb2, tty_pb2)

# name: magic, record
KINDS = {
    "APPARMOR": (0x59423047, "apparmor_entry"),
    "AUTOFS": (0x49353943, "autofs_entry"),
    "BINFMT_MISC": (0x67343323, "binfmt_misc_entry"),
    "BPFMAP_DATA": (0x64324033, "bpfmap_data_entry"),
    "BPFMAP_FILE": (0x57506142, "bpfmap_file_entry"),
    "CGROUP": (0x59383330, "cgroup_entry"),
    "CORE": (0x55053847, "core_entry"),
    "CPUINFO": (0x61404013, "cpuinfo_entry"),
    "CREDS": (0x54023547, "creds_entry"),
    "EVENTFD_FILE": (0x44523722, "eventfd_file_entry"),
    "EVENTPOLL_FILE": (0x45023858, "eventpoll_file_entry"),
    "EVENTPOLL_TFD": (0x44433746, "eventpoll_tfd_entry"),
    "EXT_FILES": (0x59255641, "ext_file_entry"),
    "FANOTIFY_FILE": (0x55096122, "fanotify_file_entry"),
    "FANOTIFY_MARK": (0x56506035, "fanotify_mark_entry"),
    "FDINFO": (0x56213732, "fdinfo_entry"),
    "FERMATA": (0x46524d54, "fermata_entry"),
    "FERMATA_FILES": (0x46524d46, "fermata_file_entry"),
    "FERMATA_CHECKSUMS": (0x46524d43, "fermata_checksum_entry"),
    "FIFO": (0x58364939, "fifo_entry"),
    "FIFO_DATA": (0x59333054, "pipe_data_entry"),
    "FILES": (0x56303138, "file_entry"),
    "FILE_LOCKS": (0x54323616, "file_lock_entry"),
    "FS": (0x51403912, "fs_entry"),
    "GHOST_FILE": (0x52583605, "ghost_file_entry"),
    "IDS": (0x54432030, "task_kobj_ids_entry"),
    "INETSK": (0x56443851, "inet_sk_entry"),
    "INOTIFY_FILE": (0x48424431, "inotify_file_entry"),
    "INOTIFY_WD": (0x54562009, "inotify_wd_entry"),
    "INVENTORY": (0x58313116, "inventory_entry"),
    "IPCNS_MSG": (0x55453737, "ipc_msg_entry"),
    "IPCNS_SEM": (0x59573019, "ipc_sem_entry"),
    "IPCNS_SHM": (0x46283044, "ipc_shm_entry"),
    "IPC_VAR": (0x53115007, "ipc_var_entry"),
    "IRMAP_CACHE": (0x57004059, "irmap_cache_entry"),
    "ITIMERS": (0x57464056, "itimer_entry"),
    "MEMFD_INODE": (0x48453499, "memfd_inode_entry"),
    "MM": (0x57492820, "mm_entry"),
    "MNTS": (0x55563928, "mnt_entry"),
    "NETDEV": (0x57373951, "net_device_entry"),
    "NETLINK_SK": (0x58005614, "netlink_sk_entry"),
    "NETNS": (0x55933752, "netns_entry"),
    "NS_FILES": (0x61394011, "ns_file_entry"),
    "PACKETSK": (0x60454618, "packet_sock_entry"),
    "PAGEMAP": (0x56084025, "pagemap_head"),
    "PIDFD": (0x54435556, "pidfd_entry"),
    "PIDNS": (0x61157326, "pidns_entry"),
    "PIPES": (0x56513555, "pipe_entry"),
    "PIPES_DATA": (0x56453709, "pipe_data_entry"),
    "POSIX_TIMERS": (0x52603957, "posix_timer_entry"),
    "PSTREE": (0x50273030, "pstree_entry"),
    "REG_FILES": (0x50363636, "reg_file_entry"),
    "REMAP_FPATH": (0x59133954, "remap_file_path_entry"),
    "RLIMIT": (0x57113925, "rlimit_entry"),
    "SECCOMP": (0x64413049, "seccomp_entry"),
    "SIGACT": (0x55344201, "sa_entry"),
    "SIGNAL": (0x59255647, "siginfo_entry"),
    "SIGNALFD": (0x57323820, "signalfd_entry"),
    "SK_QUEUES": (0x56264026, "sk_packet_entry"),
    "STATS": (0x57093306, "stats_entry"),
    "TCP_STREAM": (0x51465506, "tcp_stream_entry"),
    "TIMENS": (0x43114433, "timens_entry"),
    "TIMERFD": (0x50493712, "timerfd_entry"),
    "TTY_DATA": (0x59413026, "tty_data_entry"),
    "TTY_FILES": (0x59433025, "tty_file_entry"),
    "TTY_INFO": (0x59453036, "tty_info_entry"),
    "TUNFILE": (0x57143751, "tunfile_entry"),
    "UNIXSK": (0x54373943, "unix_sk_entry"),
    "USERNS": (0x55474906, "userns_entry"),
    "UTSNS": (0x54473203, "utsns_entry"),
    "VMAS": (0x54123737, "vma_entry"),
}
NAMES = {magic: name for name, (magic, _) in KINDS.items()}
# What a file begins with, where that is not COMMON.
FIRST = {"INVENTORY": None, "STATS": SERVICE, "IRMAP_CACHE": SERVICE}
# Of the entries behind the first; of a ghost's, if it says so.
NESTED = {"PAGEMAP": "pagemap_entry", "GHOST_FILE": "ghost_chunk_entry"}


class ImageError(ValueError):
    """What is no image, or damaged; or a value that makes none."""


class MagicException(ImageError):
    """A file that begins like no image of a known kind."""

    def __init__(self, magic):
        self.magic = magic
        super().__init__(f"Unknown magic {magic:#x}" if isinstance(magic, int) else f"Unknown magic {magic}")


_MESSAGES = {name: d for m in _MODULES for name, d in m.DESCRIPTOR.message_types_by_name.items()}


def _descriptor(message):
    return _MESSAGES[message]


def _padding(size, multiple):
    return -size % multiple


class _Reader:
    """The bytes of an image, taken from the front."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def error(self, what):
        return ImageError(f"offset {self.at}: {what}")

    def take(self, size, what, padding=0):
        if size + padding > len(self.data) - self.at:
            raise self.error(f"{what} of {size} bytes ends beyond the end of the file")
        start = self.at
        self.at += size + padding
        return self.data[start:start + size]

    def magic(self):
        """The name of the kind."""
        first = struct.unpack("<I", self.take(4, "magic"))[0]
        magic = struct.unpack("<I", self.take(4, "magic"))[0] if first in (COMMON, SERVICE) else first
        if magic not in NAMES:
            raise MagicException(magic)
        return NAMES[magic]

    def record(self, descriptor):
        start = self.at
        size = struct.unpack("<I", self.take(4, "length"))[0]
        data = self.take(size, "record")
        try:
            return wire.parse(descriptor, data)
        except wire.WireError as e:
            self.at = start
            raise self.error(e) from None

    def left(self):
        return len(self.data) - self.at


def _base64(data):
    return base64.encodebytes(data).decode()


def _size(n):
    """As crit prints it in place of contents."""
    for unit in ("B", "KB", "MB", "GB", "TB", "PB", "EB"):
        if n < 1024 or unit == "EB":
            return f"... <{n:.0f}{unit}>" if n == int(n) else f"... <{n:.1f}{unit}>"
        n /= 1024


def _lengths(kind, values):
    """Of what follows an entry, and to what multiple it is padded; None: something of its own."""
    if kind in ("PIPES_DATA", "FIFO_DATA"):
        return [values["bytes"]], 1
    if kind == "SK_QUEUES":
        return [values["length"]], 1
    if kind == "TCP_STREAM":
        return [values["inq_len"], values["outq_len"]], 1
    if kind == "BPFMAP_DATA":
        return [values["keys_bytes"] + values["values_bytes"]], 1
    if kind == "IPCNS_SEM":
        return [2 * values["nsems"]], 8
    if kind == "IPCNS_SHM":
        return [0 if values.get("in_pagemaps") else values["size"]], 4
    return None, 1


def _read_messages(reader, values, pretty, no_payload):
    shown, size, message = [], 0, _descriptor("ipc_msg")
    for _ in range(values["qnum"]):
        m = reader.record(message)
        data = reader.take(m["msize"], "message", _padding(m["msize"], 8))
        size += len(wire.serialize(message, m)) + len(data)
        shown += present.to_json(message, m, pretty), _base64(data)
    return _size(size) if no_payload else shown


def _read_extra(reader, kind, values, pretty, no_payload):
    """None: there is none."""
    if kind == "IPCNS_MSG":
        return _read_messages(reader, values, pretty, no_payload)
    lengths, multiple = _lengths(kind, values)
    if lengths is None:
        return None
    parts = [reader.take(n, "payload", _padding(n, multiple)) for n in lengths]
    if no_payload:
        return _size(sum(map(len, parts)))
    if kind == "IPCNS_SEM":
        return list(struct.unpack(f"<{values['nsems']}H", parts[0]))
    if kind == "TCP_STREAM":
        return dict(zip(("inq", "outq"), map(_base64, parts)))
    return _base64(parts[0])


def _read_ghost(reader, pretty, no_payload):
    """One entry with all of the file behind it, or one and its pieces."""
    head, piece = _descriptor(KINDS["GHOST_FILE"][1]), _descriptor(NESTED["GHOST_FILE"])
    values = reader.record(head)
    entries = [present.to_json(head, values, pretty)]
    if not values.get("chunks"):
        body = reader.take(reader.left(), "contents")
        if body and not no_payload:
            entries[0]["extra"] = _base64(body)
        return entries
    while reader.left():
        values = reader.record(piece)
        entries.append(present.to_json(piece, values, pretty))
        body = reader.take(values["len"], "contents")
        if not no_payload:
            entries[-1]["extra"] = _base64(body)
    return entries


def _read_entries(reader, kind, pretty, no_payload):
    if kind == "GHOST_FILE":
        return _read_ghost(reader, pretty, no_payload) if reader.left() else []
    entries = []
    while reader.left():
        message = NESTED[kind] if entries and kind in NESTED else KINDS[kind][1]
        descriptor = _descriptor(message)
        values = reader.record(descriptor)
        entries.append(present.to_json(descriptor, values, pretty))
        extra = _read_extra(reader, kind, values, pretty, no_payload)
        if extra is not None:
            entries[-1]["extra"] = extra
    return entries


def loads(data, pretty=False, no_payload=False):
    """The image with these bytes. Raises ImageError, MagicException."""
    reader = _Reader(data)
    kind = reader.magic()
    return {"magic": kind, "entries": _read_entries(reader, kind, pretty, no_payload)}


def load(f, pretty=False, no_payload=False):
    """The image in a file that is open for reading bytes."""
    return loads(f.read(), pretty, no_payload)


def info(f):
    """What kind of image it is, and how many entries it has (heads and pieces are none)."""
    image = load(f, no_payload=True)
    count, kind = len(image["entries"]), image["magic"]
    return {"magic": kind, "count": max(count - 1, 0) if kind == "PAGEMAP" else min(count, 1)
            if kind == "GHOST_FILE" else count}


def _record(descriptor, shown):
    values = present.from_json(descriptor, shown)
    data = wire.serialize(descriptor, values)
    return values, struct.pack("<I", len(data)) + data


def _bytes(text, size, what):
    try:
        data = base64.b64decode("".join((text or "").split()), validate=True)
    except (binascii.Error, AttributeError):
        raise ImageError(f"{what} is not base64") from None
    if size is not None and len(data) != size:
        raise ImageError(f"{what} has {len(data)} bytes, its record says {size}")
    return data


def _messages(values, extra):
    if not isinstance(extra, list) or len(extra) != 2 * values["qnum"]:
        raise ImageError(f"a queue of {values['qnum']} messages needs a list of twice as many")
    out = []
    for shown, text in zip(extra[::2], extra[1::2]):
        m, record = _record(_descriptor("ipc_msg"), shown)
        data = _bytes(text, m["msize"], "a message")
        out += record, data, bytes(_padding(len(data), 8))
    return b"".join(out)


def _extra(kind, values, shown):
    extra = shown.get("extra")
    if kind == "IPCNS_MSG":
        return _messages(values, extra) if values["qnum"] else b""
    if kind == "GHOST_FILE":
        return _bytes(extra, values.get("len"), "extra") if extra or "len" in values else b""
    lengths, multiple = _lengths(kind, values)
    if not lengths or not sum(lengths):
        return b""
    if kind == "IPCNS_SEM":
        if not isinstance(extra, list) or len(extra) != values["nsems"]:
            raise ImageError(f"a set of {values['nsems']} semaphores needs a list of as many values")
        data = struct.pack(f"<{len(extra)}H", *extra)
    elif kind == "TCP_STREAM":
        if not isinstance(extra, dict):
            raise ImageError("a connection needs its queues")
        return b"".join(_bytes(extra.get(name), n, name) for name, n in zip(("inq", "outq"), lengths))
    else:
        data = _bytes(extra, lengths[0], "extra")
    return data + bytes(_padding(len(data), multiple))


def dumps(image):
    """The bytes of an image. Raises ImageError, MagicException."""
    kind = image["magic"]
    if kind not in KINDS:
        raise MagicException(kind)
    magic, message = KINDS[kind]
    first = FIRST.get(kind, COMMON)
    out = [struct.pack("<I", first)] if first else []
    out.append(struct.pack("<I", magic))
    for i, shown in enumerate(image["entries"]):
        try:
            values, record = _record(_descriptor(NESTED.get(kind, message) if i else message), shown)
            out += record, _extra(kind, values, shown)
        except (ValueError, struct.error) as e:
            raise ImageError(f"entry {i}: {e}") from None
    return b"".join(out)


def dump(image, f):
    """Into a file that is open for writing bytes; which is written to only if all is well."""
    f.write(dumps(image))
