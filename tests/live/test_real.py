"""Programs that know nothing of checkpoints."""
import os
import subprocess
import time

from live import Failure, poll
from scenario import scenario
from unmodified import need_tool, text


def round_trips(case, count=3):
    """Dump and restore while the program works, as often as it lives, at least once."""
    for i in range(count):
        if i and not case.pids():
            return
        case.restore(case.dump())
        time.sleep(0.02 * (i + 1))


def wait_for(case, path, want, timeout=60):
    poll(lambda: text(path).endswith(want) or not case.pids(), timeout, f"{want!r} in {path.name}")
    if not text(path).endswith(want):
        raise Failure(f"the end of {path.name}: {text(path)[-300:]!r}; output:\n"
                      + text(case.dir / "out")[-2000:])


@scenario
def test_bash_pipeline(case):
    """PROVES: F001 F132"""
    bash, out = need_tool("bash"), case.dir / "sum"
    script = """i=0; while [ $i -lt 600 ]; do i=$((i+1)); echo $i; read -t 0.002 -u 9; done 9<>$1/fifo |
                sed 's/$/ 1/' | while read a b; do s=$((s+a*b)); echo $s; done >$1/sums
                tail -n 1 $1/sums >$1/sum"""
    os.mkfifo(case.dir / "fifo")
    case.start([bash, "-c", script, "bash", case.dir], ready=False)
    time.sleep(0.3)
    round_trips(case)
    wait_for(case, out, "180300\n")
    sums = text(case.dir / "sums").split()
    if sums != [str(i * (i + 1) // 2) for i in range(1, 601)]:
        raise Failure("a line of the pipeline is wrong")


PYTHON = """
import hashlib, sys, threading, time
results = {}
def work(n):
    h = hashlib.sha256(str(n).encode())
    for i in range(120000):
        h.update(b"%d" % i)
        if i % 5000 == 0: time.sleep(0.01)
    results[n] = h.hexdigest()
threads = [threading.Thread(target=work, args=(n,)) for n in range(5)]
[t.start() for t in threads]
[t.join() for t in threads]
open(sys.argv[1], "w").write("".join(results[n] for n in range(5)) + "\\n")
"""


@scenario
def test_python_threads(case):
    """PROVES: F004 F022"""
    alone, out = case.dir / "alone", case.dir / "result"
    subprocess.run(["/usr/bin/python3", "-c", PYTHON, alone], check=True)
    case.start(["/usr/bin/python3", "-c", PYTHON, out], ready=False)
    time.sleep(0.15)
    round_trips(case)
    wait_for(case, out, "\n")
    if text(out) != text(alone):
        raise Failure("the result is another one")


PERL = """
my %h; my $s = 7;
for my $i (1..8000000) { $s = ($s * 1103515245 + 12345) % 2147483648; $h{$s % 5000} += $i % 13; }
open(my $f, '>', $ARGV[0]); print $f join(',', map { "$_=$h{$_}" } sort keys %h), "\\n"; close $f;
"""


@scenario
def test_perl(case):
    """PROVES: F001 F064"""
    perl, alone, out = need_tool("perl"), case.dir / "alone", case.dir / "result"
    subprocess.run([perl, "-e", PERL, alone], check=True)
    case.start([perl, "-e", PERL, out], ready=False)
    time.sleep(0.15)
    round_trips(case)
    wait_for(case, out, "\n")
    if text(out) != text(alone):
        raise Failure("the result is another one")


MAKEFILE = """
OBJS := $(foreach n,1 2 3 4 5 6 7 8 9 10 11 12,part$(n).o)
all: program
program: $(OBJS)
\tgcc -o $@ $^
%.o: %.c
\tsleep 0.1; gcc -O2 -c -o $@ $<
"""


@scenario
def test_make_tree(case):
    """PROVES: F002 F011 F031"""
    make = need_tool("make")
    (case.dir / "Makefile").write_text(MAKEFILE)
    for n in range(1, 13):
        body = "int main(void){return 0;}" if n == 12 else \
            f"int f{n}(int x){{return x*{n};}}"
        (case.dir / f"part{n}.c").write_text("#include <stdio.h>\n" + body)
    case.start([make, "-C", case.dir, "-j4"], ready=False)
    time.sleep(0.15)
    round_trips(case)
    poll(lambda: not case.pids(), 60, "the end of make")
    if subprocess.run([case.dir / "program"]).returncode != 0:
        raise Failure("what make made does not work:\n" + text(case.dir / "out"))


@scenario
def test_sqlite(case):
    """A database being written. Without locks: those are not ours to restore yet.
    PROVES: F001 F095"""
    sqlite, db = need_tool("sqlite3"), case.dir / "db"
    sql = ["PRAGMA synchronous=OFF; CREATE TABLE t(i INTEGER PRIMARY KEY, x TEXT);"]
    for part in range(300):
        sql.append("BEGIN; " + "".join(
            f"INSERT INTO t(x) VALUES('{part * 100 + i:010d}{'x' * 100}');" for i in range(100))
            + " COMMIT;")
    (case.dir / "sql").write_text("\n".join(sql) + "\n.print done\n")
    with open(case.dir / "sqlout", "w") as out:
        case.start(["sh", "-c", f"exec {sqlite} -vfs unix-none {db} < {case.dir / 'sql'}"], ready=False, stdout=out)
    time.sleep(0.08)
    busy = 0
    while "done" not in text(case.dir / "sqlout") and busy < 4 and case.pids():
        busy += 1
        case.restore(case.dump())
        time.sleep(0.03)
    if not busy:
        raise Failure("it was finished before the first dump")
    poll(lambda: not case.pids(), 60, "the end of sqlite3")
    answer = subprocess.run([sqlite, db, "PRAGMA integrity_check; SELECT count(*), sum(length(x)) FROM t;"],
                            capture_output=True, text=True).stdout
    if answer != "ok\n30000|3300000\n":
        raise Failure(f"the database says {answer!r}")
