"""Races: targets that do something as fast as they can are dumped again and again.

Nearly every dump leaves the target running, and it must be unharmed: its workers go on (each has
a beat in the control page, see programs/race.h), it finds nothing wrong with itself, nobody is
stopped or traced.  Some dumps are for good: the target must come back from their images and go on.
crit has to find the images of others sound.  A dump may be refused only by what the program's
REFUSAL line says.

The environment may ask for more or other conditions:
  RACES=1000        so many dumps of each target (8)
  RACES_SECONDS=60  at most so long for each
  RACES_CPU=0       target and tool on one processor
  RACES_SCHED=fifo  the tool runs as SCHED_FIFO; also `idle`, `nice`
"""
import os
import random
import re
import shutil
import signal
import struct
import time

import snapshot
from live import BUILD, Failure, need_images, need_sound, poll, tail
from variants import finish

STOLEN_AT, N_BEATS_AT, BEAT_AT = 128, 136, 256
PATIENCE = 20  # seconds, for a beat, on a machine with other work
TIMEOUT = 120  # seconds for a dump, which nearly all of them spend waiting for a processor
DUMPS = int(os.environ.get("RACES", 8))
SECONDS = float(os.environ.get("RACES_SECONDS", "inf" if DUMPS > 100 else 20))
FOR_GOOD = 20 if DUMPS > 100 else 4
SOUND = 25 if DUMPS > 100 else 9


def conditions():
    """What the tool is started with: on which processor, with what priority."""
    cpu, sched = os.environ.get("RACES_CPU"), os.environ.get("RACES_SCHED")

    def prepare():
        if cpu:
            os.sched_setaffinity(0, [int(cpu)])
        if sched == "fifo":
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
        if sched == "idle":
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        if sched == "nice":
            os.nice(19)
    return prepare


