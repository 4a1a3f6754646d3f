"""Inet sockets with a peer outside the tree, the network lock, and what is refused."""
import ctypes
import errno
import os
import socket
import struct
import subprocess
import sys
import time

from live import Failure, Program, Skipped, poll
from nft import tables
from scenario import scenario
from test_refusals import good_end

PIDFD_GETFD = 438
TCP_REPAIR = 19
GREETING = 100000
EST = ("--tcp-established",)


def stream_bytes(at, n, salt):
    """As stream_bytes() of programs/inet.h."""
    return bytes((i * 31 + (i >> 8) * 17 + (i >> 16) * 3 + salt * 7) & 255
                 for i in range(at, at + n))


def read_to_end(peer):
    peer.settimeout(20)
    parts = []
    while part := peer.recv(1 << 20):
        parts.append(part)
    return b"".join(parts)


def need_tables(count, when):
    if len(tables()) != count:
        raise Failure(f"{when}: {tables()} instead of {count} tables")


class Outside:
    """The peer of programs/tcp_outside.c: three connections."""

    def __init__(self, case):
        self.case = case
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=8)
        port = self.listener.getsockname()[1]
        case.start_program(Program("tcp_outside"), str(port), str(GREETING))
        self.peers = [self.listener.accept()[0] for _ in range(3)]
        for i, peer in enumerate(self.peers):
            peer.sendall(stream_bytes(0, GREETING - 500, i + 10))

    def send_rest(self):
        """What is sent while there may be nobody to take it."""
        for i, peer in enumerate(self.peers):
            peer.sendall(stream_bytes(GREETING - 500, 500, i + 10))

    def judge(self):
        self.case.release()
        sent = int((self.case.dir / "sent").read_text())
        lengths = (sent + 5000, 5000, 1000)
        for i, peer in enumerate(self.peers):
            got = read_to_end(peer)
            if len(got) != lengths[i]:
                raise Failure(f"connection {i}: {len(got)} of {lengths[i]} bytes")
            for at in (0, len(got) // 2, len(got) - 500):
                if got[at:at + 500] != stream_bytes(at, 500, i):
                    raise Failure(f"connection {i}: wrong bytes near {at}")
            peer.shutdown(socket.SHUT_WR)
        self.case.verdict()
        self.case.gone()

    def modes(self):
        """TCP_REPAIR of each socket of the program."""
        libc = ctypes.CDLL(None, use_errno=True)
        pidfd = os.pidfd_open(self.case.root)
        values = []
        for name in os.listdir(f"/proc/{self.case.root}/fd"):
            if not os.readlink(f"/proc/{self.case.root}/fd/{name}").startswith("socket:"):
                continue
            with socket.socket(fileno=libc.syscall(PIDFD_GETFD, pidfd, int(name), 0)) as s:
                values.append(s.getsockopt(socket.IPPROTO_TCP, TCP_REPAIR))
        os.close(pidfd)
        return values


@scenario
def test_outside_peer(case):
    """Data both ways, and more of it sent while the tree does not exist; nobody notices.
    PROVES: F159 F161 F165"""
    outside = Outside(case)
    images = case.dump(*EST)
    need_tables(1, "after the dump")
    outside.send_rest()
    time.sleep(0.3)
    case.restore(images, *EST)
    need_tables(0, "after the restore")
    outside.judge()


@scenario
def test_outside_leave_running(case):
    """The lock is gone and both ends talk on.
    PROVES: F165"""
    outside = Outside(case)
    case.dump(*EST, "--leave-running")
    need_tables(0, "after the dump")
    if any(outside.modes()):
        raise Failure("a socket is still in repair mode")
    outside.send_rest()
    outside.judge()


@scenario
def test_outside_failed_dump(case):
    """No room for the images: connections go on, no rule is left.
    PROVES: F165"""
    outside = Outside(case)
    images = case.new_images()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", images], check=True)
    case.refused("dump", "No space left", "-t", case.root, *EST, images=images)
    need_tables(0, "after the failed dump")
    if any(outside.modes()):
        raise Failure("a socket is still in repair mode")
    outside.send_rest()
    outside.judge()


@scenario
def test_outside_failed_restore(case):
    """A restore that fails at its very end keeps the lock; the next one succeeds.
    PROVES: F165"""
    outside = Outside(case)
    images = case.dump(*EST)
    outside.send_rest()
    pidfile = case.dir / "pidfile"
    pidfile.write_text("taken")
    case.refused("restore", "pidfile", "-d", *EST, "--pidfile", pidfile, images=images)
    case.gone()
    need_tables(1, "after the failed restore")
    case.restore(images, *EST)
    need_tables(0, "after the restore")
    outside.judge()


@scenario
def test_outside_killed_dump(case):
    """The tool is killed at many moments of a dump: no socket stays in repair mode, no rule stays."""
    outside = Outside(case)
    for delay in range(24):
        tool = case.begin("dump", case.new_images(), "-t", case.root, *EST, "--leave-running")
        time.sleep(delay * 0.0015)
        tool.kill()
        case.finish(tool)
        poll(lambda: not tables() and not any(outside.modes()), 5, "the end of lock and repair")
    outside.send_rest()
    outside.judge()


@scenario
def test_outside_killed_restore(case):
    """The tool is killed at many moments of a restore: nothing is there and the lock holds, or all
    is there and free."""
    outside = Outside(case)
    images = case.dump(*EST)

    def alive():
        return case.root in case.pids()

    def free():
        try:
            return not tables() and not any(outside.modes())
        except OSError:  # it is dying
            return False

    for delay in range(16):
        tool = case.begin("restore", images, "-d", *EST)
        time.sleep(delay * 0.002)
        tool.kill()
        case.finish(tool)
        poll(lambda: not alive() or free(), 5, "the end of all tasks, or of lock and repair")
        if alive():
            break
        case.gone()
        need_tables(1, f"after a kill at {delay * 2} ms")
    else:
        case.restore(images, *EST)
    outside.send_rest()
    outside.judge()


@scenario
def test_skip_lock(case):
    """--network-lock skip makes no rules; nobody is outside to be disturbed by that.
    PROVES: F165"""
    case.start_program(Program("inet_kinds"), "pair")
    images = case.dump(*EST, "--network-lock", "skip")
    need_tables(0, "after the dump")
    case.restore(images, *EST)
    case.release()
    case.verdict()
    case.gone()


# kind: what the dump must say, and the option that lifts it
KINDS = {
    "pair": (r"TCP connection 127\.0\.0\.1:\d+ -> .*use --tcp-established or --tcp-close", None),
    "pending": (r"4711.*1 connections that were not accepted.*--skip-in-flight",
                "--skip-in-flight"),
    "timed": (r"UDP socket 127\.0\.0\.1:4711 has datagrams.*SO_TIMESTAMP.*--skip-in-flight",
              "--skip-in-flight"),
    "raw": (r"raw socket 0\.0\.0\.0.* has packets.*--skip-in-flight", "--skip-in-flight"),
    "corked": (r"UDP socket 127\.0\.0\.1:4711, which is corked", None),
    "more": (r"UDP socket 127\.0\.0\.1:4711 has a datagram that is not sent", None),
    "urgent": (r"urgent data", None),
    "mptcp": (r"MPTCP over IPv4", None),
    "signing": (r"TCP connection 127\.0\.0\.1:4711 .* has TCP-MD5 keys.*use --tcp-close", None),
    "signing_listener": (r"TCP socket 127\.0\.0\.1:4711 has TCP-MD5 keys", None),
    "failed": (r"UDP socket .* has an error.*have the program read it \(SO_ERROR", None),
    "stamped": (r"SOF_TIMESTAMPING_OPT_ID", None),
    "zerocopy": (r"SO_ZEROCOPY.*have it turn SO_ZEROCOPY off", None),
    "tunnel": (r"UDP socket .* carries a tunnel \(UDP_ENCAP 3\)", None),
    "by_number": (r"UDP socket .*set by its number \(IP_MULTICAST_IF\)", None),
    "source": (r"UDP socket .*set by IPV6_PKTINFO", None),
    "alert": (r"raw socket .*IPV6_ROUTER_ALERT", None),
    "routing": (r"raw socket .*MRT_INIT", None),
    "saved_syn": (r"TCP socket .*TCP_SAVE_SYN.*have it read TCP_SAVED_SYN", None),
    "program": (r"UDP socket .*shares its port.*an eBPF program chooses", None),
}


@scenario(args=sorted(KINDS))
def test_refused(case, kind):
    """PROVES: F160 F175 F177 F158"""
    pattern, option = KINDS[kind]
    case.start_program(Program("inet_kinds"), kind)
    options = EST if kind in ("urgent", "saved_syn", "signing", "mptcp") else ()
    case.refused("dump", pattern, "-t", case.root, *options)
    case.refused("dump", pattern, "-t", case.root, "--explain", *options)
    case.advances(1)
    if kind == "pair" and "--tcp-established\n" not in case.run(
            "dump", case.new_images(), "-t", case.root, "--explain").output:
        raise Failure("the preflight does not say with which option it works")
    if option:
        images = case.dump(option)
        case.restore(images)
    if kind == "pair":
        images = case.dump(*EST)
        case.refused("restore", "use --tcp-established", "-d", images=images)
        case.restore(images, *EST)
    case.release()
    case.verdict()
    case.gone()


BROKEN = '''
import os, socket, sys, time
s, where = socket.socket(), socket.socket()
where.bind(("127.0.0.1", 0))
s.setblocking(False)
s.connect_ex(where.getsockname())
open(sys.argv[1] + "/ready", "w").close()
while not os.path.exists(sys.argv[1] + "/read"):
    time.sleep(.01)
print("error", s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), flush=True)
while not os.path.exists(sys.argv[1] + "/release"):
    time.sleep(.01)
open(sys.argv[1] + "/result", "w").write("OK")
'''


@scenario
def test_error_unread(case):
    """A connection that was refused, which the program does not know yet: told what helps, and it does.
    PROVES: F175"""
    case.start([sys.executable, "-c", BROKEN, case.dir])
    case.refused("dump", r"TCP .*has an error.*have the program read it \(SO_ERROR", "-t", case.root,
                 *EST)
    (case.dir / "read").touch()
    out = case.dir / "out"
    poll(lambda: f"error {errno.ECONNREFUSED}\n" in out.read_text(), 10, "the error, still there")
    case.restore(case.dump(*EST), *EST)
    good_end(case)


def deny_bpf():
    """In the process that becomes the tool: bpf(2) is EPERM."""
    number = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
    code = struct.pack("HBBI" * 4, 0x20, 0, 0, 0, 0x15, 0, 1, number,
                       6, 0, 0, 0x00050000 | errno.EPERM, 6, 0, 0, 0x7fff0000)
    room = ctypes.create_string_buffer(code)
    program = struct.pack("HxxxxxxQ", 4, ctypes.addressof(room))
    if ctypes.CDLL(None).prctl(22, 2, program, 0, 0):  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
        raise OSError("no seccomp")


@scenario
def test_no_bpf(case):
    """Without the kernel's memory a program that chooses among sockets is lost, with a warning.
    PROVES: F175"""
    case.start_program(Program("inet_kinds"), "chosen")
    images = case.dump(preexec_fn=deny_bpf)
    if "should a classic BPF program choose among its sockets, that is lost" not in (
            images / "dump.log").read_text():
        raise Failure("no warning")
    case.restore(images)
    good_end(case)


@scenario
def test_choice_with_others(case):
    """A program chooses among sockets of which one is not in the tree.
    PROVES: F175"""
    case.start_program(Program("inet_kinds"), "chosen")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 4711))
        case.refused("dump", r"UDP socket 127\.0\.0\.1:4711 shares its port with 1 sockets outside of "
                     "the tree, among which a BPF program chooses", "-t", case.root)
    case.restore(case.dump())
    good_end(case)


