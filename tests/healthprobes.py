"""What Docker's file says of a container's health check."""

from __future__ import annotations

import json
from typing import Any

from fakehost import FakeHost, container_id

LONG = 10**18
"""Nanoseconds between two probes: what the file says stays the latest."""


def probed(host: FakeHost, name: str, status: str, interval: int = LONG) -> None:
    """What Docker's file says of a container's health check."""
    file = host.path / "var/lib/docker/containers" / container_id(name) / "config.v2.json"
    found: dict[str, Any] = json.loads(file.read_text())
    found["State"]["Health"] = {"Status": status, "FailingStreak": 2, "Log": [{"Output": "s3cr3t"}]}
    found["Config"]["Healthcheck"] = {"Interval": interval, "Test": ["s3cr3t"]}
    file.write_text(json.dumps(found))
