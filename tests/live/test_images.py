"""What a dump leaves in the image directory and around it."""
import json
import os
import re
import stat
import subprocess
from pathlib import Path

import snapshot
from live import CRIT, FERMATA, Program, Skipped, need, python_module
from scenario import scenario

COMMON_MAGIC, SERVICE_MAGIC, INVENTORY_MAGIC = 0x54564319, 0x55105940, 0x58313116


def good_end(case):
    case.release()
    case.verdict()
    case.gone()


@scenario
def test_names_and_headers(case):
    """PROVES: F009 F080 F400 F455 F459"""
    case.start_program(Program("posix_timers"))
    images = case.dump("-W", case.dir)
    names = sorted(os.listdir(images))
    pid = case.root
    for name in (f"core-{pid}.img", f"mm-{pid}.img", f"pagemap-{pid}.img", "pages-1.img",
                 f"fdinfo-2.img", "files.img", f"fs-{pid}.img", f"ids-{pid}.img", "pstree.img",
                 "inventory.img"):
        need(name in names, f"no {name} among {names}")
    # One image for all of these since long ago.
    for kind in ("sigacts", "itimers", "posix-timers", "creds", "rlimit", "signal", "vmas", "reg-files"):
        need(not any(n.startswith(kind) for n in names), f"a separate image for {kind}: {names}")
    for path in sorted(images.iterdir()):
        need(not path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH), f"{path} is writable to others")
        if path.name.startswith("pages-"):
            continue
        head = int.from_bytes(path.read_bytes()[:4], "little")
        want = INVENTORY_MAGIC if path.name == "inventory.img" else COMMON_MAGIC
        need(head == want, f"{path.name} begins with {head:#x}")
        need(path.stat().st_size > 8, f"{path.name} has no entries")
    case.restore(images, "-W", case.dir)
    for name in ("stats-dump", "stats-restore"):
        data = (case.dir / name).read_bytes()
        need(int.from_bytes(data[:4], "little") == SERVICE_MAGIC, f"{name} has another magic")
        need(not (images / name).exists(), f"{name} is not in the work directory only")
    good_end(case)


@scenario
def test_work_directory(case):
    """Log, pid file and statistics land in the work directory.
    PROVES: F351 F062"""
    work = case.dir / "work"
    work.mkdir()
    case.start_program(Program("counter"))
    images = case.dump("-W", work)
    case.restore(images, "-W", work, "--pidfile", "the.pid")
    names = sorted(os.listdir(work))
    need(names == ["dump.log", "restore.log", "stats-dump", "stats-restore", "the.pid"],
         f"in the work directory: {names}")
    need((work / "the.pid").read_text() == str(case.root), "another pid in the pid file")
    need(not [n for n in os.listdir(images) if not n.endswith(".img")], "more than images there")
    # An existing pid file is an error; nothing is restored.
    case.kill()
    case.refused("restore", "the.pid", "-d", "-W", work, "--pidfile", "the.pid", images=images)
    case.gone()


def decoded(image):
    return json.loads(subprocess.run([CRIT, "decode", "-i", image], capture_output=True, check=True).stdout)


def need_stats(work, images, said):
    """The figures of both files are of this run: memory as in the images, times as told."""
    [dump], [restore] = (decoded(work / f"stats-{verb}")["entries"] for verb in ("dump", "restore"))
    dump, restore = dump["dump"], restore["restore"]
    pages = sum(p.stat().st_size for p in images.glob("pages-*.img")) // os.sysconf("SC_PAGE_SIZE")
    need(pages and dump["pages_written"] + dump["shpages_written"] == pages, f"{pages} pages in the images: {dump}")
    need(dump["pages_scanned"] >= dump["pages_written"] and not dump["pages_skipped_parent"], dump)
    need(0 < dump["freezing_time"] <= dump["frozen_time"] < 10_000_000, dump)
    need(0 < restore["pages_restored"] <= pages, f"{pages} pages in the images: {restore}")
    need(0 < restore["forking_time"] <= restore["restore_time"] < 10_000_000, restore)
    if said:
        need(said[0]["frozen_us"] == dump["frozen_time"] and said[0]["pages_written"] == pages, f"{said}: {dump}")
        need(said[1]["restore_us"] == restore["restore_time"], f"{said}: {restore}")


