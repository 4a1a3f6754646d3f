"""What programs read of the tool: --json, and the completion that bash reads."""
import json
import subprocess
from pathlib import Path

from live import FERMATA, Failure, Skipped
from scenario import scenario


def run(*argv):
    ran = subprocess.run([FERMATA, *map(str, argv), "--json"], capture_output=True, text=True)
    said = json.loads(ran.stdout)
    if said["success"] != (ran.returncode == 0):
        raise Failure(f"status {ran.returncode}, but {said}")
    return said


def need(condition, what):
    if not condition:
        raise Failure(str(what))


@scenario
def test_json(case):
    """One object on stdout, nothing else, for success and failure."""
    pid = case.start(["sleep", "1000"], ready=False)
    images = case.new_images()
    need(run("check") == {"action": "check", "success": True}, "check")
    said = run("check", "-t", pid)
    need(said["tasks"] == 1 and said["predicted_bytes"] > 0 and f"-t {pid}" in said["command"], said)
    said = run("dump", "-t", 999999, "-D", images)
    need(said["failure"]["errno"] == 3 and "999999" in said["failure"]["message"], said)
    said = run("dump", "-t", pid, "-D", images)
    need(said["action"] == "dump" and said["pid"] == pid and said["pages_written"] > 0, said)
    case.gone([pid])
    said = run("restore", "-d", "-D", images)
    need(said["pid"] == pid and said["pages_restored"] > 0, said)
    case.kill()
    dup = case.start(["sh", "-c", f"exec 9>{case.dir}/f; ln {case.dir}/f {case.dir}/g; rm {case.dir}/f; "
                      f"touch {case.dir}/ready; exec sleep 1000"])
    said = run("dump", "-t", dup, "-D", images)
    [blocker] = said["blockers"]
    need(blocker["pid"] == dup and "link-remap" in blocker["remedy"], said)


COMPLETE = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _fermata; printf '%s\\n' "${COMPREPLY[@]}"
"""


@scenario
def test_completion(case):
    """bash offers commands, options, and what options take."""
    script = Path(FERMATA).parent / "docs" / "fermata.bash"
    if not script.exists():
        raise Skipped("no completion was built")

    def offered(*words):
        ran = subprocess.run(["bash", "-c", COMPLETE, "bash", script, *words], capture_output=True,
                             text=True, check=True)
        need(not ran.stderr, ran.stderr)
        return ran.stdout.split()
    need(offered("fermata", "du") == ["dump"], offered("fermata", "du"))
    need("--tcp-established" in offered("fermata", "dump", "--tcp"), "options")
    need(offered("criu", "dump", "--file-validation", "b") == ["buildid"], "choices")
    need(offered("criu", "dump", "--manage-cgroups", "=", "st") == ["strict"], "choices behind =")
    need("1" in offered("criu", "dump", "-t", ""), "PIDs")
    need(str(case.dir) in offered("criu", "dump", "-D", str(case.dir)), "directories")
