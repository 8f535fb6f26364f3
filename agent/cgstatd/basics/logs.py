"""Logs in journal style: one line a record, on standard error, without a time stamp (the journal has its own).

``level=warning container=… what happened``, or the same as JSON. Under the journal each line begins with its priority
(``<4>``, sd-daemon(3)), so that ``journalctl -p warning`` works. A failure that repeats is said once a minute.
"""

from __future__ import annotations

import json
import logging
import os
import re
import select
import stat
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

STYLES = ("text", "json")
_LEVELS = {logging.DEBUG: "debug", logging.INFO: "info", logging.WARNING: "warning", logging.ERROR: "error"}
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_CONVERSION = re.compile(r"(?:\b(\w+)=)?%(?:%|[-#0 +]*\d*(?:\.\d+)?[a-z])", re.ASCII)
REPEAT_SECONDS = 60.0
_MAX_REMEMBERED = 1024


def _level(record: logging.LogRecord) -> str:
    return _LEVELS.get(record.levelno, record.levelname.lower())


def priority(level: int) -> int:
    """syslog's number for a level."""
    return next((number for least, number in _PRIORITIES if level >= least), 7)


class OneLine(logging.Formatter):
    """``level=warning container=… what happened``; an exception follows on the same line.

    A record holds input (names, paths). So white space becomes one space and no control character gets through: no name
    can forge a second line or reach a terminal.
    """

    def format(self, record: logging.LogRecord) -> str:
        text = " ".join(super().format(record).split())
        left_out = getattr(record, "left_out", 0)
        text = f"level={_level(record)} {text}" + (f" repeated={left_out}" if left_out else "")
        return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


class Json(logging.Formatter):
    """``{"level": "warning", "container": …, "message": "container=… what happened"}``.

    The fields are those of the call itself (``container=%s``): no name can forge one.
    """

    def format(self, record: logging.LogRecord) -> str:
        fields = {"level": _level(record), **_named(record), "message": record.getMessage()}
        if getattr(record, "left_out", 0):
            fields["repeated"] = getattr(record, "left_out", 0)
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str)


def _named(record: logging.LogRecord) -> dict[str, Any]:
    arguments = record.args if isinstance(record.args, tuple) else ()
    conversions = [match for match in _CONVERSION.finditer(str(record.msg)) if match[0] != "%%"]
    pairs = zip(conversions, arguments, strict=False)
    return {match[1]: value for match, value in pairs if match[1] and match[1] not in ("level", "message")}


class Prioritised(logging.Formatter):
    """Another format, after the journal's priority."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        return f"<{priority(record.levelno)}>{self._inner.format(record)}"


class Unwaiting(logging.StreamHandler[TextIO]):
    """Writes to a pipe, a socket or a terminal only what goes into it at once: a reader that has stopped to read must
    not stop the agent. What does not is left out, and counted in the next line that goes.

    poll(2) says that a pipe or a socket has room for PIPE_BUF bytes (pipe(7)): so much is written at a time.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self.lost = 0
        """Lines left out since one was written."""
        self._torn = False
        """Whether the latest line was written in part."""
        self._poll = _poll_of(stream)

    def emit(self, record: logging.LogRecord) -> None:
        if self._poll is None:
            super().emit(record)
            return
        try:
            text = self.format(record)
            if self.lost:
                text = f"{_of_lost(self.formatter, self.lost)}\n{text}"
            self._write(f"{text}\n")
        except Exception:
            self.handleError(record)

    def _write(self, text: str) -> None:
        data = text.encode(self.stream.encoding, "backslashreplace")
        if self._torn:
            data = b"\n" + data
        for at in range(0, len(data), select.PIPE_BUF):
            if not self._has_room():
                self.lost += 1
                self._torn = self._torn or at > 0
                return
            self.stream.buffer.write(data[at : at + select.PIPE_BUF])
            self.stream.buffer.flush()
        self.lost, self._torn = 0, False

    def _has_room(self) -> bool:
        return self._poll is not None and bool(self._poll.poll(0))


def _poll_of(stream: TextIO) -> select.poll | None:
    """None: what is written to it never waits for a reader."""
    try:
        fd = stream.fileno()
        if stat.S_ISREG(os.fstat(fd).st_mode):
            return None
    except (OSError, ValueError):
        return None
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return poll


def _of_lost(formatter: logging.Formatter | None, lost: int) -> str:
    message = "log: %d lines left out: nobody read them"
    record = logging.LogRecord(__name__, logging.WARNING, "", 0, message, (lost,), None)
    return record.getMessage() if formatter is None else formatter.format(record)


class Repeats(logging.Filter):
    """Lets a warning or an error pass once a minute. The next one that passes says how many were left out."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._said: dict[tuple[int, str, str], tuple[float, int]] = {}
        """(level, text, exception) -> when it was said, and how often it was left out since."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        now = self._clock()
        failure = repr(record.exc_info[1]) if record.exc_info else ""
        key = (record.levelno, record.getMessage(), failure)
        at, left_out = self._said.pop(key, (now - REPEAT_SECONDS, 0))
        passes = now - at >= REPEAT_SECONDS
        if not passes:
            self._said[key] = (at, left_out + 1)
            return False
        while len(self._said) >= _MAX_REMEMBERED:
            del self._said[next(iter(self._said))]
        self._said[key] = (now, 0)
        record.left_out = left_out
        return True


def under_journal(stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether output goes to the journal (systemd.exec(5), JOURNAL_STREAM); redirected output does not."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environment.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def configure(level: str, style: str = "text") -> None:
    """Set up the root logger for the whole process, in place of what it was before."""
    formatter: logging.Formatter = Json() if style == "json" else OneLine()
    handler = Unwaiting(sys.stderr)
    handler.setFormatter(Prioritised(formatter) if under_journal(sys.stderr) else formatter)
    handler.addFilter(Repeats())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
