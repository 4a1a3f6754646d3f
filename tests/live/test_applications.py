"""Large applications as Debian ships them: a browser, and a job of several processes over MPI."""
import base64
import json
import os
import socket
import struct
import subprocess
import time
import urllib.request

from live import CRIT, Failure, Program, poll
from scenario import scenario
from unmodified import CONNECTED, connect, need_equal, need_tool, round_trip

# The root of the tree stays, and is given whom the browser sends away (its crash handlers).
SUBREAPER = """
import ctypes, os, subprocess, sys
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
subprocess.Popen(sys.argv[1:])
while True:
    try:
        os.wait()
    except ChildProcessError:
        break
"""


class Page:
    """A page of a browser, by its debugging protocol: one text frame a question, one an answer."""

    def __init__(self, port):
        listing = f"http://127.0.0.1:{port}/json"
        pages = json.load(urllib.request.urlopen(listing, timeout=20))
        url = next(p["webSocketDebuggerUrl"] for p in pages if p["type"] == "page")
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET /{url.split('/', 3)[3]} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key}\r\n\r\n".encode())
        self.file = self.socket.makefile("rb")
        while self.file.readline().strip():
            pass

    def evaluate(self, expression):
        question = json.dumps({"id": 1, "method": "Runtime.evaluate",
                               "params": {"expression": expression}}).encode()
        self.socket.sendall(struct.pack(">BBHL", 0x81, 0x80 | 126, len(question), 0) + question)
        _, length = struct.unpack("BB", self.file.read(2))
        if length == 126:
            length, = struct.unpack(">H", self.file.read(2))
        return json.loads(self.file.read(length))["result"]["result"].get("value")


PAGE = "<!doctype html><body><script>let n = 0; setInterval(() => n++, 10)</script>"
STEP = """document.body.append(document.createElement('p'));
    [document.querySelectorAll('p').length, [...Array(1000).keys()].reduce((a, b) => a + b * b)] + ''"""


@scenario(timeout=180)
def test_chromium(case):
    """A page with script and a debugger's connection; browser, renderers and helpers.
    PROVES: F159 F197 F074"""
    (case.dir / "page.html").write_text(PAGE)
    case.start(["/usr/bin/python3", "-c", SUBREAPER, need_tool("chromium"), "--headless",
                "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                f"--user-data-dir={case.dir}/profile", "--remote-debugging-port=7010",
                f"file://{case.dir}/page.html"],
               ready=False)
    connect(7010).close()
    page = Page(7010)
    poll(lambda: page.evaluate("typeof n") == "number", 20, "the page")
    for step in range(1, 4):
        need_equal(page.evaluate(STEP), f"{step},332833500", f"step {step}")
        before = page.evaluate("n")
        round_trip(case, *CONNECTED, "--file-locks")
        poll(lambda: page.evaluate("n") > before, 20, "a timer of the page")
    need_equal(page.evaluate(STEP), "4,332833500", "the last step")


@scenario(timeout=120)
def test_report_in_browser(case):
    """What crit report writes is a page that a browser shows without complaint or network."""
    chromium = need_tool("chromium")
    case.start_program(Program("tcp_pairs"))
    images, page = case.dump(*CONNECTED), case.dir / "report.html"
    subprocess.run([CRIT, "report", images, "-o", page], check=True)
    shown = subprocess.run(
        [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
         f"--user-data-dir={case.dir}/profile", "--enable-logging=stderr", "--dump-dom",
         f"--screenshot={case.dir}/page.png", f"file://{page}"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
    for want in ("tcp_pairs", "127.0.0.1", "<svg", "pages-1.img"):
        if want not in shown.stdout:
            raise Failure(f"the page does not show {want!r}: {shown.stdout[-2000:]}")
    if complaints := [x for x in shown.stderr.splitlines() if "CONSOLE" in x or "ERR_" in x]:
        raise Failure(f"the browser complains: {complaints}")
    case.restore(images, *CONNECTED)
    case.kill()


MPI = r"""
#include <mpi.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int rank, n, done = 0;
	char name[512];

	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &n);
	for (long k = 1; !done; k++) {
		long mine = rank + k, sum;
		MPI_Allreduce(&mine, &sum, 1, MPI_LONG, MPI_SUM, MPI_COMM_WORLD);
		if (sum != n * k + n * (n - 1) / 2)
			MPI_Abort(MPI_COMM_WORLD, 1);
		snprintf(name, sizeof(name), "%s/%s", argv[1], k == 300 ? "ready" : "release");
		if (!rank && k == 300)
			fclose(fopen(name, "w"));
		done = !rank && !access(name, F_OK) && k != 300;
		MPI_Bcast(&done, 1, MPI_INT, 0, MPI_COMM_WORLD);
		usleep(500);
	}
	snprintf(name, sizeof(name), "%s/result", argv[1]);
	FILE *f = rank ? NULL : fopen(name, "w");
	if (f) {
		fputs("OK", f);
		fclose(f);
	}
	return MPI_Finalize();
}
"""


@scenario(timeout=180)
def test_mpi(case):
    """Ranks that reduce and broadcast over shared memory, under mpirun.
    PROVES: F001 F087"""
    mpicc, mpirun = need_tool("mpicc"), need_tool("mpirun")
    (case.dir / "job.c").write_text(MPI)
    subprocess.run([mpicc, "-o", case.dir / "job", case.dir / "job.c"], check=True)
    case.start([mpirun, "--allow-run-as-root", "--oversubscribe", "-np", "3", "--mca", "btl",
                "self,vader", case.dir / "job", case.dir], timeout=60)
    for _ in range(3):
        round_trip(case, *CONNECTED)
        time.sleep(0.2)
    case.release()
    case.verdict(40)
