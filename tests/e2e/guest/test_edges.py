"""Names that change hands, restarts and starts of real engines while clients poll: tools/engines/recreate.py."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from agent import Agent
from docker import IMAGE as DOCKER_IMAGE
from docker import Docker
from podman import IMAGE as PODMAN_IMAGE
from podman import Podman

ENGINES: dict[str, tuple[Callable[[], Docker | Podman], str, str]] = {
    "docker": (lambda: Docker("systemd"), "docker", DOCKER_IMAGE),
    "docker, cgroupfs": (lambda: Docker("cgroupfs"), "docker", DOCKER_IMAGE),
    "podman": (Podman, "podman", PODMAN_IMAGE),
}
ROUNDS = {"names": 12, "restarts": 4, "limits": 6}
LATE_SECONDS = "1.5"
"""How old a list may be: emulated, a reading itself takes tenths of a second."""


@pytest.fixture(params=list(ENGINES))
def engine(request: pytest.FixtureRequest) -> Iterator[tuple[str, str, str]]:
    """(name, command, image) of an engine that runs."""
    make, command, image = ENGINES[request.param]
    made = make()
    made.start()
    yield request.param, command, image
    made.stop()


@pytest.mark.long
@pytest.mark.parametrize("play", list(ROUNDS))
def test_no_client_is_told_anything_of_another_container_or_another_life(
    quick_agent: Agent, engine: tuple[str, str, str], play: str, record: dict[str, Any]
) -> None:
    name, command, image = engine
    where = ["--agent", f"http://127.0.0.1:{quick_agent.port}", "--engine", command, "--image", image]
    what = ["--play", play, "--rounds", str(ROUNDS[play]), "--late", LATE_SECONDS, "--pause", "0.1"]
    done = subprocess.run(
        [sys.executable, "tools/recreate.py", *where, *what],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    print(done.stdout, done.stderr)
    record["notes"][f"{play} that change, {name}"] = f"{ROUNDS[play]} rounds, exit code {done.returncode}"
    assert done.returncode == 0, done.stdout + done.stderr
