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
