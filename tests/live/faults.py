"""Do no harm, tried point by point: each system call of the tool fails, or the tool dies there; and
each call that the tool has made in a task fails.

After a dump that fails the target must be as it was, and nothing of the tool may be left; after a
restore that fails there must be no task, and the same images restore at the next try.  A fault may
also be coped with: then the dump or the restore must be a good one.  See inject.c for what is made
to fail, and scenes.py for what is dumped and restored, and how.
"""
import os
import re
import shutil
import signal
import time
from pathlib import Path

import deep
import explained
import nft
import snapshot
from live import BUILD, Failure, tail

PATIENCE = 10  # seconds, for what a guard or the kernel does after the death of the tool
BATCH = 40  # points after which the target itself is asked
TEMPORARY = ("/tmp", "/var/tmp", "/dev/shm", "/run")


def everything():
    """The environment asks for all points, not a sample."""
    return os.environ.get("FAULTS") == "all"


def is_wanted(call):
    """Of a call as inject.c names it: CALLS in the environment is a pattern for the only ones to try."""
    return re.search(os.environ.get("CALLS", ""), call)


# --- what a run of the tool could leave behind, besides tasks and images


def files_in(directory):
    return [str(p) for p in directory.rglob("*") if not p.relative_to(directory).parts[0]
            .startswith(("images", "tool.out", "report", "run."))]


def temporary_files():
    return [f"{d}/{name}" for d in TEMPORARY if os.path.isdir(d) for name in os.listdir(d)
            if name.startswith((".criu", "criu", ".fermata", "fermata."))]


def cgroups():
    path = snapshot.read("/proc/self/cgroup").rsplit("::", 1)[-1].strip()
    base = Path("/sys/fs/cgroup") / path.lstrip("/")
    return [str(p) for p in base.glob("*/")] if path and path != "/" else []


def segments():
    """System V objects, without times and the last ones to use them."""
    volatile = ("cpid", "lpid", "atime", "dtime", "ctime", "lspid", "lrpid", "stime", "rtime", "otime", "rss",
                "swap")
    out = []
    for kind in ("shm", "sem", "msg"):
        lines = [line.split() for line in snapshot.read(f"/proc/sysvipc/{kind}").splitlines()]
        out += [f"{kind} " + " ".join(f"{k}={v}" for k, v in zip(lines[0], line) if k not in volatile)
                for line in lines[1:]]
    return out


def sockets():
    """How many of each kind: the lists of TCP take long to read."""
    out = []
    for name in ("sockstat", "sockstat6"):
        for line in snapshot.read(f"/proc/net/{name}").splitlines():
            found = re.match(r"(\w+): inuse (\d+)", line)
            out += [f"{found[1]} {n}" for n in range(int(found[2]))] if found else []
    for line in snapshot.read("/proc/net/unix").splitlines()[1:]:
        words = line.split()
        out += [f"unix {words[4]} {words[5]} {words[7]}"] if len(words) > 7 else []
    return out + [f"packet {n}" for n, _ in enumerate(snapshot.read("/proc/net/packet").splitlines())]


def left_over(case):
    return {"files": files_in(case.dir), "mounts": snapshot.read("/proc/self/mounts").splitlines(),
            "tables": nft.tables(), "temporary": temporary_files(), "cgroups": cgroups(),
            "sockets": sockets(), "ipc": segments()}


def settle(complaints):
    """What complaints() still says after a while: nothing, if all is well."""
    end, pause = time.monotonic() + PATIENCE, 0.001
    while (lines := complaints()) and time.monotonic() < end:
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)
    return lines


class Fault:
    """What is to go wrong: the n-th system call, or with how "step" the n-th call in a task."""

    def __init__(self, n, how):
        self.n, self.how = n, how
        self.step = how == "step"

    def prefix(self, report, *options):
        """The words to put before a command."""
        how = "none" if self.step or not self.n else self.how
        return [str(w) for w in (BUILD / "inject", *options, 1 << 40 if self.step else self.n, how,
                                 report)]

    def environment(self):
        return {"FERMATA_FAULT_STEP": str(self.n)} if self.step else {}

    def __str__(self):
        return f"{self.n} {self.how}"


class Outcome:
    """status: 0 if it was a good one; hit: what went wrong, None if nothing."""

    def __init__(self, status, hit, calls):
        self.status, self.hit, self.calls = status, hit, calls
        self.killed = self.over = False  # over: what was restored has been looked at, and ended


