"""Sparklines of characters."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

BLOCKS = " ▁▂▃▄▅▆▇█"
PLAIN = " .:-=+*#@"
"""For terminals that have no blocks."""


def spark(values: Sequence[float | None], width: int, top: float, blocks: str = BLOCKS) -> str:
    """The last values, the newest at the right. Unknown is a blank; a value above zero never looks like zero."""
    last = list(islice(reversed(values), width))[::-1]
    top = max([top, *(value for value in last if value is not None)])
    found = []
    for value in last:
        if value is None or value <= 0:
            found.append(blocks[0] if value is None else blocks[1])
        else:
            found.append(blocks[max(2, min(len(blocks) - 1, round(value / top * (len(blocks) - 1))))])
    return "".join(found).rjust(width)
