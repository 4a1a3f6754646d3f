"""Messages of images as JSON shows them (spec of crit), and back.

Without pretty an integer is a number, else what FORMS, made from the comments of the schema, says.
Both come back from either. Text that is not UTF-8 keeps its bytes: each becomes a character from
U+10FF00 on, as crit writes it.
"""
import base64
import os
import quopri
import re
import socket
import struct
from google.protobuf.descriptor import FieldDescriptor as F

from .proto.forms import FORMS
from .wire import INTEGERS, WireError

__all__ = ["from_json", "to_json"]

FLAGS = {
    "mmap.prot": {"PROT_READ": 1, "PROT_WRITE": 2, "PROT_EXEC": 4},
    "mmap.flags": {"MAP_SHARED": 1, "MAP_PRIVATE": 2, "MAP_DROPPABLE": 8, "MAP_ANON": 0x20,
                   "MAP_GROWSDOWN": 0x100},
    "mmap.status": {"VMA_AREA_NONE": 0, **{name: 1 << bit for name, bit in (
        ("VMA_AREA_REGULAR", 0), ("VMA_AREA_STACK", 1), ("VMA_AREA_VSYSCALL", 2), ("VMA_AREA_VDSO", 3),
        ("VMA_AREA_HEAP", 5), ("VMA_FILE_PRIVATE", 6), ("VMA_FILE_SHARED", 7), ("VMA_ANON_SHARED", 8),
        ("VMA_ANON_PRIVATE", 9), ("VMA_AREA_SYSVIPC", 10), ("VMA_AREA_SOCKET", 11),
        ("VMA_AREA_VVAR", 12), ("VMA_AREA_AIORING", 13), ("VMA_AREA_MEMFD", 14), ("VMA_AREA_SHSTK", 15),
        ("VMA_AREA_UPROBES", 17), ("VMA_UNSUPP", 31))}},
    "rfile.flags": {"O_WRONLY": 0o1, "O_RDWR": 0o2, "O_CREAT": 0o100, "O_EXCL": 0o200,
                    "O_NOCTTY": 0o400, "O_TRUNC": 0o1000, "O_APPEND": 0o2000, "O_NONBLOCK": 0o4000,
                    "O_DSYNC": 0o10000, "FASYNC": 0o20000, "O_DIRECT": 0o40000,
                    "O_LARGEFILE": 0o100000, "O_DIRECTORY": 0o200000, "O_NOFOLLOW": 0o400000,
                    "O_NOATIME": 0o1000000, "O_CLOEXEC": 0o2000000},
    "seals.flags": {"F_SEAL_SEAL": 1, "F_SEAL_SHRINK": 2, "F_SEAL_GROW": 4, "F_SEAL_WRITE": 8,
                    "F_SEAL_FUTURE_WRITE": 0x10},
    "pmap.flags": {"PE_PARENT": 1, "PE_LAZY": 2, "PE_PRESENT": 4},
}

# Dictionaries, by the name of the field.
WORDS = {
    "task_state": {"Alive": 1, "Zombie": 3, "Stopped": 6},
    "family": {"UNIX": 1, "INET": 2, "INET6": 10, "NETLINK": 16, "PACKET": 17},
    "type": {"STREAM": 1, "DGRAM": 2, "RAW": 3, "SEQPACKET": 5, "PACKET": 10},
    "state": {"ESTABLISHED": 1, "SYN_SENT": 2, "SYN_RECV": 3, "FIN_WAIT1": 4, "FIN_WAIT2": 5,
              "TIME_WAIT": 6, "CLOSE": 7, "CLOSE_WAIT": 8, "LAST_ACK": 9, "LISTEN": 10},
    "proto": {"IP": 0, "TCP": 6, "UDP": 17, "UDPLITE": 136},
}

STRAY = 0x10ff00  # the character for byte 0


def text_to_json(data):
    """Bytes as a string that gives them back."""
    text = data.decode("utf-8", "surrogateescape")
    return "".join(chr(STRAY + (ord(c) & 0xff)) if 0xdc80 <= ord(c) <= 0xdcff
                   else "".join(chr(STRAY + b) for b in c.encode()) if ord(c) >= STRAY else c
                   for c in text)


def text_from_json(text):
    return b"".join(bytes([ord(c) - STRAY]) if ord(c) >= STRAY else c.encode("utf-8", "surrogatepass")
                    for c in text)


def _quoted(data):
    """Quoted-printable text as quopri makes it, but for carriage returns, which that may lose."""
    lines = []
    for line in data.split(b"\n"):
        shown = [chr(c) if 0x20 < c < 0x7f and c != 0x3d or c in b" \t" else f"={c:02X}" for c in line]
        if shown and shown[-1] in (" ", "\t"):
            shown[-1] = f"={ord(shown[-1]):02X}"
        text, column = "", 0
        for i, piece in enumerate(shown):
            if column + len(piece) > 76 - (i + 1 < len(shown)):
                text, column = text + "=\n", 0
            text, column = text + piece, column + len(piece)
        lines.append(text)
    return "\n".join(lines)


def _flags_to_text(names, value):
    shown = []
    for name, flag in names.items():
        if value & flag:
            shown.append(name)
            value &= ~flag
    return " | ".join(shown + [hex(value)] if value else shown)


