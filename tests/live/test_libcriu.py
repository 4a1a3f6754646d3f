"""libcriu as installed: found by pkg-config, linked, used through swrk and the service."""
import os
import subprocess
from pathlib import Path

from live import FERMATA, HERE, Failure, poll
from scenario import scenario

BUILD = Path(FERMATA).parent


def run(*argv, env=None):
    ran = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         text=True, env={**os.environ, **(env or {})})
    if ran.returncode:
        raise Failure(f"{argv}: status {ran.returncode}\n{ran.stdout}")
    return ran.stdout


@scenario(args=["", "-fsanitize=address,undefined"])
def test_client(case, sanitizer):
    """PROVES: F368 F379 F380 F381 F382 F383 F384"""
    run("meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", case.dir / "root")
    [config] = (case.dir / "root").rglob("criu.pc")
    env = {"PKG_CONFIG_PATH": str(config.parent), "PKG_CONFIG_SYSROOT_DIR": str(case.dir / "root")}
    if run("pkg-config", "--modversion", "criu", env=env).strip() != "4.2":
        raise Failure("the version of criu.pc")
    flags = run("pkg-config", "--cflags", "--libs", "criu", env=env).split()
    client = case.dir / "client"
    run("gcc", "-Wall", "-Werror", *sanitizer.split(), HERE / "libcriu" / "client.c", "-o", client, *flags)
    if "libcriu.so.2]" not in run("readelf", "-d", client):
        raise Failure("the program does not need libcriu.so.2")
    address = case.dir / "sock"
    service = subprocess.Popen([FERMATA, "service", "--address", address, "-W", case.dir, "-o", "s.log"])
    case.tools.add(service.pid)
    poll(address.exists, 10, "the service")
    [library] = (case.dir / "root").rglob("libcriu.so.2")
    said = run(client, FERMATA, address, case.dir, env={"LD_LIBRARY_PATH": str(library.parent)})
    if not said.endswith("OK\n"):
        raise Failure(said)
