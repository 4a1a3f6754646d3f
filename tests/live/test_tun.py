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
    case.refused_early("restore", f"had the number {index}, which other7 has now" if what == "number"
                       else "tun7 is taken: .*end the program", "-d", images=images)
    os.close(other)
    ran = subprocess.run([Path(live.FERMATA).parent / "crit", "check", images], capture_output=True,
                         text=True, check=False)
    if ran.returncode:
        raise live.Failure(ran.stdout + ran.stderr)
    case.restore(images)
    good_end(case)


GONE = {
    "join": r"fd \d+: the socket .*member of the group 239\.7\.7\.7 on interface 1000, which is not here",
    "join6": r"fd \d+: the socket .*member of the group ff02::1:77 on interface 1000, which is not here",
    "on": r"fd \d+: a packet socket on interface 1000, which is not here",
    "all": r"fd \d+: a packet socket that wants all packets .*of interface 1000, which is not here",
}


@scenario(args=list(GONE))
def test_interface_gone(case, kind):
    """Named with its number before anything is forked; restored when there is one again.
    PROVES: F172 F182"""
    device = make("gone0", 1000)
    case.start_program(Program("interface_gone"), kind)
    images = case.dump()
    os.close(device)
    case.refused_early("restore", GONE[kind], "-d", images=images)
    make("gone0", 1000)
    case.restore(images)
    good_end(case)


@scenario
def test_netlink_port_taken(case):
    """PROVES: F179"""
    case.start_program(Program("interface_gone"), "port")
    images = case.dump()
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as other:
        other.bind((0x5550, 0))
        case.refused_early("restore", r"fd \d+: the port id 21840 of netlink protocol 0 is taken: .*end the "
                           "program", "-d", images=images)
    case.restore(images)
    good_end(case)
