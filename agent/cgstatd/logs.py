"""Logs in journal style: one line a record, on standard error, without a time stamp (the journal has its own)."""

from __future__ import annotations

import logging
import sys

_PRIORITY = {logging.DEBUG: "debug", logging.INFO: "info", logging.WARNING: "warning", logging.ERROR: "error"}


class _OneLine(logging.Formatter):
    """``level=warning container=… what happened``; an exception follows on the same line.

    What a record holds is input (names, paths): white space becomes one space and no control character gets through,
    so nothing forges a second line or reaches a terminal.
    """

    def format(self, record: logging.LogRecord) -> str:
        level = _PRIORITY.get(record.levelno, record.levelname.lower())
        text = " ".join(super().format(record).split())
        return f"level={level} " + "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def configure(level: str) -> None:
    """Set up the root logger once, for the whole process."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
