"""The differences that a dump and a restore may make, each with its reason: all of them are here.

A row has the names of fields, a condition on the value before and the one after (or ANY), and why it may
be so. Whatever differs and is not told here fails the test. Fields are the last parts of the paths
that snapshot.py, witness.c and drift.py make.
"""
import base64
import re

MAX_SECONDS = 90  # that a test may lie between the two looks

# Shared anonymous memory may come back as a memory file that bears the old or the tool's name.
NAMES_OF_SHARED = re.compile(r"^/(memfd:)?(/?dev/zero|/?anon_hugepage|criu\S*|fermata\S*) \(deleted\)$", re.I)
# sd: soft dirty, which tracking sets; ac: accounting, which depends on the order of mprotect calls.
VM_FLAGS = {"sd", "ac"}

ALIVE, STOPPED, SIGSTOP = 1, 3, 19
RESTART_SYSCALL, SYS_RESTART_SYSCALL = "restart_syscall", "db"
CALLS_WITH_TIMEOUT = ("fffffffffffffffc", "23", "e6", "7", "ca", "1c1")  # -EINTR, nanosleep, poll, futex ...
NO_CALL = (1 << 64) - 1
XSTATE_X87, XSTATE_SSE = 1, 2
FIN_WAIT1, FIN_WAIT2 = "04", "05"
PF_FORKNOEXEC, PF_SUPERPRIV, PF_RANDOMIZE = 0x40, 0x100, 0x400000


def ANY(before, after):
    return True


def number(text):
    """Absent: 0."""
    if text is None:
        return 0
    return int(str(text).split()[0], 0)


def grows(before, after):
    return before is not None and after is not None and number(after) >= number(before)


def bits(mask):
    """Only these bits of a number differ."""
    return lambda before, after: (number(before) ^ number(after)) & ~mask == 0


def went_on(before, after):
    """A timer of timerfd: "(left) (interval) ticks" in seconds and nanoseconds."""
    old, new = ([int(n) for n in re.findall(r"\d+", text)] for text in (before, after))
    left, every, ticks = (old[0] + old[1] / 1e9, old[2] + old[3] / 1e9, old[4])
    now, same, more = (new[0] + new[1] / 1e9, new[2] + new[3] / 1e9, new[4] - ticks)
    if every != same:
        return False
    # The look before is later than the dump: it may have seen more ticks than there were then.
    return now <= every if every and (more or not left) else abs(left - now) < MAX_SECONDS and bool(left) >= bool(now)


def acknowledged(before, after):
    """Queues, "unsent:unread", that differ in an end of file."""
    return {before, after} == {"00000001:00000000", "00000000:00000000"}


def moved_on(before, after):
    """The queues of a connection, "unsent:unread": bytes that go over, of which some wait at either time."""
    return all(old == new or (int(old, 16) and int(new, 16))
               for old, new in zip(before.split(":"), after.split(":")))


def shrinks(before, after):
    return number(after) <= number(before)


def raw(text):
    return base64.b64decode("".join(text.split()))


def same_but(pattern):
    """Texts that are the same when what matches is left out."""
    return lambda before, after: None not in (before, after) and (
        re.sub(pattern, "", before) == re.sub(pattern, "", after) != before)


def differ(before, after):
    """In how many bytes."""
    old, new = raw(before), raw(after)
    return sum(a != b for a, b in zip(old, new)) + abs(len(old) - len(new))


def same_message(before, after):
    """Netlink: length and type; port, and times at the end of an address, are others."""
    return raw(before)[:8] == raw(after)[:8] and differ(before, after) <= 10


def by_timer(before, after):
    """A signal that waits in addition: signo, errno, code -2 of a timer; in hexadecimal or base64."""
    return before is None and re.match(r"^(..000000){2}feffffff", after if re.fullmatch("[0-9a-f]+", after)
                                       else raw(after).hex()) is not None


