"""What programs read of the tool: --json, and the completion that bash reads."""
import json
import subprocess
from pathlib import Path

from live import FERMATA, Failure, Skipped, need
from scenario import scenario


def run(*argv):
    ran = subprocess.run([FERMATA, *map(str, argv), "--json"], capture_output=True, text=True)
    said = json.loads(ran.stdout)
    if said["success"] != (ran.returncode == 0):
        raise Failure(f"status {ran.returncode}, but {said}")
    return said


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


@scenario
def test_cpuinfo(case):
    """What this processor can do, and what it says of images from one that can do more.
    PROVES: F347"""
    images = case.new_images()

    def tool(*argv, status=0, say=""):
        ran = subprocess.run([FERMATA, *map(str, argv), "-D", images], capture_output=True, text=True)
        need(ran.returncode == status and say in ran.stderr, f"{argv}: {ran.returncode} {ran.stderr}")
    tool("cpuinfo", "check", status=1, say="it is made by cpuinfo dump")
    tool("cpuinfo", "dump")
    tool("cpuinfo", "check")
    image = images / "cpuinfo.img"
    crit = str(Path(FERMATA).parent / "crit")
    text = json.loads(subprocess.run([crit, "show", image], capture_output=True, check=True).stdout)
    [entry] = text["entries"][0]["x86_entry"]
    flags = open("/proc/cpuinfo").read().split("flags\t\t: ")[1].split("\n")[0].split()
    need(len(entry["capability"]) == 19 and bool(entry["capability"][9] >> 5 & 1) == ("avx2" in flags), entry)
    pid = case.start(["sleep", "1000"], ready=False)
    tool("dump", "-t", pid, "--cpu-cap")
    case.gone([pid])

    def other(word, bit):
        changed = json.loads(json.dumps(text))
        changed["entries"][0]["x86_entry"][0]["capability"][word] ^= 1 << bit
        data = subprocess.run([crit, "encode"], input=json.dumps(changed).encode(), capture_output=True,
                              check=True).stdout
        image.write_bytes(data)
    lacking = next(b for b in range(32) if not entry["capability"][11] >> b & 1 and b in (1, 8, 9, 10, 30))
    other(11, lacking)
    tool("cpuinfo", "check", status=1, say="this processor")
    tool("cpuinfo", "check", "--cpu-cap=none,ins", status=1, say="lacks features of")
    tool("restore", "-d", "--cpu-cap=ins", status=1, say="use --cpu-cap=none")
    tool("restore", "-d")  # not asked for
    case.kill()
    tool("restore", "-d", "--cpu-cap=none,fpu")
    case.kill()
    other(14, 0)  # nothing that a program could use
    tool("cpuinfo", "check", "--cpu-cap=none,ins")
    tool("cpuinfo", "check", "--cpu-cap=none,cpu", status=1, say="differs from")


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
