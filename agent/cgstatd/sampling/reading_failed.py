"""The error of a reading that failed, and a failed field in words."""

from __future__ import annotations

import re

from cgroupfs import Missing

_UNSAID = re.compile(r"^memory\.stat\.|\.usage(?=_)|_(bytes|nsec)$|\.devices$")
"""The part of a field's name that the file beside it says too."""
HUNG = "hung"


class ReadingFailed(Exception):
    """A container's figures could not be read; the text says which file and why."""

    def __init__(self, why: str, field: str = "container") -> None:
        """``field``: the one that could not be read; ``hung`` if another reading waits for a file; ``container``: any
        field."""
        super().__init__(why)
        self.field = field


def explain(missing: Missing) -> str:
    """A failed value in words."""
    field = _UNSAID.sub("", missing.field).replace(".", " ").replace("_", " ")
    return f"cannot read {field}: {missing.path}: {missing.reason.value}"
