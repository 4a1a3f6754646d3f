"""libcriu as installed: found by pkg-config, linked, used through swrk and the service."""
import json
import os
import subprocess
from pathlib import Path

from live import CRIT, FERMATA, Failure, HERE, listens, poll
from scenario import scenario

BUILD = Path(FERMATA).parent


def run(*argv, env=None):
    ran = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         text=True, env={**os.environ, **(env or {})})
    if ran.returncode:
        raise Failure(f"{argv}: status {ran.returncode}\n{ran.stdout}")
    return ran.stdout


def compile_client(case, source, *flags):
    """A program linked with the library as installed; returns it, and the environment to run it in."""
    run("meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", case.dir / "root")
    [config] = (case.dir / "root").rglob("criu.pc")
    env = {"PKG_CONFIG_PATH": str(config.parent), "PKG_CONFIG_SYSROOT_DIR": str(case.dir / "root")}
    if run("pkg-config", "--modversion", "criu", env=env).strip() != "4.2":
        raise Failure("the version of criu.pc")
    found = run("pkg-config", "--cflags", "--libs", "criu", env=env).split()
    client = case.dir / "client"
    run("gcc", "-Wall", "-Werror", *flags, HERE / "libcriu" / source, "-o", client, *found)
    if "libcriu.so.2]" not in run("readelf", "-d", client):
        raise Failure("the program does not need libcriu.so.2")
    [library] = (case.dir / "root").rglob("libcriu.so.2")
    return client, {"LD_LIBRARY_PATH": str(library.parent)}


def serve(case):
    address = case.dir / "sock"
    service = subprocess.Popen([FERMATA, "service", "--address", address, "-W", case.dir, "-o", "s.log"])
    case.tools.add(service.pid)
    poll(lambda: listens(address), 10, "the service")
    return address


@scenario(args=["", "-fsanitize=address,undefined"])
def test_client(case, sanitizer):
    """PROVES: F368 F379 F380 F381 F382 F383 F384"""
    client, env = compile_client(case, "client.c", *sanitizer.split())
    said = run(client, FERMATA, serve(case), case.dir, env=env)
    if not said.endswith("OK\n"):
        raise Failure(said)


@scenario(args=["binary", "socket"])
def test_self_dump(case, way):
    """A process has itself dumped, by a worker of its own and by the service.
    PROVES: F370"""
    client, env = compile_client(case, "self.c", "-pthread")
    path = FERMATA if way == "binary" else serve(case)
    pid = case.start([client, way, path, case.dir], ready=False, env={**os.environ, **env})
    poll(lambda: not case.pids(), 20, "the end of the dumped client")
    if case.result() is not None:
        case.verdict()
    case.restore(case.dir / "two")
    case.verdict()
    entry = run(CRIT, "decode", "-i", case.dir / "two" / "files.img")
    [sock] = [e["usk"] for e in json.loads(entry)["entries"] if e.get("usk", {}).get("uflags", 0) & 2]
    if sock["state"] != 7 or sock["peer"] != 0:
        raise Failure(f"the connection to the tool in the image: {sock}")
