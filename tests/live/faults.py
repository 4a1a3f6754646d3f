"""Do no harm, tried point by point: each system call of the tool fails, or the tool dies there; and
each call that the tool has made in a task fails.

After a dump that fails the target must be as it was, and nothing of the tool may be left; after a
restore that fails there must be no task, and the same images restore at the next try.  A fault may
also be coped with: then the dump or the restore must be a good one.  See inject.c for what is made
to fail.
"""
import os
import re
import subprocess

import nft
import snapshot
from live import BUILD, FERMATA, Failure, poll, tail
from variants import finish

HOW = ("fail", "kill", "fail2")
KILLED = 137
PATIENCE = 3  # seconds, for what a guard or the kernel does after the death of the tool


def everything():
    """The environment asks for all points, not a sample."""
    return os.environ.get("FAULTS") == "all"


def left_over(case):
    """What a run of the tool could leave behind, besides tasks and images."""
    files = sorted(str(p) for p in case.dir.rglob("*") if not p.relative_to(case.dir).parts[0]
                   .startswith(("images", "tool.out", "report")))
    with open("/proc/self/mounts") as mounts:
        return {"files": files, "mounts": mounts.read().splitlines(), "tables": nft.tables()}


class Sweep:
    """One program, and one verb applied to it with a fault at each of many points."""

    def __init__(self, case, program, verb):
        self.case, self.program, self.verb = case, program, verb
        self.base, self.rounds = case.dir, 0
        self.points, self.harmed = 0, []
        self.images = None

    def begin(self):
        """A fresh target, in a directory of its own."""
        self.rounds += 1
        self.case.dir = self.base / f"target{self.rounds}"
        self.case.dir.mkdir(mode=0o777)
        self.case.dir.chmod(0o777)
        self.case.images = 0
        self.case.start_program(self.program)
        self.before = snapshot.take(self.case.pids())
        if self.verb == "restore":
            self.images = self.case.dump(*self.program.words("DUMP"))
        self.nothing = left_over(self.case)

    def run(self, n, how, images):
        """The tool with a fault at its n-th system call: (exit status, calls counted, which)."""
        case = self.case
        report = case.dir / "report"
        report.unlink(missing_ok=True)
        extra = (["-t", case.root, *self.program.words("DUMP")] if self.verb == "dump"
                 else ["-d", *self.program.words("RESTORE")])
        env = {**os.environ, "FERMATA_FAULT_STEP": str(n)} if how == "step" else None
        argv = [BUILD / "inject", n, "none" if how == "step" else how, report, FERMATA, self.verb, "-D", images, "-o",
                f"{self.verb}.log", "-v4", *extra]
        with open(case.dir / "tool.out", "wb") as out:
            tool = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=out,
                                    stderr=out, env=env)
            case.tools.add(tool.pid)
            try:
                tool.wait(20)
            except subprocess.TimeoutExpired:
                tool.kill()
                tool.wait()
                raise Failure("no end within 20 s") from None
            finally:
                case.tools.discard(tool.pid)
        count, name = report.read_text().split(" ", 1)
        if how == "step":
            hit = re.search(r"Fault injected: (.*)", snapshot.read(images / f"{self.verb}.log"))
            name = hit[1] if hit else "-"
        return tool.returncode, int(count), name.strip()

    # --- what must hold afterwards

    def differences(self):
        case = self.case
        after = snapshot.take(case.pids())
        before = dict(self.before)
        for s in (before, after):
            if case.root in s:
                s[case.root] = {**s[case.root]}
                thread = s[case.root].get(f"thread {case.root}", {})
                s[case.root][f"thread {case.root}"] = {k: v for k, v in thread.items()
                                                       if k != "ppid"}
        return snapshot.differences(before, after, set(self.program.words("COMPARE")))

    def traced(self):
        return [tid for pid in self.case.pids() for tid in snapshot.threads(pid)
                if "TracerPid:\t0\n" not in snapshot.read(f"/proc/{pid}/task/{tid}/status")]

    def is_as_before(self):
        return not self.differences() and not self.traced()

    def surplus(self, killed):
        """What is there that was not; a lock of the dump may go with the restore that needed it.
        A removed file that is made again has its name for a moment, in which it is empty."""
        now = left_over(self.case)
        if killed:
            now["files"] = [f for f in now["files"] if os.path.isfile(f) and os.path.getsize(f)]
        return [f"{key}: {more}" for key, was in self.nothing.items()
                if (more := sorted(set(now[key]) - set(was)))]

    def need_clean(self, killed=False):
        poll_quietly(lambda: not self.surplus(killed))
        if self.surplus(killed):
            raise Failure(f"left behind: {'; '.join(self.surplus(killed))}")
        for name in sorted(set(left_over(self.case)["files"]) - set(self.nothing["files"]))[::-1]:
            (os.rmdir if os.path.isdir(name) else os.unlink)(name)

    def need_as_before(self):
        poll_quietly(self.is_as_before)
        changes = self.differences()
        if changes:
            raise Failure("changed: " + "; ".join(changes[:6]))
        if self.traced():
            raise Failure(f"traced: {self.traced()}")
        if "QUIET" not in self.program.meta:
            self.case.advances()

    def restore(self, images):
        self.case.gone()
        self.case.restore(images, *self.program.words("RESTORE"))
        self.need_as_before()

    def after_dump(self, status, images):
        case = self.case
        if not (images / "inventory.img").exists():
            if status == 0:
                raise Failure("status 0, but no inventory.img")
            self.need_as_before()
            self.need_clean(killed=status == KILLED)
        elif status == 0 or set(case.pids()) != set(self.before):
            case.kill()  # one that was killed while it ended the tree
            self.restore(images)
        else:
            self.need_as_before()

    def after_restore(self, status, retry):
        """Nothing at all or, also if the tool was killed when all was done, everything."""
        case = self.case
        if status == 0:
            self.need_as_before()
            case.kill()
            return
        poll_quietly(lambda: not case.pids() or (status == KILLED and self.is_as_before()))
        if case.pids() and not (status == KILLED and self.is_as_before()):
            raise Failure(f"tasks left: {snapshot.stats()}")
        case.kill()
        self.need_clean(killed=status == KILLED)
        if retry:
            self.restore(self.images)
            case.kill()

    # --- the sweep

    def try_point(self, n, how):
        images = self.images or self.case.new_images()
        name = ""
        try:
            status, _, name = self.run(n, how, images)
            if self.verb == "dump":
                self.after_dump(status, images)
            else:
                self.after_restore(status, retry=self.points % 4 == 0)
            self.points += 1
        except Failure as e:
            self.points += 1
            self.harmed.append(f"{self.program.name} {self.verb} {n} {how} {name}: {e}\n"
                               f"    {tail(self.case.dir / 'tool.out', 3)}")
            self.case.kill()
            self.begin()
        return name

    def sweep_steps(self, most):
        """Their number is not known before: ever larger steps if not all are wanted."""
        n = 1
        while self.try_point(n, "step") != "-":
            n += 1 + (n // max(1, most // 6) if most else 0)

    def sweep(self, most):
        """Try at most so many points, spread evenly, each with one way to fail; 0: all, all ways."""
        self.begin()
        images = self.images or self.case.new_images()
        status, count, _ = self.run(0, "none", images)
        if status:
            raise Failure(f"without a fault: {tail(self.case.dir / 'tool.out')}")
        if self.verb == "dump":
            self.restore(images)
        else:
            self.case.kill()
        step = max(1, count // most) if most else 1
        for i, n in enumerate(range(1, count + 1, step)):
            for how in [HOW[i % 2]] if most else HOW:
                self.try_point(n, how)
        self.sweep_steps(most)
        if self.verb == "restore":
            self.restore(self.images)
        finish(self.case, self.program)
        self.tell()

    def tell(self):
        line = f"{self.program.name} {self.verb}: points {self.points}, harmed {len(self.harmed)}"
        with open(BUILD / "faults.txt", "a") as f:
            f.write(line + "\n" + "".join(h + "\n" for h in self.harmed))
        if self.harmed:
            raise Failure(line + "\n" + "\n".join(self.harmed[:20]))


def poll_quietly(condition):
    """Give it time; the caller looks again and says what is wrong."""
    try:
        poll(condition, PATIENCE, "")
    except Failure:
        pass
