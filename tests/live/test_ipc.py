"""System V IPC objects that others changed, took or removed between dump and restore."""
import ctypes
import os

from live import Failure, Program
from scenario import scenario
from test_refusals import good_end, refused_unharmed

IPC_CREAT, IPC_RMID, SHM_RDONLY = 0o1000, 0, 0o10000
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
libc.shmat.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
libc.shmdt.argtypes = [ctypes.c_void_p]


def segments():
    """id: (key, size, attached) of all segments here."""
    with open("/proc/sysvipc/shm") as f:
        rows = [line.split() for line in f][1:]
    return {int(r[1]): (int(r[0]) & 0xffffffff, int(r[3]), int(r[6])) for r in rows}


def persistent(known):
    return next(i for i, (key, size, _) in known.items() if key and size == 3 << 20)


def remove(shmid):
    if libc.shmctl(shmid, IPC_RMID, None) < 0:
        raise Failure(f"no segment {shmid}")


def attach(shmid, flags=0):
    at = libc.shmat(shmid, None, flags)
    if at == ctypes.c_void_p(-1).value:
        raise Failure(f"shmat: {os.strerror(ctypes.get_errno())}")
    return at


@scenario
def test_shm_vanished(case):
    """All segments are gone: made again under the same ids and keys.
    PROVES: F087"""
    case.start_program(Program("sysv_shm"))
    before = segments()
    images = case.dump()
    for shmid in segments():
        remove(shmid)
    case.restore(images)
    if segments() != before:
        raise Failure(f"before: {before}\nafter: {segments()}")
    good_end(case)


@scenario
def test_shm_failed_restore(case):
    """A restore that fails later leaves no segment behind that it made.
    PROVES: F087 F036"""
    case.start_program(Program("sysv_shm"))
    images = case.dump()
    for shmid in segments():
        remove(shmid)
    (images / "taken").write_text("here already")
    case.refused("restore", "taken", "-d", "--pidfile", "taken", images=images)
    case.gone()
    if segments():
        raise Failure(f"left: {segments()}")
    case.restore(images)
    good_end(case)


@scenario
def test_shm_shared_with_others(case):
    """Somebody else has it attached and left it as it was; then changes it.
    PROVES: F087"""
    case.start_program(Program("sysv_shm"))
    shmid = persistent(segments())
    at = attach(shmid)
    images = case.dump()
    ctypes.memset(at + (2 << 20), 7, 1)
    case.refused("restore", rf"segment {shmid}\b.*others have it attached.*changed", "-d",
                 images=images)
    ctypes.memset(at + (2 << 20), 0, 1)
    case.restore(images)
    libc.shmdt(at)
    good_end(case)


@scenario
def test_shm_changed(case):
    """Somebody attached it, wrote and went: his data is not overwritten.
    PROVES: F087"""
    case.start_program(Program("sysv_shm"))
    shmid = persistent(segments())
    images = case.dump()
    at = attach(shmid)
    ctypes.memset(at + (2 << 20), 7, 1)
    libc.shmdt(at)
    case.refused("restore", rf"segment {shmid}\b.*pid {os.getpid()} changed it", "-d",
                 images=images)
    at = attach(shmid)
    if ctypes.string_at(at + (2 << 20), 1) != b"\x07":
        raise Failure("it was overwritten")
    ctypes.memset(at + (2 << 20), 0, 1)
    libc.shmdt(at)
    case.restore(images)
    good_end(case)


@scenario
def test_shm_taken(case):
    """Its key, or its id, belongs to somebody else's segment now.
    PROVES: F087"""
    case.start_program(Program("sysv_shm"))
    known = segments()
    shmid = persistent(known)
    key, size, _ = known[shmid]
    images = case.dump()
    remove(shmid)
    other = libc.shmget(key, size, IPC_CREAT | 0o640)
    case.refused("restore", rf"segment {shmid}\b.*key belongs to segment {other}\b", "-d",
                 images=images)
    remove(other)
    with open("/proc/sys/kernel/shm_next_id", "w") as f:
        f.write(str(shmid))
    if libc.shmget(key + 7, size, IPC_CREAT | 0o640) != shmid:
        raise Failure("cannot take the id")
    case.refused("restore", rf"segment {shmid}\b.*id belongs to another", "-d", images=images)
    remove(shmid)
    with open("/proc/sys/kernel/shm_next_id", "w") as f:
        f.write(str(shmid + 32768))  # the same slot, another sequence number
    other = libc.shmget(key + 7, size, IPC_CREAT | 0o640)
    case.refused("restore", rf"segment {shmid}\b.*id is taken", "-d", images=images)
    case.gone()
    if list(segments().keys() - known.keys()) != [other]:
        raise Failure(f"left: {segments()}")
    remove(other)
    case.restore(images)
    good_end(case)


