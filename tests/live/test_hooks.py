"""Action scripts: which stages they see, with what, and what their failure does."""
import os

from live import need
from scenario import scenario

SCRIPT = """#!/bin/sh
echo "$CRTOOLS_SCRIPT_ACTION %(name)s $CRTOOLS_INIT_PID $(cd "$CRTOOLS_IMAGE_DIR" && pwd -P)" >>%(dir)s/stages
[ "$CRTOOLS_SCRIPT_ACTION" != "$(cat %(dir)s/fail_at)" ]
"""


def script(case, name):
    path = case.dir / f"script.{name}"
    path.write_text(SCRIPT % {"name": name, "dir": case.dir})
    path.chmod(0o755)
    (case.dir / "fail_at").write_text("nothing")
    return path


def stages(case):
    path = case.dir / "stages"
    lines = [line.split(" ") for line in path.read_text().splitlines()] if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


@scenario
def test_stages(case):
    """Two scripts, the last given first, at every stage, with the environment they are promised.
    PROVES: F358 F359"""
    pid = case.start(["sleep", "1000"], ready=False)
    options = [o for n in "ab" for o in ("--action-script", script(case, n))]
    images = case.dump(*options)
    where = str(images.resolve())
    seen = stages(case)
    need([s[:2] for s in seen] == [[stage, n] for stage in ("pre-dump", "post-dump") for n in "ba"], seen)
    need(all(s[2:] == [str(pid), where] for s in seen), seen)
    case.restore(images, *options)
    seen = stages(case)
    want = ("pre-restore", "post-restore", "pre-resume", "post-resume")
    need([s[:2] for s in seen] == [[stage, n] for stage in want for n in "ba"], seen)
    need(all(s[2] == ("" if s[0] == "pre-restore" else str(pid)) and s[3] == where for s in seen), seen)


@scenario
def test_failures(case):
    """A script that fails stops what can still be stopped; both scripts run all the same.
    PROVES: F360"""
    pid = case.start(["sleep", "1000"], ready=False)
    options = [o for n in "ab" for o in ("--action-script", script(case, n))]

    def at(stage):
        (case.dir / "fail_at").write_text(stage)
    at("pre-dump")
    case.refused("dump", r"script\.b failed for pre-dump \(exit status 1\)", "-t", pid, *options)
    need(len(stages(case)) == 2, "not both scripts ran")
    at("post-dump")
    ran = case.run("dump", case.new_images(), "-t", pid, *options)
    need(ran.status == 255 and "failed for post-dump" in ran.text, ran.describe())
    need(case.pids() == [pid], "the tree is gone")
    at("nothing")
    images = case.dump(*options)
    for stage in ("pre-restore", "post-restore"):
        at(stage)
        case.refused("restore", f"failed for {stage}", "-d", "--pidfile", case.dir / "pid", *options,
                     images=images)
        case.gone([pid])
        need(not (case.dir / "pid").exists(), "a pidfile of a failed restore")
    for stage in ("pre-resume", "post-resume"):
        at(stage)
        ran = case.run("restore", images, "-d", *options)
        need(ran.status == 0 and f"failed for {stage}" in ran.text, ran.describe())
        case.kill()
    os.environ["PATH"] += ":" + str(case.dir)
    at("nothing")
    case.restore(images, "--action-script", "script.a")  # found by PATH
    case.kill()
    case.refused("restore", "no-such-script could not be run", "-d", "--action-script", "no-such-script",
                 images=images)