class Sweep:
    """One scene, with a fault at each of many points."""

    def __init__(self, case, scene):
        self.case, self.scene = case, scene
        self.base, self.rounds = case.dir, 0
        self.points, self.harmed = 0, []
        self.batch, self.images = [], None
        self.complete = False  # are the images of the last dump, though the target lives on?
        self.ignored = {*explained.of_program(scene.program.name), *scene.ignored}
        scene.judge = lambda: self.need_no(self.changes_by_restore)

    def begin(self):
        """A fresh target, in a directory of its own."""
        case = self.case
        case.kill()
        if self.rounds:
            shutil.rmtree(case.dir, ignore_errors=True)
        self.rounds += 1
        self.batch = []
        case.dir = self.base / f"target{self.rounds}"
        case.dir.mkdir(mode=0o777)
        case.dir.chmod(0o777)
        case.images = 0
        self.scene.start(case)
        self.before = snapshot.take(case.pids())
        self.deep, self.moving = deep.learn(case.pids(), self.scene.restless)
        self.state = self.scene.state(case)
        if self.scene.verb == "restore":
            self.images = self.scene.dump(case)
            self.sizes = self.sizes_of_images()
        self.nothing = left_over(case)

    def sizes_of_images(self):
        return {p.name: (p.stat().st_size, p.stat().st_mtime_ns) for p in self.images.iterdir()
                if not p.name.endswith(".log") and not p.name.startswith("stats-")}

    # --- what must hold afterwards

    def changes(self):
        """Of the processes that were never dumped, or whose dump failed."""
        pids = self.case.pids()
        if pids != sorted(self.before):
            return [f"tasks: {sorted(self.before)} -> {snapshot.stats()}"]
        state = self.scene.state(self.case)
        return deep.differences(
            self.deep, deep.take(pids, self.scene.restless), self.moving) + [
            f"{k}: {self.state[k]} -> {state[k]}" for k in state if state[k] != self.state[k]]

    def changes_after_kill(self):
        """One that was stopped falls back into its stop in the middle of the way out; it stops again by itself."""
        lines = self.changes()
        for pid, task in snapshot.stats().items():
            if lines and self.scene.stops_again and task["state"] == "T" and pid in self.case.pids():
                os.kill(pid, signal.SIGCONT)
        return lines

    def changes_by_restore(self):
        """Registers and pages each time; all that /proc tells takes longer: each fourth time."""
        pids = self.case.pids()
        if pids != sorted(self.before):
            return [f"tasks: {sorted(self.before)} -> {snapshot.stats()}"]
        self.restored = deep.take(pids, self.scene.restless)
        lines = deep.differences(self.deep, self.restored, self.moving, restored=True)
        lines += [line.decode() for line in self.restored
                  if b"\tTracerPid:" in line and not line.endswith(b":\t0")]
        return lines or (self.changes_in_proc() if self.points % 4 == 0 else [])

    def changes_in_proc(self):
        case = self.case
        pids = case.pids()
        before, after = dict(self.before), snapshot.take(pids)
        for s in (before, after):
            if case.root not in s:
                continue
            s[case.root] = {**s[case.root]}
            thread = s[case.root].get(f"thread {case.root}", {})
            s[case.root][f"thread {case.root}"] = {k: v for k, v in thread.items() if k != "ppid"}
        return snapshot.differences(before, after, self.ignored)

    def need_no(self, changes):
        lines = settle(changes)
        if lines:
            raise Failure("changed: " + "; ".join(lines[:6]))

    def surplus(self, killed):
        """What is there that was not; a lock of the dump may go with the restore that needed it."""
        now = left_over(self.case)
        if self.complete:
            now["files"] = [f for f in now["files"] if "/link_remap." not in f]
        return [f"{key}: {more}" for key, was in self.nothing.items()
                if (more := sorted(set(now[key]) - set(was)))]

    def need_clean(self, killed=False):
        surplus = settle(lambda: self.surplus(killed))
        if surplus:
            raise Failure(f"left behind: {'; '.join(surplus)}")
        if not killed:
            return
        for name in sorted(set(files_in(self.case.dir)) - set(self.nothing["files"]))[::-1]:
            (os.rmdir if os.path.isdir(name) else os.unlink)(name)

    def restore(self, images):
        """A restore without a fault must be a good one; what is there then is compared from now on."""
        self.case.gone()
        self.scene.restore(self.case, images)
        self.need_no(self.changes_by_restore)
        self.deep = self.restored

    def after_dump(self, out, images):
        case, scene = self.case, self.scene
        done = (images / "inventory.img").exists()
        self.complete = done and out.killed
        if done != (scene.writes and out.status == 0) and not (out.killed and done):
            raise Failure(f"status {out.status}, and {'an' if done else 'no'} inventory.img")
        if done and scene.ends:
            # All or none: one that is killed while it ends the tree has it ended by its guard.
            settle(lambda: case.pids() and self.changes())
            if not case.pids():
                self.restore(images)
                return
            if out.status == 0:
                raise Failure(f"status 0, but tasks are left: {snapshot.stats()}")
        self.need_no(self.changes_after_kill if out.killed else self.changes)
        self.need_clean(out.killed)
        if done and not scene.ends and self.points % 8 == 0:
            case.kill()
            self.restore(images)

    def after_restore(self, out):
        """Nothing at all or, also if the tool was killed when all was done, everything."""
        case = self.case
        if self.sizes_of_images() != self.sizes:
            raise Failure(f"images changed: {self.sizes} -> {self.sizes_of_images()}")
        if out.over:
            case.gone()
            self.need_clean(out.killed)
            return
        complete = out.killed and self.scene.writes
        if out.status:
            settle(lambda: case.pids() and (not complete or self.changes_by_restore()))
        if case.pids() and (complete or (out.status == 0 and self.scene.writes)):
            self.need_no(self.changes_by_restore)
            self.judge_restored(out)
            return
        if case.pids() or (out.status == 0 and self.scene.writes):
            raise Failure(f"status {out.status}, tasks: {snapshot.stats()}")
        self.need_clean(out.killed)
        if self.scene.writes:
            self.restore(self.images)
            case.kill()
            if self.scene.once:
                self.begin()

    def judge_restored(self, out):
        """A fault that was coped with: the tasks judge themselves."""
        if out.hit and not out.killed:
            self.scene.verdict(self.case)
            self.begin()
        elif self.scene.once:
            self.begin()
        self.case.kill()

    # --- the sweep

    def try_point(self, fault):
        case, name = self.case, ""
        images = self.images or case.new_images()
        self.points += 1
        self.batch.append(fault)
        fault.met = "(not reached)"
        try:
            out = self.scene.attempt(case, fault, images)
            name = out.hit
            out.killed = bool(fault.how in ("kill", "wait") and out.hit)
            fault.met = f"{name}, status {out.status}"
            if self.scene.verb == "restore":
                self.after_restore(out)
            else:
                self.after_dump(out, images)
                shutil.rmtree(images)
        except Failure as e:
            self.harm(fault, name, e)
            self.begin()
            return name
        if len(self.batch) >= BATCH:
            self.end_batch()
        return name

    def harm(self, fault, name, why, more=""):
        self.harmed.append(f"{self.scene.name} {self.scene.verb} {fault} {name}: {why}{more}\n"
                           f"    {tail(self.case.dir / 'tool.out', 3)}")

    def judge(self):
        """The target's own verdict."""
        if self.scene.verb == "restore" and self.scene.writes:
            self.restore(self.images)
        if self.scene.verb != "restore":
            self.scene.verdict(self.case)
        elif self.scene.writes:
            self.scene.verdict(self.case)

    def end_batch(self):
        """If the target says that something is wrong, each point of the batch is tried on its own."""
        batch = self.batch
        try:
            self.judge()
        except Failure as e:
            if len(batch) == 1:
                self.harm(batch[0], "(verdict)", e)
            else:
                self.single_out(batch, e)
        self.begin()

    def single_out(self, batch, why):
        known, points = len(self.harmed), self.points
        for fault in [Fault(f.n, f.how) for f in batch]:
            self.begin()
            name = self.try_point(fault)
            try:
                if self.batch:
                    self.judge()
            except Failure as e:
                self.harm(fault, name, e)
        self.points = points
        if len(self.harmed) == known:
            self.harm(batch[0], f"(one of {len(batch)} points)", why, "".join(
                f"\n    {fault}: {fault.met}" for fault in batch))

    def calls(self):
        """What the tool does without a fault, each call with the ways in which it may go wrong."""
        self.begin()
        images = self.images or self.case.new_images()
        out = self.scene.attempt(self.case, Fault(0, "none"), images)
        if out.status:
            raise Failure(f"without a fault: {tail(self.case.dir / 'tool.out')}")
        if self.scene.verb == "restore":
            self.after_restore(out)
        else:
            self.after_dump(out, images)
        return out.calls

    def sweep_steps(self, most, shard, shards):
        """Their number is not known before: ever larger steps if not all are wanted."""
        n = 1 + shard
        while self.scene.steps and is_wanted("step") and self.try_point(Fault(n, "step")):
            n += shards + (n // max(1, most // 6) if most else 0)

    def sweep(self, most, shard=0, shards=1):
        """Try at most so many points, spread evenly, each in one way; 0: all of this shard, all ways."""
        calls = self.calls()
        step = max(1, len(calls) // most) if most else shards
        for i, n in enumerate(range(shard, len(calls), step)):
            if not is_wanted(calls[n]):
                continue
            ways = calls[n].split(" kill", 1)[1].split()
            ways.append("kill")
            for how in [ways[i % len(ways)]] if most else ways:
                self.try_point(Fault(n + 1, how))
        self.sweep_steps(most, shard, shards)
        if self.batch:
            self.end_batch()
        self.case.kill()
        self.tell()

    def tell(self):
        line = f"{self.scene.name} {self.scene.verb}: points {self.points}, harmed {len(self.harmed)}"
        with open(BUILD / "faults.txt", "a") as f:
            f.write(line + "\n" + "".join(h + "\n" for h in self.harmed))
        if self.harmed:
            raise Failure(line + "\n" + "\n".join(self.harmed[:20]))
        print(line)
