"""What a pair of looks found, by the lives of containers: what the history hears."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..container import Container
from ..history_model import Life
from ..history_work import life_of
from .looks import Look
from .verdict import Verdict


class Found(NamedTuple):
    """What waits, and why."""

    waits: Sequence[tuple[Life, str, str]]
    """Whose life, the resource, the value of the cause."""
    seconds: float
    """From the first look to the second."""
    valid_seconds: float
    """For how long it counts."""
    monotonic_ns: int
    time_ms: int
    """Of the second look, milliseconds since the epoch."""


def by_lives(look: Look, verdicts: Sequence[Verdict]) -> list[tuple[Life, str, str]]:
    """``look``: the one that has their containers."""
    lives = {life[:3]: life for each in look.containers if isinstance(each, Container) for life in [life_of(each)]}
    known = [(each.identity, each.resource, each.cause.value) for each in verdicts]
    return [
        (life, resource, cause)
        for identity, resource, cause in known
        if (life := lives.get((identity.owner_uid, identity.runtime, identity.id))) is not None
    ]
