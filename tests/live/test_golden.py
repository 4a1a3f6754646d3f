"""Image directories of the reference implementation are restored and content with themselves."""
import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import snapshot
from live import CRIT, Failure, ROOT, Skipped, poll
from scenario import scenario

GOLDEN = Path(os.environ.get("GOLDEN", ROOT.parent / "shared" / "golden"))
PLACE = Path("/opt/golden")


@scenario(args=["counter", "threads", "tree", "files", "sockets"])
def test_golden(case, mode):
    """PROVES: F403 F001 F004 F002"""
    images = GOLDEN / "sets" / mode / "images"
    if not images.is_dir():
        raise Skipped(f"no golden image sets at {GOLDEN}")
    PLACE.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "none", PLACE], check=True)
    (PLACE / "run").mkdir()
    shutil.copy(GOLDEN / "bin" / "golden", PLACE / "golden")
    (PLACE / "golden").chmod(0o755)  # as the images have it
    files = GOLDEN / "sets" / mode / "files"
    for path in files.iterdir() if files.is_dir() else ():
        shutil.copy2(path, PLACE / "run" / path.name)
        (PLACE / "run" / path.name).chmod(0o640)
    if mode == "files":
        os.mkfifo(PLACE / "run" / "files.fifo", 0o600)
    pid = int((GOLDEN / "sets" / mode / "pid").read_text())
    Path("/proc/sys/kernel/ns_last_pid").write_text("100")
    case.root = pid
    case.restore(shutil.copytree(images, case.dir / "images"), "--tcp-established")
    if pid not in snapshot.stats():
        raise Failure(f"task {pid} is not there")
    os.kill(pid, signal.SIGTERM)
    result = PLACE / "run" / f"{mode}.result"
    poll(lambda: result.exists() and result.read_text().endswith("\n"), 10, "a result")
    if result.read_text() != "OK\n":
        raise Failure(f"the program says: {result.read_text()}")
    case.gone()


def paths(value, at=""):
    """The names of all fields in a decoded image; elements of lists count alike."""
    if isinstance(value, dict):
        return {p for k, v in value.items() for p in {f"{at}.{k}"} | paths(v, f"{at}.{k}")}
    if isinstance(value, list):
        return {p for v in value for p in paths(v, at + "[]")}
    return set()


def by_kind(entries):
    """Fields of each kind of open file, and of all else together."""
    kinds = {}
    for e in entries:
        kinds.setdefault(e.get("type") if "id" in e else None, set()).update(paths(e))
    return kinds


# What must be the very same, whenever and wherever the program is dumped.
SAME = {"efd": ["flags", "counter"], "sgfd": ["flags", "sigmask"],
        "tfd": ["flags", "clockid", "ticks", "settime_flags", "isec", "insec"]}


def values(entries):
    found = {}
    for e in entries:
        for name, fields in SAME.items():
            if name in e:
                found[name] = [e[name][f] for f in fields]
        for t in e.get("epfd", {}).get("tfd", []):
            found["epoll"] = [t["tfd"], t["events"], t["data"]]
        for w in e.get("ify", {}).get("wd", []):
            found["inotify"] = [w["wd"], w["mask"]]
    return found


@scenario
def test_golden_written(case):
    """Our images of the program have the same fields as those of the reference.
    PROVES: F199"""
    golden = GOLDEN / "sets" / "files" / "json"
    if not golden.is_dir():
        raise Skipped(f"no golden image sets at {GOLDEN}")
    case.start([GOLDEN / "bin" / "golden", "files", case.dir / "g"], ready=False)
    poll((case.dir / "g.ready").exists, 10, "the program")
    images = case.dump()
    names = {re.sub(r"\d+", "N", p.stem) for p in golden.iterdir()}
    ours = {re.sub(r"\d+", "N", p.stem) for p in images.glob("*.img")}
    if {n for n in names if not n.startswith(("pages", "seccomp"))} - ours:
        raise Failure(f"no images {names - ours}")
    for name in ("files", "fifo-data", "memfd", "remap-fpath", "fdinfo-2", "ghost-file-1"):
        theirs = json.loads((golden / f"{name}.json").read_text())["entries"]
        out = subprocess.run([CRIT, "decode", "--pretty", "-i", images / f"{name}.img"], check=True,
                             stdout=subprocess.PIPE)
        mine = json.loads(out.stdout)["entries"]
        for kind, fields in by_kind(theirs).items():
            if fields ^ by_kind(mine).get(kind, set()):
                raise Failure(f"{name}, {kind}: {fields ^ by_kind(mine).get(kind, set())}")
        if values(theirs) != values(mine):
            raise Failure(f"{name}: {values(theirs)} is {values(mine)}")
