"""The labels of a container that has many, as one piece of bytes.

As a dict 256 labels are some 500 small objects, and what lies between them in memory cannot be given back once they are
gone. Most containers have few labels, which stay a dict; and what names a container's project and workload is always at
hand.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, Mapping
from typing import TypeVar, overload

import msgspec

FEW = 24
"""Labels: Compose gives a container some ten."""
T = TypeVar("T")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, str]).decode


class PackedLabels(Mapping[str, str]):
    """Read-only. To look at all of them, or for one that is not at hand, costs some 30 us."""

    __slots__ = ("_at_hand", "_count", "_text")

    def __init__(self, labels: Mapping[str, str], at_hand: Iterable[str]) -> None:
        """``at_hand``: the keys that are asked for often, whether they are there or not."""
        self._text = _encode(labels)
        self._count = len(labels)
        self._at_hand = {key: labels.get(key) for key in at_hand}

    def _all(self) -> dict[str, str]:
        return _decode(self._text)

    @overload
    def get(self, key: str, /) -> str | None: ...

    @overload
    def get(self, key: str, /, default: str | T) -> str | T: ...

    def get(self, key: str, /, default: str | T | None = None) -> str | T | None:
        """As a dict's."""
        found = self._at_hand[key] if key in self._at_hand else self._all().get(key)
        return default if found is None else found

    def __getitem__(self, key: str) -> str:
        found = self.get(key)
        if found is None:
            raise KeyError(key)
        return found

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.get(key) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return self._count

    def __eq__(self, other: object) -> bool:
        if isinstance(other, PackedLabels):
            return self._text == other._text or self._all() == other._all()
        return isinstance(other, Mapping) and self._all() == dict(other.items())

    __hash__ = None  # type: ignore[assignment]

    def items(self) -> ItemsView[str, str]:
        """As a dict's; to go over the keys and ask for each would decode all of them each time."""
        return self._all().items()


def packed(labels: Mapping[str, str], at_hand: Iterable[str] = ()) -> Mapping[str, str]:
    """The same labels, as a piece of bytes where they are many."""
    return labels if len(labels) <= FEW else PackedLabels(labels, at_hand)
