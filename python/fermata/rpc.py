"""The tool as a service: one request and its answer at a time (spec/rpc.md).

    with rpc.Client() as client:                      # starts `criu swrk` for itself
        client.dump(pid=1234, images="/tmp/images", leave_running=True)
    with rpc.Client(address="/run/criu.socket") as client:
        pid = client.restore(images="/tmp/images")

Options are the fields of criu_opts by name. Failures raise Failed, with the tool's own message.

Without pid a process dumps itself, and goes on at the same place when it is restored:

    with rpc.Client() as client:
        answer = client.dump(images="/tmp/images")    # ends this process
    assert answer.dump.restored                       # ... and this is the restored one
"""
import os
import socket
import subprocess

from .proto import rpc_pb2 as pb

__all__ = ["Client", "Failed", "pb"]


class Failed(Exception):
    """The tool refused or failed; errno is that of the answer, 0 if it has none."""

    def __init__(self, what, response=None):
        self.response = response
        self.errno = response.cr_errno if response is not None else 0
        message = response.cr_errmsg.strip() if response is not None else ""
        super().__init__(f"{what}: {message}" if message else what)


class Client:
    """A connection; on_notify(script, pid, fd) -> bool is asked at each stage, if given.

    One of: binary, a tool to start (the default, `criu` from PATH); address, the socket of a
    service; sock, a connected sequenced socket.  The server ends the connection after a dump or a
    restore, so a Client is good for one of those.
    """

    def __init__(self, binary="criu", address=None, sock=None, on_notify=None):
        self.binary, self.process = binary, None
        self.on_notify = on_notify
        self._sock = sock
        if address is not None:
            self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self._sock.connect(os.fspath(address))

    @property
    def sock(self):
        """The connection; a worker is started when it is first needed."""
        if self._sock is None:
            self._start_worker(apart=False)
        return self._sock

    def start_apart(self):
        """For a dump of ourselves: a worker of our own that is no descendant of ours."""
        if self._sock is None:
            self._start_worker(apart=True)

    def _start_worker(self, apart):
        """apart: as no descendant of ours, or it would be in the tree that it is to dump."""
        self._sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        argv = [self.binary, "swrk", str(theirs.fileno())]
        if apart:
            argv = ["/bin/sh", "-c", '"$@" &', "sh", *argv]
        with theirs:
            process = subprocess.Popen(argv, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
                                       start_new_session=apart)
        if apart:
            process.wait()
        else:
            self.process = process

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def close(self):
        if self._sock is not None:
            self._sock.close()
        if self.process:
            self.process.wait()

    def _receive(self):
        size = self.sock.recv_into(bytearray(1), 1, socket.MSG_PEEK | socket.MSG_TRUNC)
        data, fds, _, _ = socket.recv_fds(self.sock, size, 4) if size else (b"", [], 0, None)
        if not data:
            raise Failed("the server ended the connection")
        response = pb.criu_resp()
        response.ParseFromString(data)
        return response, fds[0] if fds else -1

    def _acknowledge(self, notification, fd):
        agreed = True
        if self.on_notify:
            agreed = self.on_notify(notification.script, notification.pid, fd) is not False
        if fd >= 0 and not self.on_notify:
            os.close(fd)
        self.sock.send(pb.criu_req(type=pb.NOTIFY, notify_success=agreed).SerializeToString())

    def call(self, request):
        """Send a criu_req; return the criu_resp, whatever it says."""
        self.sock.send(request.SerializeToString())
        while True:
            response, fd = self._receive()
            if response.type != pb.NOTIFY:
                return response
            self._acknowledge(response.notify, fd)

    def _need(self, request, what):
        response = self.call(request)
        if not response.success:
            raise Failed(what, response)
        return response

    def _with_options(self, kind, images, options):
        request = pb.criu_req(type=kind)
        opts = request.opts
        opts.images_dir_fd = -1
        if isinstance(images, int):
            opts.images_dir_fd = images
        else:
            opts.images_dir = os.fspath(images)
        if self.on_notify:
            opts.notify_scripts = True
        for name, value in options.items():
            if isinstance(value, (list, tuple)):
                getattr(opts, name).extend(value)
            elif hasattr(value, "DESCRIPTOR"):
                getattr(opts, name).CopyFrom(value)
            else:
                setattr(opts, name, value)
        return request

    def dump(self, images, **options):
        """images: a path, or a descriptor of a directory. Without pid: this process."""
        if "pid" not in options:
            self.start_apart()
        return self._need(self._with_options(pb.DUMP, images, options), "dump")

    def restore(self, images, **options):
        """The PID of the restored root."""
        return self._need(self._with_options(pb.RESTORE, images, options), "restore").restore.pid

    def check(self):
        self._need(pb.criu_req(type=pb.CHECK), "check")

    def version(self, keep_open=False):
        """(major, minor)"""
        response = self._need(pb.criu_req(type=pb.VERSION, keep_open=keep_open), "version")
        return response.version.major_number, response.version.minor_number

    def features(self, keep_open=False, **asked):
        """Which of mem_track, lazy_pages, pidfd_store work, of those asked for by True."""
        request = pb.criu_req(type=pb.FEATURE_CHECK, keep_open=keep_open)
        request.features.CopyFrom(pb.criu_features(**asked))
        f = self._need(request, "feature check").features
        return {name: getattr(f, name) for name in ("mem_track", "lazy_pages", "pidfd_store")}