def from_nobody(before, after):
    """A signal that waits in addition: nothing but its number."""
    return before is None and re.match(r"^..(00)+$", after) is not None


def same_but_inodes(before, after):
    """Lists of watches, or one number."""
    return isinstance(before, int) or same_but(r"ino:\w+|f_handle:\w+")(before, after)


def restarted(before, after):
    """restart_syscall, of which the registers do not tell what call it is."""
    return before == RESTART_SYSCALL and after in CALLS_WITH_TIMEOUT


def restarted_number(before, after):
    """Take-over says what call it is."""
    return before == SYS_RESTART_SYSCALL and after in CALLS_WITH_TIMEOUT


def restarted_at(before, after):
    at = str(before).removeprefix(RESTART_SYSCALL + " ")
    return at != before and int(after, 16) - int(at, 16) in (0, -2)


ROWS = [
    ("minflt majflt cminflt cmajflt utime stime cutime cstime guest cguest delayacct processor "
     "voluntary_ctxt_switches nonvoluntary_ctxt_switches Ngid", ANY,
     "an account of what was done; no call sets it"),
    ("starttime", ANY, "the task was made at restore; no call sets it"),
    ("kstkesp kstkeip wchan nswap cnswap itrealvalue", ANY,
     "of a running task 0 or a matter of the moment; of a stopped one witness.c tells all registers"),
    ("HugetlbPages rss VmRSS RssAnon RssFile RssShmem VmPTE VmSwap VmHWM VmPeak", ANY,
     "which pages are in memory is for the kernel; contents are summed up by witness.c"),
    ("SigQ", ANY, "signals that wait in all tasks of the user, those of other tests too"),
    ("FDSize", ANY, "the room of a table of descriptors, which never shrinks: history"),
    ("pf_flags", bits(PF_FORKNOEXEC | PF_SUPERPRIV | PF_RANDOMIZE),
     "whether it called exec(), used a privilege, was laid out at random: history that nothing asks for"),
    ("timer", went_on, "time goes on"),
    # Images. The first dump caught the tree running, the second one stopped.
    ("CORE.tc.task_state", lambda before, after: (before, after) == (ALIVE, STOPPED),
     "the second dump found it as --leave-stopped leaves it"),
    ("CORE.tc.stop_signo", lambda before, after: (before, after) == (None, SIGSTOP), "likewise"),
    ("CORE.tc.flags", bits(PF_FORKNOEXEC | PF_SUPERPRIV | PF_RANDOMIZE), "as in stat"),
    ("CORE.thread_info.fpregs.xsave.xstate_bv", bits(XSTATE_X87 | XSTATE_SSE),
     "whether they are in use; restored, they are, and their contents are compared"),
    ("INVENTORY.dump_criu_run_id FERMATA.run_id FERMATA_FILES.run_id", ANY, "of each run of the tool another"),
    ("TIMENS.monotonic.tv_sec TIMENS.monotonic.tv_nsec TIMENS.boottime.tv_sec TIMENS.boottime.tv_nsec", ANY,
     "the time of the dump"),
    ("FERMATA_FILES.wall_clock_ns", ANY, "the time of the dump"),
    ("GHOST_FILE.ino", ANY, "a removed file is made again: another inode"),
    ("GHOST_FILE.atim.tv_sec GHOST_FILE.atim.tv_usec GHOST_FILE.mtim.tv_sec GHOST_FILE.mtim.tv_usec", ANY,
     "its restore maps it, or fills it with what waited in a FIFO: an access, a modification"),
    ("link FILES.reg.name", same_but(r"/#\d+"), "the kernel names a file of O_TMPFILE by its inode"),
    ("inotify FILES.ify.wd.i_ino FILES.ify.wd.f_handle.handle", same_but_inodes,
     "a removed file that is watched is made again: another inode"),
    ("socket queues", moved_on, "the kernel goes on sending while the ends are stopped"),
    ("socket queues", acknowledged, "an end of file is acknowledged a little later than it is received"),
    ("socket state", lambda before, after: {before, after} == {FIN_WAIT1, FIN_WAIT2}, "likewise"),
    ("TCP_STREAM.inq_len TCP_STREAM.inq_seq", grows, "likewise"),
    ("TCP_STREAM.outq_len TCP_STREAM.unsq_len", shrinks, "likewise"),
    ("TCP_STREAM.extra.inq", lambda before, after: raw(after).startswith(raw(before)), "likewise"),
    ("TCP_STREAM.extra.outq", lambda before, after: raw(before).endswith(raw(after)), "likewise"),
    ("TCP_STREAM.timestamp TCP_STREAM.snd_wl1 TCP_STREAM.snd_wnd TCP_STREAM.max_window TCP_STREAM.rcv_wnd "
     "TCP_STREAM.rcv_wup", ANY,
     "a clock; the windows that both ends told each other when they were let go"),
    ("BPFMAP_DATA.extra", lambda before, after: sorted(raw(before)) == sorted(raw(after)),
     "the kernel's order of a hash table"),
    ("FILES.isk.v6only", lambda before, after: (before, after) == (False, True),
     "bind(2) to an IPv6 address sets it, where connect(2) had chosen the address; no other effect"),
    ("FILES.ify.wd.f_handle.path", lambda before, after: after is None,
     "of a file's names the kernel may tell one that is removed; the handle still leads to it"),
    ("FILES.usk.name_dir", lambda before, after: "/.fermata-" in after,
     "a removed socket is made in a directory of the tool's, and removed"),
    ("FERMATA_FILES.epoll_targets.index", ANY, "the kernel's order of targets; they themselves are compared"),
    ("FERMATA_FILES.tun.messages", same_message, "the port of who asked, and when an address was given"),
    ("FERMATA_FILES.packet_rings", lambda before, after: differ(before, after) <= 32,
     "the times of the packets with which a ring is turned to its place"),
    ("queued CORE.tc.signals_s.signals.siginfo CORE.thread_core.signals_p.signals.siginfo", from_nobody,
     "a signal that was pending without an entry in the queue has one: SI_USER of pid 0, as it would be told"),
    ("queued CORE.tc.signals_s.signals.siginfo", by_timer, "timers go off while the tree is stopped"),
    ("reg rax", restarted, "docs/architecture.md, deviation 5"),
    ("reg rip", restarted_at, "likewise"),
    ("reg orig_rax", restarted_number, "likewise"),
    ("CORE.tc.timers.posix.vsec CORE.tc.timers.posix.vnsec CORE.tc.timers.real.vsec CORE.tc.timers.real.vusec "
     "FILES.tfd.vsec FILES.tfd.vnsec FILES.tfd.ticks", ANY, "time goes on; how much of it, the programs check"),
    ("reg orig_rax CORE.thread_info.gpregs.orig_ax", lambda before, after: after in (NO_CALL, "f" * 16),
     "a call that was under way is made again, a finished one is over"),
]

