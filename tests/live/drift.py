"""The dump of what was restored against the dump that it was restored from: what differs, field by field.

Images of the same bytes are taken as equal. Others are decoded, brought into one form (neighbouring mappings
that the kernel may merge are one, lists in an order of the kernel's are sorted) and compared; pages are
compared by address. Which fields may differ, and why, is told by explained.py.
"""
import json
import re

from explained import Numbers, explained, without_rseq
from live import python_module

PAGE = 4096
PE_PRESENT = 4
TCP_LISTEN = 10
# By image and list: what puts its members in order.
UNORDERED = {"tfd": ("tfd", "data"), "mark": ("type", "mask", "ignored_mask", "mflags", "path"), "mclist": ("type", "addr"),
             "epoll_targets": ("number", "file")}
# Components of the extended state.
XSTATE = {"st_space", "xmm_space", "ymmh_space", "opmask_reg", "zmm_upper", "hi16_zmm"}


def load(path):
    return python_module("images").loads(path.read_bytes())


def merge_mappings(vmas):
    out = []
    for v in vmas:
        last = out[-1] if out else None
        rest = {k: x for k, x in v.items() if k not in ("start", "end", "pgoff")}
        if last and last["end"] == v["start"] and rest == {k: x for k, x in last.items() if k in rest} and (
                not v.get("shmid") and not v.get("pgoff") or
                last.get("pgoff", 0) + last["end"] - last["start"] == v.get("pgoff", 0)):
            last["end"] = v["end"]
        else:
            out.append(dict(v))
    return out


def forget_unused(core):
    """Registers of zeroes only: they are in their initial state, marked as such or not."""
    fp = core.get("thread_info", {}).get("fpregs", {})
    for where in (fp, fp.get("xsave", {})):
        for name in XSTATE & where.keys():
            if not any(where[name]):
                del where[name]


def find(entry, name):
    """The first field of that name, at any depth."""
    return next((v for path, v in flatten(entry) if path[-1] == name), None)


def forget_queue(file):
    """Of a unix socket that does not listen, backlog is the memory of what was sent."""
    usk = file.get("usk", {})
    if usk.get("state") != TCP_LISTEN and usk.get("backlog"):
        usk["backlog"] = "some"


def put_in_order(value):
    for key, v in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(v, (dict, list)):
            put_in_order(v)
        if key in UNORDERED and isinstance(v, list):
            v.sort(key=lambda x: json.dumps([find(x, k) for k in UNORDERED[key]]))


def canonical(image):
    for e in image["entries"]:
        if "vmas" in e:
            e["vmas"] = merge_mappings(e["vmas"])
        forget_unused(e)
        forget_queue(e)
        put_in_order(e)
    return image


def flatten(value, path=()):
    if isinstance(value, dict):
        for key, v in value.items():
            yield from flatten(v, (*path, key))
    elif isinstance(value, list):
        for i, v in enumerate(value):
            yield from flatten(v, (*path, str(i)))
    else:
        yield path, value


def changed(name, old, new, numbers, ignore):
    """Lines about one image in both dumps."""
    a, b = (dict(flatten(canonical(image)["entries"])) for image in (old, new))
    for path in [*a, *(p for p in b if p not in a)]:
        field = ".".join((old["magic"], *(p for p in path if not p.isdigit())))
        before, after = a.get(path), b.get(path)
        if before == after and not numbers.knows(field) or field in ignore:
            continue
        if not (numbers.same(field, before, after) or explained(field, before, after)):
            yield f"{name}: {field} [{'.'.join(path)}]: {short(before)} -> {short(after)}"


def short(value):
    text = "absent" if value is None else repr(value)
    return text if len(text) < 200 else text[:200] + "..."


# --- pages

def structs_rseq(images):
    """Addresses of struct rseq of all threads."""
    cores = (e for core in images.glob("core-*.img") for e in load(core)["entries"])
    return {e["thread_core"]["rseq_entry"]["rseq_abi_pointer"] for e in cores
            if e.get("thread_core", {}).get("rseq_entry")}


def pages(images, pagemap):
    """{address: page} of those that one pagemap names; pages of zeroes count as none."""
    entries = load(pagemap)["entries"]
    store, out, zero = images / f"pages-{entries[0]['pages_id']}.img", {}, bytes(PAGE)
    if not store.exists():
        return out
    with open(store, "rb") as f:
        for e in entries[1:]:
            present = e.get("flags", PE_PRESENT) & PE_PRESENT
            for i in range(e.get("nr_pages") or e.get("compat_nr_pages", 0) if present else 0):
                data = f.read(PAGE)
                if data != zero:
                    out[e["vaddr"] + i * PAGE] = data
    return out


def changed_pages(name, old, new, rseqs):
    a, b = pages(*old), pages(*new)
    for address in sorted({*a, *b}):
        before, after = a.get(address), b.get(address)
        if before != after and without_rseq(before, address, rseqs) != without_rseq(after, address, rseqs):
            what = "lost" if after is None else "new" if before is None else "other contents"
            yield f"{name}: page {address:x}: {what}"


# --- all of it

def names_of(images):
    return {p.name for p in images.iterdir() if p.suffix == ".img" and not p.name.startswith("pages-")}


def other_name(name, numbers):
    """What an image is called in the second dump, where the name has a number of the kernel's."""
    m = re.match(r"^(pagemap-shmem-|tcp-stream-)([0-9a-f]+)\.img$", name)
    if not m:
        return name
    form, base, kind = ("d", 10, "shmid") if m[1] == "pagemap-shmem-" else ("x", 16, "inode")
    number = int(m[2], base)
    return f"{m[1]}{format(numbers.of.get((kind, number), number), form)}.img"


def differences(images, again, ignore=()):
    numbers, rseqs = Numbers(), structs_rseq(images)
    there, out = names_of(again), []
    # Those with numbers in their names last: the others tell them.
    for name in sorted(names_of(images), key=lambda n: (n.startswith(("pagemap-shmem", "tcp-stream")), n)):
        other = other_name(name, numbers)
        if other not in there:
            out.append(f"{name}: only in the first dump")
            continue
        there.remove(other)
        if name.startswith("pagemap-"):
            out += changed_pages(name, (images, images / name), (again, again / other), rseqs)
        elif (images / name).read_bytes() != (again / other).read_bytes():
            out += changed(name, load(images / name), load(again / other), numbers, ignore)
    return out + [f"{name}: only in the second dump" for name in sorted(there)]
