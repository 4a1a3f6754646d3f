"""Image directories of the reference implementation are restored and content with themselves."""
import os
import shutil
import signal
import subprocess
from pathlib import Path

import snapshot
from live import Failure, ROOT, Skipped, poll
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
