"""File locks and leases: what is refused, and what others do meanwhile."""
import fcntl
import os
import struct

from live import BUILD, Failure, Program
from scenario import scenario
from test_refusals import good_end, refused_unharmed


@scenario
def test_option_needed(case):
    """Each lock is named, with the option that takes it along; at restore it is needed, too.
    PROVES: F120"""
    case.start_program(Program("file_locks"))
    for what in ("a POSIX write lock on bytes 0 to 99, of .*/posix", "a flock write lock, of",
                 "a flock read lock, of .*/dead", "an? OFD write lock on bytes"):
        refused_unharmed(case, f"fd [0-9]+: {what}.*use --file-locks")
    ran = case.refused("check", "use --file-locks|--file-locks", "-t", case.root)
    if "--file-locks" not in ran.text:
        raise Failure(ran.describe())
    images = case.dump("--file-locks")
    case.refused("restore", "file locks.*use --file-locks", "-d", images=images)
    case.gone()
    case.restore(images, "--file-locks")
    good_end(case)


@scenario
def test_taken_meanwhile(case):
    """Somebody else has the lock now: refused, nothing is left; free again, it works.
    PROVES: F120 F036"""
    case.start_program(Program("file_locks"))
    images = case.dump("-l")
    for name, take in (("posix", lambda f: fcntl.lockf(f, fcntl.LOCK_EX, 1, 20)),
                       ("shared", lambda f: fcntl.flock(f, fcntl.LOCK_SH))):
        with open(case.dir / name, "r+b") as f:
            take(f)
            case.refused("restore", f"lock.*{name}", "-d", "-l", images=images)
            case.gone()
    case.restore(images, "-l")
    good_end(case)


@scenario(host=True)
def test_host_pid_namespace(case):
    """Where /proc/locks is complete, and shows who holds what.
    PROVES: F120 F121"""
    case.start_program(Program("file_locks"))
    inodes = {os.stat(case.dir / n).st_ino for n in ("posix", "map", "ofd", "shared", "dead")}

    def held():
        with open("/proc/locks") as f:
            lines = [line.split()[1:] for line in f if "->" not in line]
        return sorted(w for w in lines if int(w[4].split(":")[2]) in inodes)
    before = held()
    images = case.dump("-l")
    if held():
        raise Failure(f"locks of dead tasks: {held()}")
    case.restore(images, "-l")
    # the one whose holder is dead now belongs to the task that has the file
    dead = str(os.stat(case.dir / "dead").st_ino)

    def known(locks):
        return [w[:4] + w[4:] if not w[4].endswith(dead) else w[:3] + w[4:] for w in locks]
    if known(held()) != known(before):
        raise Failure(f"locks before: {before}\nafter: {held()}")
    good_end(case)


@scenario
def test_breaking_lease(case):
    """A lease that somebody waits for is left alone.
    PROVES: F122"""
    case.start_program(Program("leases"))
    refused_unharmed(case, "fd [0-9]+: a lease write|fd [0-9]+: a write lease.*--file-locks")
    try:
        os.open(case.dir / "reading", os.O_WRONLY | os.O_NONBLOCK)
        raise Failure("nothing keeps us from writing")
    except BlockingIOError:
        pass
    refused_unharmed(case, "fd [0-9]+: the lease on .*/reading is being broken", "--file-locks")
    case.kill()


@scenario
def test_removed_leased(case):
    """Reading a removed file would break its lease.
    PROVES: F122"""
    case.start_program(Program("leases"))
    os.unlink(case.dir / "both")
    refused_unharmed(case, "a lease on the removed file .*/both", "--file-locks")
    case.kill()


@scenario
def test_many_tasks(case):
    """20 tasks with locks: one image, all owners in it.
    PROVES: F124"""
    case.start([BUILD / "lock_crowd", case.dir])
    images = case.dump("-l")
    if len(list(images.glob("*lock*"))) != 1:
        raise Failure("not one image of locks")
    case.restore(images, "-l")
    good_end(case)


@scenario
def test_foreign_lock(case):
    """A lock that a process outside has on a file of the tree is not the tree's.
    PROVES: F120"""
    case.start_program(Program("regular_files"))
    with open(case.dir / "file1", "r+b") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        fcntl.fcntl(f, fcntl.F_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
        images = case.dump()
        if (images / "filelocks.img").exists():
            raise Failure("it is in the images")
        case.restore(images)
    good_end(case)
