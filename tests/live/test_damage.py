"""Damaged images: a restore refuses them before it does anything, and crit check says the same."""
import copy
import random
import shutil
import subprocess

from live import CRIT, FERMATA, Failure, ROOT, Skipped, python_module
from scenario import scenario

GOLDEN = ROOT.parent / "shared" / "golden" / "sets"


def images_module():
    return python_module("images")


def find(directory, pattern):
    return sorted(directory.glob(pattern))[0]


def edit(pattern, change):
    """A copy in which change(entries) was done to an image."""
    def apply(directory):
        images, path = images_module(), find(directory, pattern)
        image = images.loads(path.read_bytes())
        change(image["entries"])
        path.write_bytes(images.dumps(image))
    return apply


def cut(pattern, length):
    def apply(directory):
        path = find(directory, pattern)
        data = path.read_bytes()
        path.write_bytes(data[:length if length >= 0 else len(data) + length])
    return apply


def remove(pattern):
    return lambda directory: find(directory, pattern).unlink()


def put(pattern, offset, data):
    def apply(directory):
        path = find(directory, pattern)
        old = bytearray(path.read_bytes())
        old[offset:offset + len(data)] = data
        path.write_bytes(old)
    return apply


def swap(entries):
    entries[0], entries[1] = entries[1], entries[0]


def vma_of_file(e):
    return next(v for v in e[0]["vmas"] if v["status"] & 0xc0)


# What is wrong, with a set where there is such a thing, and how it is made.
SEMANTIC = {
    "dangling descriptor": ("files", edit("fdinfo-*.img", lambda e: e[0].update(id=4711))),
    "descriptor twice": ("files", edit("fdinfo-*.img", lambda e: e.append(copy.deepcopy(e[0])))),
    "file twice": ("files", edit("files.img", lambda e: e.append(copy.deepcopy(e[0])))),
    "file lost": ("files", edit("files.img", lambda e: e.pop(0))),
    "no detail of a file": ("files", edit("files.img", lambda e: e[0].pop("reg"))),
    "dangling executable": ("counter", edit("mm-*.img", lambda e: e[0].update(exe_file_id=4711))),
    "dangling mapping": ("counter", edit("mm-*.img", lambda e: vma_of_file(e).update(shmid=4711))),
    "overlapping mappings": ("counter", edit(
        "mm-*.img", lambda e: e[0]["vmas"][0].update(end=e[0]["vmas"][1]["start"] + 4096))),
    "mapping of no length": ("counter", edit(
        "mm-*.img", lambda e: e[0]["vmas"][0].update(end=e[0]["vmas"][0]["start"]))),
    "pages without a mapping": ("counter", edit("pagemap-*.img", lambda e: e[1].update(vaddr=4096))),
    "pages out of order": ("counter", edit("pagemap-*.img", lambda e: e.reverse() or e.insert(0, e.pop()))),
    "more pages than there are": ("counter", edit(
        "pagemap-*.img", lambda e: e.append({**e[-1], "vaddr": 0x7000_0000_0000, "nr_pages": 1 << 40}))),
    "dangling root": ("counter", edit("fs-*.img", lambda e: e[0].update(root_id=4711))),
    "dangling cwd": ("counter", edit("fs-*.img", lambda e: e[0].update(cwd_id=4711))),
    "no parent": ("tree", edit("pstree.img", lambda e: e[-1].update(ppid=4711))),
    "child before parent": ("tree", edit("pstree.img", swap)),
    "a pid twice": ("tree", edit("pstree.img", lambda e: e[-1].update(pid=e[0]["pid"], threads=e[0]["threads"]))),
    "no tasks": ("tree", edit("pstree.img", lambda e: e.clear())),
    "strange state": ("tree", edit("core-*.img", lambda e: e[0]["tc"].update(task_state=55))),
    "no part of the process": ("tree", edit("core-*.img", lambda e: e[0].pop("tc"))),
    "no registers": ("counter", edit("core-*.img", lambda e: e[0].pop("thread_info", None))),
    "long name": ("counter", edit("core-*.img", lambda e: e[0]["tc"].update(comm="x" * 40))),
    "nice value": ("counter", edit("core-*.img", lambda e: e[0]["thread_core"].update(sched_nice=77))),
    "no limits": ("counter", edit("core-*.img", lambda e: e[0]["tc"].pop("rlimits"))),
    "dangling peer": ("sockets", edit("files.img", lambda e: next(
        x for x in e if x["type"] == "UNIXSK" and x["usk"]["peer"])["usk"].update(peer=4711))),
    "version": ("counter", edit("inventory.img", lambda e: e[0].update(img_version=9))),
    "two inventories": ("counter", edit("inventory.img", lambda e: e.append(copy.deepcopy(e[0])))),
}

