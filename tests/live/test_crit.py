"""crit on images of the reference, on images made up here, and on damaged ones."""
import base64
import json
import os
import re
import subprocess

import pytest

from live import CRIT, ROOT

GOLDEN = ROOT.parent / "shared" / "golden" / "sets"
SETS = sorted(p.name for p in GOLDEN.iterdir()) if GOLDEN.is_dir() else []


def crit(*argv, data=None, status=0):
    ran = subprocess.run([CRIT, *map(str, argv)], input=data, capture_output=True)
    assert ran.returncode == status, (argv, ran.stderr)
    return ran if status else ran.stdout


def decode(image, *options):
    return json.loads(crit("decode", *options, data=image))


def encode(value, **kw):
    return crit("encode", data=value if isinstance(value, bytes) else json.dumps(value).encode(), **kw)


def golden_images(name):
    images = GOLDEN / name / "images"
    return [i for i in sorted(images.iterdir()) if not i.name.startswith("pages-")]


def reference_json(image):
    folder = image.parent.parent / "json"
    for name in (image.stem, image.name):
        if (folder / f"{name}.json").exists():
            return (folder / f"{name}.json").read_text()
    return None


@pytest.mark.skipif(not SETS, reason="no ../shared/golden here")
@pytest.mark.parametrize("name", SETS or ["-"])
def test_golden(name):
    """Text equal to what the reference prints, and back to the same bytes from either layout.
    PROVES: F389 F390 F392 F394 F396 F397 F401"""
    compared = 0
    for image in golden_images(name):
        want, data = reference_json(image), image.read_bytes()
        if want:
            compared += 1
            assert crit("show", image).decode().rstrip("\n") == want.rstrip("\n"), image
        for layout in ([], ["--pretty"]):
            assert encode(crit("decode", "-i", image, *layout)) == data, image
    assert compared > 5
    assert b"fit together" in crit("check", GOLDEN / name / "images")


# One entry of each kind with payload of its own, and values at their limits.
MADE_UP = [
    {"magic": "IPCNS_SEM", "entries": [{"desc": {"key": 1, "uid": 0, "gid": 0, "cuid": 0, "cgid": 0,
     "mode": 384, "id": 3}, "nsems": 3, "extra": [1, 65535, 0]}]},
    {"magic": "IPCNS_MSG", "entries": [{"desc": {"key": 1, "uid": 0, "gid": 0, "cuid": 0, "cgid": 0,
     "mode": 384, "id": 3}, "qbytes": 16384, "qnum": 2, "extra": [
         {"mtype": 1, "msize": 5}, "aGVsbG8=\n", {"mtype": 2**63, "msize": 0}, ""]}]},
    {"magic": "IPCNS_SHM", "entries": [{"desc": {"key": 1, "uid": 0, "gid": 0, "cuid": 0, "cgid": 0,
     "mode": 384, "id": 3}, "size": 6, "extra": "YWJjZGVm\n"}]},
    {"magic": "BPFMAP_DATA", "entries": [{"map_id": 1, "keys_bytes": 4, "values_bytes": 2, "count": 1,
     "extra": "YWJjZGVm\n"}]},
    {"magic": "GHOST_FILE", "entries": [{"uid": 0, "gid": 0, "mode": 33188, "chunks": True, "size": 9},
     {"len": 3, "off": 0, "extra": "YWJj\n"}, {"len": 3, "off": 6, "extra": "ZGVm\n"}]},
    {"magic": "GHOST_FILE", "entries": [{"uid": 0, "gid": 0, "mode": 33188, "extra":
     base64.encodebytes(bytes(range(256)) * 1000).decode()}]},
    {"magic": "PAGEMAP", "entries": [{"pages_id": 1},
     {"vaddr": 2**64 - 4096, "compat_nr_pages": 1, "flags": 4, "nr_pages": 1}]},
    {"magic": "PIPES_DATA", "entries": [{"pipe_id": 1, "bytes": 3, "size": 65536, "extra": "YWJj\n"},
     {"pipe_id": 2, "bytes": 0, "size": 4096, "extra": ""}]},
    {"magic": "TCP_STREAM", "entries": [{"inq_len": 2, "inq_seq": 1, "outq_len": 3, "outq_seq": 2**32 - 1,
     "opt_mask": 15, "snd_wscale": 7, "mss_clamp": 1460, "extra": {"inq": "YWI=\n", "outq": "YWJj\n"}}]},
    {"magic": "SK_QUEUES", "entries": [{"id_for": 1, "length": 2, "extra": "YWI=\n"}]},
    {"magic": "FDINFO", "entries": []},
]


