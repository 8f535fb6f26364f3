"""The screen as text: header, table or detail, footer. Pure: takes the model, gives the lines of the terminal."""

from __future__ import annotations

from collections.abc import Sequence
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


class Column(NamedTuple):
    """``sort``: what it is sorted by; ``least``: the width of the terminal from which on it is shown."""

    title: str
    width: int
    sort: str
    least: int = 0
    right: bool = True


COLUMNS = (
    Column("CPU %", 7, "cpu"),
    Column("", 9, "cpu", right=False),
    Column("MEM", 8, "memory"),
    Column("LIMIT", 8, "memory", 110),
    Column("MEM %", 6, "memory"),
    Column("", 9, "memory", 120, False),
    Column("RX/s", 7, "network"),
    Column("TX/s", 7, "network"),
    Column("", 9, "network", 150, False),
    Column("READ/s", 7, "disk"),
    Column("WRITE/s", 7, "disk", 90),
    Column("", 9, "disk", 150, False),
    Column("PIDS", 5, "pids", 80),
    Column("RUNTIME", 15, "name", 132, False),
)
_LEAST_NAME = 12
_STYLES = {"cpu": "blue", "memory": "magenta", "network": "green", "disk": "yellow"}


def fit(text: str, width: int, right: bool = False) -> str:
    """Exactly as wide as asked for, in terminal cells: names may be of wide characters."""
    have = cell_len(text)
    if have > width:
        return set_cell_size(text, max(0, width - 1)) + "…" if width > 1 else set_cell_size(text, width)
    return " " * (width - have) + text if right else text + " " * (width - have)


def shown_columns(width: int) -> tuple[list[Column], int]:
    """The columns that a terminal has room for, and the width of the names."""
    found = [column for column in COLUMNS if width >= column.least]
    while (name := width - sum(column.width + 1 for column in found)) < _LEAST_NAME and found:
        found.pop()
    return found, max(1, name)


def _share(share: float | None, usual: str = "") -> str:
    return usual if share is None or share < NEAR else "bold red" if share >= FULL else "yellow"


def _percent(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.1f}"


def cpu_top(entry: Entry) -> float:
    """The top of a CPU line: the quota, where there is one."""
    return entry.stat.cpu_limit * 100 if entry.stat.cpu_limit else 10.0


def memory_top(entry: Entry) -> float:
    """The top of a memory line: the limit. Without one, what does not change stays at half the height."""
    if entry.stat.memory_limited and entry.stat.memory_limit:
        return float(entry.stat.memory_limit)
    return 2 * max((value for value in entry.memory if value is not None), default=0.0)


def _cells(entry: Entry, blocks: str) -> dict[str, tuple[str, str]]:
    """Title (or the sparkline's sort) -> text and style."""
    stat, limited = entry.stat, entry.stat.memory_limited
    rx = "host" if stat.network_absent and "host" in stat.network_absent else decimal_size(stat.network_rx_rate)
    return {
        "CPU %": (_percent(stat.cpu_percent), _share(stat.cpu_limit_percent)),
        "cpu": (spark(entry.cpu, 9, cpu_top(entry), blocks), _STYLES["cpu"]),
        "MEM": (binary_size(stat.memory_usage), ""),
        "LIMIT": (binary_size(stat.memory_limit) if limited else "", "dim"),
        "MEM %": (_percent(stat.memory_percent), _share(stat.memory_percent if limited else None)),
        "memory": (spark(entry.memory, 9, memory_top(entry), blocks), _STYLES["memory"]),
        "RX/s": (rx, ""),
        "TX/s": ("" if rx == "host" else decimal_size(stat.network_tx_rate), ""),
        "network": (spark(entry.network, 9, 2000.0, blocks), _STYLES["network"]),
        "READ/s": (decimal_size(stat.block_read_rate), ""),
        "WRITE/s": (decimal_size(stat.block_write_rate), ""),
        "disk": (spark(entry.disk, 9, 8192.0, blocks), _STYLES["disk"]),
        "PIDS": (UNKNOWN if stat.pids is None else str(stat.pids), ""),
        "RUNTIME": (stat.runtime, "dim"),
    }


def _row(entry: Entry, columns: Sequence[Column], name_width: int, selected: bool, blocks: str) -> Text:
    stat, cells = entry.stat, _cells(entry, blocks)
    ended, late, paused = ("✝", "…", "‖") if blocks is BLOCKS else ("x", "~", "=")
    mark = ended if entry.ended else late if entry.late else paused if stat.state == "paused" else ""
    name = f"{stat.name} {mark}" if mark else stat.name
    line = Text(no_wrap=True, end="", style="bold" if selected else "dim" if mark else "")
    colour = "red" if stat.oom_kills else ""
    line.append(fit(name, name_width), f"reverse {colour}".strip() if selected else colour)
    for column in columns:
        text, style = cells[column.title or column.sort]
        line.append(" " + fit(text, column.width, column.right), style)
    return line


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
    return Text(fit(text, width), "bold red" if gone else "bold", no_wrap=True, end="")


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


def _footer(model: Model, screen: Screen, keys: str, width: int) -> Text:
    if screen.typing or (model.filter and screen.detail is None):
        text = f"/{model.filter}{'_' if screen.typing else ''}"
        return Text(fit(text, width), "bold" if screen.typing else "", no_wrap=True, end="")
    return Text(fit(model.last_event or keys, width), "dim", no_wrap=True, end="")


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
    lines += [Text("", end="")] * (height - 1 - len(lines))
    return [*lines[: height - 1], _footer(model, screen, KEYS, width)]


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
    visible += [Text("", end="")] * (room - len(visible))
    keys = Text(fit(KEYS_DETAIL, width), "dim", no_wrap=True, end="")
    return [_header(model, len(model.rows()), width), *visible, keys]


def help_lines(model: Model, body: Sequence[Text], width: int, height: int) -> list[Text]:
    """The list of keys, as much of it as there is room for."""
    visible = [*body, *[Text("", end="")] * height][: max(1, height - 3)]
    for line in visible:
        line.truncate(width)
    keys = Text(fit(KEYS_HELP, width), "dim", no_wrap=True, end="")
    return [_header(model, len(model.rows()), width), Text("", end=""), *visible, keys]
