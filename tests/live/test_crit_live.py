"""crit on dumps made here."""
import json
import re
import subprocess
import time

from live import CRIT, Failure
from scenario import scenario


def run(case, *argv):
    ran = subprocess.run([CRIT, *map(str, argv)], capture_output=True, text=True)
    if ran.returncode:
        raise Failure(f"crit {argv}: {ran.stderr}")
    return ran.stdout


def need(text, *patterns):
    for pattern in patterns:
        if not re.search(pattern, text, re.M):
            raise Failure(f"/{pattern}/ is not in:\n{text}")


WORK = """
import os, sys, time
held = open(sys.argv[1] + '/held', 'w')
reader, writer = os.pipe()
big = bytearray(1 << 20)
if os.fork() == 0:
    os.read(reader, 1)
open(sys.argv[1] + '/ready', 'w')
while True:
    held.write('x'); held.flush(); big[len(big) // 2] ^= 1
    if os.path.exists(sys.argv[1] + '/release'):
        extra = open('/dev/zero'); os.write(writer, b'x'); time.sleep(1000)
    time.sleep(0.005)
"""


@scenario
def test_explorers(case):
    """ps, fds, mems, rss, info, diff and report of a live dump.
    PROVES: F391 F393"""
    case.start(["/usr/bin/python3", "-c", WORK, case.dir])
    child = max(case.pids())
    first = case.dump("--leave-running")
    case.release()
    time.sleep(0.2)
    second = case.dump()
    need(run(case, "x", first, "ps"), r"^ +PID +PGID +SID   COMM$",
         rf"^ *{case.root} +{case.root} +{case.root}   python3$",
         rf"^ *{child} +{case.root} +{case.root}       python3$")
    need(run(case, "x", first, "fds"), rf"^{case.root}$", r"^\t      3: .*/held$", r"^\t      4: pipe\[\d+\]$",
         r"^\t    cwd: /", r"^\t   root: /$")
    need(run(case, "x", first, "mems"), r"^\texe {33}    /usr/bin/python3", r"r-x /usr/bin/python3.* \+ 0x",
         r"^\t[0-9a-f]{8,}-[0-9a-f]{8,} +r-x \[vdso\]")
    need(run(case, "x", first, "rss"), r"^\t[0-9a-f]+ / \d+ +[0-9a-f]+ / \d+ +/usr/bin/python3")
    if json.loads(run(case, "info", first / "pstree.img")) != {"magic": "PSTREE", "count": 2}:
        raise Failure("info does not count two tasks")
    need(run(case, "diff", first, second), rf"^{case.root} python3$", r"^    \+ \d+: /dev/zero$",
         r"~ 3: reg\.pos: \d+ -> \d+", r"~ pages: \d+ changed")
    if run(case, "diff", first, first):
        raise Failure("a dump differs from itself")
    page = case.dir / "report.html"
    run(case, "report", first, "-o", page)
    text = page.read_text()
    data = json.loads(re.search(r'id="data">\n(.*)\n</script>', text).group(1))
    if [t["pid"] for t in data["tasks"]] != [case.root, child] or "//" in re.sub(
            r"http://www.w3.org/2000/svg", "", text).replace("</", ""):
        raise Failure("the report is not what it should be")
    damaged = second / "pagemap-{}.img".format(case.root)
    damaged.write_bytes(damaged.read_bytes()[:-3])
    (second / "files.img").unlink()
    ran = subprocess.run([CRIT, "check", second], capture_output=True, text=True)
    if ran.returncode != 1:
        raise Failure("crit check finds nothing in a damaged dump")
    need(ran.stdout, r"pagemap-\d+\.img: offset \d+:")
