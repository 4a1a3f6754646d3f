"""Every program of programs/ in every variant."""
import os

import pytest

import live
import variants
from scenario import run_case

CONTROL = [variants.control] if os.environ.get("LIVE_CONTROL") else []


def cases():
    for source in sorted((live.HERE / "programs").glob("*.c")):
        program = live.Program(source.stem)
        wanted = program.words("VARIANTS") or [v.__name__ for v in variants.ALL]
        for variant in [*CONTROL, *variants.ALL]:
            if variant.__name__ in [*wanted, "control"]:
                yield pytest.param(program.name, variant.__name__,
                                   id=f"{program.name}-{variant.__name__}")


@pytest.mark.parametrize("program,variant", cases())
def test_program(program, variant):
    run_case(program, variant)


@pytest.mark.parametrize("program", ["counter", "threads8", "tree3"])
def test_on_the_host(program):
    """The same without a PID namespace around it."""
    run_case(program, "plain", host=True)
