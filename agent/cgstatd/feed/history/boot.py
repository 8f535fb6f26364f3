"""/proc/sys/kernel/random/boot_id (random(4)): another one after each boot of the host."""

from __future__ import annotations

import re

from cgroupfs import Root

PATH = "/proc/sys/kernel/random/boot_id"
_ID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\n?")
_DIGITS = 12
"""Enough to tell one boot from another."""


def boot_of(root: Root) -> str:
    """The beginning of the id; empty: the host does not say."""
    try:
        data = root.read(PATH)
    except OSError:
        return ""
    return data.replace(b"-", b"")[:_DIGITS].decode() if _ID.fullmatch(data) else ""
