"""Keep some containers of a recorded tree: ``keep_containers.py TREE NEW-TREE DATA-ROOT ID...``

The machine on which a demonstration is recorded runs others too. Docker's state moves from DATA-ROOT to where it
usually is; the machine's own name, build and engines are left out.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

_HEX = re.compile(r"[0-9a-f]{64}")
_CGROUPS = "sys/fs/cgroup/"
_HOSTNAME = "shop-01\n"


def main(tree: Path, made: Path, data_root: str, ids: frozenset[str]) -> None:
    """Write the new tree."""
    index = json.loads((tree / "index.json").read_text())
    kernel = index["host"]["kernel"].partition("-")[0]
    index["host"]["kernel"] = kernel
    index["left_out"] = []
    for name, reading in index["readings"].items():
        kept = dict(_kept(tree / name, data_root.strip("/"), ids))
        for old, new in kept.items():
            target = made / name / new
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(tree / name / old, target, follow_symlinks=False)
        (made / name / "proc/version").write_text(f"Linux version {kernel}\n")
        (made / name / "proc/sys/kernel").mkdir(parents=True)
        (made / name / "proc/sys/kernel/hostname").write_text(_HOSTNAME)
        moved = {f"/{old}": f"/{new}" for old, new in kept.items()}
        for old, new in list(moved.items()):
            moved |= {up: os.path.dirname(new) for up in [os.path.dirname(old)] if up not in moved}
        reading["files"] = {moved[path]: each for path, each in reading["files"].items() if path in moved}
        reading["clocks"] = {path: each for path, each in reading["clocks"].items() if _HEX.findall(path)[-1] in ids}
    (made / "index.json").write_text(json.dumps(index, indent=1) + "\n")


def _kept(top: Path, data_root: str, ids: frozenset[str]) -> Iterator[tuple[str, str]]:
    """(path, new path) of the files to keep."""
    paths = [str(path.relative_to(top)) for path in sorted(top.rglob("*")) if not path.is_dir()]
    containers = {
        os.path.dirname(path) for path in paths if path.startswith(_CGROUPS) and set(_HEX.findall(path)) & ids
    }
    above = {directory for each in containers for directory in _above(each)}
    pids = {"1"}
    for each in containers:
        procs = top / each / "cgroup.procs"
        pids |= set(procs.read_text().split()) if procs.exists() else set()
    for path in paths:
        parts = path.split("/")
        if path.startswith(_CGROUPS):
            if os.path.dirname(path) in containers | above:
                yield path, path
        elif parts[0] == "proc":
            if not parts[1].isdigit() or (parts[1] in pids and parts[-1] != "cmdline"):
                yield path, path
        elif path.startswith(f"{data_root}/containers/") and set(parts) & ids:
            yield path, "var/lib/docker" + path.removeprefix(data_root)


def _above(directory: str) -> Iterator[str]:
    while directory.count("/") > _CGROUPS.count("/"):
        directory = os.path.dirname(directory)
        yield directory


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], frozenset(sys.argv[4:]))
