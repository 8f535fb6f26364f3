"""Podman's healthcheck.log (libpod/healthcheck.go): written after each probe, and at each start of the container::

    {"Status": "unhealthy", "FailingStreak": 3, "Log": [{"Start": "2026-11-27T19:08:27.036032726Z",
     "End": "2026-11-27T19:08:27.614781336Z", "ExitCode": 1, "Output": "…"}]}

It lies beside the directory ``runDir`` of the container's state, or where ``--health-log-destination`` says. The words
that the probes printed are never decoded.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from .base import Health, HealthCheck
from .state_values import Int, parser_of, unix_time

LOG_BYTES = 256 << 10
"""Podman keeps five probes with 500 characters each, unless it is told otherwise."""
LOCAL, EVENTS = "local", "events_logger"
NOT_WRITTEN = "Podman has written no result of its health check yet"
IN_EVENTS = "its results go to Podman's events, and into no file"
LOCAL_NAME = "healthcheck.log"
ELSEWHERE = "its results are not in the place where Podman usually writes them"
_STATUSES = frozenset(("starting", "healthy", "unhealthy"))
_OFF = b'"NONE"'


class Check(msgspec.Struct, rename="pascal", frozen=True):
    """How a container is to be probed. Its command is not decoded."""

    test: list[msgspec.Raw] | None = None

    @property
    def wanted(self) -> bool:
        """``["NONE"]``: the image's check is switched off."""
        return self.test is not None and self.test != [] and bytes(self.test[0]) != _OFF


class _Probe(msgspec.Struct, rename="pascal", frozen=True):
    """One result; not what the probe printed."""

    end: datetime | None = None


class Written(msgspec.Struct, rename="pascal", frozen=True):
    """The results, as Docker and Podman alike write them."""

    status: str = ""
    failing_streak: Int = 0
    log: list[_Probe] | None = None


_parse = parser_of(Written)


def parse(data: bytes) -> Health:
    """Raises ValueError."""
    return health(_parse(data))


def health(written: Written) -> Health:
    """What was known when it was written."""
    if written.status not in _STATUSES:
        return Health(None, NOT_WRITTEN)
    return Health(written.status, None, written.failing_streak, unix_time(written.log[-1].end) if written.log else None)


def check_of(container_id: str, owner_uid: int, run_dir: str, destination: str) -> HealthCheck:
    """Where to look. Of a user's only in the place of its own: the rest of its word is not followed."""
    if destination == EVENTS:
        return HealthCheck(Health(None, IN_EVENTS))
    path = _path(container_id, owner_uid, run_dir, destination)
    if path is None or "/../" in path:
        return HealthCheck(Health(None, ELSEWHERE))
    return HealthCheck(Health(None, NOT_WRITTEN), log=path)


def _path(container_id: str, owner_uid: int, run_dir: str, destination: str) -> str | None:
    if destination in (LOCAL, ""):
        own = f"/run/user/{owner_uid}/" if owner_uid else "/"
        folder, _, last = run_dir.rpartition("/")
        fits = last == "userdata" and folder.endswith(f"/{container_id}") and run_dir.startswith(own)
        return f"{folder}/{LOCAL_NAME}" if fits else None
    if owner_uid or not destination.startswith("/"):
        return None
    return f"{destination.rstrip('/')}/{container_id}-healthcheck.log"
