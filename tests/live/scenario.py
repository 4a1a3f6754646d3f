"""The bridge from pytest to case.py: each test runs in namespaces of its own."""
import functools
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import live

CASE = str(Path(__file__).resolve().parent / "case.py")
PASSED, SKIPPED = 0, 77


def run_case(*argv, host=False, timeout=90):
    """Run case.py; translate its exit status into pytest's terms."""
    import pytest
    base = Path(os.environ.get("LIVE_DIR", "/tmp/fermata-live"))
    rundir = base / f"{os.getpid()}.{argv[0]}.{'.'.join(argv[1:])}"
    rundir.parent.mkdir(mode=0o755, exist_ok=True)
    shutil.rmtree(rundir, ignore_errors=True)
    env = {k: v for k, v in os.environ.items() if k != "LIVE_NS"}
    prefix, options = [str(live.BUILD / "ns_init")], []
    if host:
        prefix, options = [], ["--host"]
    else:
        env["LIVE_NS"] = "1"
    job = subprocess.Popen([*prefix, "/usr/bin/python3", CASE, *options, *argv[:2], str(rundir),
                            *argv[2:]], env=env, stdin=subprocess.DEVNULL, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           start_new_session=True)
    try:
        output, _ = job.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(job.pid, signal.SIGKILL)
        output = job.communicate()[0]
        pytest.fail(f"no end within {timeout} s; run directory {rundir}\n{output}", pytrace=False)
    if job.returncode == SKIPPED:
        shutil.rmtree(rundir, ignore_errors=True)
        pytest.skip(output.strip().splitlines()[-1])
    if job.returncode != PASSED:
        pytest.fail(f"{output}\nrun directory {rundir}; again by hand: "
                    f"tests/live/case.py {' '.join(argv)}", pytrace=False)
    shutil.rmtree(rundir, ignore_errors=True)


def scenario(function=None, *, host=False, timeout=90, args=None):
    """Make a pytest test of function(case, *args), run inside namespaces of its own.

    args: a list of strings, one test for each, passed to the function. Inside, where case.py
    imports the module without pytest, the function stays what it is."""
    if "pytest" not in sys.modules:
        return function or (lambda f: f)
    if function is None:
        return functools.partial(scenario, host=host, timeout=timeout, args=args)
    module, name = function.__module__, function.__name__
    if args is None:
        def test():
            run_case(module, name, host=host, timeout=timeout)
    else:
        import pytest

        @pytest.mark.parametrize("arg", args)
        def test(arg):
            run_case(module, name, arg, host=host, timeout=timeout)
    test.__name__, test.__doc__, test.__module__ = name, function.__doc__, module
    return test
