"""Tun devices that are in the way, or cannot be kept."""
import fcntl
import os
import socket
import struct
import subprocess
from pathlib import Path

import live
from live import Program
from scenario import scenario
from test_refusals import good_end, refused_unharmed

TUNSETIFF, TUNSETIFINDEX = 0x400454CA, 0x400454DA
IFF_TUN, IFF_NO_PI = 1, 0x1000


def make(name, index):
    fd = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(fd, TUNSETIFINDEX, struct.pack("I", index))
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return fd


@scenario
def test_tun_filter(case):
    case.start_program(Program("tuntap"), "filter")
    refused_unharmed(case, "tap8 with a filter.*TUNDETACHFILTER")
    case.refused("dump", "tap8 with a filter.*TUNDETACHFILTER", "-t", case.root, "--explain")
    good_end(case)


@scenario(args=["number", "name"])
def test_tun_taken(case, what):
    """Refused before anything is forked, and restored when the other one is gone."""
    case.start_program(Program("tuntap"))
    index = socket.if_nametoindex("tun7")
    images = case.dump()
    other = make("other7" if what == "number" else "tun7", index if what == "number" else 1000)
    case.refused("restore", f"had the number {index}, which other7 has now" if what == "number"
                 else "tun7 is taken: .*end the program", "-d", images=images)
    os.close(other)
    ran = subprocess.run([Path(live.FERMATA).parent / "crit", "check", images], capture_output=True,
                         text=True, check=False)
    if ran.returncode:
        raise live.Failure(ran.stdout + ran.stderr)
    case.restore(images)
    good_end(case)
