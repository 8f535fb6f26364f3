"""A container's labels, of which a bounded part is kept: cut while they are parsed, so that the rest makes no objects.

Labels are input: an image has as many as its maker likes, a user's config 4 MiB of them. The labels that the agent uses
and those of ``metric_labels`` are always kept; of the others the first ones are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from .kubernetes import CONTAINER_NAME, POD_NAME, POD_NAMESPACE, POD_UID
from .packed_labels import MOST_LABELS, MOST_VALUE, packed

NULL = msgspec.Raw(b"null")
COMPOSE_PROJECTS = ("com.docker.compose.project", "io.podman.compose.project")
COMPOSE_SERVICE = "com.docker.compose.service"
COMPOSE_NUMBER = "com.docker.compose.container-number"
"""Of several containers of one service; podman-compose sets both, too."""
UNIT = "PODMAN_SYSTEMD_UNIT"
"""The unit that runs the container, as Quadlet and ``podman generate systemd`` label it."""
PROJECTS = (*COMPOSE_PROJECTS, POD_NAMESPACE)
"""Compose project or Kubernetes namespace, the first that is there."""
WORKLOAD = (*PROJECTS, COMPOSE_SERVICE, COMPOSE_NUMBER, UNIT, CONTAINER_NAME, POD_NAME)
"""What a container's workload is found in."""
_OWN = (*WORKLOAD, POD_UID)
_MOST_WANTED = 32
WHOLE_BYTES = 64 << 10
"""Bytes. Longer JSON is never decoded whole: only the labels that are wanted are kept of it."""
MOST_BYTES = 32 << 10
"""Bytes of keys and values together, beside the labels that are wanted."""
MOST_KEY = 256


class Labels(NamedTuple):
    """What is kept of a container's labels."""

    kept: Mapping[str, str]
    left_out: bool = False
    """Whether there were more labels, or longer ones."""


_decode_all = msgspec.json.Decoder(dict[str, str] | None).decode


def cut(text: str | None, limit: int = 256) -> str | None:
    """As much of a text as is ever shown (see ``names.printable``); None stays None."""
    return text if text is None or len(text) <= limit else text[:limit]


class Wanted:
    """The labels that are always kept: the agent's own, and those that the configuration names."""

    __slots__ = ("_decode", "keys")

    def __init__(self, named: Iterable[str] = ()) -> None:
        self.keys = tuple(dict.fromkeys((*_OWN, *named)))[:_MOST_WANTED]
        fields = [
            (f"label{number}", str | None, msgspec.field(name=key, default=None))
            for number, key in enumerate(self.keys)
        ]
        kind = msgspec.defstruct("Chosen", fields, frozen=True)
        self._decode = msgspec.json.Decoder(kind | None).decode

    def parse(self, raw: bytes | msgspec.Raw, where: str = "$") -> Labels:
        """Of a JSON object of strings, or null. Raises ValueError, which names a place in the object at ``where``."""
        try:
            return self._parse(raw)
        except msgspec.ValidationError as error:
            raise ValueError(str(error).replace("`$", f"`{where}", 1)) from None

    def _parse(self, raw: bytes | msgspec.Raw) -> Labels:
        if len(bytes_of := memoryview(raw)) > WHOLE_BYTES:
            return Labels(self._chosen(bytes_of), left_out=True)
        found = _decode_all(raw) or {}
        if len(bytes_of) <= MOST_BYTES and len(found) <= MOST_LABELS:
            return Labels(packed(found, self.keys))
        return self._cut(found)

    def only(self, labels: Labels) -> Labels:
        """The labels that are wanted, and no others."""
        kept = {key: labels.kept[key] for key in self.keys if key in labels.kept}
        return Labels(kept, labels.left_out or len(kept) < len(labels.kept))

    def _chosen(self, raw: memoryview) -> dict[str, str]:
        found = self._decode(raw)
        values = ((key, getattr(found, f"label{number}", None)) for number, key in enumerate(self.keys))
        return {key: value[:MOST_VALUE] for key, value in values if value is not None}

    def _cut(self, found: dict[str, str]) -> Labels:
        kept = {key: found[key][:MOST_VALUE] for key in self.keys if key in found}
        left = MOST_BYTES
        for key, value in found.items():
            left -= len(key) + len(value)
            if left >= 0 and len(kept) < MOST_LABELS and len(key) <= MOST_KEY and len(value) <= MOST_VALUE:
                kept.setdefault(key, value)
        return Labels(packed(kept, self.keys), left_out=kept != found)
