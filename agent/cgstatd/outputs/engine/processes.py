"""GET /containers/{id}/top: each process by its program's name, never with an argument."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Any

from ...sampling.program_list import ProcessRow

TITLES = ("UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD")


def top(several: Iterable[ProcessRow], now: float) -> dict[str, Any]:
    """The columns of ``ps -ef``, which is what clients ask for."""
    return {"Titles": list(TITLES), "Processes": [_row(each, now) for each in several]}


def _row(each: ProcessRow, now: float) -> list[str]:
    cpu, started = each.cpu_seconds, each.started_seconds
    minutes, seconds = divmod(int(cpu), 60)
    hours, minutes = divmod(minutes, 60)
    used = "0" if started is None or now <= started else str(min(99, int(100 * cpu / (now - started))))
    return [
        "root" if each.uid == 0 else str(each.uid),
        str(each.pid),
        str(each.parent),
        used,
        _clock(started, now),
        "?",
        f"{hours:02d}:{minutes:02d}:{seconds:02d}",
        each.program,
    ]


def _clock(started: float | None, now: float) -> str:
    """As ps: the time of day, after a day the date."""
    if started is None:
        return "?"
    when = datetime.datetime.fromtimestamp(started, datetime.UTC)
    return f"{when:%H:%M}" if now - started < 86_400 else f"{when:%b%d}"
