"""From rounds to the lines of /api/history. Any thread may do it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from ...outputs.history_json import container_counters, host_counters
from ...outputs.history_types import HistoryMark, HistoryRound
from ...sampling.history_work import Clocks
from .in_steps import marks
from .rows import Part, samples_of
from .spans import Timeline, life_text
from .steps import moved_ms

encode = msgspec.json.Encoder().encode


class Line(NamedTuple):
    """A round as it is sent."""

    key: int
    text: bytes


def cursor(key: int, timeline: Timeline, names: Mapping[int, str]) -> str:
    """Of a round. ``names``: of the runs; 0 is one whose number is not known, since nothing is stored."""
    run = timeline.run_of(key)
    return f"{f'{run.run}-' if run.run else ''}{names.get(run.run, '0')}-{key - run.base}"


def lines_of(
    part: Part, timeline: Timeline, place: int, names: Mapping[int, str], now: Clocks
) -> tuple[list[Line], bool]:
    """A line for each round, and whether rounds before any of them are lost. ``place``: the key of the round before
    the first; below 0: there is none to go by."""
    span = timeline.span(part._replace(samples=[], lives=[]), place)
    moved = {each.key: moved_ms(each.time_ms, each.shown_ns, now) for each in span.rounds}
    marked = defaultdict[int, list[HistoryMark]](list)
    for life in part.lives:
        for key, mark in part.marks.get(life.id, ()):
            marked[key] += marks(life.life, life.subject, [(key, mark)], moved)
    texts = {
        life.id: life_text(timeline.run_of(life.first).boot, life.life) for life in part.lives if life.first is not None
    }
    found = []
    for each, (_, samples) in zip(span.rounds, samples_of(part, timeline.last_listed(part)), strict=True):
        line = HistoryRound(
            cursor=cursor(each.key, timeline, names),
            round=timeline.number_of(each.key),
            timestamp=each.time_ms + moved[each.key],
            monotonic_nsec=each.monotonic_ns,
            boottime_nsec=each.boottime_ns,
            boot=each.boot or None,
            gap=each.why,
            complete=each.complete,
            host=host_counters(each.host),
            containers=[container_counters(row.life, row.subject, sample, texts[row.id]) for row, sample in samples],
            marks=marked.get(each.key, []),
        )
        found.append(Line(each.key, encode(line) + b"\n"))
    return found, span.missing
