"""Terminals whose other end is outside the tree, and real programs on terminals."""
import fcntl
import os
import pty
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
import time

from live import FERMATA, Failure, Program, Skipped, poll
from scenario import scenario
from test_rpc import need, refused, rpc
from unmodified import need_tool


class Terminal:
    """A pseudo terminal of ours: what is typed into it and what appears on it."""

    def __init__(self, rows=24, cols=80):
        self.master, self.slave = pty.openpty()
        self.name = os.ttyname(self.slave)
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
        self.screen = ""

    @classmethod
    def of(cls, master):
        """One whose slave only others have."""
        self = cls.__new__(cls)
        self.master, self.slave, self.screen = master, None, ""
        return self

    def type(self, text):
        os.write(self.master, text.encode())

    def look(self, timeout=0.0):
        if select.select([self.master], [], [], timeout)[0]:
            try:
                self.screen += os.read(self.master, 65536).decode(errors="replace")
            except OSError:
                pass
        return self.screen

    def expect(self, pattern, timeout=10):
        """Wait until it appears; what came before it is forgotten."""
        end = time.monotonic() + timeout
        while not (found := re.search(pattern, self.look(0.02), re.S)):
            if time.monotonic() > end:
                raise Failure(f"no /{pattern}/ on the terminal within {timeout} s, but: "
                              f"{self.screen!r}")
        self.screen = self.screen[found.end():]
        return found

    def foreground(self):
        return os.tcgetpgrp(self.master)

    def size(self):
        return struct.unpack("HHHH", fcntl.ioctl(self.master, termios.TIOCGWINSZ, bytes(8)))[:2]

    def close(self):
        for fd in (self.master, self.slave):
            if fd is not None:
                os.close(fd)


def session_on(case, terminal, body):
    """Run body() as the leader of a session that has the terminal. Not part of the tree."""
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            fcntl.ioctl(terminal.slave, termios.TIOCSCTTY, 0)
            for fd in (0, 1, 2):
                os.dup2(terminal.slave, fd)
            os.closerange(3, 100)
            for sig in (signal.SIGTTOU, signal.SIGTTIN):
                signal.signal(sig, signal.SIG_IGN)
            body()
        finally:
            os._exit(1)
    case.tools.add(pid)
    return pid


def shell(case, terminal, argv, note=None):
    """A shell that runs one foreground job and takes its terminal back when that is over."""
    def body():
        job = os.fork()
        if job == 0:
            os.setpgid(0, 0)
            os.tcsetpgrp(0, os.getpid())
            for sig in (signal.SIGTTOU, signal.SIGTTIN):
                signal.signal(sig, signal.SIG_DFL)
            os.execv(argv[0], [str(a) for a in argv])
        if note:
            note.write_text(str(job))
        _, status = os.waitpid(job, 0)
        os.tcsetpgrp(0, os.getpid())
        (case.dir / f"shell.{os.getpid()}").write_text(str(status))
        while True:
            signal.pause()
    return session_on(case, terminal, body)


def end_shell(case, pid):
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    case.tools.discard(pid)


def prepare(case):
    (case.dir / "ctl").write_bytes(bytes(4096))


def shell_status(case, pid):
    path = case.dir / f"shell.{pid}"
    poll(lambda: path.exists() and path.read_text(), 20, "the end of the job")
    return int(path.read_text())


def restore_on(case, terminal, images, *options):
    """restore --shell-job as a shell on that terminal would call it. The tool stays."""
    log = images / "restore.log"
    argv = [FERMATA, "restore", "-j", "-D", images, "-o", "restore.log", "-v4", *options]
    pid = shell(case, terminal, argv)

    def resumed():
        if (case.dir / f"shell.{pid}").exists():
            raise Failure(f"restore failed\n{log.read_text()[-3000:]}\n{terminal.look()}")
        return log.exists() and "Tasks resumed" in log.read_text()
    poll(resumed, 20, "the restore")
    if "Error" in log.read_text():
        raise Failure(f"the log has a line with Error\n{log.read_text()}")
    return pid


