#!/usr/bin/python3
"""Run one live case by hand, or for pytest.

usage: case.py PROGRAM VARIANT [DIR]        a program of programs/ in one of the variants
       case.py MODULE TEST [DIR [ARG...]]   a test of a test_*.py module
options: --host  in the machine's own namespaces, not in fresh ones
Exit status: 0 passed, 1 failed, 77 skipped; what went wrong is on stdout.
"""
import importlib
import os
import signal
import sys
import tempfile
import traceback

import live
import variants


def body(what, how, args):
    if what.startswith("test_"):
        function = getattr(importlib.import_module(what), how)
        return lambda case: function(case, *args)
    return lambda case: variants.BY_NAME[how](case, live.Program(what))


def inside(what, how, rundir, *args):
    for signo in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):  # ignored in the background, by nohup
        signal.signal(signo, signal.SIG_DFL)
    case = live.Case(rundir)
    try:
        body(what, how, args)(case)
        return 0
    except live.Skipped as e:
        print(e)
        return 77
    except live.Failure as e:
        print(e)
    except Exception:
        traceback.print_exc(file=sys.stdout)
    finally:
        sys.stdout.flush()
        if not case.own_ns:
            case.kill()
    return 1


def main(argv):
    host = "--host" in argv
    argv = [a for a in argv if a != "--host"]
    if len(argv) < 2:
        sys.exit(__doc__)
    if len(argv) == 2:
        argv.append(tempfile.mkdtemp(prefix="fermata-live."))
        os.chmod(argv[2], 0o755)
        print("in", argv[2])
    if host or os.environ.get("LIVE_NS") == "1":
        sys.exit(inside(*argv))
    errors = live.compile_all(None if argv[0].startswith("test_") else argv[0])
    if errors:
        sys.exit(errors)
    os.environ["LIVE_NS"] = "1"
    init = str(live.BUILD / "ns_init")
    os.execv(init, [init, sys.executable, os.path.abspath(__file__), *argv])


if __name__ == "__main__":
    main(sys.argv[1:])
