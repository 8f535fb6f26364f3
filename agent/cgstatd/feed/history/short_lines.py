"""The last minutes of all containers at once, a few points each: what a table draws beside each row.

Of each step the last round counts. A rate is the growth between two such rounds of the same life, so only these rows
are looked at. Any thread may do it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

from ...outputs.history_types import ContainerLines, HistoryLines
from ...sampling.history_model import ContainerSample
from ...sampling.history_work import Clocks
from . import gaps
from .in_steps import Reasons
from .rows import Everyone, RoundRow, Source, Who, sample_of
from .schema import BLOCK
from .steps import CONTAINER_RATES, Grid, container_gauges, container_rates, shown_ms
from .steps import gaps as gaps_of

MOST_POINTS = 120
"""Of a line. Where there would be more, the steps are longer."""
_MOST_VALUES = 500_000
"""Of an answer: some 3 MB."""
FIGURES = (*CONTAINER_RATES, "memoryUsage")
TABLE_FIGURES = ("cpuPercent", "networkRxRate", "networkTxRate", "blockReadRate", "blockWriteRate", "memoryUsage")
"""Those that a table draws. Agents of earlier versions know no others."""
DEFAULT_FIGURES = ("cpuPercent", "memoryUsage")


def most_points(containers: int, figures: int) -> int:
    """How many points the lines of an answer may have."""
    return max(2, min(MOST_POINTS, _MOST_VALUES // max(1, containers * figures)))


def lines(
    source: Source,
    first: int,
    last: int,
    living: Set[Who],
    grid: Grid,
    now: Clocks,
    figures: Sequence[str],
    interval_seconds: float,
) -> HistoryLines:
    """``first``, ``last``: the rounds of the steps, and one before them; ``living``: the containers that are there now,
    whose earlier lives count too."""
    reasons, ends, rounds = Reasons(grid, gaps.BEFORE), dict[int, int](), dict[int, RoundRow]()
    for row in source.rounds(first, last):
        time_ms = shown_ms(row.boottime_ns, now)
        step = max(-1, grid.step_of(time_ms))
        reasons.add(time_ms, step, gaps.words(row.gap) if row.gap else None)
        ends[step], rounds[row.key] = row.key, row
    found: dict[Who, ContainerLines] = {}
    lives = [each for each in source.lives(first, last, Everyone()) if each.life[:3] in living]
    for each in lives:
        empty: dict[str, list[float | None]] = {name: [None] * grid.many for name in figures}
        line = found.get(each.life[:3])
        values = empty if line is None else line.figures
        found[each.life[:3]] = ContainerLines(
            id=each.life.id,
            name=each.subject.name,
            runtime=each.life.runtime,
            owner_uid=each.life.owner_uid,
            figures=values,
        )
    rows, before, samples = dict[int, tuple[Any, ...]](), first // BLOCK * BLOCK - 1, dict[int, ContainerSample]()
    for step, end in ends.items():
        rows |= source.latest(before + 1, end)
        for each in lives:
            key = end if each.last is None else min(end, each.last)  # it may have ended within the step
            if each.id in rows and key in rounds and before < key and each.first is not None and each.first <= key:
                sample = sample_of(rows[each.id], rounds[key])
                if sample is not None:
                    if step >= 0:
                        _fill(found[each.life[:3]].figures, step, samples.get(each.id), sample)
                    samples[each.id] = sample
        before = end
    points = grid.timestamps
    return HistoryLines(
        interval=interval_seconds,
        step=grid.step_ms / 1000,
        since=points[0],
        until=points[-1],
        timestamps=points,
        gaps=gaps_of(points, reasons.end(now.time_ms)),
        containers=list(found.values()),
    )


def _fill(
    figures: Mapping[str, list[float | None]], step: int, before: ContainerSample | None, now: ContainerSample
) -> None:
    values = {**container_rates(before, now), **container_gauges(now)}
    for name, points in figures.items():
        if (value := values.get(name)) is not None:
            points[step] = round(value, 2)
