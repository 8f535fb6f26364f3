"""Standard output and standard error at the end of a command: a reader that left, a disk that is full, a closed stream.

Python writes what is left of them when it ends, and prints a traceback where it cannot: so it is written before. An
OSError does not say which file it is of: each stream remembers what became of its writes.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import TextIO

NOT_WRITTEN = 2
_NAMES = ("stdin", "stdout", "stderr")
closed: set[str] = set()
"""The streams that the caller closed: what is written to them is lost."""


class _Raw(io.FileIO):
    """A descriptor that is written to. It remembers why a write failed."""

    failure: OSError | None = None

    def write(self, data: object) -> int:
        try:
            return super().write(data)  # type: ignore[arg-type]
        except OSError as error:
            self.failure = error
            raise


class _Stream(io.TextIOWrapper):
    """A standard stream of this process."""

    def __init__(self, number: int, encoding: str, errors: str) -> None:
        self.raw_file = _Raw(number, "w", closefd=False)
        super().__init__(io.BufferedWriter(self.raw_file), encoding, errors, line_buffering=self.raw_file.isatty())


def prepare() -> None:
    """Take over the streams of the process (a test's own stay as they are).

    A stream that the caller closed (``>&-``) becomes /dev/null, so that no other file gets its descriptor.
    """
    for number, name in enumerate(_NAMES):
        stream = getattr(sys, name)
        if stream is None:
            closed.add(name)
            fd = os.open(os.devnull, os.O_RDWR)
            if fd != number:
                os.dup2(fd, number)
                os.close(fd)
            if number == 0:
                sys.stdin = open(number, encoding="utf-8", closefd=False)  # noqa: SIM115 - it stays
                continue
        elif number == 0 or stream is not getattr(sys, f"__{name}__"):
            continue
        made = _Stream(number, getattr(stream, "encoding", "utf-8"), getattr(stream, "errors", "backslashreplace"))
        if number == 2:
            made.reconfigure(line_buffering=True)
        setattr(sys, name, made)


def failed() -> bool:
    """Whether a write failed."""
    return any(isinstance(each, _Stream) and each.raw_file.failure for each in (sys.stdout, sys.stderr))


def end(code: int) -> int:
    """Write what is left in the buffers; the exit code of the command that ends with ``code``."""
    for stream, name in ((sys.stderr, ""), (sys.stdout, "standard output")):
        error = _unwritten(stream)
        if error is None or isinstance(error, BrokenPipeError):
            continue  # the reader of a pipe (head, less) has seen enough
        said, code = code == NOT_WRITTEN, NOT_WRITTEN
        if name and not said:
            with suppress(OSError):
                sys.stderr.write(f"cgstatd: {name}: {error.strerror}\n")
                sys.stderr.flush()
    return code


def _unwritten(stream: TextIO) -> OSError | None:
    """Why the buffer could not be written; None: it has been. What is left of it then is given up."""
    with suppress(OSError):
        stream.flush()
    if not isinstance(stream, _Stream) or stream.raw_file.failure is None:
        return None
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)
    with suppress(OSError):
        stream.flush()
    return stream.raw_file.failure
