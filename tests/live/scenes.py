"""What the fault sweep dumps and restores, and by which way the tool is asked for it."""
import os
import re
import resource
import signal
import subprocess
import tempfile
import time
import termios
import types
from pathlib import Path

import snapshot
from faults import Fault, Outcome
from live import FERMATA, Failure, Program, listens, need, poll, python_module
from variants import finish

PATIENCE = 60  # seconds for the tool


def command(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


class Scene:
    """A program, and a run of the tool from the command line."""

    verb = "dump"
    writes = True  # a good run makes images, or tasks
    ends = True  # a good dump ends the target
    steps = True  # the calls made in tasks are made to fail, too
    ignored = ()  # words of snapshot.differences()
    restless = False  # its pages and signals change by themselves, now and then
    once = False  # a restore uses the images up
    stops_again = False  # a stopped task of it that is continued stops once more
    options = ()

    def __init__(self, name, program, verb, *options, **attributes):
        self.name, self.verb, self.options = name, verb, options
        self.program = Program(program)
        vars(self).update(attributes)

    def start(self, case):
        case.start_program(self.program)

    def state(self, case):
        """What else must be as before a dump, by name."""
        return {}

    def words(self, case):
        """Options of every run of the tool."""
        words = self.program.words("RESTORE" if self.verb == "restore" else "DUMP")
        return [*words, *(str(o).replace("DIR", str(case.dir)) for o in self.options)]

    def dump(self, case):
        return case.dump(*self.program.words("DUMP"))

    def restore(self, case, images):
        case.restore(images, *self.program.words("RESTORE"))

    def verdict(self, case):
        finish(case, self.program)

    def argv(self, case, images):
        to = ["-d"] if self.verb == "restore" else ["-t", str(case.root)]
        return [FERMATA, self.verb, "-D", str(images), "-o", f"{self.verb}.log", "-v4", *to,
                *self.words(case)]

    def begin(self, case, fault, images, **popen):
        (case.dir / "report").unlink(missing_ok=True)
        popen.setdefault("stdin", subprocess.DEVNULL)
        with open(case.dir / "tool.out", "wb") as out:
            tool = subprocess.Popen([*fault.prefix(case.dir / "report"), *self.argv(case, images)],
                                    stdout=out, stderr=out, env={**os.environ, **fault.environment()},
                                    **popen)
        case.tools.add(tool.pid)
        return tool

    def finish(self, case, tool, fault, images):
        try:
            tool.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            tool.kill()
            tool.wait()
            raise Failure(f"no end within {PATIENCE} s") from None
        finally:
            case.tools.discard(tool.pid)
        return self.outcome(case, tool.returncode, fault, images)

    def outcome(self, case, status, fault, images):
        count, *calls = (case.dir / "report").read_text().splitlines()
        hit = count.split(" ", 1)[1]
        if fault.step:
            found = re.search(r"Fault injected: (.*)",
                              snapshot.read(images / f"{self.verb.split('-')[0]}.log"))
            hit = found[1] if found else "-"
        return Outcome(status, None if hit == "-" else hit, calls)

    def attempt(self, case, fault, images):
        return self.finish(case, self.begin(case, fault, images), fault, images)


class OnTmpfs(Scene):
    """Images whose pages the tool and the task can write at the same time."""

    def start(self, case):
        subprocess.run(["mount", "-t", "tmpfs", "none", case.dir], check=True)
        super().start(case)


class OnTmpfsFromOutside(OnTmpfs):
    """A task that may not write such images; then two threads of the tool do."""

    def start(self, case):
        super().start(case)
        resource.prlimit(case.root, resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))


class Summed(Scene):
    """Images with checksums, which a restore looks at first."""

    def dump(self, case):
        return case.dump("--checksum", *self.program.words("DUMP"))

    def words(self, case):
        return [*super().words(case), *(["--checksum"] if self.verb == "dump" else [])]


class Explained(Scene):
    """--explain and check: they change nothing and write nothing."""

    writes, ends = False, False

    def argv(self, case, images):
        if self.verb == "check":
            return [FERMATA, "check", "-v4", "-o", str(images / "check.log"), *self.words(case)]
        return super().argv(case, images)

    def words(self, case):
        return [w.replace("ROOT", str(case.root)) for w in super().words(case)]


class Attended(Scene):
    """A restore whose tool stays, as the parent, until the root ends."""

    def argv(self, case, images):
        return [w for w in super().argv(case, images) if w != "-d"]

    def attempt(self, case, fault, images):
        log = images / "restore.log"
        log.unlink(missing_ok=True)
        tool = self.begin(case, fault, images)

        def resumed():
            return tool.poll() is not None or (
                log.exists() and b"Tasks resumed" in log.read_bytes())
        poll(resumed, PATIENCE, "the restore in the foreground")
        if tool.poll() is not None:
            return self.finish(case, tool, fault, images)
        children = {p for p, t in snapshot.stats().items() if t["ppid"] == tool.pid}
        case.tools |= children
        self.judge()
        os.kill(case.root, signal.SIGKILL)
        out = self.finish(case, tool, fault, images)
        case.tools -= children
        case.kill()
        out.over = True
        return out


