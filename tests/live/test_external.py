"""What reaches outside the tree: --external leaves it out, --inherit-fd brings a replacement."""
import os
import subprocess

from live import Failure, Program
from scenario import scenario
from test_refusals import good_end, refused_unharmed


def start(case, fill="old"):
    """The program `outside` with a file that no path leads to, and our ends of its pipes."""
    hidden = case.dir / "hidden"
    hidden.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", hidden], check=True)
    (hidden / "file").write_text("contents")
    from_it, to_it = os.pipe(), os.pipe()
    file = os.open(hidden / "file", os.O_RDWR)

    def place():
        for number, fd in ((50, from_it[1]), (51, to_it[0])):
            os.dup2(fd, number)
        os.dup2(os.open(hidden / "file", os.O_RDWR), 52)
    os.write(to_it[1], b"queued")
    case.start_program(Program("outside"), fill, preexec_fn=place, close_fds=False)
    subprocess.run(["umount", "-l", hidden], check=True)
    for fd in (from_it[1], to_it[0]):
        os.close(fd)
    return from_it[0], to_it[1], file


def key(case, fd):
    info = open(f"/proc/{case.root}/fdinfo/{fd}").read().split()
    mount, inode = (int(info[info.index(word) + 1]) for word in ("mnt_id:", "ino:"))
    return f"file[{mount:x}:{inode:x}]"


@scenario
def test_inherited(case):
    """A hidden file comes back by --external and --inherit-fd, pipes that two tasks share with the
    outside by --inherit-fd alone; what was left in one of them is there again.
    PROVES: F128 F130 F137"""
    out, into, file = start(case)
    name, pipes = key(case, 52), [os.readlink(f"/proc/{case.root}/fd/{n}") for n in (50, 51)]
    refused_unharmed(case, "fd 52: .*mount")
    images = case.dump("--external", "file[1:1]", "--external", name)
    os.close(out)
    os.close(into)
    case.refused("restore", r"fd 52.*is external.*--inherit-fd", "-d", images=images)
    new_out, new_into = os.pipe(), os.pipe()
    options, fds = [], (file, new_out[1], new_into[0])
    for fd, what in zip(fds, [name, *pipes]):
        options += ["--inherit-fd", f"fd[{fd}]:{what}"]
    case.refused("restore", "is external", "-d", *options[2:], images=images, pass_fds=fds)
    case.restore(images, *options, pass_fds=fds)
    os.close(new_out[1])
    os.write(new_into[1], b"+sent")
    good_end(case)
    if os.read(new_out[0], 64) != b"child parent" or os.read(new_out[0], 64):
        raise Failure("what the tasks wrote did not arrive, or others hold the pipe")


@scenario
def test_replaced(case):
    """Files with a path and memfds are replaced, too, and used as they are.
    PROVES: F128"""
    start(case, "new")
    name, pipes = key(case, 52), [os.readlink(f"/proc/{case.root}/fd/{n}") for n in (50, 51)]
    images = case.dump("--external", name)
    (case.dir / "other").write_text("old")
    (case.dir / "log").unlink()  # replaced files need not be there
    (case.dir / "hidden2").write_text("contents")
    log = os.open(case.dir / "other", os.O_WRONLY | os.O_APPEND)
    notes, out, into = os.memfd_create("other"), os.pipe(), os.pipe()
    file = os.open(case.dir / "hidden2", os.O_RDWR)
    os.write(notes, b"new")
    fds = [log, notes, file, out[1], into[0]]
    keys = [str(case.dir / "log")[1:], "/memfd:notes", name, *pipes]
    options = [w for fd, k in zip(fds, keys) for w in ("--inherit-fd", f"fd[{fd}]:{k}")]
    case.restore(images, *options, pass_fds=fds)
    os.write(into[1], b"+sent")
    good_end(case)
    if (case.dir / "other").read_text() != "oldlogged":
        raise Failure("the log was not replaced")


@scenario
def test_bad_keys(case):
    """PROVES: F128 F130"""
    start(case)
    for bad, why in (("file[1:x]", "hexadecimal"), ("file[12]", "hexadecimal"),
                     ("file[0x1:2]", "hexadecimal"), ("unix[1f]", "decimal"),
                     ("tty[1:2]:x", "hexadecimal"), ("something", "none of"),
                     ("socket[5]", "none of"), ("mnt[/]:x", r"mnt\[\] is not built"),
                     ("net[4026531840]:x", r"net\[\] is not built"),
                     ("veth[eth0]:x", r"veth\[\] is not built")):
        refused_unharmed(case, f"--external .*{why}", "--external", bad)
    name = key(case, 52)
    images = case.dump("--external", name)
    null = os.open("/dev/null", os.O_RDWR)
    for options, why in ((["fd[77]:x"], "descriptor 77"), (["fd[x]:x"], "not a descriptor"),
                         (["x"], r"not fd\[N\]"), ([f"fd[{null}]:"], "names no file"),
                         ([f"fd[{null}]:a", f"fd[{null}]:a"], "given for it already"),
                         ([f"fd[{null}]:{name}"], "mode is")):
        words = [w for o in options for w in ("--inherit-fd", o)]
        case.refused("restore", why, "-d", *words, images=images, pass_fds=[null])
    case.refused("dump", "is for restore only", "-t", 1, "--inherit-fd", "fd[2]:x")


@scenario
def test_unused_key(case):
    """It does no harm, but is told.
    PROVES: F128"""
    case.start_program(Program("counter"))
    images = case.dump("--external", "file[1:1]")
    null = os.open("/dev/null", os.O_RDWR)
    ran = case.restore(images, "--inherit-fd", f"fd[{null}]:pipe:[7]", pass_fds=[null])
    if "nothing in the images has this name" not in ran.text:
        raise Failure(ran.describe())
    good_end(case)


@scenario
def test_one_for_two(case):
    """One pipe of ours in place of two.
    PROVES: F128"""
    file = start(case)[2]
    name, pipes = key(case, 52), [os.readlink(f"/proc/{case.root}/fd/{n}") for n in (50, 51)]
    images = case.dump("--external", name)
    ours = os.pipe()
    case.restore(images, "--inherit-fd", f"fd[{file}]:{name}", "--inherit-fd",
                 f"fd[{ours[1]}]:{pipes[0]}", "--inherit-fd", f"fd[{ours[1]}]:{pipes[1]}",
                 pass_fds=[file, ours[1]])
    if os.read(ours[0], 6) != b"queued":
        raise Failure("what was queued is not in our pipe")
    case.kill()
