"""Which of several things that are kept gives way: users' containers come and go as they like, and cost nobody else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Protocol, TypeVar

K = TypeVar("K")


class Owned(Protocol):
    """What is kept for a user, or for the system (uid 0)."""

    @property
    def owner_uid(self) -> int: ...


def oldest_of_fullest(kept: Mapping[K, Owned]) -> K:
    """The key of the oldest of the owner with the most. ``kept``: the oldest first, and not empty."""
    most, _ = Counter(each.owner_uid for each in kept.values()).most_common(1)[0]
    return next(key for key, each in kept.items() if each.owner_uid == most)
