"""How containers of every runtime ended, beside the engine's own record; on kernels without PIDFD_INFO_EXIT (6.15)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from bundles import Ctr, Oci
from docker import IMAGE as DOCKER_IMAGE
from docker import Docker
from engine import Engine, container_root
from machines import Lxc, Nspawn, Service
from podman import IMAGE as PODMAN_IMAGE
from podman import Podman

ENGINES: dict[str, tuple[Engine, tuple[str, ...]]] = {
    "docker": (Docker("systemd"), ("--image", DOCKER_IMAGE)),
    "podman": (Podman(), ("--image", PODMAN_IMAGE)),
    "ctr": (Ctr(), ()),
    "runc": (Oci("runc"), ()),
    "crun": (Oci("crun"), ()),
    "lxc": (Lxc(), ()),
    "nspawn": (Nspawn(), ()),
    "service": (Service(), ("--agent-argument=--services",)),
}
AT_LEAST_KNOWN = {"docker", "podman"}
"""Their records tell each end, whatever the kernel."""


@pytest.fixture(params=list(ENGINES))
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    made, _ = ENGINES[request.param]
    made.start()
    yield request.param
    made.stop()


@pytest.mark.long
@pytest.mark.modes("v2", "v1")
def test_no_end_is_told_otherwise_than_its_engine_has_it(engine: str, record: dict[str, Any]) -> None:
    command = [sys.executable, "tools/ends.py", engine, "--agent", "/usr/bin/cgstatd"]
    more = ENGINES[engine][1]
    roots = () if "--image" in more else ("--rootfs", str(container_root()))
    done = subprocess.run([*command, *more, *roots], capture_output=True, text=True, check=False, timeout=900)
    record["notes"][f"ends, {engine}"] = f"\n{done.stdout}"
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    rows = [line.split(" | ") for line in done.stdout.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == 9
    if engine in AT_LEAST_KNOWN:
        assert all(not cells[3].startswith("-") for cells in rows), done.stdout
