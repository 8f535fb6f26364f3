"""The keyboard of a terminal: single keys without echo, and the escape sequences of those that have no character."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import termios
import tty
from collections.abc import Iterator

_SEQUENCES = {
    "A": "up", "B": "down", "C": "right", "D": "left", "H": "home", "F": "end",
    "1~": "home", "4~": "end", "5~": "pageup", "6~": "pagedown", "7~": "home", "8~": "end",
}  # fmt: skip
_CONTROL = {
    "\r": "enter", "\n": "enter", "\x7f": "backspace", "\x08": "backspace", "\t": "tab", "\x03": "q", "\x04": "q",
}  # fmt: skip
_ESCAPE = re.compile(r"\x1b(?:\[|O)([0-9;]*[A-Za-z~])")


def decode(data: str) -> Iterator[str]:
    """Keys by name; a character is its own name. An escape that begins no sequence is the key."""
    at = 0
    while at < len(data):
        match = _ESCAPE.match(data, at)
        if match:
            at = match.end()
            if match[1] in _SEQUENCES:
                yield _SEQUENCES[match[1]]
            continue
        character = data[at]
        at += 1
        if character == "\x1b":
            yield "escape"
        elif character in _CONTROL:
            yield _CONTROL[character]
        elif character.isprintable():
            yield character


@contextlib.contextmanager
def single_keys(descriptor: int) -> Iterator[None]:
    """The terminal gives each key at once, and is afterwards as it was. No Ctrl-Z: the screen would stay."""
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        changed = termios.tcgetattr(descriptor)
        changed[6][termios.VSUSP] = b"\0"
        termios.tcsetattr(descriptor, termios.TCSADRAIN, changed)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def pressed(descriptor: int) -> list[str]:
    """The keys that are waiting; "q" where the terminal has gone away."""
    try:
        data = os.read(descriptor, 1024)
    except OSError:
        data = b""
    return list(decode(data.decode(sys.stdin.encoding or "utf-8", "replace"))) if data else ["q"]
