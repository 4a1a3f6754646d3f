"""Services as Debian ships them, checkpointed while they serve.

Each test starts the unmodified program on loopback, leaves state in it and connections open, moves
it through dump and restore, and asks the same connections for the rest. The clients are sockets of
this process, so outside the tree, unless the test says otherwise.
"""
import os
import re
import shutil
import subprocess
import time

from live import Failure, poll
from scenario import scenario
from unmodified import CONNECTED, connect, need_equal, need_tool, round_trip, text


class Client:
    """A line-wise conversation that fails with what it got instead."""

    def __init__(self, port):
        self.socket = connect(port)
        self.file = self.socket.makefile("rb")

    def send(self, data):
        self.socket.sendall(data.encode())

    def line(self):
        return self.file.readline().decode().rstrip("\r\n")

    def ask(self, question, *answers):
        self.send(question + "\r\n")
        for want in answers:
            got = self.line()
            if got != want:
                raise Failure(f"{question!r}: {got!r} instead of {want!r}")

    def http(self, path, close=False):
        """Status and body of a GET on this connection."""
        self.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n"
                  f"Connection: {'close' if close else 'keep-alive'}\r\n\r\n")
        status, length = self.line(), 0
        while True:
            header = self.line()
            if not header:
                break
            if header.lower().startswith("content-length:"):
                length = int(header.split(":")[1])
        return status, self.file.read(length).decode()

    def close(self):
        self.file.close()
        self.socket.close()


@scenario
def test_redis(case):
    """Data and a connected client, in the middle of a transaction.
    PROVES: F159"""
    case.start([need_tool("redis-server"), "--port", "7001", "--dir", case.dir, "--save", ""],
               ready=False)
    client = Client(7001)
    for i in range(100):
        client.ask(f"SET key{i} value{i}", "+OK")
    client.ask("MULTI", "+OK")
    client.ask("INCR counter", "+QUEUED")
    for _ in range(3):
        round_trip(case, *CONNECTED)
    client.ask("INCR counter", "+QUEUED")
    client.ask("EXEC", "*2", ":1", ":2")
    other = Client(7001)
    other.ask("GET key42", "$7", "value42")
    other.ask("DBSIZE", ":101")


NGINX = """
worker_processes 2;
daemon off;
pid %(dir)s/nginx.pid;
error_log %(dir)s/error.log;
events { worker_connections 64; }
http {
    access_log off;
    keepalive_timeout 600;
    client_body_temp_path %(dir)s/t1; proxy_temp_path %(dir)s/t2; fastcgi_temp_path %(dir)s/t3;
    uwsgi_temp_path %(dir)s/t4; scgi_temp_path %(dir)s/t5;
    server { listen 127.0.0.1:7002; root %(dir)s/www; }
}
"""


def start_nginx(case):
    nginx = need_tool("nginx")
    (case.dir / "www").mkdir()
    (case.dir / "www" / "page").write_text("hello from before")
    (case.dir / "nginx.conf").write_text(NGINX % {"dir": case.dir})
    case.start([nginx, "-c", case.dir / "nginx.conf"], ready=False)
    client = Client(7002)
    need_equal(client.http("/page"), ("HTTP/1.1 200 OK", "hello from before"), "the page")
    return client


@scenario
def test_nginx(case):
    """Master and workers, no connection open; then a reload by signal.
    PROVES: F158 F197"""
    start_nginx(case).close()
    poll(lambda: len(case.pids()) == 3, 10, "two workers")
    # The server's side of the closed connection may take a moment to go.
    time.sleep(0.1)
    for _ in range(3):
        round_trip(case)
    client = Client(7002)
    need_equal(client.http("/page"), ("HTTP/1.1 200 OK", "hello from before"), "the page")


@scenario
def test_nginx_keepalive(case):
    """A keep-alive connection goes on.
    PROVES: F159"""
    client = start_nginx(case)
    for i in range(3):
        round_trip(case, *CONNECTED)
        need_equal(client.http("/page"), ("HTTP/1.1 200 OK", "hello from before"), f"round {i}")


@scenario
def test_memcached(case):
    """PROVES: F159 F197"""
    argv = [need_tool("memcached"), "-l", "127.0.0.1", "-p", "7003", "-u", "root", "-U", "0"]
    case.start(argv, ready=False)
    client = Client(7003)
    client.ask("set k 0 0 5\r\nhello", "STORED")
    client.send("set half 0 0 10\r\n01234")
    time.sleep(0.05)
    for _ in range(3):
        round_trip(case, *CONNECTED)
    client.ask("56789", "STORED")
    client.ask("get k half", "VALUE k 0 5", "hello", "VALUE half 0 10", "0123456789", "END")


