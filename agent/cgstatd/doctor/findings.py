"""The doctor's findings, in sections: each has its weight, its price and the way out."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

OK, NOTE, COSTS, FAILS = "ok", "note", "costs", "fails"
"""``ok``: good; ``note``: worth knowing, no figure is missing or wrong; ``costs``: a figure or a name is; ``fails``:
nothing works at all."""


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the screen."""

    level: str
    what: str
    costs: str = ""
    """What is missing because of it."""
    todo: str = ""
    """What to do next."""


class Section(msgspec.Struct, frozen=True):
    """A heading and its lines."""

    title: str
    findings: list[Finding]


class Report(msgspec.Struct, frozen=True):
    """All sections; ``exit_code`` is that of the command."""

    version: str
    host: str
    exit_code: int
    verdict: str
    sections: list[Section]


def exit_code(sections: Iterable[Section]) -> int:
    """0: nothing is missing; 1: something costs figures; 2: nothing works."""
    levels = {finding.level for section in sections for finding in section.findings}
    return 2 if FAILS in levels else 1 if COSTS in levels else 0


def some(count: int, what: str) -> str:
    """``1 container``, ``2 containers``."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def listed(names: Iterable[str], most: int = 4) -> str:
    """``a, b, c and 5 more``."""
    all_names = list(names)
    more = f" and {len(all_names) - most} more" if len(all_names) > most else ""
    return ", ".join(all_names[:most]) + more
