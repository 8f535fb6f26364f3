"""The screen as text: header, table or detail, footer. Pure: takes the model, gives the lines of the terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from ..outputs.table import UNKNOWN, binary_size, decimal_size
from .model import Entry, Key, Model
from .spark import BLOCKS, spark

NEAR, FULL = 80.0, 95.0
"""Shares of a limit that are coloured."""
KEYS = "q quit  ↑↓ move  Enter detail  / filter  s sort  r reverse  ? keys"
KEYS_DETAIL = "q quit  ↑↓ scroll  Esc back  ? keys"
KEYS_HELP = "q quit  any other key: back"


@dataclass(slots=True)
class Screen:
    """What the reader is doing."""

    selected: Key | None = None
    top: int = 0
    """The first row that is shown."""
    typing: bool = False
    help: bool = False
    """The list of keys is shown."""
    detail: Key | None = None
    scroll: int = 0
    blocks: str = BLOCKS


_LEAST_NAME = 12


def fit(text: str, width: int, right: bool = False) -> str:
    """Exactly as wide as asked for, in terminal cells: names may be of wide characters."""
    have = cell_len(text)
    if have > width:
        return set_cell_size(text, max(0, width - 1)) + "…" if width > 1 else set_cell_size(text, width)
    return " " * (width - have) + text if right else text + " " * (width - have)


def _share(share: float | None) -> str:
    return "" if share is None or share < NEAR else "bold red" if share >= FULL else "yellow"


def _percent(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.1f}"


def _cpu_top(entry: Entry) -> float:
    """The top of a CPU line: the quota, where there is one."""
    return entry.stat.cpu_limit * 100 if entry.stat.cpu_limit else 10.0


def _memory_top(entry: Entry) -> float:
    """The top of a memory line: the limit. Without one, what does not change stays at half the height."""
    if entry.stat.memory_limited and entry.stat.memory_limit:
        return float(entry.stat.memory_limit)
    return 2 * max((value for value in entry.memory if value is not None), default=0.0)


def _sizes(entry: Entry) -> tuple[str, str]:
    """Received and sent; of a host's network that is said instead."""
    stat = entry.stat
    if stat.network_absent and "host" in stat.network_absent:
        return "host", ""
    return decimal_size(stat.network_rx_rate), decimal_size(stat.network_tx_rate)


LINES: dict[str, tuple[str, Callable[[Entry], float]]] = {
    "cpu": ("blue", _cpu_top),
    "memory": ("magenta", _memory_top),
    "network": ("green", lambda _: 2000.0),
    "disk": ("yellow", lambda _: 8192.0),
}
"""The colour of each line, and its top: it is never scaled to less."""


class Column(NamedTuple):
    """``sort``: what it is sorted by; ``least``: the width of the terminal from which on it is shown; ``text``: of a
    cell, None: the line of what it is sorted by."""

    title: str
    width: int
    sort: str
    text: Callable[[Entry], str] | None = None
    least: int = 0
    right: bool = True
    style: Callable[[Entry], str] = lambda _: ""

    def cell(self, entry: Entry, blocks: str) -> tuple[str, str]:
        """Its text and style."""
        if self.text is not None:
            return self.text(entry), self.style(entry)
        colour, top = LINES[self.sort]
        return spark(entry.line(self.sort), self.width, top(entry), blocks), colour


def _memory_style(entry: Entry) -> str:
    return _share(entry.stat.memory_percent if entry.stat.memory_limited else None)


# fmt: off
COLUMNS = (
    Column("CPU %", 7, "cpu", lambda e: _percent(e.stat.cpu_percent), style=lambda e: _share(e.stat.cpu_limit_percent)),
    Column("", 9, "cpu", right=False),
    Column("MEM", 8, "memory", lambda e: binary_size(e.stat.memory_usage)),
    Column("LIMIT", 8, "memory", lambda e: binary_size(e.stat.memory_limit) if e.stat.memory_limited else "", 110,
           style=lambda _: "dim"),
    Column("MEM %", 6, "memory", lambda e: _percent(e.stat.memory_percent), style=_memory_style),
    Column("", 9, "memory", None, 120, False),
    Column("RX/s", 7, "network", lambda e: _sizes(e)[0]),
    Column("TX/s", 7, "network", lambda e: _sizes(e)[1]),
    Column("", 9, "network", None, 150, False),
    Column("READ/s", 7, "disk", lambda e: decimal_size(e.stat.block_read_rate)),
    Column("WRITE/s", 7, "disk", lambda e: decimal_size(e.stat.block_write_rate), 90),
    Column("", 9, "disk", None, 150, False),
    Column("PIDS", 5, "pids", lambda e: UNKNOWN if e.stat.pids is None else str(e.stat.pids), 80),
    Column("RUNTIME", 15, "name", lambda e: e.stat.runtime, 132, False, lambda _: "dim"),
)
# fmt: on


