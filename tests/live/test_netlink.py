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


PACKET_KINDS = {
    "unread": "fd 3: a packet socket.*unread packets",
    "sending": "fd 3: a packet socket.* with a ring for sending that was used",
    "part": "is a part of a packet socket's ring",
    "closed": "ring of a socket whose descriptor it has closed",
}


@scenario(args=list(PACKET_KINDS))
def test_packet_refused(case, kind):
    """Refused by name, also by a preflight; what waits is still there."""
    case.start_program(Program("packet_odd"), kind)
    refused_unharmed(case, rf"\b{case.root}\b.*{PACKET_KINDS[kind]}")
    case.refused("dump", PACKET_KINDS[kind], "-t", case.root, "--explain")
    good_end(case)
