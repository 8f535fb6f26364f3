"""GET /containers/{id}/top: each process by its program's name, never with an argument.

``ps_args`` are those of ps(1), as far as the kernel says without arguments what they ask for: ``-ef``, ``aux``, and the
columns of ``-o``. What cannot be honoured is refused.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from ...basics.text import printable
from ...sampling.program_list import PAGE_BYTES, ProcessRow
from .filters import BadFilter

_FULL = "user=UID pid=PID ppid=PPID c=C stime=STIME tty=TTY time=TIME comm=CMD"
_USERS = "user=USER pid=PID pcpu=%CPU pmem=%MEM vsz=VSZ rss=RSS tty=TTY stat=STAT stime=START bsdtime=TIME comm=COMMAND"
_PLAIN = "pid=PID tty=TTY time=TIME comm=CMD"
_LONGEST = 512
_SELECTIONS = re.compile(r"-?[eAaxw]+")
"""Of all processes: those of the container are shown in any case."""


class _At(NamedTuple):
    """One process, and what its columns need beside. None: the host does not say."""

    each: ProcessRow
    now: float
    memory_bytes: int | None

    @property
    def age(self) -> float | None:
        """Seconds."""
        started = self.each.started_seconds
        return None if started is None else max(0.0, self.now - started)


def top(
    several: Iterable[ProcessRow], now: float, ps_args: str = "", memory_bytes: int | None = None
) -> dict[str, Any]:
    """``memory_bytes``: the host's. Raises BadFilter."""
    columns = _columns(ps_args)
    return {
        "Titles": [title for title, _ in columns],
        "Processes": [[column(_At(each, now, memory_bytes)) for _, column in columns] for each in several],
    }


def _columns(ps_args: str) -> Sequence[tuple[str, Callable[[_At], str]]]:
    if len(ps_args) > _LONGEST:
        raise BadFilter(f"invalid ps_args: more than {_LONGEST} letters")
    wanted, words = "", ps_args.split() or ["-ef"]
    layout = _PLAIN
    while words:
        word = words.pop(0)
        if _SELECTIONS.fullmatch(word):
            continue
        if re.fullmatch(r"-[eAaxw]*f[eAaxww]*", word):
            layout = _FULL
        elif re.fullmatch(r"[axw]*u[axw]*", word):
            layout = _USERS
        elif found := re.fullmatch(r"-?[eAaxw]*o(.*)|--format(?:=(.+))?", word):
            listed = found[1] or found[2] or (words.pop(0) if words else "")
            wanted += f" {listed.replace(',', ' ')}" if listed else " ''"
        else:
            raise BadFilter(f"ps_args {printable(word, 40)!r} is not known: -ef, aux and -o COLUMN,… are")
    if not wanted:
        return [_column(each) for each in layout.split()]
    return [_column(each) for each in wanted.split()]


def _column(wanted: str) -> tuple[str, Callable[[_At], str]]:
    name, renamed, title = wanted.partition("=")
    own = _COLUMNS.get(name)
    if own is None:
        raise BadFilter(f"ps has no column {printable(name, 40)!r} here; it has {' '.join(sorted(_COLUMNS))}")
    return printable(title, 40) if renamed else own[0], own[1]


def _user(at: _At) -> str:
    return "root" if at.each.uid == 0 else str(at.each.uid)


def _cpu(at: _At) -> float:
    """Percent of its life."""
    return 100 * at.each.cpu_seconds / at.age if at.age else 0.0


def _clock(at: _At) -> str:
    """As ps: the time of day, after a day the date."""
    started = at.each.started_seconds
    if started is None:
        return "?"
    when = datetime.datetime.fromtimestamp(started, datetime.UTC)
    return f"{when:%H:%M}" if at.now - started < 86_400 else f"{when:%b%d}"


def _long_clock(at: _At) -> str:
    started = at.each.started_seconds
    if started is None:
        return "?"
    return f"{datetime.datetime.fromtimestamp(started, datetime.UTC):%a %b %e %H:%M:%S %Y}"


def _time(at: _At) -> str:
    minutes, seconds = divmod(int(at.each.cpu_seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}"


def _minutes(at: _At) -> str:
    minutes, seconds = divmod(int(at.each.cpu_seconds), 60)
    return f"{minutes}:{seconds:02d}"


def _elapsed(at: _At) -> str:
    if at.age is None:
        return "?"
    minutes, seconds = divmod(int(at.age), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{f'{days}-' * bool(days)}{f'{hours:02d}:' * bool(days or hours)}{minutes:02d}:{seconds:02d}"


def _stat(at: _At) -> str:
    each, job = at.each, at.each.job
    flags = (
        ("<", job.nice < 0), ("N", job.nice > 0), ("s", job.session == each.pid), ("l", each.threads > 1),
        ("+", job.foreground == job.group),
    )  # fmt: skip
    return each.state + "".join(flag for flag, there in flags if there)


def _kib(number: int | None) -> str:
    return "?" if number is None else str(number // 1024)


def _resident(at: _At) -> int | None:
    pages = at.each.job.resident_pages
    return None if pages is None else pages * PAGE_BYTES


def _memory(at: _At) -> str:
    resident = _resident(at)
    return "?" if resident is None or not at.memory_bytes else f"{min(100 * resident / at.memory_bytes, 99.9):.1f}"


_COLUMNS: dict[str, tuple[str, Callable[[_At], str]]] = {
    **dict.fromkeys(("user", "uname", "euser"), ("USER", _user)),
    **dict.fromkeys(("uid", "euid"), ("UID", lambda at: str(at.each.uid))),
    "pid": ("PID", lambda at: str(at.each.pid)),
    "ppid": ("PPID", lambda at: str(at.each.parent)),
    **dict.fromkeys(("pgid", "pgrp"), ("PGID", lambda at: str(at.each.job.group))),
    **dict.fromkeys(("sid", "sess", "session"), ("SID", lambda at: str(at.each.job.session))),
    "c": ("C", lambda at: str(min(99, int(_cpu(at))))),
    **dict.fromkeys(("pcpu", "%cpu"), ("%CPU", lambda at: f"{_cpu(at):.1f}")),
    **dict.fromkeys(("pmem", "%mem"), ("%MEM", _memory)),
    **dict.fromkeys(("vsz", "vsize"), ("VSZ", lambda at: _kib(at.each.job.virtual_bytes))),
    **dict.fromkeys(("rss", "rssize", "rsz"), ("RSS", lambda at: _kib(_resident(at)))),
    **dict.fromkeys(("tty", "tt", "tname"), ("TTY", lambda _: "?")),
    "stat": ("STAT", _stat),
    **dict.fromkeys(("s", "state"), ("S", lambda at: at.each.state)),
    **dict.fromkeys(("ni", "nice"), ("NI", lambda at: str(at.each.job.nice))),
    **dict.fromkeys(("nlwp", "thcount"), ("NLWP", lambda at: str(at.each.threads))),
    **dict.fromkeys(("stime", "start_time"), ("STIME", _clock)),
    "lstart": ("STARTED", _long_clock),
    **dict.fromkeys(("time", "cputime"), ("TIME", _time)),
    "bsdtime": ("TIME", _minutes),
    "etime": ("ELAPSED", _elapsed),
    "etimes": ("ELAPSED", lambda at: "?" if at.age is None else str(int(at.age))),
    **dict.fromkeys(("comm", "ucmd", "ucomm"), ("COMMAND", lambda at: at.each.program)),
}
"""Their titles and values. ``args`` is none of them: what a process was started with is never told."""
