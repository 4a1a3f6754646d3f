"""libfermata-inject as installed, on a victim that checks itself afterwards."""
import os
import re
import subprocess
import sys
from pathlib import Path

from live import FERMATA, HERE, Failure, Program, poll
from scenario import scenario

BUILD = Path(FERMATA).parent
NAME = "libfermata-inject"
OBJECT_FLAGS = ["-shared", "-fPIC", "-nostdlib", "-ffreestanding", "-fno-stack-protector"]


def run(*argv, env=None, status=0):
    ran = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         text=True, env={**os.environ, **(env or {})})
    if ran.returncode != status:
        raise Failure(f"{argv}: status {ran.returncode}\n{ran.stdout}")
    return ran.stdout


class Library:
    """A client and objects of it."""

    def __init__(self, case):
        self.dir = case.dir
        self.client = case.dir / "client"
        self.library = BUILD / "lib" / "inject" / "libfermata-inject.so.0"
        self.env = {"LD_LIBRARY_PATH": str(self.library.parent)}
        self.compile(self.library, f"-I{HERE.parent.parent / 'include'}")

    def compile(self, *flags):
        run("gcc", "-Wall", "-Werror", HERE / "inject" / "client.c", "-o", self.client, *flags)

    def object(self, name):
        made = self.dir / f"{name}.so"
        run("gcc", "-O2", *OBJECT_FLAGS, HERE / "inject" / f"{name}.c", "-o", made)
        return made

    def run(self, *argv, **kw):
        return run(self.client, *argv, env=self.env, **kw)

    def begin(self, *argv):
        return subprocess.Popen([str(a) for a in (self.client, *argv)], stdout=subprocess.PIPE,
                                text=True, env={**os.environ, **self.env})


class Installed(Library):
    """The same with the library in a directory of its own, found by pkg-config."""

    def __init__(self, case, static):
        self.dir = case.dir
        self.client = case.dir / "client"
        root = case.dir / "root"
        run("meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", root)
        [config] = root.rglob("libfermata-inject.pc")
        [self.library] = root.rglob("libfermata-inject.so.0")
        self.env = {"PKG_CONFIG_PATH": str(config.parent), "PKG_CONFIG_SYSROOT_DIR": str(root),
                    "LD_LIBRARY_PATH": str(self.library.parent)}
        flags = run("pkg-config", "--cflags", "--libs", NAME, env=self.env).split()
        if static:
            flags = [flags[0], self.library.parent / "libfermata-inject.a"]
        self.compile(*flags)
        flags = run("pkg-config", "--variable=object_cflags", NAME, env=self.env).split()
        if flags != OBJECT_FLAGS:
            raise Failure(f"flags for objects: {flags}")


def victim(case, *args):
    return case.start_program(Program("inject_victim"), *args)


def end(case):
    case.release()
    case.verdict()


@scenario(args=["shared", "static"])
def test_library(case, kind):
    """PROVES: F404 F406 F409 F412"""
    lib = Installed(case, static=kind == "static")
    pid = victim(case, "led")
    said = lib.run("all", pid, lib.object("object"), lib.object("needs"), case.dir / "addresses")
    if said != "OK\n":
        raise Failure(said)
    needed = "libfermata-inject.so.0]" in run("readelf", "-d", lib.client)
    if needed != (kind == "shared"):
        raise Failure("the wrong library was linked")
    shown = run("nm", "--defined-only", "--extern-only", lib.library.parent / "libfermata-inject.a")
    strangers = [line for line in shown.splitlines() if re.search(r" [A-Z] (?!fermata_|__llvm_profile)", line)]
    if strangers or " T fermata_inject_seize" not in shown:
        raise Failure(f"the archive shows {strangers}")
    end(case)


@scenario(args=["hold", "serve"])
def test_killed(case, mode):
    """The caller is killed with its code inside, idle or at work; the victim goes on by itself.
    PROVES: F404"""
    lib = Library(case)
    pid = victim(case)
    client = lib.begin(mode, pid, lib.object("object"))
    case.tools.add(client.pid)
    if client.stdout.readline() != "inside\n":
        raise Failure("the client did not get in")
    client.kill()
    client.wait()
    poll(lambda: "fermata" not in Path(f"/proc/{pid}/status").read_text()
         and "TracerPid:\t0" in Path(f"/proc/{pid}/status").read_text(), 5, "the tracer to be gone")
    poll(lambda: "rwxs" not in Path(f"/proc/{pid}/maps").read_text()
         and "r-xs" not in Path(f"/proc/{pid}/maps").read_text(), 5, "the agent to be gone")
    end(case)


