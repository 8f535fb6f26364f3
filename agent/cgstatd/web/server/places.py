"""A bounded number of places, and which client has which: connections by address, event streams by client.

A newcomer that finds no place left takes one from a client that has more than it has, the client with the most first;
and a part of the places is kept for clients that have few. So one client, or ten, cannot keep the others out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, Protocol, TypeVar

FEW = 8
"""A client with fewer places than this may have those that are kept for such."""
_KEPT_PART = 8
"""One place of so many is kept."""


class Occupant(Protocol):
    """What has a place: it can be told that another takes it."""

    def cut(self) -> object:
        """End it."""


T = TypeVar("T", bound=Occupant)


class Places(Generic[T]):
    """``spare``: which of a client's occupants goes first, None: none can go now; ``more``: by how many a client's
    places have to outnumber the newcomer's before one is taken from it."""

    def __init__(self, spare: Callable[[Iterable[T]], T | None], more: int = 1) -> None:
        self._spare = spare
        self._more = more
        self._by_client: dict[str, dict[T, None]] = {}
        """The oldest first."""
        self._taken = 0

    def __len__(self) -> int:
        return self._taken

    def __iter__(self) -> Iterator[T]:
        return (each for own in self._by_client.values() for each in own)

    def count(self, client: str) -> int:
        """How many one client has."""
        return len(self._by_client.get(client, ()))

    def room(self, client: str, most: int) -> bool:
        """Whether the client may have one more where there are ``most`` in all; another is cut for it, if need be."""
        own = self.count(client)
        if self._taken < (most if own < FEW else most - most // _KEPT_PART):
            return True
        heavier = [each for each in self._by_client if self.count(each) >= own + self._more]
        return any(self.cut_one(each) for each in sorted(heavier, key=self.count, reverse=True))

    def cut_one(self, client: str) -> bool:
        """End that one of a client which goes first; whether there is one."""
        found = self._spare(self._by_client.get(client, ()))
        if found is None:
            return False
        self.cut(client, found)
        return True

    def cut(self, client: str, occupant: T) -> None:
        """End it: another takes its place."""
        self.leave(client, occupant)
        occupant.cut()

    def take(self, client: str, occupant: T) -> None:
        """It has a place from now on."""
        self._by_client.setdefault(client, {})[occupant] = None
        self._taken += 1

    def leave(self, client: str, occupant: T) -> None:
        """It has none any more; nothing happens where it had none."""
        own = self._by_client.get(client, {})
        if occupant in own:
            del own[occupant]
            self._taken -= 1
            if not own:
                del self._by_client[client]