class Outside(Scene):
    """A file and pipes that reach outside the tree: --external and --inherit-fd."""

    ignored = ("fd 50", "fd 51")  # O_LARGEFILE: ours are opened again through /proc
    file = ends_of_pipes = None

    def open_here(self):
        """What we hold: the file and our ends of the pipes, or both ends of new ones."""
        return (self.file, *(self.ends_of_pipes or (self.out, self.into))) if self.file else ()

    def start(self, case):
        import test_external
        for fd in self.open_here():
            os.close(fd)
        self.out, self.into, self.file = test_external.start(case)
        self.key = test_external.key(case, 52)
        self.options = () if self.verb == "restore" else ("--external", self.key)
        self.ends_of_pipes = None
        self.look_at_pipes(case)

    def look_at_pipes(self, case):
        self.pipes = [os.readlink(f"/proc/{case.root}/fd/{n}") for n in (50, 51)]

    def dump(self, case):
        return case.dump("--external", self.key)

    def inherited(self):
        """Fresh pipes for each restore: (options, descriptors)."""
        for fd in self.ends_of_pipes or (self.out, self.into):
            os.close(fd)
        out, into = os.pipe(), os.pipe()
        self.ends_of_pipes = (*out, *into)
        fds = (self.file, out[1], into[0])
        options = [w for fd, what in zip(fds, (self.key, *self.pipes))
                   for w in ("--inherit-fd", f"fd[{fd}]:{what}")]
        self.given = options
        return fds

    def words(self, case):
        return [*super().words(case), *(self.given if self.verb == "restore" else ())]

    def restore(self, case, images):
        fds = self.inherited()
        case.restore(images, *self.given, pass_fds=fds)

    def begin(self, case, fault, images, **popen):
        fds = self.inherited() if self.verb == "restore" else self.look_at_pipes(case) or ()
        return super().begin(case, fault, images, pass_fds=fds, **popen)

    def verdict(self, case):
        if self.ends_of_pipes:
            os.close(self.ends_of_pipes[1])
            os.close(self.ends_of_pipes[2])
            out, into = self.ends_of_pipes[0], self.ends_of_pipes[3]
            self.out, self.into, self.ends_of_pipes = out, into, None
        os.write(self.into, b"+sent")
        super().verdict(case)
        got = os.read(self.out, 64)
        need(got == b"child parent", f"what the tasks wrote did not arrive, but {got}")


class ShellJob(Scene):
    """A session on a terminal of ours, with half a line typed."""

    def make_terminal(self):
        """Its slave opened as programs open it."""
        import test_terminals
        terminal = test_terminals.Terminal(30, 100)
        os.close(terminal.slave)
        terminal.slave = os.open(terminal.name, os.O_RDWR | os.O_NOCTTY)
        return terminal

    def start(self, case):
        import test_terminals
        self.terminal = self.make_terminal()
        test_terminals.prepare(case)
        path = str(self.program.path)
        case.root = test_terminals.session_on(
            case, self.terminal, lambda: os.execv(path, [path, str(case.dir)]))
        case.tools.discard(case.root)
        poll(case.is_ready, 10, "the job getting ready")
        self.terminal.type("half a ")
        self.restored = False

    def state(self, case):
        t = self.terminal
        return {"foreground": t.foreground(), "size": t.size(),
                "termios": termios.tcgetattr(t.slave), "screen": t.look()}

    def dump(self, case):
        return case.dump("--shell-job")

    def new_terminal(self):
        """A hangup has made the old one unusable; the new one has its number."""
        self.terminal.close()
        self.terminal = self.make_terminal()
        self.restored = True
        return {"stdin": self.terminal.slave}

    def restore(self, case, images):
        (case.dir / "tool.out").unlink(missing_ok=True)
        with open(case.dir / "tool.out", "wb") as out:
            ran = subprocess.run([FERMATA, "restore", "-d", "-j", "-v4", "-D", images, "-o",
                                  "restore.log"], stdout=out, stderr=out, **self.new_terminal())
        if ran.returncode:
            raise Failure(f"restore: {(case.dir / 'tool.out').read_text()}")

    def words(self, case):
        return [*super().words(case), "--shell-job"]

    def begin(self, case, fault, images, **popen):
        more = self.new_terminal() if self.verb == "restore" else {}
        return super().begin(case, fault, images, **more, **popen)

    def verdict(self, case):
        self.terminal.type("half a line\n" if self.restored else "line\n")
        super().verdict(case)