TABLE = {}
for _names, _condition, _reason in ROWS:
    for _name in re.split(r" (?!orig_rax|rax|rip|queues|state)", _names):
        TABLE.setdefault(_name, []).append(_condition)

# Fields with numbers of the kernel, by kind: each old one must always be the same new one.
NUMBERS = {field: kind for kind, fields in {
    "inode": "FILES.isk.ino FILES.usk.ino FILES.usk.peer FILES.nlsk.ino FILES.pidfd.ino FILES.epfd.tfd.inode "
             "FERMATA_FILES.unix_sk.waiting",
    "pipe": "FILES.pipe.pipe_id PIPES_DATA.pipe_id FILES.fifo.pipe_id FIFO_DATA.pipe_id",
    "shmid": "MEMFD_INODE.shmid MM.vmas.shmid",
    "map": "FILES.bpf.map_id BPFMAP_DATA.map_id",
}.items() for field in fields.split()}


class Numbers:
    """Which number of the first dump is which of the second."""

    def __init__(self):
        self.of, self.back = {}, {}

    def knows(self, field):
        return field in NUMBERS

    def same(self, field, before, after):
        kind = NUMBERS.get(field)
        if kind is None or before is None or after is None or not before or not after:
            return kind is not None and before == after
        return (self.of.setdefault((kind, before), after) == after
                and self.back.setdefault((kind, after), before) == before)