NODE = """
const http = require('http'), fs = require('fs');
let hits = 0, ticks = 0;
setInterval(() => ticks++, 10);
http.createServer((q, a) => {
  const before = ticks;
  setTimeout(() => {
    const file = fs.readFileSync(__filename).length > 10;
    const body = JSON.stringify({hits: ++hits, alive: ticks > before, file});
    a.setHeader('Content-Length', body.length);
    a.end(body);
  }, 50);
}).listen(7004, '127.0.0.1').keepAliveTimeout = 600000;
"""


@scenario
def test_node(case):
    """An HTTP server on libuv, with a keep-alive connection.
    PROVES: F159 F197 F200"""
    (case.dir / "server.js").write_text(NODE)
    case.start([need_tool("node"), case.dir / "server.js"], ready=False)
    client = Client(7004)
    for hits in range(1, 4):
        status, body = client.http("/")
        need_equal((status, body), ("HTTP/1.1 200 OK", f'{{"hits":{hits},"alive":true,"file":true}}'),
                   f"request {hits}")
        round_trip(case, *CONNECTED)
    need_equal(client.http("/")[0], "HTTP/1.1 200 OK", "the last request")


ECHO = """
import asyncio, os, sys
N, folder = 100, sys.argv[1]
async def serve(reader, writer):
    while line := await reader.readline():
        writer.write(line)
        await writer.drain()
async def client(n):
    reader, writer = await asyncio.open_connection('127.0.0.1', 7005)
    turns = 0
    while not os.path.exists(folder + '/release') or turns < 2:
        text = b'%d %d\\n' % (n, turns)
        writer.write(text)
        if await reader.readline() != text:
            sys.exit('wrong echo')
        turns += 1
        if turns == 1 and n == N - 1:
            open(folder + '/ready', 'w')
        await asyncio.sleep(0.02)
    writer.close()
    return turns
async def main():
    server = await asyncio.start_server(serve, '127.0.0.1', 7005, backlog=N)
    turns = await asyncio.gather(*(client(n) for n in range(N)))
    open(folder + '/result', 'w').write('OK' if min(turns) > 1 else f'BAD {min(turns)}')
asyncio.run(main())
"""


@scenario
def test_asyncio_echo(case):
    """A hundred connections with both ends in the tree, talking.
    PROVES: F159 F197"""
    case.start(["/usr/bin/python3", "-c", ECHO, case.dir])
    for _ in range(3):
        round_trip(case, *CONNECTED)
        time.sleep(0.1)
    case.release()
    case.verdict()


@scenario
def test_socat_chain(case):
    """TCP to a unix socket to a command, each by a socat of its own, in one session.
    PROVES: F139 F159"""
    socat, unix = need_tool("socat"), case.dir / "middle"
    script = (f"{socat} UNIX-LISTEN:{unix} EXEC:cat & "
              f"while [ ! -S {unix} ]; do sleep 0.01; done; "
              f"{socat} TCP-LISTEN:7006,bind=127.0.0.1,reuseaddr UNIX-CONNECT:{unix} & wait")
    case.start(["sh", "-c", script], ready=False)
    client = Client(7006)
    client.ask("one", "one")
    for turn in ("two", "three", "four"):
        round_trip(case, *CONNECTED)
        client.ask(turn, turn)


def postgres_tool(name):
    found = sorted(p for p in (os.path.join("/usr/lib/postgresql", v, "bin", name)
                               for v in (os.listdir("/usr/lib/postgresql")
                                         if os.path.isdir("/usr/lib/postgresql") else []))
                   if os.path.exists(p))
    return found[-1] if found else need_tool(name)


class Psql:
    """A psql outside of the tree, fed line by line."""

    def __init__(self, case, where):
        argv = [need_tool("psql"), "-qAt", "-h", where, "-U", "postgres", "-d", "postgres"]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, bufsize=1)
        case.tools.add(self.process.pid)

    def ask(self, sql):
        self.process.stdin.write(sql + "\n\\echo done\n")
        self.process.stdin.flush()
        lines = []
        while (line := self.process.stdout.readline()) and line.strip() != "done":
            lines.append(line.strip())
        return lines


