"""What the tool shows on a terminal: progress of long runs, colour; and what it does not elsewhere."""
import os
import pty
import re
import subprocess
import threading
from pathlib import Path

from live import FERMATA, need, poll
from scenario import scenario

# Memory to copy; then deaf and mute as the other programs.
MEMORY = "import time; m = bytearray(b'x') * (40 << 20); open('{}', 'w'); time.sleep(1000)"


def on_terminal(argv, env=None):
    """Run argv with standard error on a terminal of its own; its status, and all that came there."""
    ours, theirs = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
    environment.update({"TERM": "xterm"}, **env or {})

    def own_terminal():
        os.setsid()
        import fcntl
        import termios
        fcntl.ioctl(2, termios.TIOCSCTTY, 0)
    job = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stderr=theirs,
                           stdout=subprocess.DEVNULL, env=environment, preexec_fn=own_terminal)
    os.close(theirs)
    seen = []

    def read():
        try:
            while data := os.read(ours, 4096):
                seen.append(data)
        except OSError:  # all have closed it
            pass
    reader = threading.Thread(target=read)
    reader.start()
    status = job.wait(40)
    reader.join(10)
    os.close(ours)
    return status, b"".join(seen).decode()


def screen(text):
    """What a terminal shows in the end: lines, after carriage returns and erasures."""
    shown = []
    for line in text.replace("\r\n", "\n").split("\n"):
        line = line.rsplit("\r", 1)[-1]
        shown.append(line.replace("\033[K", ""))
    return "\n".join(shown)


class Run:
    """Dumps and restores of one process, on a terminal."""

    def __init__(self, case):
        self.case = case
        case.start(["/usr/bin/python3", "-c", MEMORY.format(case.dir / "built")], ready=False)
        poll((case.dir / "built").exists, 20, "the process")
        self.slow = case.dir / "slow"
        self.slow.write_text("#!/bin/sh\nsleep 0.6\n")
        self.slow.chmod(0o755)
        self.criu = case.dir / "criu"
        self.criu.symlink_to(FERMATA)

    def dump(self, *options, tool=FERMATA, leave="-R", **kw):
        images = self.case.new_images()
        status, text = on_terminal([tool, "dump", "-D", images, "-t", self.case.root, leave, *options], **kw)
        need(status == 0, f"status {status}: {text!r}")
        return text


@scenario
def test_progress(case):
    """A long run shows one line that is redrawn and erased; a short one nothing; nor does it under
    the other name, for programs, with a log on the terminal, or on a dumb one."""
    run = Run(case)
    slow = ["--action-script", run.slow]
    need(run.dump() == "", "a short run was not silent")
    text = run.dump(*slow)
    line = re.search(r"\r\033\[1mdump\033\[0m: [\d.]+ [KMG]iB of ([\d.]+) MiB \(\d+%\), [\d.]+ .iB/s\033\[K", text)
    need(line and 39 < float(line[1]) < 80, f"no progress: {text!r}")
    need(text.endswith("\r\033[K") and screen(text) == "", f"not erased: {text!r}")
    text = run.dump(*slow, env={"NO_COLOR": "1"})
    need("\rdump: " in text and "\033[1m" not in text, f"colour: {text!r}")
    for options, how in ((["-o", "log"], {"tool": run.criu}), (["--json"], {}), (["-v4"], {}),
                         (["-o", "/dev/tty", "-v3"], {}), ([], {"env": {"TERM": "dumb"}})):
        text = run.dump(*slow, *options, **how)
        need("\033[K" not in text, f"{options}: {text!r}")


@scenario
def test_progress_of_restore(case):
    run = Run(case)
    run.dump(leave="-s")
    images = case.dir / "images1"
    case.kill()
    status, text = on_terminal([FERMATA, "restore", "-d", "-D", images, "--action-script", run.slow])
    need(status == 0 and "restore\033[0m: " in text and screen(text) == "", f"status {status}: {text!r}")
    need(re.search(r"restore\S+: [\d.]+ .iB of 4\d MiB \(\d+%\)", text), f"no progress: {text!r}")


@scenario
def test_colour_of_errors(case):
    """Failures are in colour on a terminal only, and only under our name."""
    argv = ["dump", "-t", "999999", "-D", case.new_images()]
    criu = case.dir / "criu"
    criu.symlink_to(FERMATA)
    for tool, options, env, coloured in (
            (FERMATA, [], {}, True), (FERMATA, ["-o", "log"], {}, True), (criu, [], {}, False),
            (FERMATA, [], {"NO_COLOR": "1"}, False), (FERMATA, [], {"TERM": "dumb"}, False)):
        status, text = on_terminal([tool, *argv, *options], env=env)
        need(status == 1 and "no process with PID 999999" in text, f"{tool} {options}: {text!r}")
        need(("\033[1;31mError:\033[0m " in text) == coloured, f"{tool} {options} {env}: {text!r}")
    need("\033" not in (Path(argv[-1]) / "log").read_text(), "colour in a file")


@scenario
def test_stopped_terminal(case):
    """A terminal that takes no output (^S) holds nothing up: tasks are stopped meanwhile."""
    import termios
    run = Run(case)
    ours, theirs = pty.openpty()
    termios.tcflow(theirs, termios.TCOOFF)
    job = subprocess.Popen([FERMATA, "dump", "-D", str(case.new_images()), "-t", str(case.root), "-R",
                            "--action-script", str(run.slow)], stdin=subprocess.DEVNULL, stderr=theirs,
                           start_new_session=True, env={**os.environ, "TERM": "xterm"})
    need(job.wait(20) == 0, "the dump failed")
    os.close(ours)
    os.close(theirs)
