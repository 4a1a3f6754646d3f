#!/usr/bin/python3
"""Inputs to begin with that need no place in the tree: made from image directories, from what this
kernel says, and from the option table.

usage: seeds.py DIR FERMATA CRIT IMAGES...   writes DIR/HARNESS/NAME
"""
import glob
import hashlib
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import time

PAGE = 4096
VDSO_MAX = 16 * PAGE


def put(directory, harness, data):
    path = os.path.join(directory, harness)
    os.makedirs(path, exist_ok=True)
    with open(os.path.join(path, hashlib.sha1(data).hexdigest()), "wb") as f:
        f.write(data)


def pages(data):
    """How many, and the contents of those that hold a vDSO: no others are looked at."""
    at = data.find(b"\x7fELF\x02\x01\x01")
    out = struct.pack("<I", len(data) // PAGE)
    while at >= 0:
        if b"linux-vdso.so" in data[at:at + VDSO_MAX]:
            for page in range(at // PAGE, min(at + VDSO_MAX, len(data)) // PAGE):
                if any(data[page * PAGE:(page + 1) * PAGE]):
                    out += struct.pack("<I", page) + data[page * PAGE:(page + 1) * PAGE]
            break
        at = data.find(b"\x7fELF\x02\x01\x01", at + 1)
    return out


def image_set(path):
    out = b""
    for name in sorted(os.listdir(path)):
        data = open(os.path.join(path, name), "rb").read()
        if name.startswith("pages-"):
            data = pages(data)
        out += bytes([len(name)]) + name.encode() + struct.pack("<I", len(data)) + data
    return out


def from_images(directory, crit, path):
    put(directory, "restore", image_set(path))
    for name in sorted(glob.glob(os.path.join(path, "*.img"))):
        if os.path.basename(name).startswith("pages-"):
            continue
        put(directory, "image", open(name, "rb").read())
        put(directory, "crit_decode", open(name, "rb").read())
        for pretty in ([], ["--pretty"]):
            ran = subprocess.run([crit, "decode", "-i", name, *pretty], capture_output=True)
            if not ran.returncode:
                put(directory, "crit_encode", ran.stdout)


# Many kinds of things that a process may have; what this machine lacks is left out.
BUSY = """
import ctypes, fcntl, mmap, os, select, signal, socket, sys, tempfile, threading, time
keep, libc = [], ctypes.CDLL(None)
def have(make):
    try:
        keep.append(make())
        return keep[-1]
    except Exception:
        return None
pipe = have(os.pipe); os.write(pipe[1], b"in the pipe")
for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
    pair = have(lambda: socket.socketpair(socket.AF_UNIX, kind))
    pair[0].send(b"queued")
    socket.send_fds(pair[1], [b"x"], [pipe[0]])
named = have(lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
named.bind("\\0fuzz-seed-%d" % os.getpid()); named.listen(3)
tcp = have(lambda: socket.create_server(("127.0.0.1", 0)))
have(lambda: socket.create_connection(tcp.getsockname())); have(tcp.accept)
have(lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
have(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0))
have(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))
have(lambda: os.memfd_create("m")); have(lambda: os.eventfd(7) if hasattr(os, "eventfd") else libc.eventfd(7, 0))
epoll = have(select.epoll); epoll.register(pipe[0], select.EPOLLIN)
libc.timerfd_create(1, 0); libc.signalfd(-1, ctypes.byref(ctypes.c_uint64(1)), 8)
watch = libc.inotify_init(); libc.inotify_add_watch(watch, b"/tmp", 2)
have(os.openpty)
gone = have(tempfile.TemporaryFile); gone.write(b"gone"); gone.flush()
have(lambda: mmap.mmap(-1, 8192)); have(lambda: mmap.mmap(gone.fileno(), 4))
here = have(lambda: open("/proc/self/exe", "rb")); fcntl.flock(here, fcntl.LOCK_SH)
have(lambda: fcntl.lockf(gone, fcntl.LOCK_EX))
signal.signal(signal.SIGUSR1, lambda *a: None); signal.setitimer(signal.ITIMER_REAL, 1000, 1000)
threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
if os.fork() == 0:
    os.setpgid(0, 0)
    os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(1000)
os.fork() or os._exit(3)
open(sys.argv[1], "w").close()
time.sleep(1000)
"""


def from_life(directory, fermata, crit):
    """Dumps of processes of this machine: what they need is here, so that all of a restore is planned."""
    ready = os.path.join(directory, "ready")
    for argv in (["sleep", "1000"], ["sh", "-c", "sleep 1000 | cat; :"],
                 [sys.executable, "-c", BUSY, ready]):
        images = os.path.join(directory, "images")
        os.makedirs(images)
        job = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, start_new_session=True)
        for _ in range(50 if ready in argv else 2):
            time.sleep(0.1)
            if os.path.exists(ready):
                break
        ran = subprocess.run([fermata, "dump", "-t", str(job.pid), "-D", images, "--tcp-established",
                              "--link-remap", "--skip-in-flight", "--file-locks", "--ext-unix-sk"],
                             stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if ran.returncode:
            print(f"no seed of {argv[0]}: {ran.stderr[-300:]}", file=sys.stderr)
            os.killpg(job.pid, signal.SIGKILL)
        else:
            from_images(directory, crit, images)
        job.wait()
        shutil.rmtree(images)


def read(path):
    try:
        with open(path, "rb") as f:
            return f.read(65536)
    except OSError:
        return None


def from_kernel(directory):
    """Of this process, which has a few kinds of files open."""
    open_files = [os.open("/", os.O_RDONLY), *os.pipe(), os.memfd_create("seed")]
    try:
        import select
        epoll = select.epoll()
        epoll.register(open_files[1], select.EPOLLIN)
    except (ImportError, OSError):
        pass
    for parser, name in (("maps", "maps"), ("maps", "smaps"), ("status", "status"), ("stat", "stat"),
                         ("limits", "limits"), ("timers", "timers"), ("mountinfo", "mountinfo"),
                         ("number", "personality"), ("number", "oom_score_adj"),
                         ("number", "timerslack_ns"), ("number", "autogroup"),
                         ("children", f"task/{os.getppid()}/children")):
        text = read(f"/proc/self/{name}") if parser != "children" else read(f"/proc/{os.getppid()}/{name}")
        if text is not None:
            put(directory, "kernel", parser.encode() + b"\n" + text)
    put(directory, "kernel", b"btf\n" + btf())
    for fd in os.listdir("/proc/self/fdinfo"):
        text = read(f"/proc/self/fdinfo/{fd}")
        if text is not None:
            put(directory, "kernel", b"fdinfo\n" + text)


def btf():
    """A function f, and a structure s with a member m in a part without a name."""
    strings = b"\0f\0s\0m\0"
    types = struct.pack("<III", 0, 13 << 24, 0)  # a prototype
    types += struct.pack("<III", 1, 12 << 24, 1)  # f
    types += struct.pack("<III", 0, 1 << 24, 4) + struct.pack("<I", 32)  # a number
    types += struct.pack("<III", 0, 5 << 24 | 1, 4) + struct.pack("<III", 5, 3, 0)
    types += struct.pack("<III", 3, 4 << 24 | 2, 8) + struct.pack("<III", 0, 4, 32)
    types += struct.pack("<III", 0, 5, 0)
    return struct.pack("<HBBIIIII", 0xeb9f, 1, 0, 24, 0, len(types), len(types), len(strings)) + types + strings


def from_options(directory, fermata):
    text = subprocess.run([fermata, "--help"], capture_output=True, text=True).stdout
    names = sorted(set(re.findall(r"--([a-z][a-z-]+)", text)))
    for name in names:
        put(directory, "options", f"--{name}\n".encode())
        put(directory, "options", f"{name} \"12\"\n".encode())


def main():
    directory, fermata, crit, *sets = sys.argv[1:]
    for path in sets:
        from_images(directory, crit, path)
    from_life(directory, fermata, crit)
    from_kernel(directory)
    from_options(directory, fermata)


main()
