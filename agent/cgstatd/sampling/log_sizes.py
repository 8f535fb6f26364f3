"""The size of a container's log, looked at once a minute: one that fills the disk is seen before the disk is full.

It is a file of the container's engine, on a disk that may hang. So the lock that lookups of its name take is held, and
never that of its figures: a look that hangs costs the size, which stays what it was.
"""

from __future__ import annotations

from ..host.identity import Names
from ..host.runtimes.base import Unreadable
from .container import Container
from .model import Log

EVERY_NS = 60_000_000_000
NO_LOG = "no log file of Docker's json-file or Podman's k8s-file is there: another log driver, or another runtime"
HANGS = "an earlier look at its state files still hangs"
NAMELESS = "the state of its runtime is not known"


def log_of(names: Names, container: Container, now_ns: int) -> Log:
    """As of the last look, which is not older than a minute. ``now_ns``: monotonic."""
    known = container.log
    if known is not None and now_ns - known[0] < EVERY_NS:
        return known[1]
    if not container.naming.acquire(blocking=False):
        return Log(None, HANGS, "") if known is None else known[1]
    try:
        found = _look(names, container)
        container.log = now_ns, found
    finally:
        container.naming.release()
    return found


def _look(names: Names, container: Container) -> Log:
    metadata = container.identity.metadata
    if metadata is None:
        return Log(None, NAMELESS, "")
    found = names.log_size(metadata)
    if isinstance(found, Unreadable):
        return Log(None, found.reason, found.path)
    return Log(found, "" if found else NO_LOG, "")
