"""From what the watch of pressure finds to the marks of the history: one when a wait begins, one when it is over.

The watch looks now and then, and no look says that a wait is over: it is when no look has found it for a while.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...sampling.history_model import Life
from ...sampling.pressure.found import Found, Waiting
from .marks import Mark, Wait

MOST = 1000
"""Waits at a time. Of more, those that are found later are not marked."""
TOGETHER_SECONDS = 60.0
"""What is found again within this time, or within the next look's, is the same wait: on a busy host the same containers
wait now and then."""

FOREVER_NS = 1 << 63


class _Open:
    """A wait that goes on; monotonic nanoseconds."""

    __slots__ = ("seen_ms", "seen_ns", "since_ns", "throttled", "until_ns")

    def __init__(self, since_ns: int) -> None:
        self.since_ns = since_ns
        self.seen_ns = self.seen_ms = self.until_ns = 0
        self.throttled: float | None = None
        """The largest share of the quota's periods that any look found."""


class Waits:
    """The waits that go on. Used in the event loop."""

    def __init__(self) -> None:
        self._open: dict[Waiting, _Open] = {}

    def looked(self, found: Found) -> Iterator[tuple[Life, Mark]]:
        """The marks of waits that are over, and of those that began."""
        now = found.monotonic_ns
        yield from self.expired(now)
        for key, throttled in found.waits:
            if (wait := self._open.get(key)) is None:
                if len(self._open) >= MOST:
                    continue
                wait = self._open[key] = _Open(now - int(found.seconds * 1e9))
                yield key.life, _mark(key, found.time_ms, None, throttled)
            if throttled is not None:
                wait.throttled = max(throttled, wait.throttled or 0.0)
            wait.seen_ns, wait.seen_ms = now, found.time_ms
            wait.until_ns = now + int(max(found.valid_seconds, TOGETHER_SECONDS) * 1e9)

    def expired(self, now_ns: int) -> Iterator[tuple[Life, Mark]]:
        """The marks of waits that no look has found for a while."""
        for key in [key for key, wait in self._open.items() if wait.until_ns < now_ns]:
            wait = self._open.pop(key)
            yield key.life, _mark(key, wait.seen_ms, round((wait.seen_ns - wait.since_ns) / 1e9, 1), wait.throttled)


def _mark(key: Waiting, time_ms: int, seconds: float | None, throttled: float | None) -> Mark:
    percent = None if throttled is None else round(throttled * 100, 1)
    return Mark("pressure", time_ms, wait=Wait(key.resource, key.cause, seconds, key.limit or None, percent))
