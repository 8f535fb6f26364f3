"""The bytes of ``follow`` -> what they say, by the very types that encoded them."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ..outputs.api_routes import FOLLOW_EVENTS
from ..outputs.follow_types import FollowExit, FollowFailed, FollowHello, FollowOom, FollowRound, FollowStat
from ..outputs.identity_json import ContainerIdentity
from ..outputs.pressure_types import FollowPressure

Event = (
    FollowHello | FollowStat | FollowRound | FollowFailed | FollowOom | FollowExit | FollowPressure | ContainerIdentity
)
_DECODERS: dict[str, msgspec.json.Decoder[Event]] = {
    name: msgspec.json.Decoder(kind) for name, kind in FOLLOW_EVENTS.items()
}


class Parser:
    """Fed with bytes as they come. Events that a newer agent may have are left out."""

    def __init__(self) -> None:
        self._rest = b""
        self.last_id = ""

    def feed(self, data: bytes) -> Iterator[Event]:
        """The events that are whole now. Raises msgspec.DecodeError."""
        *blocks, self._rest = (self._rest + data).split(b"\n\n")
        for block in blocks:
            fields: dict[bytes, bytes] = {}
            for line in block.split(b"\n"):
                field, _, value = line.partition(b": ")
                fields[field] = value
            decoder = _DECODERS.get(fields.get(b"event", b"").decode("ascii", "replace"))
            if b"id" in fields:
                self.last_id = fields[b"id"].decode("ascii", "replace")
            if decoder is not None and b"data" in fields:
                yield decoder.decode(fields[b"data"])
