"""Values of state files, which are input: how JSON becomes records, numbers, times, and names that may be in a path."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, TypeVar

import msgspec

T = TypeVar("T")
HOLDS = "holds"
Int = Annotated[int, msgspec.Meta(ge=-(1 << 62), le=1 << 62)]
"""A number as the runtimes write it; JSON's may have thousands of digits."""


def holds(kind: Any) -> msgspec.Meta:
    """The type that a msgspec.Raw is decoded as where it is asked for: what ``record`` keeps is derived from it."""
    return msgspec.Meta(extra={HOLDS: kind})


def is_file_name(name: str) -> bool:
    """Whether a name that came from outside may be one component of a path (printable also means encodable)."""
    return 0 < len(name) <= 255 and name.isprintable() and "/" not in name and name not in (".", "..")


def parser_of(kind: type[T]) -> Callable[[bytes], T]:
    """A JSON parser that makes the named fields of ``kind`` only: other fields are skipped, never decoded."""
    return msgspec.json.Decoder(kind).decode


def is_not_utf8(error: ValueError) -> bool:
    """Whether a parser failed because its input is not UTF-8: until msgspec 0.22 by an error of Python's codec, since
    0.23 by one of msgspec's own."""
    return isinstance(error, UnicodeError) or str(error).startswith("Invalid UTF-8")


def unix_time(when: datetime | None) -> float | None:
    """Seconds since the epoch; None for no time and for Go's zero time (year 1), which means never."""
    return None if when is None or when.year == 1 else when.timestamp()
