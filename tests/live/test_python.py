"""The Python modules: images against crit, for every kind of image; their packaging; pycriu."""
import io
import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from live import FERMATA, ROOT
from test_crit import GOLDEN, MADE_UP, SETS, crit, golden_images

MODULES = str(Path(FERMATA).parent / "python")
sys.path.insert(0, MODULES)
images = pytest.importorskip("fermata.images")


def check_image(data):
    """One that is whole: the same as crit in both layouts, and back to the same bytes from either."""
    for pretty in (False, True):
        image = images.loads(data, pretty=pretty)
        shown = crit("decode", *["--pretty"] * pretty, data=data)
        assert image == json.loads(shown)
        assert list(image["entries"][0]) == list(json.loads(shown)["entries"][0]) if image["entries"] else True
        assert images.dumps(image) == data
    return images.loads(data, pretty=True, no_payload=True)


@pytest.mark.skipif(not SETS, reason="no ../shared/golden here")
@pytest.mark.parametrize("name", SETS or ["-"])
def test_golden(name, tmp_path):
    """PROVES: F399"""
    for image in golden_images(name):
        data = image.read_bytes()
        short = check_image(data)
        assert short == json.loads(crit("show", "--nopl", image)), image
        assert images.info(io.BytesIO(data)) == json.loads(crit("info", image)), image
        with open(tmp_path / "copy", "wb") as f:
            images.dump(images.load(open(image, "rb")), f)
        assert (tmp_path / "copy").read_bytes() == data


@pytest.mark.parametrize("value", MADE_UP, ids=lambda v: v["magic"])
def test_made_up(value, tmp_path):
    """Every kind of payload.
    PROVES: F399"""
    data = images.dumps(value)
    assert data == crit("encode", data=json.dumps(value).encode())
    assert images.loads(data) == value
    short = check_image(data)
    (tmp_path / "image").write_bytes(data)
    assert short == json.loads(crit("show", "--nopl", tmp_path / "image"))
    assert images.info(io.BytesIO(data)) == json.loads(crit("info", tmp_path / "image"))


def table_of(path, pattern):
    return re.findall(pattern, re.sub(r"\s+", " ", (ROOT / path).read_text()))


def test_tables():
    """What is written down twice is the same."""
    rows = table_of("src/image/registry.c", r'RECORDS\(\s?"[^"]*", "(\w+)", (0x\w+), (\w+)\)')
    assert {name: (int(magic, 16), message) for name, magic, message in rows} == images.KINDS
    from fermata.proto.forms import FORMS
    words = {"HEX": "hex", "DEV": "dev", "ODEV": "dev,odev", "FLAGS": "flags=", "DICT": "dict=",
             "IPADDR": "ipadd", "CONV": "conv="}
    rows = table_of("src/image/presentation.c", r'\{"(\w+)", "(\w+)", PRESENT_(\w+)(?:, "([\w.]+)")?\}')
    assert {(message, field): words[kind] + name for message, field, kind, name in rows} == FORMS


class Maker:
    """Values of any message, from all over their ranges."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def text(self):
        pieces = [b"a", b"/", b"\xff", b"\xe2\x82\xac", b"\xf4\x8f\xbf\xbf", b" ", b"\n", b"=", b'"']
        return b"".join(self.random.choice(pieces) for _ in range(self.random.randrange(90)))

    def integer(self, bits, signed):
        value = self.random.choice([0, 1, (1 << bits) - 1, 1 << bits - 1, self.random.getrandbits(bits),
                                    self.random.getrandbits(self.random.randrange(1, bits))])
        return value - (1 << bits) if signed and value >> bits - 1 else value

    def value(self, field, depth):
        from fermata import wire
        if field.type == field.TYPE_MESSAGE:
            return self.message(field.message_type, depth + 1)
        if field.type == field.TYPE_STRING:
            return self.text()
        if field.type == field.TYPE_BYTES:
            return self.random.randbytes(self.random.randrange(200))
        if field.type == field.TYPE_ENUM:
            return self.random.choice([v.number for v in field.enum_type.values] + [77])
        if field.type == field.TYPE_BOOL:
            return self.random.random() < 0.5
        return self.integer(*wire.INTEGERS[field.type])

    def message(self, descriptor, depth=0):
        values = {}
        for field in sorted(descriptor.fields, key=lambda f: f.number):
            optional = field.label != field.LABEL_REQUIRED
            if optional and (self.random.random() < 0.3 or depth > 4):
                continue
            n = self.random.choice([0, 1, 3, 4]) if field.label == field.LABEL_REPEATED else None
            made = [self.value(field, depth) for _ in range(1 if n is None else n)]
            if n != 0:
                values[field.name] = made[0] if n is None else made
        return values


# With payload or a head: test_made_up has these.
SPECIAL = {"IPCNS_MSG", "IPCNS_SEM", "IPCNS_SHM", "BPFMAP_DATA", "PIPES_DATA", "FIFO_DATA", "SK_QUEUES",
           "TCP_STREAM", "GHOST_FILE", "PAGEMAP"}


@pytest.mark.parametrize("kind", sorted(set(images.KINDS) - SPECIAL))
def test_any_values(kind):
    """Every kind of image with arbitrary values in it: as crit has it, and back again.
    PROVES: F399"""
    import struct
    from fermata import wire
    descriptor, maker = images._descriptor(images.KINDS[kind][1]), Maker(kind)
    first = images.FIRST.get(kind, images.COMMON)
    data = b"".join(struct.pack("<I", m) for m in (first, images.KINDS[kind][0]) if m)
    for _ in range(8):
        values = maker.message(descriptor)
        record = wire.serialize(descriptor, values)
        assert wire.parse(descriptor, record) == values
        data += struct.pack("<I", len(record)) + record
    check_image(data)


def test_damaged():
    """Damage is told as such, wherever it is.
    PROVES: F398 F399"""
    for value in MADE_UP:
        data = images.dumps(value)
        for end in range(len(data) if len(data) < 1000 else 40):
            try:
                images.loads(data[:end])
            except images.ImageError as e:
                assert str(e)
    with pytest.raises(images.MagicException) as e:
        images.loads(b"root:x:0:0:")
    assert e.value.magic == int.from_bytes(b"root", "little")
    with pytest.raises(images.MagicException):
        images.dumps({"magic": "NONSENSE", "entries": []})
    for entries in ([{}], [{"pid": "x"}], ["x"], [{"pid": 1, "ppid": 0, "pgid": 0, "sid": 0, "threads": 3}]):
        with pytest.raises(images.ImageError, match="entry 0"):
            images.dumps({"magic": "PSTREE", "entries": entries})


def test_package(tmp_path):
    """The package builds from the tree, complete.
    PROVES: F399"""
    pytest.importorskip("setuptools")
    source = tmp_path / "python"  # nothing is left in the tree
    subprocess.run(["cp", "-r", ROOT / "python", source], check=True)
    for name in ("proto", "tools"):
        (tmp_path / name).symlink_to(ROOT / name)
    subprocess.run([sys.executable, "setup.py", "-q", "build", "--build-lib", tmp_path / "lib"], cwd=source,
                   check=True, capture_output=True)
    code = "import fermata.images, fermata.rpc, pycriu; print(pycriu.__version__, len(fermata.images.KINDS))"
    said = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(tmp_path / "lib")},
                          cwd="/", check=True, capture_output=True, text=True).stdout
    assert said == f"4.2 {len(images.KINDS)}\n"