@pytest.mark.parametrize("value", MADE_UP, ids=lambda v: v["magic"])
def test_made_up(value):
    """PROVES: F389 F390"""
    image = encode(value)
    assert decode(image) == value
    assert encode(crit("decode", "--pretty", data=image)) == image


def unix_socket(name):
    opts = {k: 0 for k in ("so_sndbuf", "so_rcvbuf", "so_snd_tmo_sec", "so_snd_tmo_usec",
                           "so_rcv_tmo_sec", "so_rcv_tmo_usec")}
    owner = {k: 0 for k in ("uid", "euid", "signum", "pid_type", "pid")}
    return {"type": "UNIXSK", "id": 1, "usk": {
        "id": 1, "ino": 1, "type": 1, "state": 10, "flags": 2, "uflags": 0, "backlog": 0, "peer": 0,
        "fown": owner, "opts": opts, "name": name}}


def test_texts():
    """Bytes that are not UTF-8, control characters and long socket names come through.
    PROVES: F390"""
    owner = {k: 0 for k in ("uid", "euid", "signum", "pid_type", "pid")}
    for path in (b"/a\xff\xfe b", "/\u00e9\u20ac\U0001f600\n\t\"\\/".encode(), b"/\xf4\x8f\xbf\xbf\x80\xc3", b""):
        text = path.decode("utf-8", "replace").encode()
        placeholder = {"magic": "FILES", "entries": [{"type": "REG", "id": 1, "reg": {
            "id": 1, "flags": "O_RDWR | O_APPEND | 0x8000000", "pos": 7, "fown": owner, "name": text.decode()}}]}
        image = encode(placeholder)
        image = image.replace(text, path) if len(text) == len(path) else image
        assert encode(crit("decode", data=image)) == image
        assert decode(image)["entries"][0]["reg"]["flags"] == 0o2002 | 0x8000000
    name = "=00" + "x" * 73 + "=\n" + "y" * 20 + "=3D=FF=20"
    image = encode({"magic": "FILES", "entries": [unix_socket(name)]})
    assert b"\0" + b"x" * 73 + b"y" * 20 + b"=\xff " in image
    assert encode(crit("decode", "--pretty", data=image)) == image


def test_raw_path():
    """A path in an image may hold any byte.
    PROVES: F390"""
    owner = {k: 0 for k in ("uid", "euid", "signum", "pid_type", "pid")}
    image = encode({"magic": "FILES", "entries": [{"type": "REG", "id": 1, "reg": {
        "id": 1, "flags": 0, "pos": 7, "fown": owner, "name": "/0123456789"}}]})
    for raw in (b"\xff\xfe\x80/\xc3(\xe2\x82\x00"[:9] + b"x", b"\xf4\x8f\xbf\xbf\xed\xa0\x80abc"):
        image_raw = image.replace(b"0123456789", raw.replace(b"\0", b"0"))
        assert encode(crit("decode", data=image_raw)) == image_raw


def test_numbers():
    """Every form that an integer may have.
    PROVES: F395"""
    ghost = {"uid": "0x10", "gid": "16", "mode": 33188, "dev": "8:1", "ino": 2**64 - 1, "rdev": "259:7"}
    value = decode(encode({"magic": "GHOST_FILE", "entries": [ghost]}), "--pretty")["entries"][0]
    assert value == {"uid": 16, "gid": 16, "mode": 33188, "dev": "8:1", "ino": 2**64 - 1, "rdev": "259:7"}
    for bad, why in (({"uid": -1}, "the number is too large"), ({"uid": "ten"}, "not a number"), ({}, "missing"),
                     ({"uid": 2**32}, "the number is too large"), ({"uid": []}, "not a number")):
        ran = encode({"magic": "GHOST_FILE", "entries": [{"gid": 0, "mode": 0, **bad}]}, status=1)
        assert f"entry 0: ghost_file_entry.uid: {why}" in ran.stderr.decode()


