"""What config.v2.json says of a health check, and until when it is the latest there is.

Docker keeps the results of probes in memory (daemon/health.go; releases before 2024 wrote each). Its file has what was
known when the container's state was written last, as at its start: ``starting``. That is all there is until the next
probe, whose time the check itself says (nanoseconds; 0: the default)::

    "State": {"Health": {"Status": "starting", "FailingStreak": 0, "Log": [{"End": "2026-11-27T19:08:27.6Z", …}]}}
    "Config": {"Healthcheck": {"Interval": 30000000000, "StartPeriod": 0, "StartInterval": 0, …}}
"""

from __future__ import annotations

from dataclasses import replace

import msgspec

from .base import Health, HealthCheck
from .health_log import Written, health
from .state_values import Int

IN_MEMORY = "Docker keeps it in memory: what its file says may be older than the latest probe"
_INTERVAL_SECONDS, _START_INTERVAL_SECONDS = 30.0, 5.0
"""Docker's own, where nothing else is said."""


class Check(msgspec.Struct, rename="pascal", frozen=True):
    """When a container is probed; not by which command."""

    interval: Int = 0
    start_period: Int = 0
    start_interval: Int = 0


def check_of(check: Check | None, written: Written | None, started_seconds: float | None) -> HealthCheck | None:
    """None: the container has no health check; Docker then writes no health, or says that it is ``none``."""
    if written is None or written.status in ("", "none"):
        return None
    found = health(written)
    last = max(started_seconds or 0.0, found.checked_seconds or 0.0)
    found = replace(found, last_seconds=last)
    return HealthCheck(found, until_seconds=last + _apart(check or Check(), found.status == "starting"))


def _apart(check: Check, starting: bool) -> float:
    """Between one probe's end and the next one's begin, at least."""
    interval = check.interval / 1e9 or _INTERVAL_SECONDS
    if not starting or not check.start_period:
        return interval
    return min(interval, check.start_interval / 1e9 or _START_INTERVAL_SECONDS)


def as_of(written: HealthCheck, now_seconds: float) -> Health:
    """What is known at a time; after the next probe no more than what was known before it."""
    if written.until_seconds is not None and now_seconds >= written.until_seconds:
        known = written.written
        return Health(None, IN_MEMORY, last=known.status, last_seconds=known.last_seconds)
    return written.written