def shown_columns(width: int) -> tuple[list[Column], int]:
    """The columns that a terminal has room for, and the width of the names."""
    found = [column for column in COLUMNS if width >= column.least]
    while (name := width - sum(column.width + 1 for column in found)) < _LEAST_NAME and found:
        found.pop()
    return found, max(1, name)


def _row(entry: Entry, columns: Sequence[Column], name_width: int, selected: bool, blocks: str) -> Text:
    stat = entry.stat
    ended, late, paused = ("✝", "…", "‖") if blocks is BLOCKS else ("x", "~", "=")
    mark = ended if entry.ended else late if entry.late else paused if stat.state == "paused" else ""
    name = f"{stat.name} {mark}" if mark else stat.name
    line = Text(no_wrap=True, end="", style="bold" if selected else "dim" if mark else "")
    colour = "red" if stat.oom_kills else ""
    line.append(fit(name, name_width), f"reverse {colour}".strip() if selected else colour)
    for column in columns:
        text, style = column.cell(entry, blocks)
        line.append(" " + fit(text, column.width, column.right), style)
    return line


_EMPTY = Text("", end="")


def _whole(text: str, style: str, width: int) -> Text:
    return Text(fit(text, width), style, no_wrap=True, end="")


def _header(model: Model, shown: int, width: int) -> Text:
    host = model.host
    parts = ["cgstatd top"]
    if host is not None:
        busy = UNKNOWN if host.cpu_percent is None else f"{host.cpu_percent / 100:.2f}"
        memory = f"{binary_size(host.memory_used)} / {binary_size(host.memory_total)}"
        parts += [host.hostname or "", f"cpu {busy} of {host.cores or '?'}", f"mem {memory}"]
    of = f"{shown} of {len(model.entries)}" if model.filter else str(shown)
    parts += [f"{of} containers", model.state if model.state != "live" else ""]
    if model.apart > model.interval:
        parts.append(f"every {model.apart:g} s")
    gone = model.state.startswith(("agent gone", "no agent"))
    text = "  ".join(part for part in parts if part)
    return _whole(text, "bold red" if gone else "bold", width)


def _titles(model: Model, columns: Sequence[Column], name_width: int) -> Text:
    arrow = "▼" if model.reverse else "▲"
    line = Text(no_wrap=True, end="", style="reverse")
    name = f"NAME {arrow}" if model.sort == "name" else "NAME"
    line.append(fit(name, name_width))
    told = model.sort == "name"
    for column in columns:
        title = column.title
        if column.sort == model.sort and not told and title:
            title, told = arrow + title, True
        line.append(" " + fit(title, column.width, column.right))
    return line


def _footer(model: Model, screen: Screen, width: int) -> Text:
    if screen.typing or (model.filter and screen.detail is None):
        text = f"/{model.filter}{'_' if screen.typing else ''}"
        return _whole(text, "bold" if screen.typing else "", width)
    return _whole(model.last_event or KEYS, "dim", width)


def table_lines(model: Model, screen: Screen, width: int, height: int) -> list[Text]:
    """The table; the selected row is kept in view."""
    rows = model.rows()
    keys = [key for key, _ in rows]
    if screen.selected not in keys:
        screen.selected = keys[min(screen.top, len(keys) - 1)] if keys else None
    room = max(1, height - 3)
    if screen.selected is not None:
        at = keys.index(screen.selected)
        screen.top = min(max(screen.top, at - room + 1), at)
    screen.top = max(0, min(screen.top, len(rows) - room))
    columns, name_width = shown_columns(width)
    lines = [_header(model, len(rows), width), _titles(model, columns, name_width)]
    for key, entry in rows[screen.top : screen.top + room]:
        lines.append(_row(entry, columns, name_width, key == screen.selected, screen.blocks))
    if not rows:
        lines.append(Text(_nothing(model), "dim", end=""))
    lines += [_EMPTY] * (height - 1 - len(lines))
    return [*lines[: height - 1], _footer(model, screen, width)]


def _nothing(model: Model) -> str:
    """Why there is no row: only an agent that answers can say that nothing runs."""
    if model.entries:
        return "no container fits the filter"
    if model.state != "live":
        return "nothing is known: the agent does not answer" if model.asked else "asking the agent"
    return "no container is running" if model.rounds else "reading"


def detail_lines(model: Model, screen: Screen, body: Sequence[Text], width: int, height: int) -> list[Text]:
    """One container's detail, scrolled."""
    room = max(1, height - 2)
    screen.scroll = max(0, min(screen.scroll, len(body) - room))
    visible = list(body[screen.scroll : screen.scroll + room])
    visible += [_EMPTY] * (room - len(visible))
    return [_header(model, len(model.rows()), width), *visible, _whole(KEYS_DETAIL, "dim", width)]


def help_lines(model: Model, body: Sequence[Text], width: int, height: int) -> list[Text]:
    """The list of keys, as much of it as there is room for."""
    visible = [*body, *[_EMPTY] * height][: max(1, height - 3)]
    for line in visible:
        line.truncate(width)
    return [_header(model, len(model.rows()), width), _EMPTY, *visible, _whole(KEYS_HELP, "dim", width)]