@scenario
def test_job(case):
    """Dumped from one terminal, restored to another: that of the caller.
    PROVES: F189 F190 F186"""
    prepare(case)
    first, second = Terminal(30, 100), Terminal(40, 90)
    program = Program("tty_job")
    note = case.dir / "job"
    outer = shell(case, first, [program.path, case.dir], note)
    poll(case.is_ready, 10, "the job getting ready")
    case.root = int(note.read_text())
    ran = case.refused("dump", r"Consider using --shell-job", "-t", case.root)
    if not re.search(rf"fd 0.*{first.name}.*session {outer}\b.*group {case.root}\b", ran.text):
        raise Failure(f"session and group are not named: {ran.describe()}")
    images = case.dump("--shell-job")
    shell_status(case, outer)
    end_shell(case, outer)
    case.refused("restore", "shell-job", "-d", images=images)
    case.refused("restore", "standard input", "-d", "-j", images=images)
    module = rpc()
    with module.Client(FERMATA, on_notify=lambda *_: True) as c:
        refused(module, lambda: c.restore(images, shell_job=True, orphan_pts_master=True),
                f"the leader of session {outer}", "orphan_pts_master")
    new_shell = restore_on(case, second, images)
    if os.getsid(case.root) != new_shell:
        raise Failure(f"session {os.getsid(case.root)}, not that of the shell ({new_shell})")
    if second.foreground() != case.root:
        raise Failure(f"{second.foreground()} is in the foreground, not the job")
    if second.size() != (40, 90):
        raise Failure(f"the window of the terminal has changed to {second.size()}")
    case.release()
    second.expect("restored")
    second.type("typed")
    case.verdict()
    if shell_status(case, new_shell):
        raise Failure("the tool did not end well")
    end_shell(case, new_shell)


def bash_leader(case, terminal):
    bash = shutil.which("bash")
    if not bash:
        raise Skipped("no bash here")
    env = {"PS1": "prompt> ", "PATH": os.environ["PATH"], "TERM": "dumb"}
    case.root = session_on(case, terminal, lambda: os.execve(
        bash, ["bash", "--norc", "--noprofile", "-i"], env))
    case.tools.discard(case.root)
    terminal.expect("prompt> ")
    terminal.type("sleep 1000 &\n")
    terminal.expect(r"\[1\] \d+.*prompt> ")
    terminal.type("answer=6\n")
    terminal.expect("prompt> ")


def use_bash(terminal):
    terminal.type("echo $((answer*7))\n")
    terminal.expect("\n42\r\nprompt> ")
    terminal.type("sleep 1000 | cat\n")
    terminal.expect("cat")
    time.sleep(0.2)
    terminal.type("\x1a")
    terminal.expect(r"\[2\]\+ +Stopped.*prompt> ")
    terminal.type("fg\n")
    terminal.expect(r"sleep 1000 \| cat")
    time.sleep(0.2)
    terminal.type("\x03")
    terminal.expect("prompt> ")
    terminal.type("jobs\n")
    terminal.expect(r"\[1\]\+ +Running +sleep 1000")


@scenario
def test_bash(case):
    """A shell that leads the session of its terminal, which is not in the tree.
    PROVES: F189 F185"""
    first, second = Terminal(), Terminal()
    bash_leader(case, first)
    case.refused("dump", "Consider using --shell-job", "-t", case.root)
    images = case.dump("--shell-job")
    outer = restore_on(case, second, images)
    if os.tcgetpgrp(second.master) != case.root or os.getsid(case.root) != case.root:
        raise Failure("bash has not its terminal back")
    use_bash(second)
    second.type("kill %1; exit\n")
    case.gone([case.root])
    end_shell(case, outer)


def restore_for_master(module, images, answer=True, **client):
    """A restore whose client gets the master of the new terminal, or does not want it."""
    told, masters = [], []

    def hear(script, pid, fd):
        told.append(script)
        masters.extend([fd] if fd >= 0 else [])
        return answer or script != "orphan-pts-master"
    options = {"shell_job": True} if client else {}
    try:
        with module.Client(on_notify=hear, **client or {"binary": FERMATA}) as c:
            c.restore(images, orphan_pts_master=True, **options)
    finally:
        for fd in masters if not answer else []:
            os.close(fd)
    need(len(masters) == 1, f"the descriptors {masters} came")
    need(told == ["pre-restore", "orphan-pts-master", "post-restore", "pre-resume", "post-resume"],
         f"told: {told}")
    return Terminal.of(masters[0])


def need_leader_on(case, terminal, size):
    need(terminal.foreground() == case.root, f"{terminal.foreground()} is in the foreground")
    need(terminal.size() == size, f"the window has {terminal.size()}")


