"""AIO contexts that cannot be dumped."""
import os
import threading
import time

from live import Program
from scenario import scenario
from test_refusals import good_end, refused_unharmed


@scenario
def test_inherited_ring(case):
    """A ring that fork() left in a child, which has no context of its own.
    PROVES: F088"""
    case.start_program(Program("aio_odd"), "child")
    child = max(case.pids())
    refused_unharmed(case, rf"\b{child}\b.*AIO ring at [0-9a-f]+ .*inherited by fork")
    good_end(case)


@scenario
def test_requests_complete(case):
    """Requests go on completing while the tree is stopped: given up after a while, unharmed; when
    they are done, it is dumped.
    PROVES: F089"""
    pipes = [os.pipe() for _ in range(300)]

    def place():
        for i, (reader, _) in enumerate(pipes):
            os.dup2(reader, 600 + i)
        os.closerange(100, 600)
        for i in range(len(pipes)):
            os.dup2(600 + i, 100 + i)
        os.closerange(600, 600 + len(pipes))
    case.start_program(Program("aio_odd"), "busy", preexec_fn=place, close_fds=False)

    def write():
        for _, writer in pipes[:-1]:
            time.sleep(0.008)
            os.write(writer, b"x")
    thread = threading.Thread(target=write)
    thread.start()
    case.refused("dump", "asynchronous requests? .*(go on completing|completed during the dump)", "-t", case.root)
    thread.join()
    case.advances(1)
    os.write(pipes[-1][1], b"x")
    images = case.dump()
    case.restore(images)
    good_end(case)
