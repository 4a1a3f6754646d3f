"""dump --checksum: whatever happens to the images afterwards, a restore notices before it does anything."""
import json
import random
import shutil
import subprocess
from pathlib import Path

from live import CRIT, FERMATA, ROOT, Program, Skipped, need, python_module
from scenario import scenario

GOLDEN = ROOT.parent / "shared" / "golden" / "sets"
SUMS = "fermata-checksums.img"
MIB = 1 << 20

# Its images are of many kinds; it goes on when DIR/release is there, and judges itself.
WORK = """
import os, pty, socket, sys, threading, time
top = sys.argv[1]
ghost = open(top + '/ghost', 'w+'); ghost.write('g' * 9000); ghost.flush(); os.unlink(top + '/ghost')
r, w = os.pipe(); os.write(w, b'p' * 5000)
a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM); a.send(b'u' * 3000)
master, slave = pty.openpty(); os.write(master, b'typed\\n')
memory = os.memfd_create('m'); os.write(memory, b'm' * 70000)
big = bytearray(b'0123456789abcdef') * (1 << 18)
threading.Thread(target=lambda: time.sleep(1000), daemon=True).start()
open(top + '/ready', 'w')
while not os.path.exists(top + '/release'):
    time.sleep(0.005)
ghost.seek(0)
good = (ghost.read() == 'g' * 9000 and os.read(r, 9999) == b'p' * 5000 and b.recv(9999) == b'u' * 3000
        and os.read(slave, 99) == b'typed\\n' and os.pread(memory, 99999, 0) == b'm' * 70000
        and big == bytearray(b'0123456789abcdef') * (1 << 18))
open(top + '/result', 'w').write('OK' if good else 'BAD contents')
"""


def start(case):
    case.start(["/usr/bin/python3", "-c", WORK, case.dir])


def images_of(directory):
    return sorted(p for p in Path(directory).glob("*.img") if p.is_file())


def flip(path, offset):
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x10
    path.write_bytes(data)


def chunk_at(path, offset):
    chunk = 4096 if path.stat().st_size <= MIB else MIB
    return offset - offset % chunk


def refused(case, images, *patterns):
    """Restore and crit check both say it; nothing was begun."""
    ran = case.refused("restore", ".*".join(patterns) + ".*--no-checksum.*crit checksum", "-d", images=images)
    need(not case.pids(), f"a refused restore left {case.pids()}")
    check = subprocess.run([CRIT, "check", images], capture_output=True, text=True)
    need(check.returncode == 1 and check.stdout.splitlines()[0] in ran.text, f"crit check: {check.stdout}")


def renew(images):
    subprocess.run([CRIT, "checksum", images], check=True)


@scenario(timeout=180)
def test_live(case):
    """Each image of a dump with one byte changed, cut, longer, lost, renamed, or with one more beside it."""
    start(case)
    good = case.dump("--checksum")
    files = images_of(good)
    names = {p.name.split("-")[0].removesuffix(".img") for p in files}
    need({"core", "ghost", "pages", "pagemap", "pipes", "sk", "tty", "memfd", "inventory"} <= names, names)
    dice = random.Random(5)
    for number, file in enumerate(p for p in files if p.name != SUMS):
        bad = case.dir / "bad"
        shutil.copytree(good, bad)
        offset = dice.randrange(file.stat().st_size)
        flip(bad / file.name, offset)
        refused(case, bad, rf"/{file.name}: offset {chunk_at(file, offset)}: ")
        how = number % 4
        shutil.copy(file, bad)
        if how == 0:
            (bad / file.name).unlink()
            refused(case, bad, rf"/{file.name} is missing")
        elif how == 1:
            (bad / file.name).rename(bad / "core-4711.img")
            refused(case, bad, rf"/{file.name} is missing, and core-4711.img was not there")
        elif how == 2:
            (bad / file.name).write_bytes(file.read_bytes()[:-1])
            refused(case, bad, rf"/{file.name} has \d+ bytes, when dumped it had \d+")
        else:
            shutil.copy(file, bad / "apparmor.img")
            refused(case, bad, "/apparmor.img was not there")
        shutil.rmtree(bad)
    subprocess.run([CRIT, "check", good], check=True, stdout=subprocess.DEVNULL)
    case.restore(good)
    case.release()
    case.verdict()


@scenario
def test_the_sums_themselves(case):
    """A damaged file of checksums is said to be that."""
    start(case)
    good, dice = case.dump("--checksum"), random.Random(6)
    size = (good / SUMS).stat().st_size
    for cut in (0, 5, 8, 100, size - 1):
        (good / "other").write_bytes((good / SUMS).read_bytes()[:cut])
        bad = case.dir / "cut"
        shutil.copytree(good, bad)
        (good / "other").unlink()
        (bad / "other").rename(bad / SUMS)
        refused(case, bad, SUMS)
        shutil.rmtree(bad)
    for offset in [4, size - 1, size - 12, *(dice.randrange(size) for _ in range(12))]:
        bad = case.dir / "bad"
        shutil.copytree(good, bad)
        flip(bad / SUMS, offset)
        refused(case, bad, SUMS)
        shutil.rmtree(bad)
    (good / SUMS).unlink()
    case.restore(good)


def golden_sets():
    return sorted(p.name for p in GOLDEN.iterdir()) if GOLDEN.is_dir() else ["none"]


