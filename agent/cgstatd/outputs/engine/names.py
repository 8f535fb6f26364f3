"""Ids, states and words as the Engine API has them.

Clients want ids of hexadecimal digits. LXC, nspawn and containers with a word for an id get the hash of what they are;
the labels ``cgstatd.runtime`` and ``cgstatd.owner`` say what that is.
"""

from __future__ import annotations

import datetime
import functools
import hashlib
from collections.abc import Mapping

from ...host.identity import Identity
from ...host.runtimes.base import Metadata, State, is_hex_id
from ..shown_labels import shown_labels

RUNTIME_LABEL = "cgstatd.runtime"
OWNER_LABEL = "cgstatd.owner"
ZERO_TIME = "0001-01-01T00:00:00Z"


@functools.lru_cache(4096)
def hashed(runtime: str, owner_uid: int, name: str) -> str:
    """A stable id of 64 hexadecimal digits."""
    return hashlib.sha256(f"{runtime}\0{owner_uid}\0{name}".encode("utf-8", "surrogateescape")).hexdigest()


def engine_id(runtime: str, owner_uid: int, own_id: str) -> str:
    """The id that clients see."""
    if is_hex_id(own_id):
        return own_id
    found: str = hashed(runtime, owner_uid, own_id)
    return found


def id_of(identity: Identity) -> str:
    """The same, of an identity."""
    return engine_id(identity.runtime, identity.owner_uid, identity.id)


def image_id_of(metadata: Metadata) -> str:
    """``sha256:`` and 64 digits, for clients that take it apart; of an image without an id a hash of its name."""
    own = (metadata.image_id or "").removeprefix("sha256:")
    return f"sha256:{own if is_hex_id(own) else hashed('image', metadata.owner_uid, own or metadata.image or '')}"


def labels(identity: Identity, **more: str) -> Mapping[str, str]:
    """The container's own, two that say what it is, and ``more``."""
    added = {RUNTIME_LABEL: identity.runtime, OWNER_LABEL: str(identity.owner_uid), **more}
    return shown_labels(identity.metadata, added)


def status_of(state: State, *, running: bool) -> str:
    """The state in the Engine's words; ``running``: it has a cgroup."""
    if state is State.UNKNOWN or (state is State.RUNNING and not running):
        return "running" if running else "exited"
    return str(state.value)


def rfc3339(seconds: float | None) -> str:
    """Go's zero time where there is none."""
    return ZERO_TIME if seconds is None else rfc3339_ns(int(seconds * 1_000_000) * 1000)


def rfc3339_ns(nanoseconds: int) -> str:
    """As Go writes it, with nanoseconds."""
    whole, rest = divmod(nanoseconds, 1_000_000_000)
    try:
        when = datetime.datetime.fromtimestamp(whole, datetime.UTC)
    except (ValueError, OverflowError, OSError):
        return ZERO_TIME
    return f"{when:%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


_STEPS = ((60 * 48, 60, "hours"), (60 * 24 * 14, 60 * 24, "days"), (60 * 24 * 60, 60 * 24 * 7, "weeks"),
          (60 * 24 * 730, 60 * 24 * 30, "months"))  # fmt: skip
"""Minutes below which a unit is used, the unit's minutes, its name (docker/go-units, duration.go)."""


def duration(seconds: float) -> str:
    """A time in the words of ``docker ps``."""
    whole = int(max(0.0, seconds))
    if whole < 1:
        return "Less than a second"
    if whole == 1:
        return "1 second"
    if whole < 60:
        return f"{whole} seconds"
    minutes = whole // 60
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    if int(whole / 3600 + 0.5) == 1:
        return "About an hour"
    for below, unit, name in _STEPS:
        if minutes < below:
            return f"{int(whole / 3600 + 0.5) if unit == 60 else minutes // unit} {name}"
    return f"{minutes // (60 * 24 * 365)} years"
