"""Fitting a table to a terminal: long names are shortened, and a column that is left out is named.

Widths are terminal cells: a character of an East Asian script takes two, a combining one none.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

GAP = 3
"""Docker's: text/tabwriter's padding."""
LEAST = 10
"""Docker's: the width of a column, gap included."""
_NARROW_GAP = 1
_ELLIPSIS = "…"


class Plan(NamedTuple):
    """How a table is laid out."""

    columns: tuple[int, ...]
    widths: tuple[int, ...]
    """Of the texts, without the gap."""
    gap: int


def cells(text: str) -> int:
    """How wide a text is on a terminal."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


def shorten(text: str, width: int) -> str:
    """At most as wide as asked for, cut in the middle: names differ at their ends (``shop-…-worker-12``)."""
    if cells(text) <= width:
        return text
    if width <= 1:
        return _ELLIPSIS[:width]
    head = _cut(text, (width - 1 + 1) // 2)
    tail = _cut(text[::-1], width - 1 - cells(head))[::-1]
    return head + _ELLIPSIS + tail


def _cut(text: str, width: int) -> str:
    used = 0
    for index, character in enumerate(text):
        used += cells(character)
        if used > width:
            return text[:index]
    return text


def pad(text: str, width: int) -> str:
    """Filled up with spaces."""
    return text + " " * (width - cells(text))


def plan(
    rows: Sequence[Sequence[str]], width: int | None, flexible: dict[int, int], dispensable: Sequence[int]
) -> Plan:
    """The layout of ``rows`` (the header first) in ``width`` cells; None: as wide as they are.

    ``flexible``: columns that may be shortened, and to what at least; ``dispensable``: columns that go where that is
    not enough, in this order.
    """
    natural = [max(cells(row[n]) for row in rows) for n in range(len(rows[0]))]
    columns = list(range(len(natural)))
    if width is None or _total(columns, natural, GAP, LEAST) <= width:
        return Plan(tuple(columns), tuple(max(each, LEAST - GAP) for each in natural), GAP)
    for gone in [None, *dispensable]:
        if gone is not None:
            columns.remove(gone)
        for gap in (GAP, 2, _NARROW_GAP):
            widths = _shortened(columns, natural, flexible, width, gap)
            if widths is not None:
                return Plan(tuple(columns), tuple(widths[n] for n in columns), gap)
    widths = [min(each, flexible.get(n, each)) for n, each in enumerate(natural)]
    return Plan(tuple(columns), tuple(widths[n] for n in columns), _NARROW_GAP)


def _total(columns: Sequence[int], widths: Sequence[int], gap: int, least: int = 0) -> int:
    *most, last = columns
    return sum(max(widths[n] + gap, least) for n in most) + widths[last]


def _shortened(
    columns: Sequence[int], natural: Sequence[int], flexible: dict[int, int], width: int, gap: int
) -> list[int] | None:
    """The widths with which it fits, None if it does not. Of columns that may be shortened the widest go first."""
    widths = list(natural)
    over = _total(columns, widths, gap) - width
    while over > 0:
        can = [n for n in columns if n in flexible and widths[n] > flexible[n]]
        if not can:
            return None
        widest = max(can, key=lambda n: widths[n])
        step = min(over, widths[widest] - flexible[widest])
        others = max((widths[n] for n in can if n != widest), default=0)
        step = min(step, max(1, widths[widest] - others))
        widths[widest] -= step
        over -= step
    return widths
