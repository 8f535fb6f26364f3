"""Reading config.toml: every complaint names the line, the value and what is allowed.

tomllib gives no line numbers. A statement of TOML ends with its line unless a string or an array is still open, and an
open one does not parse: so the fewest lines that parse on their own are one statement.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..basics.private_directory import NotPrivate
from ..basics.private_file import check_private_file
from ..basics.regular_file import read_regular
from .settings import BY_NAME

_MAX_BYTES = 256 << 10
_PRIVATE = ("notify_url", "notify_secret_file", "notify_ca")
"""Keys that a file may have only if no other user can write it."""
_AT_LINE = re.compile(r"(.*) \(at line (\d+), column (\d+)\)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Parsed:
    """The content of a file: the values that are good, where each stands, and a sentence for each that is not good."""

    values: dict[str, Any]
    lines: dict[str, int]
    complaints: list[str]


@dataclass(frozen=True, slots=True)
class _Statement:
    line: int
    text: list[str]
    content: dict[str, Any]

    def line_of(self, value: object) -> int:
        """The line of one of its values, where that can be told; else the line of the key."""
        if isinstance(value, str):
            return next((n for n, text in enumerate(self.text, self.line) if f'"{value}"' in text), self.line)
        return self.line


def parse_file(path: str) -> Parsed:
    """Read a file. Raises OSError."""
    raw = read_regular(path, _MAX_BYTES + 1)
    if len(raw) > _MAX_BYTES:
        return Parsed({}, {}, [f"{path}: larger than {_MAX_BYTES} bytes: this is not a configuration file"])
    try:
        parsed = parse(path, raw.decode())
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        return Parsed({}, {}, [f"{path}:{line}: not UTF-8"])
    parsed.complaints.extend(_not_believed(path, parsed))
    return parsed


def _not_believed(path: str, parsed: Parsed) -> Iterator[str]:
    """Another user who can write where notifications go could have them sent anywhere, with the secret."""
    for key in _PRIVATE:
        if key in parsed.values:
            try:
                check_private_file(path)
            except (NotPrivate, OSError) as error:
                yield f"{path}:{parsed.lines[key]}: {key}: not believed from here: {error}"


def parse(path: str, text: str) -> Parsed:
    """Read a file's text; ``path`` is for the complaints."""
    text = text.replace("\r\n", "\n")
    try:
        tomllib.loads(text)
    except RecursionError:
        return Parsed({}, {}, [f"{path}: not TOML: nested too deeply"])
    except ValueError as error:  # TOMLDecodeError, and what int() says of thousands of digits
        found = _AT_LINE.fullmatch(str(error))
        line, what = (int(found[2]), found[1]) if found else (text.count("\n") + 1, str(error))
        return Parsed({}, {}, [f"{path}:{line}: not TOML: {what[:1].lower()}{what[1:]}"])
    parsed = Parsed({}, {}, [])
    in_table = False
    for statement in _statements(text):
        if in_table and not statement.text[0].lstrip().startswith("["):
            continue  # the table itself has been complained of
        for key, value in statement.content.items():
            in_table = isinstance(value, dict) or statement.text[0].lstrip().startswith("[[")
            _take(path, parsed, statement, key, value)
    return parsed


def _statements(text: str) -> Iterator[_Statement]:
    lines = text.split("\n")
    start = 0
    for end in range(1, len(lines) + 1):
        try:
            content = tomllib.loads("\n".join(lines[start:end]))
        except (ValueError, RecursionError):
            continue  # something is still open
        if content:
            yield _Statement(start + 1, lines[start:end], content)
        start = end


def _take(path: str, parsed: Parsed, statement: _Statement, key: str, value: Any) -> None:
    option = BY_NAME.get(key)
    if option is None:
        what = "no table is known here" if isinstance(value, dict) else "unknown key"
        parsed.complaints.append(f"{path}:{statement.line}: {key}: {what}{_nearest(key)}")
        return
    many, checked = option.kind.many, []
    for each in value if many and isinstance(value, list) else [value]:
        try:
            checked.append(option.kind.check(each))
        except ValueError as error:
            expected = f"expected {'a list of: ' * many}{error}"
            parsed.complaints.append(f"{path}:{statement.line_of(each)}: {key} = {_shown(each)}: {expected}")
            return
    parsed.values[key] = tuple(checked) if many else checked[0]
    parsed.lines[key] = statement.line


def _shown(value: object) -> str:
    if isinstance(value, str):
        return shortened(f'"{value}"')
    try:
        return shortened(str(value).lower() if isinstance(value, bool) else repr(value))
    except ValueError:
        return "a number of thousands of digits"  # which Python does not write (sys.set_int_max_str_digits)


def shortened(text: str) -> str:
    """As much of a value as a complaint has room for."""
    return text if len(text) <= 80 else f"{text[:77]}..."


def _nearest(name: str) -> str:
    """``; did you mean …?``, or where nothing is near, where the keys are listed."""
    found = difflib.get_close_matches(name.lower().replace("-", "_"), BY_NAME, n=1, cutoff=0.6)
    return f"; did you mean {found[0]}?" if found else "; `cgstatd config --example` lists the keys"