@scenario(args=["taken", "free"])
def test_master_for_client(case, number):
    """A client of the service gets the other end of a new terminal, with a shell on it.
    PROVES: F367 F377 F189"""
    module, first = rpc(), Terminal(50, 60)
    bash_leader(case, first)
    images = case.new_images()
    with module.Client(FERMATA) as c:
        refused(module, lambda: c.dump(images, pid=case.root), "Consider using --shell-job")
    with module.Client(FERMATA) as c:
        c.dump(images, pid=case.root, orphan_pts_master=True)
    case.gone()
    if number == "free":
        first.close()
    second = restore_for_master(module, images)
    name = os.readlink(f"/proc/{case.root}/fd/0")
    need((name == first.name) == (number == "free"), f"the new terminal is {name}")
    need_leader_on(case, second, (50, 60))
    use_bash(second)
    second.type("tty; stty size\n")
    second.expect(f"\n{name}\r\n50 60\r\n")
    fcntl.ioctl(second.master, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 70, 0, 0))
    second.type("kill %1\n")
    images = case.new_images()
    with module.Client(FERMATA) as c:
        c.dump(images, pid=case.root, orphan_pts_master=True)
    case.gone()
    second.close()
    third = restore_for_master(module, images)
    need_leader_on(case, third, (20, 70))
    third.type("echo $((answer*7))\n")
    third.expect("\n42\r\n")
    third.close()
    case.gone()


@scenario(args=["tty_job", "counter"])
def test_master_refused(case, name):
    """Who does not want the master has the terminal of the tool, as a job of a shell, or nothing.
    The leader has its terminal open, or nowhere.
    PROVES: F360 F377"""
    module, first, other = rpc(), Terminal(50, 60), Terminal(50, 60)
    program = Program(name)
    prepare(case)

    def body():
        if name == "counter":
            null = os.open("/dev/null", os.O_RDWR)
            for fd in (0, 1, 2):
                os.dup2(null, fd)
            os.close(null)
        os.execv(program.path, [program.path, str(case.dir), "leader"])
    case.root = session_on(case, first, body)
    case.tools.discard(case.root)
    poll(case.is_ready, 10, "the program getting ready")
    images = case.new_images()
    with module.Client(FERMATA) as c:
        c.dump(images, pid=case.root, orphan_pts_master=True)
    case.gone()
    refused(module, lambda: restore_for_master(module, images, answer=False),
            "the client objects at orphan-pts-master")
    case.gone()

    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        tool = subprocess.Popen([FERMATA, "swrk", str(theirs.fileno())], stdin=other.slave,
                                pass_fds=[theirs.fileno()])
    restore_for_master(module, images, answer=False, sock=ours)
    tool.wait()
    need_leader_on(case, other, (50, 60))
    case.kill()
    terminal = restore_for_master(module, images)
    need_leader_on(case, terminal, (50, 60) if name == "tty_job" else (0, 0))
    case.release()
    if name == "tty_job":
        terminal.expect("restored")
        terminal.type("typed")
    case.verdict()


