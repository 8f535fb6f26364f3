"""The events that were told, and which of them the runtimes' state tells once more.

A container's state has its last start and its last end. The agent tells a start by the same time, or by its own clock
where it saw the cgroup before the runtime had written the time; an end by the recorded time, or by its own clock where
the record was lost. Two ends within one second are two if the second life began after the first end (a restart loop).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from ..outputs.engine.events import Event, Recorded

KEPT = 1000
KEPT_BYTES = 1 << 20
_CLOCKS_APART_NS = 2_000_000_000
"""A start by the agent's clock is no further away from the recorded one: it looks once a second."""


class ToldEvents:
    """The latest of them. Used in the event loop."""

    def __init__(self) -> None:
        self._kept: deque[Event] = deque()
        self._bytes = 0

    def add(self, each: Event) -> None:
        """It is told now."""
        self._kept.append(each)
        self._bytes += len(each.line)
        while len(self._kept) > KEPT or self._bytes > KEPT_BYTES:
            self._bytes -= len(self._kept.popleft().line)

    def __len__(self) -> int:
        return len(self._kept)

    def with_recorded(self, recorded: Iterable[Recorded]) -> tuple[list[Event], list[Recorded]]:
        """Everything that is known to have happened, the oldest first; and what of it the runtimes' state alone has."""
        kept = list(self._kept)
        of: dict[str, list[Event]] = {}
        for each in kept:
            of.setdefault(each.id, []).append(each)
        untold = [each for each in recorded if not _is_told(each, of.get(each.event.id, ()))]
        return sorted([*(each.event for each in untold), *kept], key=lambda each: each.time_ns), untold


def is_same(recorded: Recorded, told: Event) -> bool:
    """Whether an event of the same container and action is what its runtime recorded; no end came in between."""
    if told.action == "create":
        return True
    if told.action == "start":
        return abs(told.time_ns - recorded.event.time_ns) <= _CLOCKS_APART_NS
    began = recorded.started_ns
    return told.time_ns == recorded.event.time_ns or (began is not None and told.time_ns > began)


def _is_told(recorded: Recorded, told: Sequence[Event]) -> bool:
    return any(
        each.action == recorded.event.action and is_same(recorded, each) and not _ended_between(recorded, each, told)
        for each in told
    )


def _ended_between(recorded: Recorded, start: Event, told: Iterable[Event]) -> bool:
    if start.action != "start":
        return False
    first, last = sorted((start.time_ns, recorded.event.time_ns))
    return any(each.action == "die" and first < each.time_ns <= last for each in told)
