"""From a span of rounds to the lines of /api/history. Any thread may do it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from ...outputs.history_json import container_counters, host_counters
from ...outputs.history_types import ContainerCounters, HistoryMark, HistoryRound
from ...sampling.history_work import Clocks
from .in_steps import marks
from .sealed import number_of, run_of
from .spans import Span
from .steps import moved_ms

encode = msgspec.json.Encoder().encode


class Line(NamedTuple):
    """A round as it is sent."""

    key: int
    text: bytes


def cursor(key: int, names: Mapping[int, str]) -> str:
    """Of a round. ``names``: of the runs; 0 is one whose number is not known, since nothing is stored."""
    run = run_of(key)
    return f"{f'{run}-' if run else ''}{names.get(run, '0')}-{number_of(key)}"


def lines_of(span: Span, names: Mapping[int, str], now: Clocks) -> list[Line]:
    """A line for each round; ``names``: of the runs, as cursors have them."""
    moved = {each.row.number: moved_ms(each.row.time_ms, each.row.boottime_ns, now) for each in span.rounds}
    containers: dict[int, list[ContainerCounters]] = {}
    marked: dict[int, list[HistoryMark]] = {}
    for lived in span.lives:
        for key, *sample in lived.rows:
            counters = container_counters(lived.life, lived.subject, sample, lived.life_text)
            containers.setdefault(key or 0, []).append(counters)
        for key, mark in lived.marks:
            marked.setdefault(key, []).extend(marks(lived, [(key, mark)], moved))
    found = []
    for each in span.rounds:
        row = each.row
        line = HistoryRound(
            cursor=cursor(row.number, names),
            round=number_of(row.number),
            timestamp=row.time_ms + moved[row.number],
            monotonic_nsec=row.monotonic_ns,
            boottime_nsec=each.boottime_ns,
            boot=each.boot or None,
            gap=each.why,
            complete=not each.incomplete,
            host=host_counters(each.values),
            containers=containers.get(row.number, []),
            marks=marked.get(row.number, []),
        )
        found.append(Line(row.number, encode(line) + b"\n"))
    return found
