"""The size of a container's log. What is in it is never read."""

from __future__ import annotations

import re
from collections.abc import Callable

from .base import LogSize, Unreadable
from .file_sizes import Sizes, sizes
from .statefile import StateFiles

_ROTATED = r"(?:\.[0-9]{1,6}(?:\.gz)?)?"


def of_log(name: str) -> Callable[[str], object]:
    """Whether a file's name is that of a log, or of what it was rotated into."""
    return re.compile(re.escape(name) + _ROTATED).fullmatch


def log_size(files: StateFiles, directory: str, name: str) -> LogSize | Unreadable | None:
    """Of the log ``name`` with what it was rotated into (``name.1``, ``name.2.gz``); None: there is none."""
    found = sizes(files, directory, of_log(name))
    return LogSize(f"{directory}/{name}", found.size_bytes, found.files) if isinstance(found, Sizes) else found
