"""How a health check goes, in a line of the terminal's detail."""

from __future__ import annotations

import pytest

from cgstatd.host.identity import Identity
from cgstatd.host.runtimes.base import Health, State
from cgstatd.outputs.identity_json import container_identity
from cgstatd.top.detail_lines import _health


@pytest.mark.parametrize(
    ("health", "line"),
    [
        (None, None),
        (Health("healthy", None, 0, 1.0), "healthy"),
        (Health("unhealthy", None, 3, 1.0), "unhealthy, 3 failed in a row"),
        (Health(None, "Docker keeps it in memory"), "not known: Docker keeps it in memory"),
    ],
)
def test_a_health_check_is_one_line(health: Health | None, line: str | None) -> None:
    web = Identity("web", "web", "podman", 0, None)
    assert _health(container_identity(web, State.RUNNING, None, health=health)) == line
