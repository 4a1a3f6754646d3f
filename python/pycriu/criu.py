"""Requests in the manner of CRIU's Python module: an object with options, a method for each action."""
import errno

from fermata.rpc import Client, Failed, pb


class CRIUException(Exception):
    typ = None

    def __str__(self):
        return f"{pb.criu_req_type.Name(self.typ)} failed"


class CRIUExceptionInternal(CRIUException):
    """The answer was none, or to another request."""

    def __init__(self, typ, s):
        self.typ, self._s = typ, s

    def __str__(self):
        return f"{super().__str__()}: {self._s}"


class CRIUExceptionExternal(CRIUException):
    """The tool refused."""

    def __init__(self, req_typ, resp_typ, errno, errmsg=""):  # pylint: disable=redefined-outer-name
        self.typ, self.resp_typ, self.errno, self.errmsg = req_typ, resp_typ, errno, errmsg

    def __str__(self):
        why = {errno.EBADRQC: "bad options", errno.ESRCH: "no process with such pid",
               errno.EEXIST: "a process with such a pid is there"}.get(self.errno, self.errmsg.strip())
        return f"{super().__str__()}: {why or 'no cause is told'} ({self.errno})"


class criu:
    """opts are the fields of a request's options; where the tool is, the use_* methods say."""

    def __init__(self):
        self.use_binary("criu")
        self.opts = pb.criu_opts()
        self._kept = None

    def use_sk(self, path):
        self._where = {"address": path}

    def use_fd(self, fd):
        import socket
        self._where = {"sock": socket.socket(fileno=fd)}

    def use_binary(self, path):
        self._where = {"binary": path}

    def _ask(self, request, client=None):
        """The answer to a request, which must be one to it and a success."""
        own = client is None
        client = client or Client(**self._where)
        try:
            if own and request.type in (pb.DUMP, pb.SINGLE_PRE_DUMP) and not request.opts.HasField("pid"):
                client.start_apart()
            response = client.call(request)
        except (OSError, Failed) as e:
            raise CRIUExceptionInternal(request.type, str(e)) from None
        finally:
            if own and not request.keep_open:
                client.close()
        expected = pb.PAGE_SERVER if request.type == pb.PAGE_SERVER_CHLD else request.type
        if response.success and response.type == expected:
            return response
        if not response.success:
            raise CRIUExceptionExternal(request.type, response.type, response.cr_errno, response.cr_errmsg)
        raise CRIUExceptionInternal(request.type, f"an answer to {pb.criu_req_type.Name(response.type)}")

    def _with_options(self, kind):
        return self._ask(pb.criu_req(type=kind, opts=self.opts))

    def check(self):
        self._ask(pb.criu_req(type=pb.CHECK))

    def dump(self):
        return self._with_options(pb.DUMP).dump

    def pre_dump(self):
        self._with_options(pb.SINGLE_PRE_DUMP)

    def restore(self):
        return self._with_options(pb.RESTORE).restore

    def page_server_chld(self):
        """Its connection stays, for wait_pid()."""
        self._kept = Client(**self._where)
        request = pb.criu_req(type=pb.PAGE_SERVER_CHLD, opts=self.opts, keep_open=True)
        return self._ask(request, self._kept).ps

    def wait_pid(self, pid):
        """The status of a child of the worker."""
        client, self._kept = self._kept, None
        response = self._ask(pb.criu_req(type=pb.WAIT_PID, pid=pid), client)
        if client:
            client.close()
        return response.status
