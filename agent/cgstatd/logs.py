"""Logs in journal style: one line a record, on standard error, without a time stamp (the journal has its own)."""

from __future__ import annotations

import logging
import sys

_PRIORITY = {logging.DEBUG: "debug", logging.INFO: "info", logging.WARNING: "warning", logging.ERROR: "error"}


class _OneLine(logging.Formatter):
    """``level=warning container=… what happened``; a line break inside a record becomes a space."""

    def format(self, record: logging.LogRecord) -> str:
        level = _PRIORITY.get(record.levelno, record.levelname.lower())
        return (
            f"level={level} {super().format(record)}"
            if record.exc_info
            else (f"level={level} " + " ".join(record.getMessage().split()))
        )


def configure(level: str) -> None:
    """Set up the root logger once, for the whole process."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