class Race:
    """One target, and many dumps of it."""

    def __init__(self, case, program, outside=False):
        self.case, self.program, self.outside = case, program, outside
        self.base, self.targets = case.dir, 0
        self.dice = random.Random(int(os.environ.get("RACES_SEED", 1)))
        self.times, self.restores, self.refused, self.harmed = [], 0, {}, []
        self.stopped = {}  # by us, pid -> whether its last signal was SIGSTOP

    # --- the target

    def begin(self):
        self.targets += 1
        self.case.dir = self.base / f"target{self.targets}"
        self.case.dir.mkdir(mode=0o777)
        self.case.dir.chmod(0o777)
        self.case.images = 0
        cpu = os.environ.get("RACES_CPU")
        if cpu:
            os.sched_setaffinity(0, [int(cpu)])
        self.case.start_program(self.program, *(["stopped"] if self.outside else []))

    def page(self, offset, n):
        with open(self.case.dir / "ctl", "rb") as f:
            f.seek(offset)
            return struct.unpack(f"{n}Q", f.read(8 * n))

    def beats(self):
        return self.page(BEAT_AT, self.page(N_BEATS_AT, 1)[0])

    def steal(self, ns):
        """Tell the target of time in which its timers could not run."""
        stolen = self.page(STOLEN_AT, 1)[0] + int(ns)
        with open(self.case.dir / "ctl", "r+b") as f:
            f.seek(STOLEN_AT)
            f.write(struct.pack("Q", stolen))

    def need_unharmed(self, before, when):
        silent = []

        def all_beat():
            if self.case.result() is not None:
                self.case.verdict(0)
                raise Failure("the target has ended")
            silent[:] = [i for i, (a, b) in enumerate(zip(before, self.beats())) if a == b]
            return not silent
        try:
            poll(all_beat, PATIENCE, when)
        except Failure as e:
            raise Failure(f"{e}; silent: {silent}; {self.describe()}") from None
        self.need_untraced()

    def describe(self):
        out = []
        for pid in self.case.pids():
            for tid in snapshot.threads(pid):
                f = snapshot.stat_fields(s) if ") " in (s := snapshot.read(f"/proc/{pid}/task/{tid}/stat")) else []
                out.append(f"{pid}/{tid} {' '.join(f[1:3])} {snapshot.read(f'/proc/{pid}/task/{tid}/syscall').strip()}")
        return "\n    ".join(out)

    def need_untraced(self):
        for pid in self.case.pids():
            for tid in snapshot.threads(pid):
                status = snapshot.read(f"/proc/{pid}/task/{tid}/status")
                if status.startswith("Name") and "TracerPid:\t0\n" not in status:
                    raise Failure(f"thread {tid} of {pid} is still traced: {status[:200]}")

    # --- signals from outside

    def pester(self):
        """SIGSTOP, perhaps SIGCONT, in the next few milliseconds."""
        pids = self.case.pids()
        self.history = []
        while self.dice.random() < 0.8:
            time.sleep(self.dice.uniform(0, 0.004))
            pid = self.dice.choice(pids)
            self.stopped[pid] = self.dice.random() < 0.6
            self.history.append((f"{time.monotonic():.6f}", "stop" if self.stopped[pid] else "cont"))
            os.kill(pid, signal.SIGSTOP if self.stopped[pid] else signal.SIGCONT)

    def need_stops(self, when):
        for pid, stop in self.stopped.items():
            def as_told():
                states = {snapshot.thread(pid, t)["state"] for t in snapshot.threads(pid)}
                return states == ({"T"} if stop else {"alive"})
            poll(as_told, 2, f"{when}: pid {pid} {'stopped' if stop else 'not stopped'} by "
                 f"{self.history}, {[snapshot.thread(pid, t)['state'] for t in snapshot.threads(pid)]}")

    def let_all_go(self):
        for pid, stop in self.stopped.items():
            if stop:
                os.kill(pid, signal.SIGCONT)
        self.stopped = {}

    # --- the tool

    def run(self, images, *options):
        if self.outside and "-R" not in options:
            self.pester()  # not during the dump: what comes after the signals were read dies, too
        begun = time.monotonic()
        tool = self.case.begin("dump", images, "-t", self.case.root, *self.program.words("DUMP"),
                               *options, verbose="RACES_QUIET" not in os.environ,
                               preexec_fn=conditions())
        if self.outside and "-R" in options:
            self.pester()
        ran = self.case.finish(tool, TIMEOUT)
        self.times.append((time.monotonic() - begun) * 1000)
        return ran

    def is_true_refusal(self, ran):
        """Not a failure of ours, but something that the program does."""
        allowed = self.program.meta.get("REFUSAL")
        why = allowed and re.search(allowed, ran.text)
        if ran.status == 1 and why:
            self.refused[why[0]] = self.refused.get(why[0], 0) + 1
            return True
        return False

    def leave_running(self, images, i):
        before = self.beats()
        ran = self.run(images, "-R")
        if self.is_true_refusal(ran):
            return self.need_unharmed(before, f"beats after refused dump {i}")
        self.case.need(ran, f"dump {i}")
        need_images(images)
        if self.outside:
            self.need_stops(f"after dump {i}")
            self.let_all_go()
        self.need_unharmed(before, f"beats after dump {i}")
        if i % SOUND == 0:
            need_sound(images)
        return None

    def for_good(self, images, i):
        case = self.case
        start, before, pids = time.monotonic_ns(), self.beats(), case.pids()
        ran = self.run(images)
        if self.is_true_refusal(ran):
            return self.need_unharmed(before, f"beats after refused dump {i}")
        case.need(ran, f"dump {i} for good")
        need_images(images)
        case.gone()
        self.steal(60e9)  # all is forgiven until it is known how much
        before = self.beats()
        case.restore(images, *self.program.words("RESTORE"))
        self.steal(time.monotonic_ns() - start - 60e9)
        self.restores += 1
        if self.outside:
            self.need_stops(f"after restore {i}")
            self.let_all_go()
        self.need_unharmed(before, f"beats after restore {i}")
        return pids

    def one(self, i):
        images = self.case.new_images()
        try:
            (self.for_good if i % FOR_GOOD == FOR_GOOD - 1 else self.leave_running)(images, i)
        except Failure as e:
            kept = self.case.dir
            self.harmed.append(f"{self.program.name} dump {i}: {e}\n"
                               f"    {tail(self.case.dir / 'tool.out', 3)}; in {kept}")
            self.case.kill()
            self.stopped = {}
            self.begin()
        else:
            shutil.rmtree(images, ignore_errors=True)

    def go(self):
        self.begin()
        end = time.monotonic() + SECONDS
        for i in range(DUMPS):
            self.one(i)
            if time.monotonic() > end:
                break
            time.sleep(self.dice.uniform(0, 0.005))
            if len(self.harmed) >= int(os.environ.get("RACES_HARM", 10)):
                break
        self.last_word()
        self.tell()

    def last_word(self):
        try:
            self.let_all_go()
            finish(self.case, self.program)
        except Failure as e:
            self.harmed.append(f"{self.program.name}: at the end: {e} {self.describe()}")

    def tell(self):
        times = sorted(self.times)
        p50, p99 = times[len(times) // 2], times[len(times) * 99 // 100]
        refused = f", refused {sum(self.refused.values())}" if self.refused else ""
        outside = ", stopped from outside" if self.outside else ""
        line = (f"races: target {self.program.name.removeprefix('race_')}{outside}: {len(times)} dumps,"
                f" {self.restores} restores{refused}, p50/p99/max {p50:.1f}/{p99:.1f}/{times[-1]:.1f} ms,"
                f" harmed {len(self.harmed)}")
        with open(BUILD / "races.txt", "a") as f:
            f.write(line + "\n" + "".join(f"    {n} times: {r}\n" for r, n in self.refused.items())
                    + "".join(h + "\n" for h in self.harmed))
        print(line)
        if self.harmed:
            raise Failure(line + "\n" + "\n".join(self.harmed[:20]))