@scenario(args=["command", "request"])
def test_stats(case, way):
    """Statistics tell what happened, lie in the work directory, and are the same by --json; also with
    action scripts and by RPC.
    PROVES: F469"""
    pid, work, images = case.start(["sleep", "1000"], ready=False), case.dir / "work", case.new_images()
    work.mkdir()
    said = []
    if way == "command":
        for verb, *options in ["dump", "-t", str(pid)], ["restore", "-d"]:
            ran = subprocess.run([FERMATA, verb, "-D", images, "-W", work, "--json", "--action-script", "true",
                                  *options], capture_output=True, text=True)
            need(ran.returncode == 0, f"{verb}: {ran.stderr}{ran.stdout}")
            said.append(json.loads(ran.stdout))
            if verb == "dump":
                case.gone([pid])
    else:
        directory, client = os.open(work, os.O_DIRECTORY), python_module("rpc").Client
        with client(FERMATA) as c:
            c.dump(images, pid=pid, work_dir_fd=directory)
        case.gone([pid])
        with client(FERMATA) as c:
            c.restore(images, work_dir_fd=directory)
    need_stats(work, images, said)
    need(not list(images.glob("stats-*")), "statistics are not in the work directory only")
    case.kill()


@scenario
def test_another_build(case):
    """A program that was built anew since the dump is refused by its build-id, and by its size alone
    if that is asked for at the restore or was at the dump."""
    source, program = case.dir / "p.c", case.dir / "p"
    source.write_text("int pause(void); int main(void) { for (;;) pause(); }")

    def build(number, *more):
        subprocess.run(["gcc", "-static", f"-Wl,--build-id=0x{number:040x}", *more, "-o", case.dir / "new", source],
                       check=True)
        os.rename(case.dir / "new", program)
        return program.stat().st_size
    size = build(1)
    pid = case.start([program], ready=False)
    plain = case.dump("-R")
    sized = case.dump("-R", "--file-validation", "filesize")
    case.kill()
    need(build(2) == size, "another size")
    case.refused("restore", "p is another build.*--file-validation=filesize", "-d", images=plain)
    need(not case.pids(), "something was restored")
    for images, options in (plain, ["--file-validation", "filesize"]), (sized, []):
        case.restore(images, *options)
        need(case.pids() == [pid], "not restored")
        case.kill()
    need(build(1, "-Wl,-z,max-page-size=65536") != size, "the same size")
    case.refused("restore", "its size is", "-d", "--file-validation", "filesize", images=plain)
    need(build(1) == size, "another size")
    case.restore(plain)
    case.kill()


@scenario
def test_log_levels(case):
    """PROVES: F463 F464"""
    case.start_program(Program("counter"))
    logs = {}
    for level in range(5):
        images = case.new_images()
        ran = case.need(case.run("dump", images, "-t", case.root, "-R", f"-v{level}",
                                 verbose=False), f"dump -v{level}")
        need(ran.output == "", f"with -o there is something on the terminal: {ran.output!r}")
        logs[level] = ran.log.read_text()
    need(logs[0] == "" and logs[1] == "", f"-v0 or -v1 say something: {logs[0]}{logs[1]}")
    lines = [len(logs[level].splitlines()) for level in range(5)]
    need(lines == sorted(lines) and lines[4] > 0, f"lines by level: {lines}")
    for line in logs[4].splitlines():
        need(line[0] == "(" and line[3] == "." and line[10:12] == ") ", f"no time stamp: {line!r}")
    need("Dumping finished successfully" in logs[3], "no final line at -v3")
    quiet = subprocess.run([FERMATA, "dump", "-t", "31999", "-v0", "-D", images],
                           capture_output=True, text=True)
    need(quiet.returncode == 1 and not quiet.stderr, f"-v0 is not silent: {quiet.stderr!r}")
    good_end(case)


@scenario
def test_restore_reads_in_batches(case):
    """PROVES: F082"""
    case.start_program(Program("anon_pages"))
    before = count_reads(case.root)
    case.restore(case.dump())
    reads = count_reads(case.root)
    need(before is not None and reads < 3000, f"{reads} read calls of the restored task")
    good_end(case)


def count_reads(pid):
    text = snapshot.read(f"/proc/{pid}/io")
    if "syscr:" not in text:
        raise Skipped("no I/O accounting in this kernel")
    return int(text.split("syscr:")[1].split()[0])