@scenario
def test_leader_without_descriptors(case):
    """A leader that has its terminal nowhere open gets that of the caller all the same.
    PROVES: F185 F189"""
    first, second = Terminal(), Terminal()
    program = Program("counter")
    prepare(case)

    def body():
        null = os.open("/dev/null", os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        os.close(null)
        os.execv(program.path, [program.path, str(case.dir)])
    case.root = session_on(case, first, body)
    case.tools.discard(case.root)
    poll(case.is_ready, 10, "the program getting ready")
    case.refused("dump", "its controlling terminal.*Consider using --shell-job", "-t", case.root)
    images = case.dump("--shell-job")
    case.refused("restore", "use --shell-job", "-d", images=images)
    case.refused_early("restore", "standard input", "-d", "-j", images=images)
    outer = restore_on(case, second, images)
    if second.foreground() != case.root:
        raise Failure(f"{second.foreground()} is in the foreground of the terminal")
    case.release()
    case.verdict()
    end_shell(case, outer)


@scenario
def test_two_terminals(case):
    """Only one can be that of the caller.
    PROVES: F189"""
    first, second = Terminal(), Terminal()
    prepare(case)
    case.root = subprocess.Popen(
        [sys.executable, "-c", "import sys, time\nopen(sys.argv[1], 'w').close()\n"
         "while 1: time.sleep(.01)", case.dir / "ready"], stdin=first.slave, stdout=second.slave,
        stderr=second.slave, start_new_session=True).pid
    poll(case.is_ready, 10, "the program getting ready")
    case.refused("dump", f"{second.name} is the second terminal", "-t", case.root, "-j")
    images = case.new_images()
    case.need(case.run("dump", images, "-t", case.root, "-j", "-R", "--external",
                       external_key(second.slave)), "dump of one of each")
    case.kill()


def external_key(fd):
    st = os.fstat(fd)
    return f"tty[{st.st_rdev:x}:{st.st_dev:x}]"


@scenario(args=["external", "leader"])
def test_external(case, how):
    """A terminal that the caller names, and replaces; also as the controlling one of a session.
    PROVES: F191"""
    first, second = Terminal(), Terminal(50, 60)
    program = Program("tty_job")
    prepare(case)
    if how == "leader":
        case.root = session_on(case, first, lambda: os.execv(
            program.path, [program.path, str(case.dir), how]))
        case.tools.discard(case.root)
    else:
        case.root = subprocess.Popen(
            [program.path, case.dir, how], stdin=first.slave, stdout=first.slave,
            stderr=first.slave, start_new_session=True).pid
    poll(case.is_ready, 10, "the program getting ready")
    key = external_key(first.slave)
    ran = case.refused("dump", "--external", "-t", case.root)
    if key not in ran.text:
        raise Failure(f"the refusal does not name {key}: {ran.describe()}")
    images = case.new_images()
    case.need(case.run("dump", images, "-t", case.root, "--external", key), "dump")
    case.gone()
    case.refused("restore", re.escape(key), "-d", images=images)
    tool = case.run("restore", images, "-d", "--inherit-fd", f"fd[{second.slave}]:{key}",
                    pass_fds=[second.slave])
    case.need(tool, "restore")
    if os.readlink(f"/proc/{case.root}/fd/0") != second.name:
        raise Failure(f"it has {os.readlink(f'/proc/{case.root}/fd/0')}, not {second.name}")
    case.release()
    second.expect("restored")
    second.type("typed")
    case.verdict()


@scenario
def test_number_taken(case):
    """PROVES: F184"""
    case.start_program(Program("pty_pairs"))
    images = case.dump()
    blocker, _ = pty.openpty()
    case.refused_early("restore", r"pseudo terminal number 0 is taken: /dev/pts/0", "-d",
                       images=images)
    os.close(blocker)
    os.close(_)
    case.restore(images)
    case.release()
    case.verdict()


@scenario
def test_slave_outside(case):
    """The master is in the tree, the slave open elsewhere: whoever has it would be hung up.
    PROVES: F034"""
    prepare(case)
    child = case.start([sys.executable, "-c", "import os, sys, time\nm = os.open('/dev/ptmx', "
                        "os.O_RDWR)\nimport fcntl, struct\nfcntl.ioctl(m, 0x40045431, bytes(4))\n"
                        "open(sys.argv[1], 'w').close()\nwhile 1: time.sleep(.01)",
                        case.dir / "ready"])
    fd = os.open("/dev/pts/0", os.O_RDWR | os.O_NOCTTY)
    case.refused("dump", rf"/dev/pts/0, which process {os.getpid()} outside the tree", "-t", child)
    os.close(fd)
    case.kill()


@scenario
def test_unread_packet_status(case):
    """PROVES: F034"""
    prepare(case)
    child = case.start([sys.executable, "-c", "import os, sys, time, pty, fcntl, struct, termios\n"
                        "m, s = pty.openpty()\nfcntl.ioctl(m, 0x5420, struct.pack('i', 1))\n"
                        "termios.tcflow(s, termios.TCOOFF)\nopen(sys.argv[1], 'w').close()\n"
                        "while 1: time.sleep(.01)", case.dir / "ready"])
    case.refused("dump", "status byte of packet mode", "-t", child)
    case.advances(1)
    case.kill()


DRIVER = """
import os, pty, re, select, sys
pid, fd = pty.fork()
if pid == 0:
    os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"],
               {"PS1": "> ", "PATH": os.environ["PATH"], "TERM": "dumb"})
seen = ""
def expect(pattern):
    global seen
    while not (m := re.search(pattern, seen, re.S)):
        seen += os.read(fd, 4096).decode()
    seen = seen[m.end():]
expect("> ")
os.write(fd, b"trap 'echo HANGUP' HUP; total=0; sleep 1000 &\\n")
expect(r"\\[1\\] \\d+.*> ")
for i in range(400):
    os.write(fd, b"total=$((total + %d)); e" % i)
    os.write(fd, b"cho sum-$total-\\n")
    expect(r"\\nsum-%d-\\r\\n> " % (i * (i + 1) // 2))
    print(i, flush=True)
os.write(fd, b"jobs; kill %1; exit\\n")
expect("Running +sleep 1000")
os.waitpid(pid, 0)
print("HANGUP" in seen and "bad" or "good", flush=True)
"""


@scenario
def test_python_drives_bash(case):
    """A program that converses with a shell on a pseudo terminal, dumped in mid-sentence.
    PROVES: F184 F186"""
    need_tool("bash")
    case.start([sys.executable, "-c", DRIVER], ready=False)
    out = case.dir / "out"
    for n in (20, 40, 60):
        poll(lambda: f"\n{n}\n" in out.read_text() or not case.pids(), 20, f"round {n}")
        case.restore(case.dump())
    poll(lambda: not case.pids(), 30, "the end")
    if not out.read_text().endswith("399\ngood\n"):
        raise Failure(f"the driver said {out.read_text()[-500:]!r}")


@scenario
def test_script(case):
    """script(1), which has a shell on a pseudo terminal and its own input from elsewhere.
    PROVES: F184"""
    need_tool("script")
    os.mkfifo(case.dir / "keys")
    case.start([need_tool("bash"), "-c", "exec script -qf -c 'bash --norc --noprofile -i' "
                "$0/typescript <>$0/keys >/dev/null", case.dir], ready=False)
    keys = os.open(case.dir / "keys", os.O_RDWR | os.O_NONBLOCK)
    typescript = case.dir / "typescript"

    def ask(number):
        os.write(keys, f"n=$((n+1)); echo answer-{number}-$n-\n".encode())
        poll(lambda: f"\nanswer-{number}-{number}-" in typescript.read_text().replace("\r", ""),
             10, f"answer {number} in {typescript.read_text()!r}")
    poll(lambda: typescript.exists() and "bash-" in typescript.read_text(), 10, "a prompt")
    ask(1)
    for number in (2, 3):
        case.restore(case.dump())
        ask(number)
    images = case.dump("--leave-running")
    case.kill()
    case.restore(images)
    ask(4)
    os.write(keys, b"exit\n")
    case.gone()
    os.close(keys)


@scenario
def test_script_job(case):
    """script(1) on the terminal of its caller, with another terminal inside; a window of another
    size is told through to the shell.
    PROVES: F189 F184"""
    script, note = need_tool("script"), case.dir / "job"
    first, second = Terminal(25, 81), Terminal(41, 83)
    outer = shell(case, first, [script, "-qc", "bash --norc --noprofile -i", "/dev/null"], note)
    first.expect("bash-.*[#$] ")
    case.root = int(note.read_text())
    first.type("n=5; stty size\n")
    first.expect(r"25 81\r.*[#$] ")
    first.type("echo half")
    first.expect("half")
    images = case.dump("--shell-job")
    shell_status(case, outer)
    end_shell(case, outer)
    outer = restore_on(case, second, images)
    second.type("-typed-$n; stty size\n")
    second.expect("half-typed-5\r.*41 83\r")
    second.type("exit\n")
    if shell_status(case, outer):
        raise Failure("the tool did not end well")
    end_shell(case, outer)


@scenario
def test_preflight(case):
    """check and --explain change nothing of a tree with terminals.
    PROVES: F193"""
    case.start_program(Program("pty_session"))
    case.need(case.run("check", case.new_images(), "-t", case.root), "check")
    images = case.dump()
    numbers = sorted(os.listdir("/dev/pts"))
    ran = case.need(case.run("restore", images, "--explain"), "restore --explain")
    for step in ("take the controlling terminal", "set the foreground group",
                 "give up the controlling terminal", '"/dev/tty"'):
        if step not in ran.text:
            raise Failure(f"no step {step!r}: {ran.describe()}")
    if sorted(os.listdir("/dev/pts")) != numbers:
        raise Failure("--explain made terminals")
    case.restore(images)
    case.release()
    case.verdict()


def screen_shows(look, pattern, what):
    """Wait for a line on the screen of a multiplexer."""
    last = [""]

    def shown():
        last[0] = look()
        return re.search(pattern, last[0], re.M)
    try:
        return poll(shown, 10, what)
    except Failure as e:
        raise Failure(f"{e}; the screen is\n{last[0]}") from None


@scenario
def test_tmux(case):
    """A server with two windows, each with a shell; clients come and go.
    PROVES: F184 F185"""
    tmux = need_tool("tmux")
    env = {**os.environ, "TERM": "xterm", "PS1": "$ ", "LC_ALL": "C.UTF-8", "TMUX_TMPDIR": str(case.dir)}
    conf = case.dir / "conf"
    conf.write_text("set -g default-command 'exec bash --norc --noprofile -i'\n"
                    "set -g exit-empty off\nset -g default-size 90x25\n")

    def call(*args):
        ran = subprocess.run([tmux, "-f", conf, "-S", case.dir / "socket", *args], env=env,
                             stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
        if ran.returncode:
            raise Failure(f"tmux {' '.join(args)}: {ran.stderr}\n")
        return ran.stdout

    def look(window):
        return lambda: call("capture-pane", "-p", "-t", f"main:{window}")

    def ask(window, number):
        call("send-keys", "-t", f"main:{window}", f"n=$((n+{number})); echo total-$n-$LINES", "Enter")

    case.start([tmux, "-D", "-f", conf, "-S", case.dir / "socket"], ready=False, env=env)
    poll(lambda: (case.dir / "socket").exists(), 10, "the server")
    call("new-session", "-d", "-s", "main")
    call("new-window", "-t", "main:1")
    for window in (0, 1):
        ask(window, 5)
        screen_shows(look(window), "^total-5-25$", f"an answer in window {window}")
    call("send-keys", "-t", "main:0", "sleep 1000 | cat", "Enter")
    screen_shows(look(0), "sleep 1000", "a job")
    call("send-keys", "-t", "main:1", "half a li")
    before = [look(0)(), look(1)()]
    for _ in range(2):
        case.restore(case.dump())
        if [look(0)(), look(1)()] != before:
            raise Failure(f"the screens were {before}, are {[look(0)(), look(1)()]}")
    call("send-keys", "-t", "main:0", "C-c")
    ask(0, 2)
    screen_shows(look(0), "^total-7-25$", "the shell after its job")
    call("send-keys", "-t", "main:1", "C-u")
    ask(1, 3)
    screen_shows(look(1), "^total-8-25$", "the other shell")
    call("resize-window", "-t", "main:1", "-x", "100", "-y", "31")
    ask(1, 1)
    screen_shows(look(1), "^total-9-31$", "the new size")
    call("kill-server")
    case.gone()


@scenario
def test_screen(case):
    """PROVES: F184"""
    screen = need_tool("screen")
    sockets = case.dir / "S"
    sockets.mkdir(0o700)
    env = {**os.environ, "TERM": "vt100", "SCREENDIR": str(sockets), "LC_ALL": "C.UTF-8"}
    rc = case.dir / "screenrc"
    rc.write_text("shell bash\ndefsilence off\n")
    hardcopy = case.dir / "hardcopy"

    def call(*args):
        # Fails as long as the server is not ready; whoever looks, looks again.
        subprocess.run([screen, "-S", "test", "-p", "0", "-X", *args], env=env,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=20)

    def look():
        call("hardcopy", str(hardcopy))
        time.sleep(0.05)
        return hardcopy.read_text(errors="replace") if hardcopy.exists() else ""

    def ask(number):
        call("stuff", f"n=\\$((n+{number})); echo total-\\$n-\\n")

    case.start([screen, "-c", rc, "-D", "-m", "-S", "test", "bash", "--norc", "--noprofile", "-i"],
               ready=False, env=env)
    screen_shows(look, "bash-", "a prompt")
    ask(5)
    screen_shows(look, "^total-5-", "an answer")
    for n in (1, 2):
        case.restore(case.dump())
        ask(1)
        screen_shows(look, f"^total-{5 + n}-", "an answer after restore")
    call("quit")
    case.gone()
