"""What a reload finds: which keys differ, and which of them the running agent can take over."""

from __future__ import annotations

import msgspec

from .settings import Settings

LIVE = frozenset({"log_level", "log_format", "freshness", "baseline"})
"""The others decide what is listened on, what is read and who may ask: half of that changed would be worse than a
restart. Tokens and certificates are no keys: their files are read again whenever they change."""


def changed(old: Settings, new: Settings) -> list[str]:
    """The keys that differ, in the order of the settings."""
    before, after = msgspec.structs.asdict(old), msgspec.structs.asdict(new)
    return [name for name, value in after.items() if value != before[name]]
