#!/usr/bin/env python3
"""`make coverage`: lines and branches of each room that its own quick tests run, and that those of all rooms run.

    make coverage ARGS="--only sampling,outputs"
    make coverage ARGS="--tree DIRECTORY"     another checkout, with its own tests

What a test starts as a program of its own is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
SOURCES = "agent/cgstatd,cgroups/cgroupfs"
BESIDE = ("tests/golden",)
"""Tests of no room: they count for all rooms together."""


def rooms(tree: Path) -> dict[str, str]:
    """The tests of each room."""
    agent = sorted(path.name for path in (tree / "agent/cgstatd").iterdir() if (path / "__init__.py").exists())
    found = {"cgroupfs": "tests/cgroupfs"} | {room: f"tests/cgstatd/{room}" for room in agent}
    return {room: tests for room, tests in found.items() if (tree / tests).is_dir()}


def room_of(path: str) -> str:
    """The room of a source file below the tree."""
    parts = path.split("/")
    return parts[1] if parts[0] == "cgroups" else parts[2] if len(parts) > 3 else "(top)"


def quick(tree: Path) -> str:
    """The expression for the tests that run in this process and soon; a tree may know fewer markers."""
    known = (tree / "pyproject.toml").read_text()
    return " and ".join(f"not {marker}" for marker in ("host", "nightly", "browser") if f'"{marker}: ' in known)


def run(tree: Path, tests: str, data: Path) -> bool:
    """One room's tests; whether all passed."""
    command = [sys.executable, "-m", "coverage", "run", "--branch", f"--source={SOURCES}", f"--data-file={data}"]
    command += ["-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", "-m", quick(tree), tests]
    environment = os.environ | {"PYTHONPATH": f"{tree}/agent:{tree}/cgroups"}
    ended = subprocess.run(command, cwd=tree, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    print(f"{tests}: {ended.stdout.rstrip().splitlines()[-1]}", flush=True)
    return ended.returncode == 0


def summed(tree: Path, data: Path) -> dict[str, list[int]]:
    """For each room: lines run, lines, branches run, branches."""
    report = data.with_suffix(".json")
    command = [sys.executable, "-m", "coverage", "json", "-q", f"--data-file={data}", "-o", str(report)]
    subprocess.run(command, cwd=tree, check=True)
    found: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for path, each in json.loads(report.read_text())["files"].items():
        names = "covered_lines", "num_statements", "covered_branches", "num_branches"
        room = found[room_of(path)]
        room[:] = (sum(pair) for pair in zip(room, (each["summary"][name] for name in names), strict=True))
    return found


def share(part: int, whole: int) -> str:
    """In percent."""
    return f"{part / whole * 100:.1f}" if whole else "-"


def main() -> int:
    """The table; 1 if a test failed."""
    parser = argparse.ArgumentParser(description="Branch coverage of each room.")
    parser.add_argument("--tree", type=Path, default=PROJECT, metavar="DIRECTORY")
    parser.add_argument("--only", metavar="ROOM[,ROOM]")
    given = parser.parse_args()
    tree = given.tree.resolve()
    wanted = rooms(tree)
    if given.only:
        wanted = {room: wanted[room] for room in given.only.split(",")}
    with tempfile.TemporaryDirectory() as directory:
        made = {room: Path(directory, room) for room in wanted}
        passed = [run(tree, tests, made[room]) for room, tests in wanted.items()]
        beside = [(tests, Path(directory, tests.replace("/", "+"))) for tests in BESIDE if (tree / tests).is_dir()]
        passed += [run(tree, tests, data) for tests, data in beside]
        own = {room: summed(tree, data)[room] for room, data in made.items()}
        combined = Path(directory, "combined")
        parts = [str(data) for data in [*made.values(), *(data for _, data in beside)]]
        command = [sys.executable, "-m", "coverage", "combine", "-q", f"--data-file={combined}", *parts]
        subprocess.run(command, cwd=tree, check=True)
        together = summed(tree, combined)
    print(
        "\n| room | branches | own tests: lines % | branches % | all: lines % | branches % |\n|---|--:|--:|--:|--:|--:|"
    )
    for room, (_, _, _, branches) in sorted(together.items()):
        mine = own.get(room, [0] * 4)
        figures = (share(*mine[:2]), share(*mine[2:]), share(*together[room][:2]), share(*together[room][2:]))
        print(f"| {room} | {branches} | {' | '.join(figures)} |")
    total = [sum(column) for column in zip(*together.values(), strict=True)]
    print(f"| all | {total[3]} | | | {share(*total[:2])} | {share(*total[2:])} |")
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
