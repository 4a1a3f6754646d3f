"""Limits of the tool and of its target: told with a remedy, and nothing is lost by them."""
import os
import re
import resource
import signal
import subprocess

import snapshot
from live import Program, need
from scenario import scenario
from test_refusals import good_end, refused_unharmed, unharmed

# Has a million bytes wait where it is told.
QUEUES = """
import fcntl, os, socket, sys, time
data, pipe, pair = bytes(1000000), os.pipe(), socket.socketpair()
fcntl.fcntl(pipe[1], fcntl.F_SETPIPE_SZ, 1 << 20)
pair[0].setsockopt(socket.SOL_SOCKET, 32, 4 << 20)  # SO_SNDBUFFORCE
if sys.argv[2] == "pipe":
    os.write(pipe[1], data)
if sys.argv[2] == "socket":
    pair[0].sendall(data)
open(sys.argv[1] + "/ready", "w").close()
while not os.path.exists(sys.argv[1] + "/release"):
    time.sleep(0.01)
"""


def limited(**limits):
    def apply():
        for name, value in limits.items():
            resource.setrlimit(getattr(resource, name), (value, value))
    return apply


@scenario
def test_file_size_limit(case):
    """A dump under ulimit -f fails with the limit's name, unharmed; a restore's tasks and scripts
    have the default action of SIGXFSZ.
    PROVES: F034 F467"""
    case.start_program(Program("anon_pages"))
    before = snapshot.take(case.pids())
    case.refused("dump", r"File too large.*RLIMIT_FSIZE.*ulimit -f", "-t", case.root,
                 preexec_fn=limited(RLIMIT_FSIZE=64 << 10))
    unharmed(case, before)
    script = case.dir / "script"
    script.write_text(f"#!/bin/sh\ngrep SigIgn /proc/self/status >>{case.dir}/ignored\n")
    script.chmod(0o755)
    images = case.dump("--action-script", script)
    case.restore(images, "--action-script", script)
    bit = 1 << signal.SIGXFSZ - 1
    masks = (case.dir / "ignored").read_text().split()[1::2]
    masks += re.findall(r"Sig(?:Ign|Cgt):\s(\w+)", snapshot.read(f"/proc/{case.root}/status"))
    need(len(masks) > 3 and not any(int(m, 16) & bit for m in masks), f"SIGXFSZ is in {masks}")
    good_end(case)


@scenario
def test_address_space_limit(case):
    """PROVES: F467"""
    case.start_program(Program("counter"))
    command = ["prlimit", "-p", str(case.root)]
    subprocess.run([*command, "--as=4096:unlimited"], check=True)
    refused_unharmed(case, rf"pid {case.root}: map the agent.*prlimit --as=unlimited -p {case.root}")
    subprocess.run([*command, "--as=unlimited"], check=True)
    images = case.dump()
    case.restore(images)
    good_end(case)


def predicted(case, how):
    case.start(["python3", "-c", QUEUES, case.dir, how])
    ran = case.run("check", case.new_images(), "-t", case.root, verbose=False)
    found = re.search(r"Predicted image size: (\d+)", ran.text)
    need(ran.status == 0 and found, ran.describe())
    case.kill()
    (case.dir / "ready").unlink()
    return int(found[1])


@scenario
def test_prediction_of_queues(case):
    """What waits in pipes and sockets counts for the predicted size."""
    empty = predicted(case, "nowhere")
    for where in ("pipe", "socket"):
        full = predicted(case, where)
        need(900000 < full - empty < 1100000, f"{full} with a million bytes in a {where}, {empty} without")


@scenario
def test_tree_twice(case):
    """PROVES: F467"""
    case.start_program(Program("counter"))
    before = snapshot.take(case.pids())
    case.refused("dump", rf"--tree is given twice: 1 and {case.root}", "-t", 1, "--tree", case.root)
    unharmed(case, before)
    images = case.dump("-t", case.root)  # the same again is none
    case.restore(images)
    good_end(case)


@scenario
def test_lost_directory(case):
    """PROVES: F036 F467"""
    away = case.dir / "away"
    away.mkdir()
    case.start([Program("counter").path, case.dir], cwd=away)
    images = case.dump()
    away.rmdir()
    case.refused("restore", rf"pid {case.root} working directory: {away}: No such file", "-d", images=images)
    case.gone()
    away.mkdir()
    case.restore(images)
    good_end(case)


@scenario
def test_plain_words(case):
    """An error number that no call of the kernel gave is not told."""
    case.start_program(Program("threads8"))
    thread = max(int(tid) for tid in os.listdir(f"/proc/{case.root}/task"))
    ran = case.refused("dump", f"{thread} is a thread of process {case.root}; use -t {case.root}\n", "-t", thread)
    need("Invalid argument" not in ran.text, ran.describe())
    good_end(case)
