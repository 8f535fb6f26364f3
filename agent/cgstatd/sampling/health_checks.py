"""How the health check of a container goes, as far as a file says: looked at once a second at most.

As with the size of its log, the lock that lookups of its name take is held, and never that of its figures.
"""

from __future__ import annotations

from cgroupfs import Clock

from ..host.identity import Names
from ..host.runtimes.base import Health, HealthCheck, Metadata, Unreadable
from ..host.runtimes.docker_health import as_of
from .container import Container
from .log_sizes import HANGS

EVERY_NS = 1_000_000_000


def health_of(names: Names, container: Container, now: Clock) -> Health | None:
    """Of a container that runs; None: it has no health check, or its runtime knows none."""
    metadata = container.identity.metadata
    if metadata is None or metadata.health is None:
        return None
    check = metadata.health
    if not check.log:
        return as_of(check, now.time_ms / 1000)
    known = container.health
    if known is not None and now.monotonic_ns - known[0] < EVERY_NS:
        return known[1]
    if not container.naming.acquire(blocking=False):
        return Health(None, HANGS) if known is None else known[1]
    try:
        found = _look(names, metadata, check)
        container.health = now.monotonic_ns, found
    finally:
        container.naming.release()
    return found


def _look(names: Names, metadata: Metadata, check: HealthCheck) -> Health:
    found = names.health(metadata, check.log)
    if isinstance(found, Unreadable):
        return Health(None, found.reason)
    return check.written if found is None else found
