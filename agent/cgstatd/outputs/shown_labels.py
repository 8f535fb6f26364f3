"""A container's labels in an answer. Where there are many they stay the piece of JSON that is kept of them.

As a dict they would be some 500 small objects in each answer that is being made or kept, for each container.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping

import msgspec

from ..host.runtimes.base import Metadata
from ..host.runtimes.packed_labels import PackedLabels, shown

_NOTHING: Mapping[str, str] = {}
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, str]).decode


class ShownLabels(Mapping[str, str]):
    """The labels of a container that has many, as they may be shown, and some that an answer adds to them.

    To look at all of them, or for one, costs some 20 us where there are 256.
    """

    __slots__ = ("_more", "_packed")

    def __init__(self, packed: PackedLabels, more: Mapping[str, str]) -> None:
        """``more``: printable; they hold where the container has labels of the same keys."""
        self._packed = packed
        self._more = more

    def json(self) -> bytes:
        """A JSON object. No key is in it twice."""
        text, more = self._packed.json, self._more
        if not more:
            return text
        if text == b"{}" or any(_encode(key) in text for key in more):
            return _encode(self._all())
        return b"%b,%b" % (text[:-1], _encode(more)[1:])

    def _all(self) -> dict[str, str]:
        return {**_decode(self._packed.json), **self._more}

    def __getitem__(self, key: str) -> str:
        return self._all()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def items(self) -> ItemsView[str, str]:
        """As a dict's; to go over the keys and ask for each would decode all of them each time."""
        return self._all().items()


def shown_labels(metadata: Metadata | None, more: Mapping[str, str] = _NOTHING) -> Mapping[str, str]:
    """A container's labels as they may be shown anywhere: bounded, printable. ``more``: what an answer adds."""
    found = metadata.labels if metadata else {}
    return ShownLabels(found, more) if isinstance(found, PackedLabels) else {**shown(found), **more}


def _as_json(value: object) -> msgspec.Raw:
    if isinstance(value, ShownLabels):
        return msgspec.Raw(value.json())
    raise NotImplementedError(f"no JSON is made of {type(value).__name__}")


encode_with_labels = msgspec.json.Encoder(enc_hook=_as_json).encode
"""Of answers that have labels in them."""
