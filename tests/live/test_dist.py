"""What is installed beside the program: units of systemd, rules of logrotate."""
import os
import subprocess
from pathlib import Path

from live import FERMATA, Failure, listens, need, poll, python_module
from scenario import scenario
from unmodified import need_tool

BUILD = Path(FERMATA).parent


def run(*argv, **kw):
    ran = subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, **kw)
    need(ran.returncode == 0, f"{argv}: status {ran.returncode}\n{ran.stdout}")
    return ran.stdout


def installed(case):
    """The tree that meson install makes."""
    root = case.dir / "root"
    run("meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", root)
    return root


@scenario
def test_units(case):
    """systemd finds no fault in the units, and the service is the program as installed.
    PROVES: F386"""
    verify = need_tool("systemd-analyze")
    root, units = installed(case), case.dir / "units"
    units.mkdir()
    for path in root.rglob("criu.s*"):
        if path.suffix in (".service", ".socket"):
            text = path.read_text()
            if path.suffix == ".service":
                [command] = [line.split("=", 1)[1].split()[0] for line in text.splitlines()
                             if line.startswith("ExecStart=")]
                need((root / command.lstrip("/")).exists(), f"{command} is not installed")
                text = text.replace(command, FERMATA)
            (units / path.name).write_text(text)
    need(len(list(units.iterdir())) == 2, f"units: {list(units.iterdir())}")
    said = run(verify, "verify", "--man=no", *sorted(units.iterdir()),
               env={**os.environ, "SYSTEMD_UNIT_PATH": f"{units}:"})
    ours = [line for line in said.splitlines() if "criu." in line]
    need(not ours, "\n".join(ours))


@scenario
def test_socket_activation(case):
    """The service is started by the first client, as criu.socket has it, and serves it.
    PROVES: F386"""
    activate = need_tool("systemd-socket-activate")
    rpc = python_module("rpc")
    address, log = case.dir / "sock", case.dir / "service.log"
    service = subprocess.Popen([activate, "--seqpacket", "-l", address, FERMATA, "service", "-v4",
                                "--work-dir", "/", "--log-file", log],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    case.tools.add(service.pid)
    poll(lambda: listens(address), 10, "the socket")
    need(not log.exists(), "started before anybody asked")
    pid, images = case.start(["sleep", "1000"], ready=False), case.new_images()
    with rpc.Client(address=address) as c:
        c.dump(images, pid=pid)
    case.gone([pid])
    with rpc.Client(address=address) as c:
        need(c.restore(images) == pid, "another PID")
    need("The service is ready" in log.read_text(), f"the log: {log.read_text()}")


@scenario
def test_logrotate(case):
    """The log of a running service is rotated, and it goes on with the new one.
    PROVES: F387"""
    rotate = need_tool("logrotate")
    [rules] = installed(case).rglob("logrotate.d/criu*")
    [unit] = (case.dir / "root").rglob("criu.service")
    named = rules.read_text().split()[0]
    need(f"--log-file {named}" in unit.read_text(), f"{named} is not the log of the unit")
    log, address = case.dir / "service.log", case.dir / "sock"
    mine = case.dir / "rules"
    mine.write_text(rules.read_text().replace(named, str(log)))
    mine.chmod(0o644)
    case.dir.chmod(0o755)
    service = subprocess.Popen([FERMATA, "service", "--address", address, "-v4", "-W", case.dir, "-o", log],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    case.tools.add(service.pid)
    poll(lambda: listens(address), 10, "the service")
    poll(lambda: log.exists() and "ready" in log.read_text(), 10, "its log")
    said = run(rotate, "-d", "-s", case.dir / "state", mine)
    need("error" not in said.lower(), said)
    run(rotate, "-f", "-s", case.dir / "state", mine)
    need(list(case.dir.glob("service.log.1*")) and log.stat().st_size == 0, "nothing was rotated")
    need_appending(service.pid, log)


def need_appending(pid, log):
    """Or the next line would leave a hole where the old ones were."""
    for name in os.listdir(f"/proc/{pid}/fd"):
        if os.readlink(f"/proc/{pid}/fd/{name}") == str(log):
            flags = open(f"/proc/{pid}/fdinfo/{name}").read().split("flags:\t")[1].split()[0]
            need(int(flags, 8) & os.O_APPEND, f"the log is not open for appending: {flags}")
            return
    raise Failure(f"pid {pid} has {log} not open")


@scenario
def test_make_install(case):
    """make install knows the prefix by either spelling; .ci/run does it for real."""
    top = Path(__file__).resolve().parents[2]
    for words, prefix in ((["prefix=/x"], "/x"), (["PREFIX=/y"], "/y"), ([], "/usr/local")):
        said = run("make", "-n", "-C", top, "install", f"BUILD={BUILD.resolve()}", "DESTDIR=/root of it", *words)
        need(f" --prefix={prefix} " in said, f"make install {words}: {said}")
        need("DESTDIR='/root of it' meson install" in said, f"DESTDIR is not passed on: {said}")