def _number_to_json(field, form, value):
    if form == "hex":
        bits = 32 if field.type == F.TYPE_INT32 else 64
        return hex(value & (1 << bits) - 1 if value < 0 else value)
    if form == "dev":
        return f"{value >> 20}:{value & 0xfffff}"
    if form == "dev,odev":
        return f"{os.major(value)}:{os.minor(value)}"
    if form.startswith("flags="):
        return _flags_to_text(FLAGS[form[6:]], value & (1 << 64) - 1)
    if form.startswith("dict="):
        return next((word for word, v in WORDS[field.name].items() if v == value), value)
    return value


def _address_to_json(words):
    family = {1: socket.AF_INET, 4: socket.AF_INET6}.get(len(words))
    return [socket.inet_ntop(family, struct.pack(f"={len(words)}I", *words))] if family else words


def _value_to_json(field, value, form, pretty, all_hex):
    if field.type == F.TYPE_MESSAGE:
        return to_json(field.message_type, value, pretty, all_hex or form == "hex")
    if field.type == F.TYPE_STRING:
        return text_to_json(value)
    if field.type == F.TYPE_BYTES:
        return (_quoted(value) if form.startswith("conv=")
                else base64.encodebytes(value).decode())
    if field.type == F.TYPE_ENUM:
        known = field.enum_type.values_by_number.get(value)
        return known.name if known else value
    if field.type == F.TYPE_BOOL or not pretty:
        return value
    return _number_to_json(field, "hex" if all_hex else form, value)


def to_json(descriptor, values, pretty=False, all_hex=False):
    """What wire.parse() found, as JSON has it."""
    shown = {}
    for name, value in values.items():
        field = descriptor.fields_by_name[name]
        form = FORMS.get((descriptor.name, name), "")
        if field.label != F.LABEL_REPEATED:
            shown[name] = _value_to_json(field, value, form, pretty, all_hex)
        elif value:
            shown[name] = (_address_to_json(value) if pretty and form == "ipadd" else
                           [_value_to_json(field, v, form, pretty, all_hex) for v in value])
    return shown


def _plain_number(text):
    if not re.fullmatch(r"[+-]?(0[xX][0-9a-fA-F]+|[0-9]+)", text):
        raise WireError(f"{text!r} is no number")
    return int(text, 16 if "x" in text.lower() else 10)


def _number_from_text(field, form, text):
    if form.startswith("dev") and (parts := text.split(":"))[1:]:
        major, minor = map(_plain_number, parts)
        return major << 20 | minor if form == "dev" else os.makedev(major, minor)
    if form.startswith("flags="):
        value = 0
        for word in re.split(r"[ |]+", text.strip(" |")) if text.strip(" |") else ():
            known = FLAGS[form[6:]].get(word)
            value |= _plain_number(word) if known is None else known
        return value
    known = WORDS[field.name].get(text) if form.startswith("dict=") else None
    return _plain_number(text) if known is None else known


def _number_from_json(field, form, value):
    if isinstance(value, str):
        value = _number_from_text(field, form, value)
    if not isinstance(value, int):
        raise WireError(f"{field.full_name}: {value!r} is no number")
    if field.type == F.TYPE_BOOL:
        return value != 0
    bits, signed = INTEGERS[field.type]
    if not -(1 << (bits if bits == 32 and signed else 64) - 1) <= value < 1 << bits or (
            value < 0 and bits == 32 and not signed):
        raise WireError(f"{field.full_name}: {value} is too large")
    value &= (1 << bits) - 1
    return value - (1 << bits) if signed and value >> bits - 1 else value


def _value_from_json(field, form, value):
    if field.type == F.TYPE_MESSAGE:
        return from_json(field.message_type, value)
    if field.type in (F.TYPE_STRING, F.TYPE_BYTES) and not isinstance(value, str):
        raise WireError(f"{field.full_name}: {value!r} is no text")
    if field.type == F.TYPE_STRING:
        return text_from_json(value)
    if field.type == F.TYPE_BYTES:
        return (quopri.decodestring(value.encode("latin-1")) if form.startswith("conv=")
                else base64.b64decode(re.sub(r"\s", "", value), validate=True))
    if field.type == F.TYPE_ENUM and (known := field.enum_type.values_by_name.get(value)):
        return known.number
    return _number_from_json(field, form, value)


def _address_from_json(value):
    if len(value) != 1 or not isinstance(value[0], str):
        return value
    family, n = (socket.AF_INET6, 4) if ":" in value[0] else (socket.AF_INET, 1)
    try:
        return list(struct.unpack(f"={n}I", socket.inet_pton(family, value[0])))
    except OSError:
        return value


def from_json(descriptor, shown):
    """The reverse, for wire.serialize(), from either layout; unknown names are passed over."""
    values = {}
    if not isinstance(shown, dict):
        raise WireError(f"{descriptor.name}: {shown!r} is no object")
    for name, value in shown.items():
        field = descriptor.fields_by_name.get(name)
        if field is None:
            continue
        form = FORMS.get((descriptor.name, name), "")
        if field.label != F.LABEL_REPEATED:
            values[name] = _value_from_json(field, form, value)
            continue
        if not isinstance(value, list):
            raise WireError(f"{field.full_name}: {value!r} is no list")
        if form == "ipadd":
            value = _address_from_json(value)
        values[name] = [_value_from_json(field, form, v) for v in value]
    return values