@scenario(timeout=120)
def test_postgresql(case):
    """A server with its helpers and shared memory, and an open transaction of a client.
    PROVES: F087 F159"""
    initdb, postgres = postgres_tool("initdb"), postgres_tool("postgres")
    data = case.dir / "data"
    shutil.chown(case.dir, "postgres")
    run = {"user": "postgres", "group": "postgres", "extra_groups": [], "cwd": "/"}
    made = subprocess.run([initdb, "-A", "trust", "--no-sync", "-D", data], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **run)
    if made.returncode:
        raise Failure(f"initdb: {made.stdout}")
    case.start([postgres, "-D", data, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off",
                "-c", "unix_socket_directories="], ready=False, **run)
    connect(5432).close()
    poll(lambda: "ready to accept" in text(case.dir / "out"), 30, "the database")
    client = Psql(case, "127.0.0.1")
    client.ask("CREATE TABLE t(i int);")
    client.ask("BEGIN; INSERT INTO t SELECT generate_series(1, 1000);")
    for i in range(3):
        round_trip(case, *CONNECTED)
        need_equal(client.ask("SELECT count(*) FROM t;"), ["1000"], f"round {i}, inside")
        need_equal(Psql(case, "127.0.0.1").ask("SELECT count(*) FROM t;"), ["0"],
                   f"round {i}, outside")
    need_equal(client.ask("COMMIT;"), [], "commit")
    need_equal(Psql(case, "127.0.0.1").ask("SELECT sum(i) FROM t;"), ["500500"], "the end")


SSHD = """
Port 7007
ListenAddress 127.0.0.1
HostKey %(dir)s/host
PidFile none
UsePAM no
StrictModes no
AuthorizedKeysFile %(dir)s/key.pub
PermitRootLogin yes
"""


@scenario(timeout=120)
def test_sshd(case):
    """The server of a running interactive session; the client stays outside.
    PROVES: F159 F184"""
    sshd, ssh, keygen = need_tool("sshd"), need_tool("ssh"), need_tool("ssh-keygen")
    os.makedirs("/run/sshd", exist_ok=True)
    for name in ("host", "key"):
        subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", case.dir / name], check=True)
    (case.dir / "conf").write_text(SSHD % {"dir": case.dir})
    case.start([sshd, "-D", "-e", "-f", case.dir / "conf"], ready=False)
    connect(7007).close()
    argv = [ssh, "-F", "none", "-tt", "-p", "7007", "-i", case.dir / "key", "-o", "BatchMode=yes",
            "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
            "root@127.0.0.1", "PS1= exec bash --norc --noprofile"]
    client = subprocess.Popen([str(a) for a in argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True, bufsize=1)
    case.tools.add(client.pid)

    def ask(number):
        client.stdin.write(f"echo $((x += {number})) is it $(tty)\n")
        for line in client.stdout:
            if found := re.match(r"(\d+) is it (\S+)\s*$", line):
                return found.groups()
        raise Failure(f"the session is over: {text(case.dir / 'out')}")
    total, terminal = ask(1)
    for turn in range(3):
        round_trip(case, *CONNECTED)
        total = int(total) + 10
        need_equal(ask(10), (str(total), terminal), f"round {turn}")


JAVA = """
import java.io.*;
import java.util.*;
import java.util.concurrent.*;
public class Counter {
    public static void main(String[] a) throws Exception {
        File release = new File(a[0], "release");
        ExecutorService pool = Executors.newFixedThreadPool(4);
        Map<Long, byte[]> kept = new ConcurrentHashMap<>();
        long n = 0;
        while (!release.exists()) {
            final long i = n++;
            pool.submit(() -> { byte[] b = new byte[100000]; Arrays.fill(b, (byte) i); kept.put(i, b); });
            if (n > 100) kept.remove(n - 100);
            if (n == 300) new File(a[0], "ready").createNewFile();
            Thread.sleep(1);
        }
        pool.shutdown();
        boolean good = pool.awaitTermination(10, TimeUnit.SECONDS);
        System.gc();
        for (Map.Entry<Long, byte[]> e : kept.entrySet())
            for (byte b : e.getValue()) good &= b == (byte) (long) e.getKey();
        try (FileWriter w = new FileWriter(new File(a[0], "result"))) {
            w.write(good ? "OK" : "BAD");
        }
    }
}
"""


@scenario(timeout=120)
def test_jvm(case):
    """Threads, compiled code and a garbage collector at work.
    PROVES: F004 F022 F064"""
    javac, java = need_tool("javac"), need_tool("java")
    (case.dir / "Counter.java").write_text(JAVA)
    subprocess.run([javac, "-d", case.dir, case.dir / "Counter.java"], check=True)
    case.start([java, "-Xmx64m", "-cp", case.dir, "Counter", case.dir], timeout=60)
    for _ in range(3):
        round_trip(case)
        time.sleep(0.2)
    case.release()
    case.verdict(40)
