"""Real restores from images in which one byte is another, or that were cut: they restore, or refuse
and leave nothing. Every byte is tried without forking by tests/fuzz/flips (make fuzz)."""
import os
import random
import shutil

from live import Failure, Program, need
from scenario import scenario

ROUNDS = int(os.environ.get("HOSTILE_ROUNDS", "6"))


def damage(dice, directory):
    """Returns what was done."""
    path = dice.choice(sorted(p for p in directory.glob("*.img") if not p.name.startswith("pages-")))
    data = bytearray(path.read_bytes())
    at = dice.randrange(len(data))
    if dice.random() < 0.2:
        path.write_bytes(data[:at])
        return f"{path.name} cut to {at} bytes"
    data[at] = (data[at] ^ dice.choice((0xff, 1 << dice.randrange(8)))) & 0xff
    path.write_bytes(data)
    return f"{path.name}, byte {at} is {data[at]:#x}"


def files_of(case):
    """Those that a restore might make or remove."""
    return {str(p.relative_to(case.dir)) for p in case.dir.rglob("*")
            if p.relative_to(case.dir).parts[0] not in ("images1", "damaged", "tool.out")}


@scenario(args=["tree3", "posix_timers", "ghost_files", "unix_pairs", "epolls"], timeout=180)
def test_damaged(case, name):
    """PROVES: F372"""
    program = Program(name)
    case.start_program(program)
    images = case.dump(*program.words("DUMP"))
    before, dice, refused = files_of(case), random.Random(f"{name} {ROUNDS}"), 0
    directory = case.dir / "damaged"
    for _ in range(ROUNDS):
        shutil.copytree(images, directory)
        what = damage(dice, directory)
        ran = case.run("restore", directory, "-d", *program.words("RESTORE"))
        if ran.status == 1:
            refused += 1
            case.gone()
            need(files_of(case) == before, f"{what}: files {files_of(case) ^ before}")
            need("Error" in ran.text, f"{what}: no reason given: {ran.describe()}")
        elif ran.status == 0:
            case.kill()  # whatever it is now
        else:
            raise Failure(f"{what}: {ran.describe()}")
        shutil.rmtree(directory)
    need(refused, "nothing was refused")
    case.restore(images, *program.words("RESTORE"))
    case.release()
    case.verdict()
    case.gone()
