"""The command line: exit statuses, usage, version, check."""
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

import live
import snapshot
from scenario import run_case


def run(*argv, **kw):
    return subprocess.run([live.FERMATA, *argv], capture_output=True, text=True, timeout=30,
                          stdin=subprocess.DEVNULL, **kw)


def test_excess_argument():
    """PROVES: F353"""
    for argv in (["dump", "-t", "1", "foo"], ["restore", "foo"], ["check", "foo"]):
        ran = run(*argv)
        assert ran.returncode == 1
        assert f"excessive parameter" in ran.stderr and argv[0] in ran.stderr
        assert "Usage" in ran.stdout
    assert "-t 31999" in run("dump", "31999").stderr


def test_usage_errors(tmp_path):
    """PROVES: F352"""
    for argv in ([], ["no-such-action"], ["dump", "--no-such-option"], ["dump", "-t", "1", "-D"]):
        assert run(*argv, cwd=tmp_path).returncode == 1, argv
    for argv in (["dump"], ["dump", "-t", "0"], ["dump", "-t", "x"], ["dump", "-t", "-5"],
                 ["restore", "-D", "/no/such/dir"], ["dump", "-t", "1", "-D", "/no/such/dir"],
                 ["restore"], ["restore", "-S"]):
        ran = run(*argv, cwd=tmp_path)
        assert ran.returncode == 1, argv
        assert ran.stderr, argv


def test_success_statuses():
    """PROVES: F352 F363"""
    ran = run("--version")
    assert ran.returncode == 0 and ran.stdout.startswith("Version: ")
    assert run("-V").stdout == ran.stdout
    for argv in (["--help"], ["-h"], ["dump", "--help"], ["dump", "--", "-h"]):
        ran = run(*argv)
        assert ran.returncode == 0 and "Usage" in ran.stdout
    for option in ("--tree", "--images-dir", "--work-dir", "--leave-running", "--leave-stopped",
                   "--restore-detached", "--restore-sibling", "--pidfile", "--link-remap",
                   "--ghost-limit", "--timeout", "--file-validation", "--shell-job", "--log-file"):
        assert option in run("--help").stdout.replace("[no-]", "")


def test_help_marks_what_is_not_there():
    """What is refused as not built yet is marked in the help, and nothing else is."""
    words = {"--port": "1", "--empty-ns": "net", "--join-ns": "net:1", "--pre-dump-mode": "read"}
    text = re.sub(r"\n {30,}", " ", run("--help").stdout)
    seen = set()
    for option, arg, said in re.findall(r"^ +(?:-\w, )?--(?:\[no-\])?([\w-]+)(\S* \S*) +(.*)$", text, re.M):
        value = [words.get("--" + option, "1")] if arg.startswith(" ") and arg.strip() else []
        for verb in (["dump", "-t", "999999999"], ["restore"]):
            ran = run(*verb, "--" + option, *value, "-D", "/no/such/dir")
            refused = "not built yet" in ran.stderr
            assert not refused or "(not there yet)" in said, option
            seen |= {option} if refused else set()
    assert {"track-mem", "lazy-pages", "freeze-cgroup", "tls"} <= seen


def test_seize_is_forbidden(tmp_path):
    """Why it may not be traced is told."""
    ran = run("dump", "-t", "1", "-D", tmp_path)
    if "seize" in ran.stderr:
        assert re.search(r"pid 1 .*seize \(.*\).*pid 1 is init", ran.stderr), ran.stderr


def test_show_is_gone():
    """PROVES: F361"""
    ran = run("show")
    assert ran.returncode == 255
    assert "crit" in (ran.stderr + ran.stdout).lower()


def test_check():
    """PROVES: F354 F355"""
    for _ in range(20):
        ran = run("check")
        assert ran.returncode == 0, ran.stderr
        assert "Looks good" in ran.stdout
    left = [p for p, t in snapshot.stats().items() if t["ppid"] == os.getpid() or
            t["comm"].startswith("fermata") and t["ppid"] == 1]
    assert not left
    assert run("check", "--feature", "no-such-feature").returncode == 1


def test_check_features():
    """Each feature asked for by name answers, and check --all says of them the same.
    PROVES: F354 F355"""
    table = (live.ROOT / "src" / "cli" / "check.c").read_text()
    rows = re.findall(r'\{"([\w-]+)", (FEATURE_\w+), \w+,\s+"([^"]+)"\}', table)
    assert len(rows) > 50
    missing = set()
    for name, level, what in rows:
        ran = run("check", "--feature", name)
        if ran.returncode == 0:
            assert f"{name} is supported" in ran.stdout + ran.stderr
            continue
        assert ran.returncode == 1 and f"feature {name} ({what}) does not work here" in ran.stderr
        if level != "FEATURE_NAMED":
            missing.add(what)
    said = run("check", "--all", "-v2")
    text = said.stdout + said.stderr
    assert {what for _, _, what in rows if f"{what} does not work here" in text} == missing
    assert "Looks good" in text and said.returncode == (1 if missing else 0)
    assert not [p for p, t in snapshot.stats().items() if t["ppid"] == os.getpid() and
                t["comm"].startswith("fermata")]


def test_cases_side_by_side():
    """Two cases with the same PIDs at the same time do not disturb each other.
    PROVES: F439"""
    with ThreadPoolExecutor() as pool:
        jobs = [pool.submit(run_case, "threads8", variant) for variant in ("plain", "cycles")]
        for job in jobs:
            job.result()