@scenario(args=["ext4", "tmpfs"])
def test_link_remap_leaves_nothing(case, fs):
    """Three rounds, the dumps that leave tasks running included.
    PROVES: F106"""
    if fs == "tmpfs":
        subprocess.run(["mount", "-t", "tmpfs", "none", case.dir], check=True)
    case.start_program(Program("link_remap"))
    for _ in range(3):
        case.dump("--link-remap", "-R")
        need(not list(case.dir.rglob("link_remap*")), "a link is left by dump -R")
        images = case.dump("--link-remap")
        need(list(case.dir.rglob("link_remap*")), "the dump left no link to restore from")
        case.restore(images)
        need(not list(case.dir.rglob("link_remap*")), "a link is left by the restore")
    good_end(case)


@scenario
def test_explain(case):
    """A restore can be printed, a dump be tried, without anything happening."""
    case.start_program(Program("tree3"))
    before = snapshot.take(case.pids())
    ran = case.need(case.run("dump", case.new_images(), "-t", case.root, "--explain"),
                    "dump --explain")
    need(str(case.root) in ran.text, "the pid is not in there")
    case.need(case.run("check", case.new_images(), "-t", case.root), "check -t")
    changes = snapshot.differences(before, snapshot.take(case.pids()))
    need(not changes, f"changed by explaining: {changes}")
    images, pids = case.dump(), sorted(before)
    ran = case.need(case.run("restore", images, "--explain"), "restore --explain")
    for word in [*map(str, pids), "mmap"]:
        need(word in ran.text, f"restore --explain does not mention {word}")
    need(not case.pids(), "restore --explain restored something")
    case.restore(images)
    good_end(case)


HOLDER = """
import os, signal, sys, time
os.chdir(sys.argv[1])
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 3000)
open('/proc/self/oom_score_adj', 'w').write('77')
open('plain', 'w').write('0123456789')
plain = open('plain', 'r+b', 0)
plain.seek(4)
removed = open('removed', 'w')
removed.write('gone')
removed.flush()
os.unlink('removed')
os.mkdir('emptied')
directory = os.open('emptied', os.O_DIRECTORY)
os.rmdir('emptied')
os.mkfifo('fifo')
fifo = os.open('fifo', os.O_RDWR)
os.write(fifo, b'123')
ends = os.pipe()
os.write(ends[1], b'12345')
open('ready', 'w')
while True:
    time.sleep(1000)
"""


@scenario
def test_explain_controller(case):
    """A printed restore has what the controller does itself, in its order, and nothing of it happens.
    PROVES: F018"""
    pid = case.start(["/usr/bin/python3", "-c", HOLDER, case.dir])
    images = case.dump()
    names = sorted(os.listdir(case.dir))
    ran = case.need(case.run("restore", images, "--explain", "--pidfile", case.dir / "the.pid"), "restore --explain")
    at = 0
    for pattern in (
            rf"fork the root.*{pid}", rf"open \S+/python\S*",
            rf"open {case.dir}/plain to read and write, at 4", rf"send {case.dir}/plain to {pid}, as fd \d+",
            rf"make the removed directory {case.dir}/emptied again",
            rf"make the removed file {case.dir}/removed again", rf"open {case.dir}/removed to write, at 4",
            rf"open {case.dir}/fifo to read and write", r"fill the pipe \d+ with 3 bytes",
            r"make pipe:\[\d+\]", r"fill the pipe \d+ with 5 bytes", rf"send pipe:\[\d+\] to {pid}, as fd \d+",
            r"write 77 to /proc/\d+/oom_score_adj", rf"remove the directory {case.dir}/emptied",
            rf"set registers of {pid}", rf"write the PID {pid} to .*the.pid", "commit", rf"detach from {pid}"):
        found = re.compile(rf"^\[controller\] {pattern}", re.M).search(ran.output, at)
        need(found, f"no {pattern} after line {ran.output[:at].count(chr(10))} of\n{ran.output}")
        at = found.end()
    for pattern in rf"\[pid {pid}\] keep across exec {case.dir}/out: fcntl", rf"\[pid {pid}\].*setitimer":
        need(re.search(pattern, ran.output), f"no {pattern} in\n{ran.output}")
    need(ran.output.count("set the memory layout: prctl(35, 14,") == 1, "the memory layout is not set by one call")
    need(sorted(os.listdir(case.dir)) == sorted({*names, "tool.out"}), f"made by explaining: {os.listdir(case.dir)}")
    need(not case.pids(), "restore --explain restored something")
    case.restore(images)
    need(open(f"/proc/{pid}/oom_score_adj").read().strip() == "77", "another oom_score_adj")
    case.kill()


