"""What a pair of looks found, by the lives of containers: what the history hears."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..container import Container
from ..history_model import Life
from ..history_work import life_of
from .looks import Look
from .verdict import Verdict


class Waiting(NamedTuple):
    """Who waits for what, and why."""

    life: Life
    resource: str
    cause: str
    """The value of a :class:`~.verdict.Cause`."""
    limit: str = ""
    """The kernel's file of the limit that is the cause."""


class Found(NamedTuple):
    """What waits, and why."""

    waits: Sequence[tuple[Waiting, float | None]]
    """Each with the share of its quota's periods in which it was throttled."""
    seconds: float
    """From the first look to the second."""
    valid_seconds: float
    """For how long it counts."""
    monotonic_ns: int
    time_ms: int
    """Of the second look, milliseconds since the epoch."""


def by_lives(look: Look, verdicts: Sequence[Verdict]) -> list[tuple[Waiting, float | None]]:
    """``look``: the one that has their containers."""
    lives = {life[:3]: life for each in look.containers if isinstance(each, Container) for life in [life_of(each)]}
    known = [(lives.get((who.owner_uid, who.runtime, who.id)), said) for said in verdicts for who in [said.identity]]
    return [
        (Waiting(life, said.resource, said.cause.value, said.limit), said.throttled)
        for life, said in known
        if life is not None
    ]
