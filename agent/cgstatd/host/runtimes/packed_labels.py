"""The labels of a container that has many, as one piece of bytes.

As a dict 256 labels are some 500 small objects, and what lies between them in memory cannot be given back once they are
gone. Most containers have few labels, which stay a dict; and what names a container's project and workload is always at
hand.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, Mapping

import msgspec

from ...basics.text import printable

FEW = 24
"""Labels: Compose gives a container some ten."""
MOST_LABELS = 256
MOST_VALUE = 4096
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, str]).decode


def shown(labels: Mapping[str, str]) -> dict[str, str]:
    """Labels as they may be shown anywhere: bounded, printable."""
    return {printable(key): printable(value, MOST_VALUE) for key, value in list(labels.items())[:MOST_LABELS]}


class PackedLabels(Mapping[str, str]):
    """Read-only. To look at all of them, or for one that is not at hand, costs some 20 us where there are 256."""

    __slots__ = ("_at_hand", "_count", "_shown", "_text")

    def __init__(self, labels: Mapping[str, str], at_hand: Iterable[str]) -> None:
        """``at_hand``: the keys that are asked for often, whether they are there or not."""
        self._text = _encode(labels)
        self._count = len(labels)
        self._at_hand = {key: labels.get(key) for key in at_hand}
        text = _encode(shown(labels))
        self._shown = None if text == self._text else text

    @property
    def json(self) -> bytes:
        """A JSON object of the labels as they may be shown, made once: an answer takes it as it is."""
        return self._text if self._shown is None else self._shown

    def _all(self) -> dict[str, str]:
        return _decode(self._text)

    def __getitem__(self, key: str) -> str:
        found = self._at_hand[key] if key in self._at_hand else self._all().get(key)
        if found is None:
            raise KeyError(key)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return self._count

    def items(self) -> ItemsView[str, str]:
        """As a dict's; to go over the keys and ask for each would decode all of them each time."""
        return self._all().items()


def packed(labels: Mapping[str, str], at_hand: Iterable[str] = ()) -> Mapping[str, str]:
    """The same labels, as a piece of bytes where they are many."""
    return labels if len(labels) <= FEW else PackedLabels(labels, at_hand)