def through_shell(case, ran):
    """Runs the command line that a preflight printed, as one who copies it would."""
    line = re.search("^Command: (.*)$", ran.output, re.M)
    need(line, f"no command line: {ran.describe()}")
    bin = case.dir / "bin"
    bin.mkdir(exist_ok=True)
    if not (bin / "fermata").exists():
        (bin / "fermata").symlink_to(Path(FERMATA).resolve())
    done = subprocess.run(["sh", "-c", line[1]], cwd=case.dir, capture_output=True, text=True,
                          env={**os.environ, "PATH": f"{bin}:{os.environ['PATH']}"})
    need(done.returncode == 0, f"{line[1]}: status {done.returncode}: {done.stderr}")
    return line[1]


@scenario(args=["dump", "check"])
def test_printed_command(case, verb):
    """The command line that a preflight prints dumps: one limit for several removed files, the options
    that were given, and words that a shell would take apart."""
    case.start(["/usr/bin/python3", "-c", "import os, sys, time\nos.chdir(sys.argv[1])\nfiles = []\n"
                "for mb in 2, 5, 3:\n    files.append(open(f'f{mb}', 'wb'))\n"
                "    files[-1].write(b'x' * (mb << 20))\n    files[-1].flush()\n    os.unlink(f'f{mb}')\n"
                "open('ready', 'w'); time.sleep(1000)", case.dir])
    images, script, ran_at = (case.dir / name for name in ("it's; $(here)", "a script", "stages"))
    images.mkdir()
    script.write_text(f"#!/bin/sh\necho $CRTOOLS_SCRIPT_ACTION >>'{ran_at}'\n")
    script.chmod(0o755)
    pids = case.pids()
    ran = case.run(verb, images, "-t", case.root, *(["--explain"] if verb == "dump" else []),
                   "--network-lock", "skip", "--action-script", script, "--no-file-locks", "--cpu-cap=cpu,^ins")
    need(ran.status == 1, f"no obstacle found: {ran.describe()}")
    line = through_shell(case, ran)
    need(line.count("--ghost-limit") == 1, f"more than one limit: {line}")
    for words in "--network-lock skip", "--no-file-locks", "--cpu-cap=cpu,^ins":
        need(words in line.replace("'", ""), f"no {words} in {line}")
    need("post-dump" in ran_at.read_text(), "the dump did not call the script")
    need((images / "inventory.img").exists(), "the dump wrote no images there")
    case.gone(pids)
    case.restore(images)
    case.kill()


@scenario(args=["dump", "check"])
def test_explain_sees_the_directory(case, verb):
    """A directory that cannot be written to, or has no room, is told by a preflight, also
    if it is old images that take the room: they stay until the new ones are complete."""
    case.start(["/usr/bin/python3", "-c", "import sys, time\nmuch = b'x' * (16 << 20)\n"
                "open(sys.argv[1] + '/ready', 'w'); time.sleep(1000)", case.dir])
    options = ["-t", case.root, "-W", case.dir, *(["--explain"] if verb == "dump" else [])]
    images = case.new_images()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", images], check=True)
    case.refused(verb, "cannot be written to .*images1.*Read-only.*-D", *options, images=images)
    case.refused("dump", "Read-only", "-t", case.root, "-W", case.dir, images=images)
    subprocess.run(["mount", "-o", "remount,rw,size=8m", images], check=True)
    ran = case.refused(verb, "do not fit into .*images1.*make room", *options, images=images)
    need("Command:" not in ran.output, f"a command all the same: {ran.output}")
    case.refused("dump", "No space", "-t", case.root, "-W", case.dir, images=images)
    subprocess.run(["mount", "-o", "remount,size=30m", images], check=True)
    case.need(case.run(verb, images, *options), "a preflight with room")
    case.need(case.run("dump", images, "-t", case.root, "-R", "-W", case.dir), "a dump with room")
    ran = case.run(verb, images, *options)
    need(ran.status == 1 and "do not fit into" in ran.text, f"two sets have room: {ran.describe()}")
    case.kill()
