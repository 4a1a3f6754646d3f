"""A dump into a directory that holds the images of another one, which may be all that is left of it."""
import os
import signal
import subprocess

from live import Program, need, need_images, poll
from scenario import scenario
from test_refusals import good_end


def contents(images):
    return {path.name: path.read_bytes() for path in images.iterdir() if path.name != "stats-dump"}


class Second:
    """Another program, whose dumps are of no interest after it ended."""

    def __init__(self, case):
        self.directory = case.dir / "second"
        self.directory.mkdir(mode=0o777)
        program = Program("anon_pages")
        (self.directory / "ctl").write_bytes(bytes(4096))
        self.child = subprocess.Popen([program.path, self.directory], stdin=subprocess.DEVNULL,
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                      start_new_session=True)
        poll((self.directory / "ready").exists, 20, "the second program")
        self.pid = self.child.pid

    def end(self):
        (self.directory / "release").touch()
        self.child.wait(20)
        need((self.directory / "result").read_text() == "OK\n", "the second program was harmed")


def small(case):
    directory = case.dir / "small"
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3M", "none", directory], check=True)
    return directory


@scenario
def test_failed_dump(case):
    """The disk is full, a script objects too early: the images that were there are as they were.
    PROVES: F034 F078"""
    images = small(case)
    case.start_program(Program("counter"))
    case.need(case.run("dump", images, "-t", case.root, "-W", case.dir), "the first dump")
    case.gone()
    (images / "cpuinfo.img").write_bytes(b"of another command")
    (images / "mine.txt").write_bytes(b"of nobody")
    before, second = contents(images), Second(case)
    ran = case.run("dump", images, "-t", second.pid, "-W", case.dir)
    need(ran.status == 1 and "No space left" in ran.text, ran.describe())
    need(f"{images} holds the images of another dump, taken 20" in ran.text, ran.describe())
    after = contents(images)
    need(before == after, f"changed: {sorted(before)} {sorted(after)}")
    second.end()
    (images / "cpuinfo.img").unlink()
    case.restore(images, "-W", case.dir)
    good_end(case)


@scenario
def test_replaced(case):
    """After a dump that succeeds nothing is left of a larger tree's images but what is not of a set.
    PROVES: F078"""
    case.start_program(Program("tree3"))
    images = case.dump("-R")
    stale = {f"core-{pid}.img" for pid in case.pids()}
    need(all((images / name).exists() for name in stale), "not what a dump writes")
    (images / "cpuinfo.img").write_bytes(b"of another command")
    (images / "mine.txt").write_bytes(b"of nobody")
    second = Second(case)
    ran = case.run("dump", images, "-t", second.pid, "-R")
    need(ran.status == 0 and "are replaced" in ran.text, ran.describe())
    need_images(images)
    left = [name for name in stale if (images / name).exists()]
    need((images / f"core-{second.pid}.img").exists() and not left, f"left over: {left}")
    need((images / "cpuinfo.img").exists() and (images / "mine.txt").exists(), "what was another's is gone")
    need(not list(images.glob("replaced.*")), "the old images are there still")
    second.end()
    fresh = case.new_images()
    ran = case.run("dump", fresh, "-t", case.root, "-R")
    need(ran.status == 0 and "replaced" not in ran.text, ran.describe())
    good_end(case)


@scenario
def test_killed_dump(case):
    """What a killed dump set aside is whole.
    PROVES: F034"""
    case.start_program(Program("counter"))
    images = case.dump()
    before, second = contents(images), Second(case)
    script = case.dir / "script"
    script.write_text(f"#!/bin/sh\n[ $CRTOOLS_SCRIPT_ACTION = post-dump ] || exit 0\necho $$ >{case.dir}/asleep\nexec sleep 30\n")
    script.chmod(0o755)
    tool = case.begin("dump", images, "-t", second.pid, "-R", "--action-script", script)
    poll(lambda: (case.dir / "asleep").exists() and (case.dir / "asleep").read_text(), 10, "the script")
    tool.kill()
    case.finish(tool)
    os.kill(int((case.dir / "asleep").read_text()), signal.SIGKILL)
    aside = list(images.glob("replaced.*"))[0]
    before.pop("dump.log", None)
    kept = contents(aside)
    need(kept and all(before[name] == data for name, data in kept.items()), f"not what it was: {sorted(kept)}")
    second.end()
    case.restore(aside)
    good_end(case)
