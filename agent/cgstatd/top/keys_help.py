"""The list of keys that ``?`` shows, made of one table. Words rather than arrows: not every terminal has these."""

from __future__ import annotations

from rich.text import Text

KEYS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    (
        "Containers",
        (
            ("Up Down, k j", "move; also Page Up, Page Down, Home, End"),
            ("Enter, Right, l", "detail of the container"),
            ("/", "filter by name, id, runtime, project; Esc clears it"),
            ("n c m t d p", "sort: name, CPU, memory, network, disk, PIDs; again: reverse"),
            ("s, r", "sort by the next column; reverse"),
        ),
    ),
    ("Detail", (("Up Down, k j", "scroll; also Page Up, Page Down, Home, End"), ("Esc, Left, h", "back"))),
    ("Anywhere", (("?", "this list"), ("q, Ctrl-C", "quit"))),
)
_KEY_WIDTH = 18


def help_body() -> list[Text]:
    """Its lines: 14 of at most 80 cells."""
    lines = []
    for title, rows in KEYS:
        lines += [Text(title, "bold", end=""), *(Text(f"  {key:{_KEY_WIDTH}}{what}", end="") for key, what in rows)]
        lines.append(Text("", end=""))
    return lines[:-1]
