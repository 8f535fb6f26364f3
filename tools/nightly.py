#!/usr/bin/env python3
"""What is too long, or too much a matter of the machine, for `make test`: all of it once, with a report that is kept.

    make nightly ARGS="--only siege,bench --against before.json --report FILE"

Parts go on after one that fails; the exit code is 1 then. The report is text: for each part its command, its time and
the end of what it said. Needs root, and for `e2e` what tests/e2e/README.md says.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from collections import deque
from datetime import datetime
from pathlib import Path
from typing import IO, NamedTuple

PROJECT = Path(__file__).resolve().parents[1]
SOURCES = "agent:cgroups:tests:tools:tools/fixtures"
KEPT_LINES = 120


class Part(NamedTuple):
    """One part of the night. ``command``: after this Python, below the project."""

    name: str
    what: str
    command: tuple[str, ...]


PARTS = (
    Part("tests", "the tests that `make test` leaves out, and hypothesis with four times the examples",
         ("-m", "pytest", "-n", "2", "--dist", "loadfile", "-q", "-m", "nightly or hypothesis")),
    Part("attacks", "each attack at length, with what came of it", ("-m", "attacks.play")),
    Part("siege", "all attacks at once beside a client that means well", ("-m", "attacks.siege", "--minutes", "15")),
    Part("hangs", "each file that can hang, by each route", ("-m", "attacks.hangs", "--report", "build/hangs.md")),
    Part("straddle", "events of the stream behind every transport", ("-m", "attacks.straddle")),
    Part("mutants", "changes of the program that no test notices", ("tools/mutants.py", "--most", "300")),
    Part("faults", "faults that a test has to notice", ("tools/mutants.py", "--faults")),
    Part("soak", "half an hour of containers that come and go", ("tools/bench/soak.py", "--minutes", "30")),
    Part("bench", "what a reading costs, as ratios to a C program", ("tools/bench/run.py", "-n", "100,1000")),
    Part("e2e", "booted hosts: every cgroup mode, every engine", ("tests/e2e/run.py",)),
)  # fmt: skip


def play(part: Part, more: list[str], report: IO[str]) -> bool:
    """One part, shown as it goes on; whether it passed."""
    command = [sys.executable, *part.command, *more]
    began, last = time.monotonic(), deque[str](maxlen=KEPT_LINES)
    print(f"== {part.name}: {part.what}", flush=True)
    environment = os.environ | {"NIGHTLY": "1", "CGSTATD_SCHEMATHESIS": "100", "PYTHONPATH": SOURCES}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=PROJECT, env=environment, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            sys.stdout.write(line)
            last.append(line)
    verdict = "passed" if process.returncode == 0 else f"FAILED ({process.returncode})"
    title = f"{part.name}: {verdict} after {time.monotonic() - began:.0f} s"
    print(f"== {title}", flush=True)
    report.write(f"\n## {title}\n\n{part.what}: `{' '.join(command[1:])}`\n\n```\n{''.join(last)}```\n")
    report.flush()
    return process.returncode == 0


def main() -> int:
    """All parts, or some; 0 if each passed."""
    names = [part.name for part in PARTS]
    parser = argparse.ArgumentParser(description="Play what is too long for `make test`.")
    parser.add_argument("--only", default=",".join(names), metavar="PART[,PART]", help=f"of {', '.join(names)}")
    parser.add_argument("--against", metavar="FILE", help="a bench's --json, such as that of the last release")
    parser.add_argument("--report", type=Path, default=PROJECT / "build/nightly.md", metavar="FILE")
    given = parser.parse_args()
    wanted = given.only.split(",")
    if unknown := sorted(set(wanted) - set(names)):
        parser.error(f"--only: no part is called {unknown[0]}")
    given.report.parent.mkdir(parents=True, exist_ok=True)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=PROJECT, capture_output=True, text=True, check=False
    ).stdout
    passed = []
    with open(given.report, "w", encoding="utf-8") as report:
        report.write(f"# {commit.strip()}, {datetime.now():%Y-%m-%d %H:%M}, Linux {platform.release()}\n")
        for part in PARTS:
            if part.name in wanted:
                more = ["--compare", given.against] if part.name == "bench" and given.against else []
                passed.append(play(part, more, report))
    print(f"report: {given.report}")
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