class Request(Scene):
    """By the Python client, through a worker of its own."""

    answered = True

    def server(self, case, fault):
        path = command(case.dir / "run.worker", " ".join(
            ["exec", *fault.prefix(case.dir / "report"), FERMATA, '"$@"']))
        os.environ.update(fault.environment())
        return {"binary": str(path)}

    def ask(self, case, images, client):
        log = {"log_file": f"{self.verb}.log", "log_level": 4}
        if self.verb == "dump":
            client.dump(images, pid=case.root, **log)
        else:
            need(client.restore(images, **log) == case.root, "the answer has another PID")

    def attempt(self, case, fault, images):
        module = python_module("rpc")
        (case.dir / "report").unlink(missing_ok=True)
        server = self.server(case, fault)
        try:
            client = module.Client(**server)
        except OSError as e:
            (case.dir / "tool.out").write_text(str(e))
            self.afterwards(case)
            return self.outcome(case, 1, fault, images)
        try:
            client.sock.settimeout(PATIENCE)
            if client.process:
                case.tools.add(client.process.pid)
            status = self.request(case, images, client, module)
        finally:
            os.environ.pop("FERMATA_FAULT_STEP", None)
            client.close()
            case.tools.discard(client.process.pid if client.process else None)
        self.afterwards(case)
        return self.outcome(case, status, fault, images)

    def request(self, case, images, client, module):
        """0: granted. A refusal has a reason; otherwise the connection is closed."""
        try:
            self.ask(case, images, client)
            return 0
        except module.Failed as e:
            if e.response is not None and not e.response.cr_errmsg.strip():
                raise Failure(f"an answer without a reason: {e.response}") from None
            (case.dir / "tool.out").write_text(str(e))
            return 1
        except TimeoutError:
            raise Failure("no answer, and the connection is open") from None
        except OSError as e:
            (case.dir / "tool.out").write_text(str(e))
            return 1

    def afterwards(self, case):
        pass


class Service(Request):
    """The same by the daemon, which must serve the next client."""

    def server(self, case, fault):
        self.address, pidfile = case.dir / "run.socket", case.dir / "run.pid"
        for path in (self.address, pidfile):
            path.unlink(missing_ok=True)
        with open(case.dir / "run.out", "wb") as log:
            self.process = subprocess.Popen(
                [*fault.prefix(case.dir / "report", "-f"), FERMATA, "service", "--address", self.address,
                 "-W", case.dir, "--pidfile", pidfile], stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, env={**os.environ, **fault.environment()})
        case.tools.add(self.process.pid)
        poll(lambda: listens(self.address) or self.process.poll() is not None, PATIENCE, "the service")
        self.pid = next((p for p, t in snapshot.stats().items() if t["ppid"] == self.process.pid),
                        None)
        case.tools.add(self.pid)
        self.fds = self.count_fds()
        return {"address": str(self.address)}

    def count_fds(self):
        try:
            return len(os.listdir(f"/proc/{self.pid}/fd")) if self.pid else 0
        except OSError:
            return 0

    def afterwards(self, case):
        """If it is there it serves, holds no more than before and has no children."""
        module = python_module("rpc")
        if self.serves():
            for attempt in range(2):  # the fault may have been for this one
                try:
                    with module.Client(address=str(self.address)) as c:
                        need(c.version() == (4, 2), "version")
                    break
                except (module.Failed, OSError) as e:
                    if attempt and not self.ends():
                        raise Failure(f"the service does not serve: {e}") from None
        if self.serves():
            def idle():
                return self.count_fds() <= self.fds and not any(
                    t["ppid"] == self.pid for t in snapshot.stats().values())
            poll(lambda: idle() or not self.serves(), PATIENCE, "the service letting go of its clients")
        self.end(case)

    def serves(self):
        return self.process.poll() is None and self.pid in snapshot.stats() and \
            snapshot.stats()[self.pid]["state"] != "Z"

    def ends(self):
        """It closes its socket a moment before it is dead."""
        end = time.monotonic() + 1
        while self.serves() and time.monotonic() < end:
            time.sleep(0.01)
        return not self.serves()

    def end(self, case):
        if self.serves():
            os.kill(self.pid, signal.SIGTERM)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Failure("the service or a worker does not end") from None
        finally:
            case.tools -= {self.process.pid, self.pid}


