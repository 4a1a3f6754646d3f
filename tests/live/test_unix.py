"""Unix sockets with peers outside the tree, and what cannot be dumped or restored."""
import os
import re
import socket

from live import Failure, Program
from scenario import scenario
from test_inet import deny_bpf
from test_refusals import good_end, refused_unharmed


def give(fd):
    """A preexec_fn that makes fd number 50 of the program."""
    return lambda: os.dup2(fd, 50)


def inode(case, fd=50):
    return re.search(r"\d+", os.readlink(f"/proc/{case.root}/fd/{fd}"))[0]


@scenario
def test_outside_stream(case):
    """PROVES: F148 F150 F130"""
    ours, theirs = socket.socketpair()
    case.start_program(Program("unix_outside"), "stream", preexec_fn=give(theirs.fileno()),
                       close_fds=False)
    theirs.close()
    key = f"unix[{inode(case)}]"
    refused_unharmed(case, rf"fd 50: .*of process {os.getpid()} outside the tree.*use --external {re.escape(key)}")
    refused_unharmed(case, "outside the tree", "--ext-unix-sk")  # that is for datagrams
    images = case.dump("--external", key)
    name = f"socket:[{key[5:-1]}]"
    case.refused("restore", rf"outside the tree.*--inherit-fd 'fd\[N\]:{re.escape(name)}'", "-d",
                 images=images)
    ours, theirs = socket.socketpair()
    case.restore(images, "--inherit-fd", f"fd[{theirs.fileno()}]:{name}",
                 pass_fds=[theirs.fileno()])
    theirs.close()
    ours.sendall(b"question")
    case.release()
    if ours.recv(64) != b"answer" or ours.recv(64):
        raise Failure("no answer, or others hold the socket")
    good_end(case)


def log_server(case):
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    (case.dir / "log").unlink(missing_ok=True)
    server.bind(str(case.dir / "log"))
    return server


@scenario
def test_outside_log(case):
    """A datagram client of a server like syslog: connected again by name.
    PROVES: F148"""
    server = log_server(case)
    case.start_program(Program("unix_outside"), "log")
    refused_unharmed(case, r"fd 50: .*/log\" .*outside the tree.*use --ext-unix-sk")
    images = case.dump("--ext-unix-sk")
    case.refused("restore", "outside the tree.*--ext-unix-sk", "-d", images=images)
    server.close()
    case.refused("restore", r"fd 50: .* connected to .*/log, .*not there", "-d",
                 "--ext-unix-sk", images=images)
    case.gone()
    server = log_server(case)
    case.restore(images, "--ext-unix-sk")
    good_end(case)
    if server.recv(64) != b"ended":
        raise Failure("the server heard nothing")


@scenario
def test_outside_log_by_inode(case):
    """PROVES: F148"""
    server = log_server(case)
    case.start_program(Program("unix_outside"), "log")
    images = case.dump(f"--ext-unix-sk={inode(case)}")
    case.restore(images, "-x")
    good_end(case)
    if (server.recv(64), server.recv(64)) != (b"started", b"ended"):
        raise Failure("the server did not hear both")


@scenario
def test_taken_names(case):
    """PROVES: F144"""
    case.start_program(Program("unix_outside"), "abstract")
    images = case.dump()
    other = socket.socket(socket.AF_UNIX)
    other.bind("\0taken")
    case.refused_early("restore", r"fd 50: the name \"@taken\" .*taken by another process", "-d",
                       images=images)
    other.close()
    datagrams = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    datagrams.bind("\0taken")  # another type: no matter
    case.restore(images)
    good_end(case)


@scenario
def test_taken_path(case):
    """PROVES: F139"""
    case.start_program(Program("unix_outside"), "path")
    images, path = case.dump(), case.dir / "path"
    path.unlink()
    other = socket.socket(socket.AF_UNIX)
    other.bind(str(path))
    other.listen()
    case.refused("restore", r"fd 50: the unix socket .*/path belongs to another process", "-d",
                 images=images)
    other.setblocking(False)
    try:
        other.accept()
        raise Failure("the other process was connected to")
    except BlockingIOError:
        pass
    other.close()
    path.unlink()
    path.write_text("precious")
    case.refused("restore", "fd 50: .*/path, .*is another file now", "-d", images=images)
    if path.read_text() != "precious":
        raise Failure("the file was touched")
    path.unlink()
    case.restore(images)
    good_end(case)


@scenario
def test_failed_restore(case):
    """It leaves no file of a socket behind where there was none.
    PROVES: F139"""
    server = log_server(case)
    case.start_program(Program("unix_outside"), "log_and_path")
    images, path = case.dump("--ext-unix-sk"), case.dir / "path"
    path.unlink()
    server.close()
    (case.dir / "log").unlink()
    stranger = socket.socket(socket.AF_UNIX)
    stranger.bind(str(case.dir / "log"))  # alive, but of a type that cannot be connected to
    case.refused("restore", "connect its unix socket", "-d", "--ext-unix-sk", images=images)
    if path.exists():
        raise Failure("the failed restore left a socket's file")
    stranger.close()
    server = log_server(case)
    case.restore(images, "--ext-unix-sk")
    good_end(case)


@scenario
def test_waiting_from_outside(case):
    """A connection from outside that nobody has accepted yet: refused, or dropped.
    PROVES: F147"""
    case.start_program(Program("unix_outside"), "abstract")
    client = socket.socket(socket.AF_UNIX)
    client.connect("\0taken")
    key = f"unix[{inode(case)}]"
    refused_unharmed(case, rf"fd 50: .*to accept from outside.*--external {re.escape(key)}")
    images = case.dump("--external", key)
    case.restore(images)
    good_end(case)


REASONS = {"sent": "has sent data on a connection that is not accepted yet",
           "early": "has sent data on a connection that is not accepted yet",
           "closed": "its client has closed again", "urgent": "MSG_OOB"}


@scenario(args=list(REASONS))
def test_refused_state(case, kind):
    """PROVES: F147"""
    case.start_program(Program("unix_outside"), kind)
    refused_unharmed(case, rf"fd \d+: unix socket .*{REASONS[kind]}")
    good_end(case)


@scenario
def test_closed_unseen(case):
    """Without the kernel's memory nobody sees what a client sent that is closed again.
    PROVES: F147"""
    case.start_program(Program("unix_pending"))
    case.refused("dump", "its client has closed again", "-t", case.root, preexec_fn=deny_bpf)
    case.restore(case.dump())
    good_end(case)


@scenario(args=["sent", "closed"])
def test_dropped(case, kind):
    """A connection whose data only accept() would show is reset on request; the listener goes on.
    PROVES: F147"""
    case.start_program(Program("unix_outside"), kind, "dropped")
    case.refused("dump", f"{REASONS[kind]}.*--skip-in-flight", "-t", case.root, "--explain")
    case.restore(case.dump("--skip-in-flight"))
    good_end(case)