@scenario
def test_unprivileged(case):
    """Without any capability: a memfd takes the place of map_files. PROVES: F404 F407"""
    lib = Library(case)
    objects = [lib.object(name) for name in ("object", "needs")]
    nobody = {"user": 65534, "group": 65534, "extra_groups": []}
    case.dir.chmod(0o777)
    pid = case.start_program(Program("inject_victim"), "led", **nobody)
    log = case.dir / "strace"
    ran = subprocess.run([str(a) for a in (lib.client, "all", pid, *objects, case.dir / "addresses")],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                         env={**os.environ, **lib.env}, **nobody)
    if ran.returncode or ran.stdout != "OK\n":
        raise Failure(ran.stdout)
    run("strace", "-u", "nobody", "-o", log, "-e", "trace=openat,pidfd_getfd", lib.client, "calls",
        pid, "1", env=lib.env)
    if not re.search(r"map_files.*EPERM.*pidfd_getfd\(.*= \d", log.read_text(), re.S):
        raise Failure(f"it was not without privilege: {log.read_text()}")
    end(case)


@scenario
def test_few_stops(case):
    """A call costs no ptrace(2) once the agent is inside. PROVES: F408"""
    lib = Library(case)
    pid = victim(case)
    counts = []
    for n in ("1", "500"):
        log = case.dir / "strace"
        run("strace", "-o", log, "-e", "trace=ptrace", lib.client, "calls", pid, n, env=lib.env)
        counts.append(log.read_text().count("ptrace("))
    if not 0 < counts[0] == counts[1] < 100:
        raise Failure(f"ptrace calls for 1 and 500 calls: {counts}")
    end(case)


@scenario
def test_examples(case):
    """PROVES: F406"""
    pid = victim(case)
    examples = BUILD / "lib" / "inject"
    if run(examples / "remote-call", pid, "getpid") != f"{pid}\n":
        raise Failure("the PID")
    old = run(examples / "remote-call", pid, "name", "renamed").strip()
    if Path(f"/proc/{pid}/comm").read_text() != "renamed\n":
        raise Failure("the name was not set")
    if run(examples / "remote-call", pid, "name", old) != "renamed\n":
        raise Failure("the name was not read")
    end(case)


SPEAKER = """
import sys, time
for i in range(100000):
    print(i, flush=True)
    time.sleep(0.01)
"""


@scenario
def test_steal(case):
    """What the process writes goes through the thief, on to where it belongs. PROVES: F406"""
    target = case.dir / "target"
    with open(target, "wb") as out:
        speaker = subprocess.Popen([sys.executable, "-c", SPEAKER], stdout=out)
    case.tools.add(speaker.pid)
    poll(lambda: target.stat().st_size > 10, 10, "the first words")
    thief = subprocess.Popen([BUILD / "lib" / "inject" / "steal-fd", str(speaker.pid), "1"],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    case.tools.add(thief.pid)
    stolen = [int(thief.stdout.readline()) for _ in range(20)]
    thief.stdin.close()
    stolen += [int(line) for line in thief.stdout.read().split()]
    if thief.wait() or stolen != list(range(stolen[0], stolen[0] + len(stolen))):
        raise Failure(f"stolen: {stolen}")
    before = target.stat().st_size
    poll(lambda: target.stat().st_size > before + 20, 10, "words without the thief")
    if speaker.poll() is not None:
        raise Failure("the speaker died")
    speaker.kill()
    speaker.wait()
    heard = [int(line) for line in target.read_text().split()]
    if heard != list(range(len(heard))):
        raise Failure("words were lost or changed their order")


@scenario
def test_agent_binary(case):
    """The agent is built with flags of its own. PROVES: F411"""
    agent = BUILD / "src" / "engine" / "agent" / "agent.elf"
    if "no relocations" not in run("readelf", "-r", agent):
        raise Failure("relocations in the agent")
    code = run("objdump", "-d", agent)
    if re.search(r"%[xyz]mm|%st", code) or "syscall" not in code:
        raise Failure("the agent uses vector registers")
    if re.search(r"\.(data|bss|got)\b", run("readelf", "-S", agent)):
        raise Failure("the agent has data")