class Library(Scene):
    """By libcriu."""

    compiled = None

    def client(self, case):
        import test_libcriu
        if not self.compiled:
            # pkg-config(1) takes a colon for the end of a path
            base = types.SimpleNamespace(dir=Path(tempfile.mkdtemp(dir="/tmp", prefix="faults-")))
            self.compiled = test_libcriu.compile_client(base, "one.c", "-pthread")
        return self.compiled

    def request(self, case, fault, images):
        client, env = self.client(case)
        path = command(case.dir / "run.worker", " ".join(
            ["exec", *fault.prefix(case.dir / "report"), FERMATA, '"$@"']))
        argv = [client, path, self.verb, images, *([case.root] if self.verb == "dump" else [])]
        return [str(a) for a in argv], {**os.environ, **env, **fault.environment()}

    def attempt(self, case, fault, images):
        (case.dir / "report").unlink(missing_ok=True)
        argv, env = self.request(case, fault, images)
        with open(case.dir / "tool.out", "wb") as out:
            tool = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env)
        case.tools.add(tool.pid)
        try:
            status = tool.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            tool.kill()
            tool.wait()
            raise Failure(f"no answer within {PATIENCE} s") from None
        finally:
            case.tools.discard(tool.pid)
        if status not in (0, 3):
            raise Failure(f"the client ended with {status}: {(case.dir / 'tool.out').read_text()}")
        poll((case.dir / "report").exists, PATIENCE, "the end of the worker")
        return self.outcome(case, status, fault, images)


class Itself(Library):
    """A process that has itself dumped by libcriu: a new one, and its own judge, at each point."""

    def start(self, case):
        case.root = None

    def restore(self, case, images):
        pass  # attempt() did

    def verdict(self, case):
        pass

    def attempt(self, case, fault, images):
        """It goes on and knows that the dump failed, or it is in the images and ends well again."""
        (case.dir / "report").unlink(missing_ok=True)
        client, env = self.client(case)
        path = command(case.dir / "run.worker", " ".join(
            ["exec", *fault.prefix(case.dir / "report"), FERMATA, '"$@"']))
        with open(case.dir / "tool.out", "wb") as out:
            target = subprocess.Popen([str(a) for a in (client, path, "self", images)], stdout=out,
                                      stderr=out, stdin=subprocess.DEVNULL, start_new_session=True,
                                      env={**os.environ, **env, **fault.environment()})
        case.tools.add(target.pid)
        try:
            status = target.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            target.kill()
            target.wait()
            raise Failure(f"neither dumped nor told within {PATIENCE} s") from None
        finally:
            case.tools.discard(target.pid)
        poll((case.dir / "report").exists, PATIENCE, "the end of the worker")
        if status == -signal.SIGKILL:
            case.gone()
            case.restore(images)
            poll(lambda: not case.pids(), PATIENCE, "the end of the restored client")
        elif status != 3:
            raise Failure(f"the client ended with {status}: {(case.dir / 'tool.out').read_text()}")
        return self.outcome(case, 0 if status < 0 else 1, fault, images)


PROGRAMS = ["still", "pending", "tree3", "shared_anon",
            "ghost_files", "pipes", "fifos", "unix_pairs", "tcp_pairs", "file_locks", "epolls",
            "pty_pairs", "memfd", "sysv_shm", "sysv_sem", "creds", "seccomp_filters", "zombies"]


def both(kind, name, program, *options, **attributes):
    return [kind(name, program, verb, *options, **attributes) for verb in ("dump", "restore")]


def all_scenes():
    scenes = [s for name in PROGRAMS for s in both(Scene, name, name)]
    scenes += both(Scene, "pty_session", "pty_session", stops_again=True)
    scenes += both(Scene, "threads8", "threads8", restless=True)
    scenes += both(Scene, "itimers", "itimers", restless=True)
    scenes += both(Scene, "link_remap", "link_remap", once=True)
    scenes += both(Summed, "checksum", "still")
    scenes += [OnTmpfs("tmpfs", "anon_pages", "dump", restless=True)]
    scenes += [OnTmpfsFromOutside("tmpfs_outside", "anon_pages", "dump", restless=True)]
    scenes += both(ShellJob, "shell_job", "shell_job")
    scenes += both(Outside, "external", "outside")
    scenes += both(Request, "swrk", "still")
    scenes += both(Service, "service", "still")
    scenes += both(Library, "libcriu", "still")
    scenes += [Itself("self", "still", "dump")]
    scenes += both(Scene, "scripts", "counter", "--action-script", "/bin/true")
    scenes += [
        Scene("leave_running", "still", "dump", "--leave-running", ends=False),
        Explained("explain", "still", "dump", "--explain"),
        Explained("explain", "still", "restore", "--explain"),
        Explained("check", "threads8", "check", "--all"),
        Explained("check_tree", "still", "check", "-t", "ROOT"),
        Attended("attended", "still", "restore"),
        Scene("sibling", "still", "restore", "--restore-sibling"),
    ]
    return {f"{s.name}:{s.verb}": s for s in scenes}