def explained(field, before, after):
    field = "queued" if field.startswith("queued") else field
    return any(condition(before, after) for condition in TABLE.get(field, ()))


# What is left out of the comparison of one program, besides.
PROGRAMS = {
    "fork_storm": ("none", "tasks are made and die all the time"),
    "timers_between": ("none", "its timers go off all the time"),
    "io_uring": ("none", "rings are made again at other places of the kernel's numbering; it checks them itself"),
    "io_uring_library": ("none", "likewise"),
    "io_uring_registered": ("none", "likewise"),
    "io_uring_threads": ("none", "likewise"),
    "ghost_reused": ("fds", "the removed file has a suffix to its dead name"),
    "itimers": ("ShdPnd memory drift", "a timer goes off in between; its handler's frame has been made when the task "
                "stops, with the number of the last fault in it, and the second dump finds the handler"),
    "pty_keys": ("memory drift", "likewise, of a ^C that waits"),
    "interrupted": ("none", "a restored task takes what waits just before it stops again; it checks what follows"),
    "posix_timers": ("SigBlk", "a handler runs in between"),
    "sleep_timed": ("SigBlk", "a handler runs in between"),
    "sleep_restart": ("state exit_code", "a child may have ended its sleep"),
    "inotifies": ("ShdPnd queued", "a removed file that is watched is read by the dump: an event, a signal"),
    "droppable": ("memory", "what the kernel may drop at any time comes back as zeroes"),
    "epolls": ("tfd FILES.epfd.tfd.events", "a disabled one-shot target that is never ready stays open to errors and "
               "hang-ups: file/epoll_restore.c"),
    "tuntap": ("pos FILES.reg.pos FERMATA_FILES.tun.packets", "reading moves the position of a tun, which nothing "
               "can set and nobody can see; the kernel asks for routers in between"),
    "tap_local": ("pos FILES.reg.pos FERMATA_FILES.tun.packets", "likewise"),
}


def of_program(name):
    """The words for `ignore` in snapshot.differences()."""
    return set(PROGRAMS.get(name, ("",))[0].split())


RSEQ_OWN = slice(8, 20)  # of struct rseq, the words that belong to the program
RSEQ_SIZE = 32


def without_rseq(page, address, pointers):
    """A page without what the kernel writes into struct rseq whenever it likes."""
    for p in pointers:
        if page and address <= p < address + len(page):
            at = p - address
            own = page[at:at + RSEQ_SIZE][RSEQ_OWN]
            page = page[:at] + bytes(8) + own + bytes(12) + page[at + RSEQ_SIZE:]
    return page


# --- system calls that were interrupted

def settled(seen):
    """A system call that was under way is made again: the registers say so before, or after the restore."""
    for where, regs in seen.items():
        if where.startswith("traced") and "reg rax" in regs:
            rax = int(regs["reg rax"], 16) - (1 << 64)
            if int(regs["reg orig_rax"], 16) < 1 << 63 and rax in (-512, -513, -514, -516):
                if regs["reg orig_rax"] == SYS_RESTART_SYSCALL:
                    regs["reg rax"], regs["reg rip"] = RESTART_SYSCALL, f"{RESTART_SYSCALL} {regs['reg rip']}"
                    continue
                regs["reg rip"] = f"{int(regs['reg rip'], 16) - 2:x}"
                regs["reg rax"] = regs["reg orig_rax"]
    return seen
