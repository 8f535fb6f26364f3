"""The last minutes of all containers at once, a few points each: what a table draws beside each row.

Of each step the last round counts. A rate is the growth between two such rounds of the same life, so only these rows
are looked at. Any thread may do it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...outputs.history_types import ContainerLines, HistoryLines
from ...sampling.history_model import ContainerSample
from ...sampling.history_work import Clocks
from . import gaps
from .disk_model import Who
from .in_steps import Reasons
from .series import Row, Rows
from .steps import CONTAINER_RATES, Grid, container_gauges, container_rates, host_row, shown_ms
from .steps import gaps as gaps_of
from .tracks import Lived, Snapshot

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


def lines(what: Snapshot, grid: Grid, now: Clocks, figures: Sequence[str], interval_seconds: float) -> HistoryLines:
    """``what``: the rounds of the steps, one before them, and the containers that are there now with their earlier
    lives."""
    reasons, step_of = Reasons(grid, gaps.BEFORE), dict[int, int]()
    for each in what.host:
        row, _ = host_row(each)
        if what.first <= row.number <= what.last:
            time_ms = shown_ms(row.boottime_ns, now)
            step_of[row.number] = step = max(-1, grid.step_of(time_ms))
            reasons.add(time_ms, step, gaps.words(row.gap) if row.gap else None)
    found: dict[Who, ContainerLines] = {}
    for lived in what.lives:
        life = lived.life
        line = found.get(life[:3])
        if line is None:
            empty: dict[str, list[float | None]] = {name: [None] * grid.many for name in figures}
            line = ContainerLines(id=life.id, name="", runtime=life.runtime, owner_uid=life.owner_uid, figures=empty)
        found[life[:3]] = _with(line, lived, what, step_of)
    times = grid.timestamps
    return HistoryLines(
        interval=interval_seconds,
        step=grid.step_ms / 1000,
        since=times[0],
        until=times[-1],
        timestamps=times,
        gaps=gaps_of(times, reasons.end(now.time_ms)),
        containers=list(found.values()),
    )


def _with(line: ContainerLines, lived: Lived, what: Snapshot, step_of: Mapping[int, int]) -> ContainerLines:
    """A line, and what another life of the container adds to it."""
    before: ContainerSample | None = None
    for row in _last_of_steps(lived.rows, what, step_of):
        sample = ContainerSample(*row[1:])  # type: ignore[arg-type]
        step = step_of[row[0] or 0]
        if step >= 0:
            values = {**container_rates(before, sample), **container_gauges(sample)}
            for name, points in line.figures.items():
                if (value := values.get(name)) is not None:
                    points[step] = round(value, 2)
        before = sample
    return ContainerLines(
        id=line.id, name=lived.subject.name, runtime=line.runtime, owner_uid=line.owner_uid, figures=line.figures
    )


def _last_of_steps(rows: Rows, what: Snapshot, step_of: Mapping[int, int]) -> list[Row]:
    """The last row of each step, and the last one before them."""
    data, size = rows.packed(what.first, what.last), rows.layout.size
    last: dict[int, int] = {}
    for place in range(0, len(data), size):
        step = step_of.get(int.from_bytes(data[place : place + 8], "little"))
        if step is not None:
            last[step] = place
    return list(rows.layout.rows(b"".join(data[place : place + size] for place in last.values())))
