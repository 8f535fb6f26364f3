"""From what a client of the Engine API wrote to a container: as everywhere, and by the ids that clients see."""

from __future__ import annotations

from collections import Counter

from ..host.identity import Identity
from ..outputs.engine.names import engine_id, id_of
from ..sampling.lookup import Ambiguous, Known, NotFound, candidates
from .shared_passes import Feed

_SHORTEST_PREFIX = 4
_SHOWN_DIGITS = 12
"""Of an id, as the docker CLI shows it and asks for it."""
_DIGITS = frozenset("0123456789abcdef")


class Several:
    """The containers that were listed for all who ask at a time."""

    def __init__(self, known: list[Known]) -> None:
        self._known = known
        system = [each for each in reversed(known) if not each.owner_uid]
        self._by_id = {each.id: each for each in system}
        self._names = {each.name for each in system}
        self._prefixes = Counter(each[:_SHOWN_DIGITS] for each in self._by_id)
        self._by_prefix = {each[:_SHOWN_DIGITS]: found for each, found in self._by_id.items()}

    def find(self, wanted: str) -> Known | None:
        """The one that is meant; None: there is none, or there are several."""
        found = self._by_id.get(wanted)
        if found is None and self._prefixes[wanted] == 1 and wanted not in self._names:
            found = self._by_prefix[wanted]
        fits = [found] if found is not None else candidates(wanted, self._known) or self.by_engine_id(wanted)
        return fits[0] if len(fits) == 1 else None

    def by_engine_id(self, wanted: str) -> list[Known]:
        """Of containers whose own id is a word."""
        if len(wanted) < _SHORTEST_PREFIX or not set(wanted) <= _DIGITS:
            return []
        return [each for each in self._known if engine_id(each.runtime, each.owner_uid, each.id).startswith(wanted)]


def is_named(identity: Identity, wanted: str) -> bool:
    """Whether a client means this container: its id, its name, or the first digits of the id."""
    key = id_of(identity)
    return wanted in (identity.id, identity.name, key) or (len(wanted) >= _SHORTEST_PREFIX and key.startswith(wanted))


def find(feed: Feed, wanted: str) -> Known:
    """A container by what a client of the Engine API writes; in the sampling thread only.

    Raises NotFound, Ambiguous, ListingFailed.
    """
    try:
        return feed.find(wanted.removeprefix("/"))
    except NotFound:
        found = Several(feed.known()).by_engine_id(wanted)
        if len(found) > 1:
            raise Ambiguous(wanted) from None
        if not found:
            raise
        return found[0]