@scenario
def test_golden(case):
    """Every kind of image of the golden sets; crit checksum makes the sums."""
    if not GOLDEN.is_dir():
        raise Skipped("no ../shared/golden here")
    dice = random.Random(7)
    for name in golden_sets():
        images = case.dir / name
        shutil.copytree(GOLDEN / name / "images", images)
        renew(images)
        subprocess.run([CRIT, "check", images], check=True, stdout=subprocess.DEVNULL)
        for file in images_of(images):
            if not file.stat().st_size or file.name == SUMS:
                continue
            offset = dice.randrange(file.stat().st_size)
            flip(file, offset)
            refused(case, images, rf"/{file.name}: offset {chunk_at(file, offset)}: ")
            flip(file, offset)
        json_text = subprocess.run([CRIT, "decode", "-i", images / SUMS], check=True, capture_output=True).stdout
        again = subprocess.run([CRIT, "encode"], input=json_text, check=True, capture_output=True).stdout
        need(again == (images / SUMS).read_bytes(), "crit decode and encode")


@scenario
def test_edited(case):
    """Images that were changed on purpose: refused, restored by an option, or given new checksums."""
    start(case)
    images = case.dump("--checksum")
    core = images / f"core-{case.root}.img"
    module = python_module("images")
    image = module.loads(core.read_bytes())
    image["entries"][0]["tc"]["comm"] = "edited3"
    core.write_bytes(module.dumps(image))
    refused(case, images, rf"/{core.name}: offset 0: ")
    case.restore(images, "--no-checksum")
    need(Path(f"/proc/{case.root}/comm").read_text() == "edited3\n", "the edited name was not restored")
    case.kill()
    renew(images)
    case.restore(images)
    case.release()
    case.verdict()


@scenario
def test_reused_directory(case):
    """Checksums of an earlier dump are not trusted, nor is anything that it left."""
    start(case)
    images = case.new_images()
    work = ["-t", case.root, "--leave-running"]
    case.need(case.run("dump", images, *work), "dump")
    need(not (images / SUMS).exists(), "a dump without the option wrote checksums")
    for options in (["--checksum"], ["--checksum"], [], ["--checksum"]):
        case.need(case.run("dump", images, *work, *options), f"dump {options}")
        need((images / SUMS).exists() == bool(options), f"after {options}: {sorted(images.iterdir())}")
        subprocess.run([CRIT, "check", images], check=True, stdout=subprocess.DEVNULL)
    (images / "parent").symlink_to("../nowhere")
    (images / "descriptors.json").write_text("[]")  # as container runtimes leave it there
    case.kill()
    case.restore(images)
    case.release()
    case.verdict()


@scenario
def test_refused_dump_leaves_old_images(case):
    """A dump that is refused before it writes anything leaves an older one with its checksums."""
    start(case)
    images = case.dump("--checksum", "--leave-running")
    before = {p.name: p.read_bytes() for p in images_of(images)}
    ran = case.run("dump", images, "-t", 0x3fffff, "--checksum")
    need(ran.status == 1, "no such process")
    need({p.name: p.read_bytes() for p in images_of(images)} == before, "images changed")


# Memory that the task cannot read itself, between what it can.
HIDDEN = """
import ctypes, mmap
hidden = mmap.mmap(-1, 40 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
hidden[:] = b'hidden text, and' * (40 << 16)
start = ctypes.addressof(ctypes.c_char.from_buffer(hidden))
protect = ctypes.CDLL(None).mprotect
for at in (5 << 20, 21 << 20):
    assert not protect(ctypes.c_void_p(start + at + 4096), (1 << 20) + 8192, 0)
"""


@scenario
def test_large(case):
    """Damage in memory of many MiB is told by where it is, also if there is much of it."""
    case.start(["/usr/bin/python3", "-c", HIDDEN + WORK.replace("<< 18", "<< 21"), case.dir])
    images = case.dump("--checksum", "--leave-running")
    pages = max(images.glob("pages-*.img"), key=lambda p: p.stat().st_size)
    need(pages.stat().st_size > 32 * MIB, "small")
    subprocess.run([CRIT, "check", images], check=True, stdout=subprocess.DEVNULL)
    case.kill()
    flip(pages, 20 * MIB + 77)
    refused(case, images, rf"/{pages.name}: offset {20 * MIB}: the {MIB} bytes there are not those")
    flip(pages, 7 * MIB)
    flip(pages, pages.stat().st_size - 1)
    refused(case, images, rf"/{pages.name}: offset {7 * MIB}: .* nor are 2 more chunks")
    for offset in (20 * MIB + 77, 7 * MIB, pages.stat().st_size - 1):
        flip(pages, offset)
    case.restore(images)
    case.release()
    case.verdict()


@scenario
def test_asked_for_elsewhere(case):
    """By a configuration file, also of a request; --explain and --json say what is wrong, too."""
    start(case)
    config = case.dir / "conf"
    config.write_text("checksum\n")
    images = case.dump("--leave-running", "--config", config)
    need((images / SUMS).exists(), "not asked for by a configuration file")
    images = case.new_images()
    with python_module("rpc").Client(FERMATA) as c:
        c.dump(str(images), pid=case.root, leave_running=True, config_file=str(config))
    need((images / SUMS).exists(), "not asked for by a request")
    flip(images / "files.img", 50)
    case.refused("restore", "files.img: offset 0", "--explain", images=images)
    said = subprocess.run([FERMATA, "restore", "-D", images, "--json"], capture_output=True, text=True).stdout
    need("--no-checksum" in json.loads(said)["failure"]["remedy"], said)