@scenario
def test_shm_torn(case):
    """PROVES: F087"""
    case.start_program(Program("odd_shm"))
    refused_unharmed(case, r"mapping [0-9a-f]+-[0-9a-f]+: the shared memory segment \d+ .*not "
                     "attached as a whole")
    good_end(case)


class SemBuf(ctypes.Structure):
    _fields_ = [("number", ctypes.c_ushort), ("op", ctypes.c_short), ("flags", ctypes.c_short)]


def first(kind):
    with open(f"/proc/sysvipc/{kind}") as f:
        return int(f.readlines()[1].split()[1])


@scenario
def test_sem_vanished(case):
    """Semaphores and queues are gone: made again, with values and messages.
    PROVES: F087"""
    case.start_program(Program("sysv_sem"))
    images = case.dump()
    sem, queue = first("sem"), first("msg")
    if libc.semctl(sem, 0, IPC_RMID) < 0 or libc.msgctl(queue, IPC_RMID, None) < 0:
        raise Failure("they are not there")
    case.restore(images)
    good_end(case)


@scenario
def test_sem_went_on(case):
    """The tree went on after the dump and is killed: set back to the dump.
    PROVES: F087"""
    case.start_program(Program("sysv_sem"))
    images = case.dump("--leave-running")
    case.release()
    case.verdict()
    case.gone()
    (case.dir / "release").unlink()
    (case.dir / "result").unlink()
    case.restore(images)
    good_end(case)


@scenario
def test_sem_changed(case):
    """Somebody else used them since: refused.
    PROVES: F087"""
    case.start_program(Program("sysv_sem"))
    images = case.dump()
    sem, queue = first("sem"), first("msg")
    libc.semop(sem, ctypes.byref(SemBuf(0, 4, 0)), ctypes.c_size_t(1))
    case.refused("restore", rf"semaphore set {sem} .*pid {os.getpid()} changed it", "-d",
                 images=images)
    libc.semop(sem, ctypes.byref(SemBuf(0, -4, 0)), ctypes.c_size_t(1))
    text = ctypes.create_string_buffer(b"\1" + bytes(7) + b"intruder")
    libc.msgsnd(queue, text, ctypes.c_size_t(8), 0)
    case.refused("restore", rf"message queue {queue} .*pid {os.getpid()} changed it", "-d",
                 images=images)
    case.gone()


@scenario
def test_sem_of_others(case):
    """Semaphores that others use, too, are left alone, but not lost.
    PROVES: F087"""
    case.start_program(Program("sysv_odd"), "foreign")
    sem = first("sem")
    libc.semop(sem, ctypes.byref(SemBuf(1, 4, 0)), ctypes.c_size_t(1))
    images = case.dump()
    if list(images.glob("ipcns-sem*")):
        raise Failure("they are in the images")
    libc.semop(sem, ctypes.byref(SemBuf(1, 4, 0)), ctypes.c_size_t(1))
    case.restore(images)
    good_end(case)


@scenario
def test_sem_undo(case):
    """Adjustments of a set that others use as well cannot be kept.
    PROVES: F087"""
    case.start_program(Program("sysv_odd"), "undo")
    libc.semop(first("sem"), ctypes.byref(SemBuf(0, 4, 0)), ctypes.c_size_t(1))
    refused_unharmed(case, "SEM_UNDO adjustments of semaphore set .*which others use")
    good_end(case)


@scenario
def test_sem_apart(case):
    """A thread with a list of adjustments of its own.
    PROVES: F087"""
    case.start_program(Program("sysv_odd"), "apart")
    refused_unharmed(case, "thread .*has SEM_UNDO adjustments of its own")
    good_end(case)
