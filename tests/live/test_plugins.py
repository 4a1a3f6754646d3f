"""Plugins: loaded, asked where they should be, needed by images."""
import os
import socket
import subprocess
import threading
from pathlib import Path

from live import CRIT, FERMATA, HERE, Failure, Program
from scenario import scenario
from test_rpc import need, refused, rpc, serve as serve_rpc

INCLUDE = HERE.parent.parent / "include" / "criu"


class Plugins:
    """A directory of plugins that write down how they are called."""

    def __init__(self, case, *names):
        self.case = case
        self.dir = case.dir / "plugins"
        self.log = case.dir / "calls"
        self.dir.mkdir()
        for name in names or ["sample"]:
            self.add(name)

    def add(self, source, *flags, name=None):
        ran = subprocess.run(["gcc", "-Wall", "-Werror", "-D_GNU_SOURCE", "-shared", "-fPIC", "-g",
                              f"-I{INCLUDE}", *flags, HERE / "plugins" / f"{source}.c", "-o",
                              self.dir / f"{name or source}.so"], capture_output=True, text=True)
        if ran.returncode:
            raise Failure(ran.stderr)

    def env(self, refuses="", **more):
        return {**os.environ, "SAMPLE_LOG": str(self.log), "SAMPLE_REFUSES": refuses, **more}

    def calls(self):
        """What was called since the last time."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return lines

    def dump(self, *options, **kw):
        return self.case.dump("-L", self.dir, *options, env=self.env(), **kw)

    def restore(self, images, **kw):
        return self.case.restore(images, "-L", self.dir, env=self.env(), **kw)


def refuse_dump(case, pattern, *options, **kw):
    case.refused("dump", pattern, "-t", case.root, *options, **kw)


def begin(case, kind):
    return case.start_program(Program("plugin_things"), kind)


def end(case):
    case.release()
    case.verdict()


def hooks(calls):
    return [call.split(" ")[1] for call in calls]


@scenario
def test_stages(case):
    """The hooks that tell of a stage, in their order and with the tasks in the right state.
    PROVES: F415"""
    plugins = Plugins(case)
    pid = begin(case, "nothing")
    images = plugins.dump()
    expected = ["sample init 0", f"sample PAUSE_DEVICES {pid} S", f"sample CHECKPOINT_DEVICES {pid} t",
                f"sample DUMP_DEVICES_LATE {pid} t", "sample exit 0 0"]
    if (calls := plugins.calls()) != expected:
        raise Failure(f"dump: {calls}")
    plugins.restore(images)
    expected = ["sample init 2", "sample RESTORE_INIT -", "sample POST_FORKING -",
                f"sample RESUME_DEVICES_LATE {pid}", "sample exit 2 0"]
    if (calls := plugins.calls()) != expected:
        raise Failure(f"restore: {calls}")
    said = subprocess.run([CRIT, "show", images / "inventory.img"], capture_output=True, text=True)
    if '"sample"' not in said.stdout:
        raise Failure(f"the inventory does not name the plugin: {said.stdout}")
    end(case)


@scenario
def test_every_task(case):
    """PROVES: F415"""
    plugins = Plugins(case)
    pid = begin(case, "device")
    plugins.dump("-R")
    calls = plugins.calls()
    for hook, state in (("PAUSE_DEVICES", "S"), ("CHECKPOINT_DEVICES", "t")):
        pids = {int(c.split(" ")[2]) for c in calls if f" {hook} " in c and c.endswith(f" {state}")}
        if pids != set(case.pids()) or pid not in pids:
            raise Failure(f"{hook}: {calls}")
    end(case)


@scenario
def test_device(case):
    """A character device with state, shared by descriptors and tasks; not ready at once.
    PROVES: F416"""
    plugins = Plugins(case)
    begin(case, "device")
    refuse_dump(case, "/dev/cpu_dma_latency .*cannot be saved")
    images = plugins.dump()
    plugins.calls()
    plugins.restore(images)
    if hooks(plugins.calls()).count("RESTORE_EXT_FILE") != 3:
        raise Failure("the plugin was not asked until it was ready")
    end(case)


@scenario
def test_mappings(case):
    """Perf events: open files of a plugin, and mappings of a device.
    PROVES: F416 F419"""
    plugins = Plugins(case)
    begin(case, "mappings")
    refuse_dump(case, "is a buffer of perf events")
    images = plugins.dump()
    if [c for c in plugins.calls() if "HANDLE_DEVICE_VMA" in c] != ["sample HANDLE_DEVICE_VMA 1 600"] * 2:
        raise Failure("HANDLE_DEVICE_VMA")
    checked = subprocess.run([CRIT, "check", images], capture_output=True, text=True)
    need(checked.returncode == 0 and not plugins.calls(), f"crit check: {checked}")
    case.refused("restore", "Missing required plugin: sample", images=images)
    plugins.restore(images)
    asked = [c.split(" ")[2:] for c in plugins.calls() if "UPDATE_VMA_MAP" in c]
    if asked != [["anon_inode:[perf_event]", at, "0"] for at in ("0x10000000", "0x20000000")]:
        raise Failure(f"UPDATE_VMA_MAP: {asked}")
    end(case)


def serve(listener):
    """Answers a connection with all it was told, once that has ten letters."""
    def answer(connection):
        text = b""
        while len(text) < 10 and (more := connection.recv(10)):
            text += more
        connection.sendall(text)

    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=answer, args=(connection,), daemon=True).start()


@scenario
def test_unix(case):
    """A connection to somebody outside, made again by the plugin's own protocol.
    PROVES: F149"""
    plugins = Plugins(case)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(case.dir / "peer"))
    listener.listen()
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
    begin(case, "unix")
    refuse_dump(case, "connected to a socket .* outside the tree")
    refuse_dump(case, r"a plugin could not dump the unix socket \(inode \d+\).*not permitted",
                 "-L", plugins.dir, env=plugins.env(refuses="DUMP_UNIX_SK"))
    images = plugins.dump()
    plugins.calls()
    plugins.restore(images)
    if "RESTORE_UNIX_SK" not in hooks(plugins.calls()):
        raise Failure("the plugin was not asked")
    end(case)


@scenario
def test_chain(case):
    """Each is asked until one knows; names, environment, a second plugin.
    PROVES: F415"""
    plugins = Plugins(case)
    plugins.add("sample", '-DNAME="other"', name="other")
    (plugins.dir / "notes.txt").write_text("no plugin")
    begin(case, "device")
    images = case.dump(env=plugins.env(CRIU_LIBS_DIR=str(plugins.dir)))
    calls = plugins.calls()
    if sorted(c for c in calls if "init" in c) != ["other init 0", "sample init 0"]:
        raise Failure(f"both should start: {calls}")
    if hooks(calls).count("DUMP_EXT_FILE") != 1 or hooks(calls).count("DUMP_DEVICES_LATE") != 1:
        raise Failure(f"the first that knows should end the chain: {calls}")
    (plugins.dir / "other.so").unlink()
    case.refused("restore", "Missing required plugin: other", "-L", plugins.dir, images=images,
                 env=plugins.env())
    if "sample exit 2" not in plugins.log.read_text():
        raise Failure("the plugin was not told of the end")
    plugins.add("sample", '-DNAME="other"', name="other")
    plugins.restore(images)
    end(case)


@scenario
def test_old(case):
    """A plugin of version 0.1, without a descriptor. PROVES: F415"""
    plugins = Plugins(case, "old")
    begin(case, "old")
    images = plugins.dump()
    ran = plugins.restore(images)
    if "no CR_PLUGIN_DESC" not in ran.text:
        raise Failure("no warning about an old plugin")
    calls = plugins.calls()
    file = calls[1].split(" ")[2]
    if calls != ["old init 0", f"old dump {file}", "old fini 0", "old init 2", f"old restore {file}",
                 "old fini 2"]:
        raise Failure(f"calls: {calls}")
    end(case)


@scenario
def test_unfit(case):
    """A plugin that cannot be used is an error, whatever it would have been asked. PROVES: F415"""
    plugins = Plugins(case)
    pid = begin(case, "nothing")
    for flag, why in (("-DTOO_NEW", r"version 0\.3\.1 of the interface, newer than 0\.2\.0"),
                      ("-DTOO_MANY", "has 16 hooks, but there are 15"),
                      ("-DINIT", "plugin unfit did not start: it returned -17")):
        plugins.add("unfit", flag, name="unfit")
        refuse_dump(case, why, "-L", plugins.dir, env=plugins.env())
        started = [c for c in plugins.calls() if c != "sample init 0"]
        if any(not c.startswith("sample exit 0 -") for c in started):
            raise Failure(f"calls: {started}")
    (plugins.dir / "unfit.so").write_text("not an object")
    refuse_dump(case, "load the plugin .*unfit.so.*--libdir", "-L", plugins.dir, env=plugins.env())
    (plugins.dir / "unfit.so").unlink()
    refuse_dump(case, "open the directory of plugins .*nowhere", "-L", case.dir / "nowhere")
    if case.pids() != {pid} and case.pids() != [pid]:
        raise Failure("the tree is another")
    end(case)


@scenario(args=["PAUSE_DEVICES", "CHECKPOINT_DEVICES", "DUMP_DEVICES_LATE"])
def test_refusal_at_dump(case, hook):
    """PROVES: F415"""
    plugins = Plugins(case)
    pid = begin(case, "nothing")
    refuse_dump(case, f"pid {pid}: plugin sample refuses {hook}", "-L", plugins.dir,
                 env=plugins.env(refuses=hook))
    if (last := plugins.calls()[-1]) != "sample exit 0 -1":
        raise Failure(f"last call: {last}")
    end(case)


@scenario
def test_refusal_at_restore(case):
    """PROVES: F415"""
    plugins = Plugins(case)
    pid = begin(case, "nothing")
    images = plugins.dump()
    for hook in ("RESTORE_INIT", "POST_FORKING"):
        plugins.calls()
        case.refused("restore", f"plugin sample refuses {hook}", "-L", plugins.dir, images=images,
                     env=plugins.env(refuses=hook))
        if (last := plugins.calls()[-1]) != "sample exit 2 -1":
            raise Failure(f"last call: {last}")
        case.gone([pid])
    ran = case.run("restore", images, "-d", "-L", plugins.dir,
                   env=plugins.env(refuses="RESUME_DEVICES_LATE"))
    if ran.status or "refuses RESUME_DEVICES_LATE" not in ran.text:
        raise Failure(f"too late to refuse: {ran.describe()}")
    end(case)


@scenario
def test_rpc(case):
    """A worker and the service load the plugins of their environment; clients of the service name none.
    PROVES: F415"""
    module, plugins = rpc(), Plugins(case)
    pid, images = begin(case, "mappings"), case.new_images()
    os.environ.update(plugins.env(CRIU_LIBS_DIR=str(plugins.dir)))
    with module.Client(FERMATA) as c:
        c.dump(images, pid=pid)
    case.gone([pid])
    with module.Client(FERMATA) as c:
        need(c.restore(images) == pid, "another PID")
    calls = hooks(plugins.calls())
    need(calls.count("HANDLE_DEVICE_VMA") == calls.count("UPDATE_VMA_MAP") == 2, f"swrk: {calls}")
    _, address = serve_rpc(case)
    images = case.new_images()
    with module.Client(address=str(address)) as c:
        c.dump(images, pid=pid, leave_running=True)
    need(hooks(plugins.calls()).count("HANDLE_DEVICE_VMA") == 1, "service")  # the other is memory now
    config = case.dir / "named.conf"
    config.write_text(f"libdir {plugins.dir}\n")
    with module.Client(address=str(address)) as c:
        refused(module, lambda: c.dump(images, pid=pid, config_file=str(config)), "libdir",
                "worker of one's own", errno=56)
    need(not plugins.calls(), "a client named a plugin")
    end(case)


@scenario
def test_installed(case):
    """The installed tool finds its own way to load plugins; the header is where plugins look for it.
    PROVES: F415"""
    plugins, root = Plugins(case), case.dir / "root"
    subprocess.run(["meson", "install", "-C", Path(FERMATA).parent, "--no-rebuild", "--quiet",
                    "--destdir", root], check=True, stdout=subprocess.DEVNULL)
    [tool] = (p for p in root.rglob("fermata") if p.parent.name == "bin")
    need(next(root.rglob("include/criu/criu-plugin.h")).is_file(), "no criu-plugin.h")
    pid, images = begin(case, "nothing"), case.new_images()
    ran = subprocess.run([tool, "dump", "-t", str(pid), "-D", images, "-L", plugins.dir, "-R"],
                         env=plugins.env(), stderr=subprocess.PIPE, text=True)
    need(ran.returncode == 0 and "sample exit 0 0" in plugins.calls(), ran.stderr)
    end(case)
