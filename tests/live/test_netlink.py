"""Netlink sockets that cannot come back as they were."""
from live import Program
from scenario import scenario
from test_refusals import good_end, refused_unharmed


@scenario
def test_netlink_unread(case):
    """PROVES: F179"""
    case.start_program(Program("netlink_odd"))
    refused_unharmed(case, rf"\b{case.root}\b.*netlink socket.*unread messages")
    good_end(case)
