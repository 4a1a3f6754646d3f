#!/usr/bin/python3
"""Write docs/features.md: which features are proven, by which tests, and which not yet.

usage: features.py [--milestone N] [JUNIT.xml...]   (default: what the last test runs left in build)

All features of milestones up to N are listed (2 by default), and of later ones those that some test
claims or not_yet.tsv mentions.

A test names what it proves in a line `PROVES: F001 F002` of its opening comment or docstring: the
programs of tests/live/programs (all variants count), the variants themselves (judged by three plain
programs), the functions of test_*.py, and the C files of tests/unit. A feature is proven if every case that names it passed
in the last run and at least one was not skipped. tests/live/not_yet.tsv says why for the others
(id, reason); a reason there wins over passing tests, which then prove only a part.
"""
import csv
import re
import sys
import xml.etree.ElementTree as ET
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LIVE = ROOT / "tests" / "live"
REPORTS = [ROOT / "build/live/report.xml", ROOT / "build/meson-logs/testlog.junit.xml"]


def ids(text):
    return [i for line in re.findall(r"PROVES:((?:\s+F\d+)+)", text) for i in line.split()]


def table(path):
    with open(path, newline="") as f:
        return list(csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE))


def claims():
    """feature id -> {(label, pattern of the names of its cases)}"""
    out = defaultdict(set)

    def add(text, label, pattern):
        for feature in ids(text):
            out[feature].add((label, pattern))
    for path in (LIVE / "programs").glob("*.c"):
        comment = path.read_text().split("*/")[0]
        if path.stem.startswith("race_"):
            add(comment, path.stem, rf"test_race\[{path.stem.removeprefix('race_')}\]")
        elif "VARIANTS: scenario" not in comment:  # of those, the test functions say it
            add(comment, path.stem, rf"test_program\[{path.stem}-(?!control)\w+\]")
    for path in [LIVE / "variants.py", *LIVE.glob("test_*.py"),
                 *(ROOT / "tests/interop").glob("test_*.py")]:
        for m in re.finditer(r'^def (\w+)\(.*\n    """((?:.|\n)*?)"""', path.read_text(), re.M):
            name = m[1]
            if path.name == "variants.py":
                add(m[2], f"variant {name}", rf"test_program\[(counter|threads8|tree3)-{name}\]")
            else:
                add(m[2], f"{path.stem}: {name}", rf"{name}(\[.*\])?")
    for path in (ROOT / "tests/unit").glob("*.c"):
        add(path.read_text().split("*/")[0], f"unit: {path.stem}", path.stem.removeprefix("test_"))
    return out


def results(reports):
    """case name -> passed, failed or skipped"""
    out = {}
    for report in reports:
        for case in ET.parse(report).getroot().iter("testcase"):
            kinds = {child.tag for child in case}
            out[case.get("name")] = "failed" if kinds & {"failure", "error"} else \
                "skipped" if "skipped" in kinds else "passed"
    return out


def judge(claim, outcome):
    """(proven, labels of the tests, what is wrong)"""
    labels, wrong, passed = [], [], 0
    for label, pattern in sorted(claim):
        cases = {name: r for name, r in outcome.items() if re.fullmatch(pattern, name)}
        labels.append(label)
        failed = [name for name, r in cases.items() if r == "failed"]
        if failed:
            wrong.append(f"{label} fails ({len(failed)} of {len(cases)} cases)")
        elif not cases:
            wrong.append(f"{label} did not run")
        passed += sum(r == "passed" for r in cases.values())
    if not wrong and not passed:
        wrong.append("all its tests were skipped")
    return not wrong, labels, wrong


def main(argv):
    milestone = "2"
    if "--milestone" in argv:
        at = argv.index("--milestone")
        milestone = argv[at + 1]
        argv = argv[:at] + argv[at + 2:]
    reports = [Path(a) for a in argv] or [r for r in REPORTS if r.exists()]
    if not reports:
        sys.exit("no test reports: run the tests first")
    claimed, outcome = claims(), results(reports)
    reasons = {row["id"]: row["reason"] for row in table(LIVE / "not_yet.tsv")}
    proven, missing = [], []
    for row in table(ROOT / "docs/features.tsv"):
        if row["milestone"] > milestone and row["id"] not in {*claimed, *reasons}:
            continue
        good, labels, wrong = judge(claimed.get(row["id"], set()), outcome)
        if row["id"] in reasons:
            wrong = [reasons[row["id"]], *(w for w in wrong if labels)]
        elif not labels:
            wrong = ["no test yet"]
        (proven if good and labels and row["id"] not in reasons else missing).append(
            (row, labels, wrong))
    known = {row["id"] for row in table(ROOT / "docs/features.tsv")}
    stray = (set(claimed) | set(reasons)) - known
    if stray:
        sys.exit(f"unknown feature ids: {sorted(stray)}")
    lines = ["# Features", "",
             "Written by `make features` from the last test run; do not edit.", "",
             f"Of milestones 1 to {milestone}, and what is there of later ones: {len(proven)} proven, "
             f"{len(missing)} not yet.", "", "## Proven", "",
             "| id | area | feature | by |", "|---|---|---|---|"]
    lines += [f"| {r['id']} | {r['area']} | {r['feature']} | {', '.join(labels)} |"
              for r, labels, _ in proven]
    lines += ["", "## Not yet", "", "| id | area | feature | why |", "|---|---|---|---|"]
    lines += [f"| {r['id']} | {r['area']} | {r['feature']} | {'; '.join(wrong)} |"
              for r, _, wrong in missing]
    (ROOT / "docs/features.md").write_text("\n".join(lines) + "\n")
    print(f"{len(proven)} proven, {len(missing)} not yet: docs/features.md")


if __name__ == "__main__":
    main(sys.argv[1:])
