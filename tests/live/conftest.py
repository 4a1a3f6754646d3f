"""Compile the test programs once, before any test runs."""
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
import live  # noqa: E402


def pytest_configure(config):
    if os.geteuid() != 0:
        pytest.exit("live tests need root", 1)
    if hasattr(config, "workerinput"):
        return
    errors = live.compile_all()
    if errors:
        pytest.exit("test programs do not compile:\n" + errors, 1)


def pytest_terminal_summary(terminalreporter, config):
    """Tells tests/live/run what failed."""
    if hasattr(config, "workerinput"):
        return
    failed = [r.nodeid for kind in ("failed", "error") for r in terminalreporter.stats.get(kind, [])]
    where = Path(config.rootpath) / "build" / "live" / "failed.txt"
    if where.parent.is_dir():
        where.write_text("".join(f"{n}\n" for n in dict.fromkeys(failed)))
