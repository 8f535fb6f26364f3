"""Hosts as `cgstatd record` wrote them: what the kernel said there is what a reader of the tree gets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from helpers import DEMO, PROJECT, RECORDED
from recordedhosts import recorded_host

SHAPES = {
    "cpu-limited",
    "host-network",
    "memory-limited",
    "nested",
    "no-network",
    "paused",
    "plain",
    "restarted",
    "shared-network",
    "stopped",
    "two-networks",
}
HYBRID, CONTAINERD = RECORDED


def stats(host: str, *options: str) -> list[dict[str, Any]]:
    ran = subprocess.run(
        [sys.executable, "-m", "cgstatd", "stats", "--format", "json", "--host-root", recorded_host(host), *options],
        env={"PYTHONPATH": f"{PROJECT}/agent:{PROJECT}/cgroups", "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return [json.loads(line) for line in ran.stdout.splitlines()]


def test_a_hybrid_host_has_every_container_under_its_name_and_in_its_state() -> None:
    found = {each["name"]: each for each in stats(HYBRID, "--all")}
    assert set(found) == {f"d-{shape}" for shape in SHAPES}
    assert found["d-paused"]["state"] == "paused" and found["d-stopped"]["state"] == "exited"
    assert found["d-memory-limited"]["memoryLimit"] == 64 << 20
    assert found["d-host-network"]["networkRx"] == found["d-no-network"]["networkRx"] == 0
    assert found["d-shared-network"]["networkRx"] == found["d-two-networks"]["networkRx"] > 0
    assert 48 < found["d-cpu-limited"]["cpuPercent"] < 52


def test_containerd_without_an_engine_above_it_is_named_by_its_ids() -> None:
    found = stats(CONTAINERD)
    assert len(found) == 10 and {each["runtime"] for each in found} == {"containerd"}
    assert all(each["name"] == each["id"][:12] for each in found)
    limited = next(each for each in found if each["memoryLimit"] == 64 << 20)
    assert limited["blockWrite"] >= 100 << 20 and limited["memoryCache"] > 0


@pytest.mark.parametrize("host", (*RECORDED, DEMO))
def test_the_recording_tells_no_secret_and_no_command_but_the_engines_own(host: str) -> None:
    for base, _, names in os.walk(recorded_host(host)):
        for name in names:
            data = Path(base, name).read_bytes()
            assert name != "environ" and not any(word in data for word in (b'"Env"', b'"Args"', b'"Cmd"', b"PATH="))
            if name == "cmdline":
                assert Path(base, "comm").read_text() in ("dockerd\n", "conmon\n")
