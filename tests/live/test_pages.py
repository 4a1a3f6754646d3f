"""Pages images on tmpfs, which two write at the same time."""
import os
import re
import resource
import subprocess

import snapshot
from live import CRIT, Program, need
from scenario import scenario


def mount(directory, *options):
    subprocess.run(["mount", "-t", "tmpfs", *options, "none", directory], check=True)


def good_end(case):
    case.release()
    case.verdict()
    case.gone()


@scenario(args=["task", "thread"])
def test_two_write(case, other):
    """The controller has a part in it beside the task, which has a part, too, unless it may not write
    large files. Together it is the memory of the task; sums are of what is there.
    PROVES: F064"""
    mount(case.dir)
    case.start_program(Program("anon_pages"))
    if other == "thread":
        resource.prlimit(case.root, resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    for options in (["-R", "--checksum"], ["-R"], ["--checksum"]):
        images = case.dump(*options)
        copied = re.search(r"(\d+) KiB of its pages were copied beside",
                           (images / "dump.log").read_text())
        size = (images / "pages-1.img").stat().st_size >> 10
        if len(os.sched_getaffinity(0)) > 1:
            need(copied and 0 < int(copied[1]) < size, f"not a part of {size} KiB: {copied}")
        if "--checksum" in options:
            subprocess.run([CRIT, "check", images], check=True)
    case.restore(images)
    good_end(case)


@scenario(args=["task", "thread"])
def test_no_room(case, other):
    """A full file system ends the dump; the task goes on as it was."""
    case.start_program(Program("anon_pages"))
    if other == "thread":
        resource.prlimit(case.root, resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    before, images = snapshot.take(case.pids()), case.new_images()
    mount(images, "-o", "size=16m")
    case.refused("dump", "No space left on device", "-t", case.root, images=images)
    changes = snapshot.differences(before, snapshot.take(case.pids()))
    need(not changes, f"the task was changed: {changes}")
    good_end(case)
