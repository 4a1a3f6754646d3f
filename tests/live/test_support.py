"""docs/support.md is what the code's tables say; what they refuse is named, also by a preflight."""
import subprocess
from pathlib import Path

import live
from live import Program
from scenario import scenario
from test_refusals import good_end, refused_unharmed

KINDS = {
    "userfaultfd": "a userfaultfd", "perf": "perf_event", "secret": "secret memory",
    "fsopen": "fsopen", "seccomp-notify": "a seccomp listener", "vsock": "a vsock socket",
    "xdp": "an XDP socket", "crypto": "AF_ALG", "landlock": "a landlock ruleset",
    "mqueue": "POSIX message queue", "bpf-program": "a BPF program",
}


@scenario(args=list(KINDS))
def test_refused_by_name(case, kind):
    """PROVES: F466 F034 F175"""
    case.start_program(Program("odd_fd"), kind)
    refused_unharmed(case, rf"\b{case.root}\b.*fd 100: .*{KINDS[kind]}")
    case.refused("check", rf"fd 100: .*{KINDS[kind]}", "-t", case.root)
    good_end(case)


def test_support_table():
    made = subprocess.run([Path(live.FERMATA).parent / "fermata-support"], capture_output=True, text=True,
                          check=True).stdout
    kept = Path(live.__file__).resolve().parents[2] / "docs" / "support.md"
    assert kept.read_text() == made, "run `make support`"
