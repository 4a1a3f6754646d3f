"""Requests to a worker of one's own (swrk) and to the service, by the Python module."""
import os
import re
import signal
import socket
import subprocess
import traceback
from pathlib import Path

from live import FERMATA, Failure, listens, need, poll, python_module
from scenario import scenario

NOBODY = 65534


def rpc():
    return python_module("rpc")


def refused(module, call, *words, errno=0):
    """The call must fail with an answer that has all words."""
    try:
        call()
    except module.Failed as e:
        text = str(e)
        need(all(w in text for w in words) and e.errno == errno, f"{text!r} (errno {e.errno})")
        return
    raise Failure(f"not refused: {words}")


def sleeper(case, **popen):
    return case.start(["sleep", "1000"], ready=False, **popen)


def serve(case, *options):
    """The service, listening at DIR/sock."""
    address = case.dir / "sock"
    log = open(case.dir / "service.out", "wb")
    service = subprocess.Popen([FERMATA, "service", "--address", address, "-W", case.dir, *options],
                               stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    case.tools.add(service.pid)
    poll(lambda: listens(address), 10, "the service")
    return service, address


@scenario
def test_as_criu(case):
    """By the name of the reference, errors say where in the sources they are from, as its do.
    PROVES: F371"""
    module, criu, images = rpc(), case.dir / "criu", case.new_images()
    criu.symlink_to(FERMATA)
    place = r"Error \(src/[a-z_/]+\.c:\d+\): there is no process with PID 99999"
    with module.Client(str(criu)) as c:
        try:
            c.dump(images, pid=99999)
            raise Failure("not refused")
        except module.Failed as e:
            need(re.search(place, str(e)), f"told: {e}")
    ran = subprocess.run([criu, "dump", "-t", "99999", "-D", images, "-o", "log"],
                         stderr=subprocess.PIPE, text=True)
    for text in (ran.stderr, (images / "log").read_text()):
        need(re.match(place, text), f"told: {text}")
    ran = subprocess.run([FERMATA, "dump", "-t", "99999", "-D", images], stderr=subprocess.PIPE,
                         text=True)
    need(ran.stderr.startswith("Error: there is no process"), f"told: {ran.stderr}")


@scenario
def test_swrk(case):
    """Dump and restore, all stages told in order, answers complete.
    PROVES: F367 F368 F376 F377"""
    module, told = rpc(), []

    def hear(script, pid, fd):
        told.append((script, pid))
        return True
    pid, images = sleeper(case), case.new_images()
    with module.Client(FERMATA, on_notify=hear) as c:
        answer = c.dump(images, pid=pid)
    need(answer.type == module.pb.DUMP and answer.dump.restored is False, f"answer {answer}")
    case.gone([pid])
    with module.Client(FERMATA, on_notify=hear) as c:
        need(c.restore(images) == pid, "another PID")
    need(told == [("pre-dump", 0), ("query-ext-files", 0), ("post-dump", 0), ("pre-restore", 0),
                  ("post-restore", pid), ("pre-resume", 0), ("post-resume", 0)], f"told: {told}")
    need((images / "criu.log").exists(), "no criu.log")
    with module.Client(FERMATA) as c:
        need(c.version(keep_open=True) == (4, 2), "version")
        f = c.features(keep_open=True, mem_track=True, pidfd_store=True)
        for name, feature in (("mem_track", "mem_dirty_track"), ("pidfd_store", "pidfd_store")):
            works = subprocess.run([FERMATA, "check", "--feature", feature],
                                   capture_output=True).returncode == 0
            need(f[name] == works, f"{name}: {f}")
        need(f["lazy_pages"] is False, "a feature that was not asked for")
        c.check()


@scenario
def test_client_objects(case):
    """A client that objects at a stage stops the dump or restore, and nothing is lost.
    PROVES: F360 F377"""
    module, pid, images = rpc(), sleeper(case), case.new_images()
    for stage in ("pre-dump", "post-dump"):
        with module.Client(FERMATA, on_notify=lambda s, *_: s != stage) as c:
            refused(module, lambda: c.dump(images, pid=pid), "objects at " + stage)
        need(case.pids() == [pid], "the tree is gone")
    with module.Client(FERMATA) as c:
        c.dump(images, pid=pid)
    case.gone([pid])
    for stage in ("pre-restore", "post-restore"):
        with module.Client(FERMATA, on_notify=lambda s, *_: s != stage) as c:
            refused(module, lambda: c.restore(images), "objects at " + stage)
        case.gone([pid])
    with module.Client(FERMATA) as c:
        c.restore(images)


@scenario
def test_errors(case):
    """What is wrong is said, with the code that clients know.
    PROVES: F371 F372"""
    module, pid, images = rpc(), sleeper(case), case.new_images()
    pb = module.pb

    def one(what, *words, errno=0):
        with module.Client(FERMATA) as c:
            refused(module, lambda: what(c), *words, errno=errno)
    one(lambda c: c.dump(images, pid=999999), "no process with PID 999999", errno=3)
    one(lambda c: c.dump(images, pid=pid, log_file="../x"), "plain name", errno=56)
    one(lambda c: c.dump(images, pid=pid, empty_ns=1), "only net", errno=56)
    one(lambda c: c.dump(images, pid=pid, external=["nonsense"]), "nonsense")
    one(lambda c: c.dump("/nowhere", pid=pid), "/nowhere")
    one(lambda c: c.dump(77, pid=pid), "/fd/77")
    one(lambda c: c._need(pb.criu_req(type=pb.DUMP), "dump"), "no options", errno=56)
    one(lambda c: c._need(pb.criu_req(type=pb.NOTIFY), "notify"), "type 6")
    one(lambda c: c._need(pb.criu_req(type=pb.FEATURE_CHECK), "check"), "no features")
    need(case.pids() == [pid], "the tree is gone")
    with module.Client(FERMATA) as c:
        c.sock.send(b"\xff\xff garbage")
        answer, _ = c._receive()
        need(answer.type == pb.EMPTY and not answer.success, f"answer to garbage: {answer}")
    with module.Client(FERMATA) as c:
        c.dump(images, pid=pid, leave_running=True)
    one(lambda c: c.restore(images), str(pid), errno=17)
    case.kill()
    core = images / f"core-{pid}.img"
    whole = core.read_bytes()
    for length in (0, 3, 9, len(whole) // 2, len(whole) - 1):
        core.write_bytes(whole[:length])
        one(lambda c: c.restore(images), f"core-{pid}.img")
    core.write_bytes(whole)
    with module.Client(FERMATA) as c:
        need(c.restore(images) == pid, "not restored after all")


@scenario
def test_service(case):
    """The daemon: several clients, each with options of its own; large and broken requests; clients
    that vanish.
    PROVES: F366 F369 F373 F374 F375 F383"""
    module, pid = rpc(), sleeper(case)
    service, address = serve(case, "--pidfile", "service.pid")
    poll(lambda: (case.dir / "service.pid").exists() and (case.dir / "service.pid").read_text(), 5, "the pidfile")
    need(int((case.dir / "service.pid").read_text()) == service.pid, "the pidfile")
    client = lambda **kw: module.Client(address=str(address), **kw)  # noqa: E731
    with client() as c:
        for _ in range(3):
            need(c.version(keep_open=True) == (4, 2), "version")
        c.version()
    with client() as c:  # in the middle of a stage
        c.on_notify = lambda *_: c.sock.close()
        try:
            c.dump(case.new_images(), pid=pid)
        except (OSError, module.Failed):
            pass
    poll(lambda: (case.pids(), open(f"/proc/{pid}/status").read().count("TracerPid:\t0"))[1] == 1, 5,
         "the release of the tree")
    with client() as c:  # half a connection, no request
        pass
    images = case.new_images()
    with client() as c:
        c.dump(images, pid=pid, leave_running=True, skip_mnt=[f"/{i:01000}" for i in range(200)])
    second = case.new_images()
    with client() as c:
        c.dump(second, pid=pid)  # leave_running of the request before is forgotten
    case.gone([pid])
    for field in ({"rst_sibling": True}, {"inherit_fd": [module.pb.inherit_fd(fd=0, key="x")]}):
        with client() as c:
            refused(module, lambda: c.restore(second, **field), "swrk", errno=56)
    with client() as c:
        need(c.restore(second) == pid, "another PID")
    poll(lambda: pid in case.pids(), 5, "the restored task")
    case.tools.discard(service.pid)
    service.send_signal(signal.SIGTERM)
    service.wait()


@scenario
def test_config_file(case):
    """A configuration file named by the client overrides its options; where logs go.
    PROVES: F357"""
    module, pid, images = rpc(), sleeper(case), case.new_images()
    work = case.dir / "work"
    work.mkdir()
    config = case.dir / "conf"
    config.write_text(f"leave-running\nlog-file from-config.log\nwork-dir {work}\n")
    with module.Client(FERMATA) as c:
        c.dump(images, pid=pid, config_file=str(config), log_file="ignored.log", log_level=4)
    need(case.pids() == [pid], "leave-running of the file was not heeded")
    need((work / "from-config.log").exists() and not (images / "ignored.log").exists(), "the log")
    config.write_text("no-such-option\n")
    with module.Client(FERMATA) as c:
        refused(module, lambda: c.dump(images, pid=pid, config_file=str(config)), "no-such-option", errno=56)


@scenario
def test_exec_cmd_and_child(case):
    """The restored root as a child of the caller; a command run in the worker's place.
    PROVES: F381"""
    module, pid, images = rpc(), sleeper(case), case.new_images()
    with module.Client(FERMATA) as c:
        c.dump(images, pid=pid)
    case.gone([pid])
    with module.Client(FERMATA) as c:
        c.restore(images, rst_sibling=True)
    need(f"PPid:\t{os.getpid()}\n" in open(f"/proc/{pid}/status").read(), "not our child")
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    with module.Client(FERMATA) as c:
        c.restore(images, exec_cmd=["sh", "-c", f"echo $PPID >{case.dir}/ran"])
    poll((case.dir / "ran").exists, 5, "the command")


def as_nobody(case, body):
    """Run body() as an ordinary user; its failure is ours."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            body()
            status = 0
        except BaseException:
            (case.dir / "why").write_text(traceback.format_exc())
        finally:
            os._exit(status)
    case.tools.add(child)
    _, status = os.waitpid(child, 0)
    case.tools.discard(child)
    if status:
        raise Failure((case.dir / "why").read_text() if (case.dir / "why").exists() else f"status {status}")


@scenario
def test_service_rights(case):
    """An ordinary user can have its own task dumped, into files of its own, and nothing else.
    PROVES: F364"""
    module = rpc()
    service, address = serve(case)
    theirs = sleeper(case)  # root's
    mine = subprocess.Popen(["sleep", "1000"], user=NOBODY, group=NOBODY, extra_groups=[],
                            start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL, cwd="/").pid
    images, secret = case.new_images(), case.dir / "secret"
    os.chown(images, NOBODY, NOBODY)
    secret.mkdir(mode=0o700)
    (secret / "conf").write_text("leave-running\n")
    (images / "link").symlink_to(secret)
    with open(images / "criu.log", "w") as f:
        f.write("root's own")
    os.chmod(images / "criu.log", 0o600)
    only_root = case.new_images()
    only_root.chmod(0o755)

    def attacks():
        def one(where, *words, errno=0, **options):
            with module.Client(address=str(address)) as c:
                refused(module, lambda: c.dump(where, **options), *words, errno=errno)
        one(images, "ermi", pid=theirs, log_file="a.log")            # another user's task
        one(images / "link", "ermission", pid=mine)                   # a directory behind a link
        one(only_root, "ermission", pid=mine, log_file="x.log")       # a directory that is not its own
        one(images, "criu.log", "ermission", pid=mine)                # a file that is not its own
        one(images, "plain name", pid=mine, log_file="../../x", errno=56)
        with module.Client(address=str(address)) as c:
            c.dump(images, pid=mine, log_file="mine.log", config_file=str(secret / "conf"))

    as_nobody(case, attacks)
    poll(lambda: "Z" in open(f"/proc/{mine}/stat").read().rsplit(")", 1)[1][:3], 5, "the end of the task")
    os.waitpid(mine, 0)
    for path in images.iterdir():
        if path.name not in ("link", "criu.log"):
            need(path.stat().st_uid == NOBODY, f"{path} belongs to {path.stat().st_uid}")

    def restore():
        with module.Client(address=str(address)) as c:
            need(c.restore(images, log_file="mine.log") == mine, "another PID")
    as_nobody(case, restore)
    status = open(f"/proc/{mine}/status").read()
    need(f"Uid:\t{NOBODY}\t{NOBODY}\t{NOBODY}\t{NOBODY}\n" in status and
         "CapEff:\t0000000000000000\n" in status and "CapPrm:\t0000000000000000\n" in status, status)

    # The images of a root's task must not make an ordinary user root.
    with module.Client(address=str(address)) as c:
        c.dump(only_root, pid=theirs)
    case.gone([theirs])
    for path in only_root.iterdir():
        path.chmod(0o644)
    work = case.dir / "w"
    work.mkdir()
    os.chown(work, NOBODY, NOBODY)

    def become_root():
        fd = os.open(work, os.O_DIRECTORY)
        with module.Client(address=str(address)) as c:
            refused(module, lambda: c.restore(only_root, work_dir_fd=fd, log_file="r.log"), "")
    as_nobody(case, become_root)
    need(theirs not in case.pids(), "a task of root's, at a user's wish")


@scenario
def test_title(case):
    """ps tells what a worker is at.
    PROVES: F385"""
    module, pid, seen = rpc(), sleeper(case), []

    def look(script, *_):
        seen.append(open(f"/proc/{c.process.pid}/comm").read().strip())
        return True
    with module.Client(FERMATA, on_notify=look) as c:
        c.dump(case.new_images(), pid=pid)
    need(f"rpc-dump-{pid}"[:15] in seen, f"titles: {seen}")


@scenario
def test_socket_activation(case):
    """A listening socket passed in the way of systemd."""
    module = rpc()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(str(case.dir / "passed"))
    listener.listen()
    child = os.fork()
    if child == 0:
        os.dup2(listener.fileno(), 3)
        os.set_inheritable(3, True)
        os.execve(FERMATA, [FERMATA, "service", "-W", str(case.dir), "-o", "service.log"],
                  {**os.environ, "LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"})
    case.tools.add(child)
    with module.Client(address=str(case.dir / "passed")) as c:
        need(c.version() == (4, 2), "version")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


SELF = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from fermata import rpc
where, fd = Path(sys.argv[2]), open("/proc/self/stat")
address = sys.argv[4] if len(sys.argv) > 4 else None
said = []
for name, running in (("one", True), ("two", False)):
    (where / name).mkdir()
    with rpc.Client(binary=sys.argv[3], address=address) as client:
        said.append(client.dump(where / name, leave_running=running).dump.restored)
(where / "result").write_text("OK" if said == [False, True] else f"BAD {said}")
"""


@scenario(args=["worker", "service"])
def test_self_dump(case, way):
    """A program in Python has itself dumped; it goes on, then it ends and is restored.
    PROVES: F370"""
    rpc()
    address = [serve(case)[1]] if way == "service" else []
    case.start(["/usr/bin/python3", "-c", SELF, Path(FERMATA).parent / "python", case.dir, FERMATA, *address],
               ready=False)
    poll(lambda: not case.pids(), 20, "the end of the dumped client")
    if case.result() is not None:
        case.verdict()
    case.restore(case.dir / "two")
    case.verdict()


@scenario
def test_self_dump_of_a_tree(case):
    """A client whose parent is dumped: it is in the tree all the same, and its answer awaits it.
    PROVES: F370"""
    module, images = rpc(), case.new_images()
    code = f"""
import os, sys
sys.path.insert(0, {str(Path(FERMATA).parent / "python")!r})
from fermata import rpc
if os.fork():
    os.wait()
else:
    with rpc.Client(address={str(case.dir / "sock")!r}) as c:
        restored = c.dump({str(images)!r}, pid=os.getppid()).dump.restored
    open({str(case.dir / "result")!r}, "w").write("OK" if restored else "BAD")
"""
    serve(case)
    case.start(["/usr/bin/python3", "-c", code], ready=False)
    poll(lambda: not case.pids(), 20, "the end of the dumped tree")
    if case.result() is not None:
        case.verdict()
    with module.Client(address=case.dir / "sock") as c:
        c.restore(images)
    case.verdict()


@scenario
def test_own_tree(case):
    """A worker that is in the tree it is to dump says so.
    PROVES: F370"""
    module = rpc()
    with module.Client(FERMATA) as c:
        c.sock  # a child of ours
        refused(module, lambda: c.dump(case.new_images(), shell_job=True), "this tool itself")


@scenario
def test_pycriu(case):
    """A program written for CRIU's module.
    PROVES: F399"""
    rpc()
    import pycriu
    pid, directory = case.start(["sleep", "1000"], ready=False), case.new_images()
    c = pycriu.criu()
    c.use_binary(FERMATA)
    c.check()
    c.opts.images_dir_fd = os.open(directory, os.O_DIRECTORY)
    c.opts.pid = 999999
    try:
        c.dump()
        raise Failure("a dump of nobody succeeded")
    except pycriu.CRIUExceptionExternal as e:
        if (e.errno, e.typ, e.resp_typ) != (3, pycriu.rpc.DUMP, pycriu.rpc.DUMP) or "pid" not in str(e):
            raise Failure(f"{e!r}: {e}") from None
    c.opts.pid = pid
    if c.dump().restored:
        raise Failure("said to be restored")
    case.gone([pid])
    if c.restore().pid != pid:
        raise Failure("another PID")
    with open(directory / f"core-{pid}.img", "rb") as f:
        image = pycriu.images.load(f)
    if image["magic"] != "CORE" or image["entries"][0]["tc"]["comm"] != "sleep":
        raise Failure(f"{image}")
    c.use_binary("/nowhere/criu")
    try:
        c.check()
        raise Failure("a tool that is not there answered")
    except (pycriu.CRIUExceptionInternal, OSError):
        pass


@scenario
def test_not_there_yet(case):
    """What comes with a later engine is said so, and nothing is done.
    PROVES: F371"""
    module, pid, images = rpc(), sleeper(case), case.new_images()
    pb = module.pb

    def one(kind, *words, answered=None, **options):
        request = pb.criu_req(type=kind)
        request.opts.images_dir_fd, request.opts.images_dir, request.opts.pid = -1, str(images), pid
        for name, value in options.items():
            setattr(request.opts, name, value)
        with module.Client(FERMATA) as c:
            answer = c.call(request)
        need(c.process.returncode == 255 if kind not in (pb.DUMP, pb.RESTORE) else c.process.returncode == 1,
             f"exit status {c.process.returncode}")
        need(not answer.success and answer.type == (kind if answered is None else answered) and
             all(w in answer.cr_errmsg for w in words), f"{kind} {options}: {answer}")
    for kind in (pb.PRE_DUMP, pb.SINGLE_PRE_DUMP, pb.PAGE_SERVER, pb.PAGE_SERVER_CHLD):
        one(kind, "not served yet", pb.criu_req_type.Name(kind))
    for options in ({"parent_img": "../x"}, {"lazy_pages": True}, {"freeze_cgroup": "/x"},
                    {"auto_dedup": True}, {"track_mem": True}):
        one(pb.DUMP, next(iter({"parent_img": "prev-images-dir"}.get(k, k.replace("_", "-")) for k in options)),
            **options)
    one(pb.RESTORE, "--root", root="/tmp")
    one(pb.NOTIFY, "type 6", answered=pb.EMPTY)
    need(case.pids() == [pid] and not (images / "inventory.img").exists(), "something was done")