FILES = ("inventory.img", "pstree.img", "core-*.img", "mm-*.img", "ids-*.img", "fs-*.img", "files.img",
         "fdinfo-*.img", "pagemap-*.img", "timens-*.img")
for _file in FILES:
    _set = "files"
    for _length in (0, 3, 7, 9, 13, -1):
        SEMANTIC[f"{_file} cut to {_length}"] = (_set, cut(_file, _length))
    SEMANTIC[f"{_file} of another kind"] = (_set, put(_file, 0 if _file == "inventory.img" else 4, b"abcd"))
    SEMANTIC[f"{_file} with a huge record"] = (_set, put(_file, 4 if _file == "inventory.img" else 8, b"\xff" * 4))
    if _file not in ("fdinfo-*.img", "timens-*.img"):
        SEMANTIC[f"no {_file}"] = (_set, remove(_file))
SEMANTIC["pages-*.img cut"] = ("files", cut("pages-*.img", -5))
SEMANTIC["no pages-*.img"] = ("files", remove("pages-*.img"))


def run(*argv):
    ran = subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                         errors="replace")
    if ran.returncode not in (0, 1):
        raise Failure(f"{argv}: status {ran.returncode}\n{ran.stdout}\n{ran.stderr}")
    return ran


def compare(what, directory, must_be_bad):
    """crit check complains: a restore must refuse, in the same words, and leave nothing."""
    check = run(CRIT, "check", directory)
    if not check.returncode:
        if must_be_bad:
            raise Failure(f"{what}: crit check finds nothing: {check.stdout}")
        return False
    first = check.stdout.splitlines()[0]
    restore = run(FERMATA, "restore", "-d", "-D", directory)
    said = restore.stderr.splitlines()[0] if restore.stderr else "(nothing)"
    if restore.returncode != 1 or said != f"Error: {first}":
        raise Failure(f"{what}:\ncrit check: {first}\nrestore:    {said}")
    return True


GROUPS = ("by hand", "pages-*.img", *FILES)


@scenario(args=GROUPS, timeout=180)
def test_each(case, group):
    """Each kind of damage: by hand, or to one file.
    PROVES: F372 F398"""
    if not GOLDEN.is_dir():
        raise Skipped("no ../shared/golden here")
    chosen = {what: how for what, how in SEMANTIC.items()
              if next((g for g in GROUPS if g in what), "by hand") == group}
    for number, (what, (name, apply)) in enumerate(chosen.items()):
        directory = case.dir / f"d{number}"
        shutil.copytree(GOLDEN / name / "images", directory)
        apply(directory)
        compare(f"{what} ({directory})", directory, must_be_bad=True)
        shutil.rmtree(directory)


@scenario(args=["counter", "files", "sockets", "threads", "tree"], timeout=180)
def test_random(case, name):
    """Bytes changed anywhere: whatever crit check complains of, a restore refuses likewise.
    PROVES: F372"""
    if not GOLDEN.is_dir():
        raise Skipped("no ../shared/golden here")
    dice, bad = random.Random(name), 0
    for number in range(60):
        directory = case.dir / f"r{number}"
        shutil.copytree(GOLDEN / name / "images", directory)
        path = dice.choice(sorted(p for p in directory.glob("*.img") if not p.name.startswith("pages-")))
        data = bytearray(path.read_bytes())
        for _ in range(dice.choice((1, 1, 4))):
            data[dice.randrange(len(data))] = dice.choice((0, 1, 0x7f, 0x80, 0xff, dice.randrange(256)))
        path.write_bytes(data)
        bad += compare(f"{path}, changed", directory, must_be_bad=False)
        shutil.rmtree(directory)
    if not bad:
        raise Failure("nothing was ever found")