def test_lengths_must_fit():
    """A payload that is not as long as its record says is refused."""
    value = {"magic": "PIPES_DATA", "entries": [{"pipe_id": 1, "bytes": 9, "extra": "YWJj\n"}]}
    assert b"has 3 bytes, its record says 9" in encode(value, status=1).stderr
    value["entries"][0].update(bytes=3, extra="YWJ")
    assert b"not base64" in encode(value, status=1).stderr


@pytest.mark.parametrize("argv, data, status, message", [
    ([], None, 1, "too few arguments"),
    (["--help-me"], None, 2, "invalid command"),
    (["show"], None, 2, "required: IN"),
    (["decode", "-x"], b"", 2, "unrecognized arguments: -x"),
    (["x", "/", "everything"], None, 2, "choose from ps"),
    (["show", "/etc/passwd"], None, 1, r"/etc/passwd: Unknown magic 0x746f6f72 *\..*raw data"),
    (["show", "/nowhere.img"], None, 1, "/nowhere.img: No such file"),
    (["show", "/"], None, 1, "Is a directory"),
    (["decode"], b"abc", 1, "ends inside its header"),
    (["encode"], b"\x19\x43\x56\x54\0\0", 1, "Cannot read JSON"),
    (["encode"], b'{"magic": "CORE"', 1, "Cannot read JSON.*too early"),
    (["encode"], b'{"magic": "NOTHING", "entries": []}', 1, "Unknown magic NOTHING"),
    (["encode"], b'[1]', 1, "no magic"),
    (["x", "/etc", "ps"], None, 1, "no pstree.img"),
    (["check", "/nowhere"], None, 1, "No such file"),
])
def test_misuse(argv, data, status, message):
    """PROVES: F398"""
    ran = crit(*argv, data=data, status=status)
    assert re.search(message, ran.stderr.decode(), re.S), ran.stderr
    assert b"Traceback" not in ran.stderr


def test_version_and_help():
    assert crit("--version") == b"4.2\n"
    assert b"decode" in crit("-h")


def test_truncated():
    """Every truncation of an image is an error that names file and offset, or a shorter image."""
    image = encode(MADE_UP[0])
    for length in range(len(image)):
        ran = subprocess.run([CRIT, "decode"], input=image[:length], capture_output=True)
        assert ran.returncode == (0 if length == 8 else 1), length
        if ran.returncode:
            assert re.search(rb"standard input: (offset \d+: )?", ran.stderr), ran.stderr


def test_failed_output(tmp_path):
    """A failure takes a half-written file away, but neither a device nor a link."""
    os.mkfifo(tmp_path / "fifo")
    reader = os.open(tmp_path / "fifo", os.O_RDWR)
    (tmp_path / "link").symlink_to("/dev/stdout")
    for name, stays in (("file", False), ("fifo", True), ("link", True)):
        crit("decode", "-o", tmp_path / name, data=b"abc", status=1)
        assert os.path.lexists(tmp_path / name) == stays, name
    os.close(reader)


def test_hostile_directories(tmp_path):
    """Neither tasks below themselves nor pages without end keep it busy for ever."""
    task = {"pid": 5, "ppid": 5, "pgid": 5, "sid": 5, "threads": [5]}
    tasks = [{**task, "ppid": 0}] + 30 * [task]
    pages = {"magic": "PAGEMAP", "entries": [
        {"pages_id": 1}, {"vaddr": 4096, "nr_pages": 1 << 50, "flags": 1, "compat_nr_pages": 0}]}
    spans = ("start_code end_code start_data end_data start_stack start_brk brk arg_start arg_end "
             "env_start env_end").split()
    mm = {"exe_file_id": 1, **{f"mm_{span}": 0 for span in spans}}
    (tmp_path / "pstree.img").write_bytes(encode({"magic": "PSTREE", "entries": tasks}))
    (tmp_path / "pagemap-5.img").write_bytes(encode(pages))
    (tmp_path / "mm-5.img").write_bytes(encode({"magic": "MM", "entries": [mm]}))
    for argv in (["x", tmp_path, "ps"], ["diff", tmp_path, tmp_path]):
        ran = subprocess.run([CRIT, *argv], capture_output=True, timeout=20)
        assert ran.returncode in (0, 1), (argv, ran.stderr)
    assert crit("x", tmp_path, "ps").count(b"\n") == 32