@scenario
def test_iptables_lock(case):
    """--network-lock iptables holds the packets with nf_tables, and says so.
    PROVES: F165"""
    outside = Outside(case)
    images = case.dump(*EST, "--network-lock", "iptables")
    if "nf_tables hold" not in (images / "dump.log").read_text():
        raise Failure("no warning")
    need_tables(1, "after the dump")
    outside.send_rest()
    case.restore(images, *EST)
    need_tables(0, "after the restore")
    outside.judge()


@scenario(args=["dump", "restore"])
def test_tcp_close(case, when):
    """PROVES: F160"""
    case.start_program(Program("inet_kinds"), "pair", "closed")
    if when == "dump":
        images = case.dump("--tcp-close")
        case.refused("restore", "use --tcp-close", "-d", *EST, images=images)
    else:
        images = case.dump(*EST)
    case.restore(images, "--tcp-close")
    case.release()
    case.verdict()
    case.gone()


@scenario(args=["listener", "udp", "pair"])
def test_taken(case, kind):
    """Somebody has the port, or the connection: refused before anything is forked.
    PROVES: F167"""
    case.start_program(Program("inet_kinds"), kind)
    options = EST if kind == "pair" else ()
    images = case.dump(*options)
    ours = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if kind == "udp" else
                         socket.SOCK_STREAM)
    ours.bind(("127.0.0.1", 4711))
    if kind != "udp":
        ours.listen()
    case.refused_early("restore", r"fd \d+: the (TCP|UDP) address 127\.0\.0\.1:4711 is taken",
                       "-d", *options, images=images)
    ours.close()
    case.restore(images, *options)
    case.release()
    case.verdict()
    case.gone()


@scenario
def test_no_stream_image(case):
    """PROVES: F159"""
    case.start_program(Program("inet_kinds"), "pair")
    images = case.dump(*EST)
    next(images.glob("tcp-stream-*")).unlink()
    case.refused("restore", r"tcp-stream-\w+\.img is missing", "-d", *EST, images=images)
    case.gone()


@scenario
def test_only_interface(case):
    """An interface for groups that was given by number, where only one can be meant.
    PROVES: F172"""
    case.start_program(Program("inet_kinds"), "only_number")
    case.restore(case.dump())
    good_end(case)
