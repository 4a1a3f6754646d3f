"""Netlink and packet sockets that cannot come back as they were."""
from live import Program
from scenario import scenario
from test_refusals import good_end, refused_unharmed


@scenario
def test_netlink_unread(case):
    """PROVES: F179"""
    case.start_program(Program("netlink_odd"))
    refused_unharmed(case, rf"\b{case.root}\b.*netlink socket.*unread messages")
    good_end(case)


@scenario(args=["unread", "ring"])
def test_packet_refused(case, kind):
    """Packets that wait, or a ring: refused by name; the packet is still there."""
    case.start_program(Program("packet_odd"), kind)
    refused_unharmed(case, rf"\b{case.root}\b.*packet socket.*{kind}")
    good_end(case)
