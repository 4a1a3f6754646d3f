"""What tests of programs that know nothing of checkpoints have in common."""
import os
import shutil
import socket

from live import Failure, Skipped, poll

CONNECTED = ("--tcp-established",)


def need_tool(*names):
    """The first of names (commands, or absolute paths) that is there."""
    for name in names:
        path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        if path:
            return path
    raise Skipped(f"no {names[0]} here")


def text(path):
    return path.read_text(errors="replace") if path.exists() else ""


def connect(port, timeout=10):
    """A connection to a server that is about to listen."""
    def attempt():
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=timeout)
        except ConnectionRefusedError:
            return None
    return poll(attempt, 20, f"a listener at port {port}")


def round_trip(case, *options):
    """With LIVE_CONTROL set, nothing: then only the test itself is tested."""
    if os.environ.get("LIVE_CONTROL"):
        return
    case.restore(case.dump(*options), *options)


def need_equal(got, want, what):
    if got != want:
        raise Failure(f"{what}: {got!r}, not {want!r}")
