"""Configuration files: where they are looked for, which wins, what they may say."""
import os
import subprocess
from pathlib import Path

from live import FERMATA, need
from scenario import scenario


class Places:
    """Everywhere a configuration file is looked for, in namespaces of our own."""

    def __init__(self, case):
        self.case = case
        self.home = case.dir / "home"
        (self.home / ".criu").mkdir(parents=True)
        (case.dir / "etc" / "criu").mkdir(parents=True)
        subprocess.run(["mount", "--bind", case.dir / "etc", "/etc"], check=True)
        self.system = Path("/etc/criu/default.conf")
        self.user = self.home / ".criu" / "default.conf"
        self.env, self.named = case.dir / "env.conf", case.dir / "named.conf"

    def environment(self, with_file=False):
        env = {k: v for k, v in os.environ.items() if k != "CRIU_CONFIG_FILE"}
        env["HOME"] = str(self.home)
        if with_file:
            env["CRIU_CONFIG_FILE"] = str(self.env)
        return env


def log_of(case, places, *options, with_env=False, status=0):
    """The name of the log file that a dump was told, -R and -v4 given by the command line."""
    images = case.new_images()
    ran = subprocess.run([FERMATA, "dump", "-D", str(images), "-t", str(case.root), "-R", "-v4",
                          *map(str, options)], env=places.environment(with_env), stdin=subprocess.DEVNULL,
                         capture_output=True, text=True)
    need(ran.returncode == status, f"{options}: status {ran.returncode}: {ran.stderr[-600:]}")
    return sorted(p.name for p in images.glob("*.log")), ran.stderr


@scenario
def test_sources(case):
    """Each later source wins; --config and --no-default-config leave the first two out.
    PROVES: F356 F357"""
    places = Places(case)
    case.start(["sleep", "1000"], ready=False)
    places.system.write_text("log-file system.log\n")
    need(log_of(case, places)[0] == ["system.log"], "/etc/criu/default.conf")
    places.user.write_text("log-file user.log\n")
    places.env.write_text("log-file env.log\n")
    places.named.write_text("log-file named.log\n")
    need(log_of(case, places)[0] == ["user.log"], "$HOME/.criu/default.conf")
    need(log_of(case, places, with_env=True)[0] == ["env.log"], "CRIU_CONFIG_FILE")
    need(log_of(case, places, "--config", places.named, with_env=True)[0] == ["named.log"], "--config")
    need(log_of(case, places, "--config", places.named, "-o", "mine.log", with_env=True)[0] == ["mine.log"],
         "the command line")
    need(log_of(case, places, "--no-default-config")[0] == [], "--no-default-config")
    need(log_of(case, places, "--config", case.dir / "nowhere")[0] == [], "--config leaves out the first two")
    need(log_of(case, places, "--no-default-config", with_env=True)[0] == ["env.log"], "CRIU_CONFIG_FILE is no default")


@scenario
def test_syntax(case):
    """Comments, blanks, quotes, both separators; and what is refused.
    PROVES: F356"""
    places = Places(case)
    case.start(["sleep", "1000"], ready=False)

    def said(text, status=0):
        places.named.write_text(text)
        return log_of(case, places, "--config", places.named, status=status)
    for text in ("log-file=a.log", "  log-file a.log", "log-file \"a.log\"", "# x\n\nlog-file a.log # y",
                 "log-file\ta.log", "verbosity=4\nlog-file a.log\ntcp-established", "no-tcp-close\nlog-file a.log"):
        need(said(text + "\n")[0] == ["a.log"], f"{text!r}: {said(text)}")
    need(said('log-file "a b.log"\n')[0] == ["a b.log"], "a quoted blank")
    for text in ('log-file "a.log', "log-file a.log b"):
        _, words = said(text + "\n", status=1)
        need("onfiguration file" in words, f"{text!r}: {words}")
    _, words = said("no-such-option\n", status=1)
    need("no-such-option" in words, words)


@scenario
def test_it_matters(case):
    """As the reference's talk shows it: one line in a file turns a refusal into a success.
    PROVES: F356"""
    places = Places(case)
    case.start(["/usr/bin/python3", "-c", f"""
import socket, time
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen()
c = socket.create_connection(s.getsockname()); a, _ = s.accept()
open({str(case.dir / "ready")!r}, "w"); time.sleep(1000)"""])
    need("--tcp-established" in log_of(case, places, "--network-lock", "skip", status=1)[1], "not refused")
    places.user.write_text("tcp-established\n")
    log_of(case, places, "--network-lock", "skip")
