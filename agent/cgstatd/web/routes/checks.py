"""The checks that come before each answer, and a header that several have."""

from __future__ import annotations

from collections.abc import Mapping

from ...basics.text import is_number
from ...feed.shared_passes import Feed

_FORBIDDEN = ("..", "/", "\\", "\0", "%")


def valid_container_id(text: str) -> bool:
    """Whether an id (after URL decoding) may be looked up at all."""
    return bool(text) and not any(part in text for part in _FORBIDDEN)


def environment_asked(named: Mapping[str, str], query: Mapping[str, str], own: int) -> int | None:
    """The environment that a request is about, by its path (``named``) or its query; without ``env`` (or with an empty
    one) the agent's. None: no number."""
    env = named.get("env") or query.get("env")
    if not env:
        return own
    return int(env) if is_number(env) else None


def cpu_budget_headers(feed: Feed) -> dict[str, str]:
    """``Cgstatd-Interval``: the seconds between readings, where they cost too much to be made for each request."""
    seconds = feed.stretched()
    return {} if seconds is None else {"Cgstatd-Interval": f"{seconds:g}"}
